//! Settings of a `ServiceNow` connection in the contract.

use ticketing_contract::v1;
use ticketing_core::secret::SecretKind;
use ticketing_core::system::System;
use ticketing_egress::RouteDraft;
use ticketing_vendor::contract::{secret_change, secret_changes, set_at};
use ticketing_vendor::{ConnectionChange, ConnectionSettings, Draft, SettingsDraft as _};

use crate::priority::ImpactUrgency;
use crate::settings::{ImpactUrgencyDraft, PrioritiesDraft, SettingsDraft};

/// A change from a request.
pub(crate) fn change(settings: v1::ServiceNowSettings) -> ConnectionChange {
    let given = settings.priorities.unwrap_or_default();
    let pair = |given: Option<v1::ServiceNowPriority>| {
        given.map(|given| ImpactUrgencyDraft { impact: given.impact, urgency: given.urgency })
    };
    let draft = SettingsDraft {
        instance: settings.instance,
        username: settings.username,
        assignment_group: settings.assignment_group,
        table: settings.table,
        priorities: PrioritiesDraft {
            critical: pair(given.critical),
            high: pair(given.high),
            medium: pair(given.medium),
            low: pair(given.low),
        },
        public_url: settings.public_url,
        route: RouteDraft {
            proxy_url: settings.proxy_url,
            proxy_username: settings.proxy_username,
            ca_certificates: settings.ca_certificates,
        },
    };
    let password = secret_change(settings.password, SecretKind::Password);
    ConnectionChange {
        connection: System::ServiceNow.to_string(),
        path: String::new(),
        draft: Draft::new(System::ServiceNow, draft),
        enabled: settings.enabled,
        secrets: secret_changes(password, settings.proxy_password),
    }
}

/// The settings, without their secrets.
pub(crate) fn view(settings: &ConnectionSettings) -> v1::ServiceNowSettingsView {
    let draft: &SettingsDraft = settings.draft.get();
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let matrix = draft.priorities();
    let pair = |pair: ImpactUrgency| {
        Some(v1::ServiceNowPriority { impact: pair.impact.into(), urgency: pair.urgency.into() })
    };
    v1::ServiceNowSettingsView {
        enabled: settings.enabled,
        instance: draft.origin().unwrap_or_else(|| text(&draft.instance)),
        username: text(&draft.username),
        password_set_at: set_at(settings, SecretKind::Password),
        assignment_group: text(&draft.assignment_group),
        table: draft.table().to_owned(),
        priorities: Some(v1::ServiceNowPriorities {
            critical: pair(matrix.critical),
            high: pair(matrix.high),
            medium: pair(matrix.medium),
            low: pair(matrix.low),
        }),
        proxy_url: text(&draft.route.proxy_url),
        proxy_username: text(&draft.route.proxy_username),
        proxy_password_set_at: set_at(settings, SecretKind::ProxyPassword),
        ca_certificates: text(&draft.route.ca_certificates),
        public_url: draft.public_url(),
    }
}

#[cfg(test)]
mod tests {
    use ticketing_vendor::Vendor;

    use super::*;
    use crate::ServiceNowVendor;

    #[test]
    fn shows_defaults() {
        let view = view(&ConnectionSettings::new(ServiceNowVendor::default().empty()));
        let low = view.priorities.unwrap().low.unwrap();
        assert_eq!((view.table.as_str(), low.impact, low.urgency), ("incident", 2, 3));
    }
}
