//! Settings of a Jira connection in the contract.

use ticketing_contract::v1;
use ticketing_core::secret::{SecretChange, SecretKind};
use ticketing_core::system::System;
use ticketing_core::violation::Violations;
use ticketing_egress::RouteDraft;
use ticketing_vendor::contract::{secret_change, secret_changes, set_at};
use ticketing_vendor::{ConnectionChange, ConnectionSettings, Draft};

use crate::settings::{Flavour, SettingsDraft};

/// A change from a request. Only violations of the change itself are reported here.
pub(crate) fn change(settings: v1::JiraSettings, violations: &mut Violations) -> ConnectionChange {
    let flavour = settings.flavour.and_then(|value| flavour("jira.flavour", value, violations));
    let draft = SettingsDraft {
        url: settings.url,
        email: settings.email,
        project_key: settings.project_key,
        issue_type: settings.issue_type,
        flavour,
        cloud_id: settings.cloud_id,
        gateway_url: settings.gateway_url,
        labels: settings.labels.map(|labels| labels.values),
        public_url: settings.public_url,
        route: RouteDraft {
            proxy_url: settings.proxy_url,
            proxy_username: settings.proxy_username,
            ca_certificates: settings.ca_certificates,
        },
    };
    let token = secret_change(settings.api_token, SecretKind::ApiToken);
    let access_token = secret_change(settings.personal_access_token, SecretKind::PersonalAccessToken);
    let secret = match (token, access_token) {
        (Some(SecretChange::Set { .. }), Some(SecretChange::Set { .. })) => {
            violations.add("jira.personal_access_token", "must not be set together with api_token");
            None
        }
        (Some(set @ SecretChange::Set { .. }), _) | (_, Some(set @ SecretChange::Set { .. })) => Some(set),
        (removed, None) | (_, removed) => removed,
    };
    ConnectionChange {
        connection: System::Jira.to_string(),
        path: String::new(),
        draft: Draft::new(System::Jira, draft),
        enabled: settings.enabled,
        secrets: secret_changes(secret, settings.proxy_password),
    }
}

/// The settings, without their secrets.
pub(crate) fn view(settings: &ConnectionSettings) -> v1::JiraSettingsView {
    let draft: &SettingsDraft = settings.draft.get();
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    v1::JiraSettingsView {
        enabled: settings.enabled,
        url: draft.site_url(),
        email: text(&draft.email),
        api_token_set_at: set_at(settings, SecretKind::ApiToken),
        personal_access_token_set_at: set_at(settings, SecretKind::PersonalAccessToken),
        project_key: text(&draft.project_key),
        issue_type: draft.issue_type().to_owned(),
        flavour: shown_flavour(draft.flavour.unwrap_or_default()).into(),
        cloud_id: text(&draft.cloud_id),
        gateway_url: draft.gateway_url().to_owned(),
        labels: draft.labels.clone().unwrap_or_default(),
        proxy_url: text(&draft.route.proxy_url),
        proxy_username: text(&draft.route.proxy_username),
        proxy_password_set_at: set_at(settings, SecretKind::ProxyPassword),
        ca_certificates: text(&draft.route.ca_certificates),
        public_url: draft.public_url(),
    }
}

fn flavour(path: &str, value: i32, violations: &mut Violations) -> Option<Flavour> {
    match v1::JiraFlavour::try_from(value) {
        Ok(v1::JiraFlavour::Auto) => Some(Flavour::Auto),
        Ok(v1::JiraFlavour::Cloud) => Some(Flavour::Cloud),
        Ok(v1::JiraFlavour::DataCenter) => Some(Flavour::DataCenter),
        Ok(v1::JiraFlavour::Unspecified) | Err(_) => {
            let choices = "must be JIRA_FLAVOUR_AUTO, JIRA_FLAVOUR_CLOUD or JIRA_FLAVOUR_DATA_CENTER";
            violations.add(path, choices);
            None
        }
    }
}

