//! Settings, without their secrets.

use ticketing_contract::v1;
use ticketing_core::auto_push::AutoPush;
use ticketing_engine::settings::{Draft, RetrySchedule, SecretKind, SystemSettings};
use ticketing_jira::Flavour;
use ticketing_servicenow::ImpactUrgency;

use super::field;

/// The stored settings of one system.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum View {
    Jira(v1::JiraSettingsView),
    ServiceNow(v1::ServiceNowSettingsView),
}

pub(crate) fn system_settings(settings: &SystemSettings) -> View {
    match &settings.draft {
        Draft::Jira(draft) => View::Jira(jira(draft, settings)),
        Draft::ServiceNow(draft) => View::ServiceNow(servicenow(draft, settings)),
    }
}

pub(crate) fn auto_push(rule: &AutoPush) -> v1::AutoPushSettings {
    let systems = rule.systems.iter().map(|system| field::system(*system).into()).collect();
    v1::AutoPushSettings {
        enabled: Some(rule.enabled),
        minimum_severity: Some(field::severity(rule.minimum_severity).into()),
        systems: Some(v1::TicketSystemList { values: systems }),
    }
}

pub(crate) fn retry(schedule: &RetrySchedule) -> v1::RetrySettings {
    let backoff = &schedule.backoff;
    v1::RetrySettings {
        max_retry_attempts: Some(backoff.max_retry_attempts()),
        base_delay: Some(field::duration(backoff.base())),
        max_delay: Some(field::duration(backoff.max())),
        processor_interval: Some(field::duration(schedule.processor_interval)),
        jitter: Some(backoff.jitter()),
    }
}

fn jira(draft: &ticketing_jira::SettingsDraft, settings: &SystemSettings) -> v1::JiraSettingsView {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    v1::JiraSettingsView {
        enabled: settings.enabled,
        url: draft.site_url(),
        email: text(&draft.email),
        api_token_set_at: set_at(settings, SecretKind::ApiToken),
        personal_access_token_set_at: set_at(settings, SecretKind::PersonalAccessToken),
        project_key: text(&draft.project_key),
        issue_type: draft.issue_type().to_owned(),
        flavour: flavour(draft.flavour.unwrap_or_default()).into(),
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

fn servicenow(
    draft: &ticketing_servicenow::SettingsDraft,
    settings: &SystemSettings,
) -> v1::ServiceNowSettingsView {
    let matrix = draft.priorities();
    let pair = |pair: ImpactUrgency| {
        Some(v1::ServiceNowPriority { impact: pair.impact.into(), urgency: pair.urgency.into() })
    };
    let as_given = draft.instance.clone().unwrap_or_default();
    v1::ServiceNowSettingsView {
        enabled: settings.enabled,
        instance: draft.origin().unwrap_or(as_given),
        username: draft.username.clone().unwrap_or_default(),
        password_set_at: set_at(settings, SecretKind::Password),
        assignment_group: draft.assignment_group.clone().unwrap_or_default(),
        table: draft.table().to_owned(),
        priorities: Some(v1::ServiceNowPriorities {
            critical: pair(matrix.critical),
            high: pair(matrix.high),
            medium: pair(matrix.medium),
            low: pair(matrix.low),
        }),
        proxy_url: draft.route.proxy_url.clone().unwrap_or_default(),
        proxy_username: draft.route.proxy_username.clone().unwrap_or_default(),
        proxy_password_set_at: set_at(settings, SecretKind::ProxyPassword),
        ca_certificates: draft.route.ca_certificates.clone().unwrap_or_default(),
        public_url: draft.public_url(),
    }
}

fn set_at(settings: &SystemSettings, kind: SecretKind) -> Option<prost_types::Timestamp> {
    let held = settings.secrets.get(&kind.used_for()).filter(|held| held.secret.kind == kind)?;
    Some(field::timestamp(held.set_at))
}

fn flavour(flavour: Flavour) -> v1::JiraFlavour {
    match flavour {
        Flavour::Auto => v1::JiraFlavour::Auto,
        Flavour::Cloud => v1::JiraFlavour::Cloud,
        Flavour::DataCenter => v1::JiraFlavour::DataCenter,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use ticketing_core::system::System;

    use super::*;
    use ticketing_engine::settings::{BoundSecret, Secret};

    #[test]
    fn presents_time_of_secret_instead_of_value() {
        let held = |kind| {
            let secret = Secret { kind, value: "hunter2".into() };
            (kind.used_for(), BoundSecret { secret, origin: None, set_at: Timestamp::UNIX_EPOCH })
        };
        let secrets = [SecretKind::PersonalAccessToken, SecretKind::ProxyPassword].map(held);
        let settings = SystemSettings { secrets: secrets.into(), ..SystemSettings::empty(System::Jira) };
        let View::Jira(view) = system_settings(&settings) else { panic!("not Jira's settings") };
        assert_eq!(view.api_token_set_at, None);
        let then = Some(prost_types::Timestamp::default());
        assert_eq!((view.personal_access_token_set_at, view.proxy_password_set_at), (then, then));
        assert!(!format!("{view:?} {settings:?}").contains("hunter2"));
    }

    #[test]
    fn presents_origin_of_pasted_page() {
        let url = Some("jira.corp.example/jira/secure/Dashboard.jspa".to_owned());
        let draft = Draft::Jira(ticketing_jira::SettingsDraft { url, ..Default::default() });
        let settings = SystemSettings { draft, ..SystemSettings::empty(System::Jira) };
        let View::Jira(view) = system_settings(&settings) else { panic!("not Jira's settings") };
        assert_eq!(view.url, "https://jira.corp.example/jira");
    }

    #[test]
    fn presents_defaults() {
        let View::Jira(view) = system_settings(&SystemSettings::empty(System::Jira)) else { panic!() };
        assert_eq!((view.issue_type.as_str(), view.flavour()), ("Task", v1::JiraFlavour::Auto));
        assert_eq!(view.gateway_url, "https://api.atlassian.com");
        let View::ServiceNow(view) = system_settings(&SystemSettings::empty(System::ServiceNow)) else {
            panic!()
        };
        let low = view.priorities.unwrap().low.unwrap();
        assert_eq!((view.table.as_str(), low.impact, low.urgency), ("incident", 2, 3));
    }

    #[test]
    fn default_retry_settings_match_contract() {
        let presented = retry(&RetrySchedule::default());
        assert_eq!((presented.max_retry_attempts, presented.jitter), (Some(5), Some(0.0)));
        let seconds = |duration: Option<prost_types::Duration>| duration.unwrap().seconds;
        let durations = (presented.base_delay, presented.max_delay, presented.processor_interval);
        assert_eq!((seconds(durations.0), seconds(durations.1), seconds(durations.2)), (60, 3_600, 120));
    }
}