fn shown_flavour(flavour: Flavour) -> v1::JiraFlavour {
    match flavour {
        Flavour::Auto => v1::JiraFlavour::Auto,
        Flavour::Cloud => v1::JiraFlavour::Cloud,
        Flavour::DataCenter => v1::JiraFlavour::DataCenter,
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use ticketing_core::secret::{Secret, SecretUse};
    use ticketing_vendor::Vendor;

    use super::*;
    use crate::JiraVendor;

    fn changed(settings: v1::JiraSettings) -> (ConnectionChange, Vec<String>) {
        let mut violations = Violations::default();
        let change = change(settings, &mut violations);
        (change, violations.iter().map(|violation| violation.field.clone()).collect())
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn toggle_changes_only_itself() {
        let (change, wrong) = changed(v1::JiraSettings { enabled: Some(true), ..Default::default() });
        assert!(wrong.is_empty());
        assert_eq!((change.enabled, &change.draft), (Some(true), &JiraVendor::default().empty()));
        assert!(change.secrets.is_empty());
    }

    #[test]
    fn sets_removes_or_keeps_secret() {
        let of = |change: &ConnectionChange, used_for| match change.secrets.get(&used_for) {
            Some(SecretChange::Set { kind, value }) => Some((*kind, value.expose_secret().to_owned())),
            _ => None,
        };
        let (change, _) =
            changed(v1::JiraSettings { personal_access_token: text("pat"), ..Default::default() });
        let expected = Some((SecretKind::PersonalAccessToken, "pat".to_owned()));
        assert_eq!(of(&change, SecretUse::TicketSystem), expected);
        let (change, _) = changed(v1::JiraSettings { api_token: text(""), ..Default::default() });
        assert!(matches!(change.secrets.get(&SecretUse::TicketSystem), Some(SecretChange::Remove)));
        let (change, _) = changed(v1::JiraSettings { proxy_password: text("word"), ..Default::default() });
        assert_eq!(change.secrets.len(), 1);
        assert_eq!(of(&change, SecretUse::Proxy), Some((SecretKind::ProxyPassword, "word".to_owned())));
    }

    #[test]
    fn reports_violations_of_the_change() {
        let settings = v1::JiraSettings {
            flavour: Some(0),
            api_token: text("one"),
            personal_access_token: text("two"),
            ..Default::default()
        };
        assert_eq!(changed(settings).1, ["jira.flavour", "jira.personal_access_token"]);
    }

    #[test]
    fn shows_time_of_secret_instead_of_value() {
        let held = |kind: SecretKind| (kind.used_for(), Secret::new(kind, "hunter2"));
        let mut settings = ConnectionSettings::new(JiraVendor::default().empty());
        settings.secrets = [SecretKind::PersonalAccessToken, SecretKind::ProxyPassword].map(held).into();
        let view = view(&settings);
        assert_eq!(view.api_token_set_at, None);
        let then = Some(prost_types::Timestamp::default());
        assert_eq!((view.personal_access_token_set_at, view.proxy_password_set_at), (then, then));
        assert!(!format!("{view:?} {settings:?}").contains("hunter2"));
    }

    #[test]
    fn shows_origin_of_pasted_page() {
        let url = text("jira.corp.example/jira/secure/Dashboard.jspa");
        let draft = SettingsDraft { url, ..SettingsDraft::default() };
        let view = view(&ConnectionSettings::new(Draft::new(System::Jira, draft)));
        assert_eq!(view.url, "https://jira.corp.example/jira");
    }

    #[test]
    fn shows_defaults() {
        let view = view(&ConnectionSettings::new(JiraVendor::default().empty()));
        assert_eq!((view.issue_type.as_str(), view.flavour()), ("Task", v1::JiraFlavour::Auto));
        assert_eq!(view.gateway_url, "https://api.atlassian.com");
    }
}
