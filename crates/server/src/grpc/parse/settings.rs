//! Changes of ticket system settings. Only violations of the change itself are reported here; the systems validate
//! the merged settings.

use std::collections::BTreeMap;

use ticketing_contract::v1;
use ticketing_contract::v1::test_connection_request::Unsaved;
use ticketing_core::system::System;
use ticketing_core::violation::Violations;
use ticketing_egress::RouteDraft;
use ticketing_engine::app::Change;
use ticketing_engine::settings::{Draft, Rules, Secret, SecretChange, SecretKind, SecretUse, SystemChange};
use ticketing_jira::Flavour;
use ticketing_servicenow::{ImpactUrgencyDraft, PrioritiesDraft};

use super::destination::{self, Rejection};
use super::rules;

/// A Configure request, given the current rules.
pub(crate) fn change(request: v1::ConfigureRequest, current: &Rules, violations: &mut Violations) -> Change {
    let jira = request.jira.map(|settings| jira(settings, violations));
    let servicenow = request.servicenow.map(servicenow);
    let auto_push = match request.auto_push {
        Some(change) => rules::auto_push(change, &current.auto_push, violations),
        None => current.auto_push.clone(),
    };
    let retry = match request.retry {
        Some(change) => rules::retry(change, &current.retry, violations),
        None => current.retry.clone(),
    };
    Change { systems: jira.into_iter().chain(servicenow).collect(), rules: Rules { auto_push, retry } }
}

/// Which connection to test, with which unsaved settings. The violations are those of the change; validating the
/// merged settings may find others.
pub(crate) fn tested_connection(
    request: v1::TestConnectionRequest,
) -> Result<(System, Option<SystemChange>, Violations), Rejection> {
    let (mut wrong, mut unsaved) = (Violations::default(), Violations::default());
    let system = destination::system(request.destination.map(Into::into), &mut wrong);
    let change = match request.unsaved {
        Some(Unsaved::Jira(settings)) => Some(jira(settings, &mut unsaved)),
        Some(Unsaved::Servicenow(settings)) => Some(servicenow(settings)),
        None => None,
    };
    if let (Ok(system), Some(change)) = (&system, &change) {
        let given = change.draft.system();
        let description =
            format!("are settings of {}, but the test is for {}", given.title(), system.title());
        wrong.require(given == *system, given.as_str(), &description);
    }
    match system {
        Ok(system) if wrong.is_empty() => Ok((system, change, unsaved)),
        system => Err(Rejection::of(system.err(), wrong)),
    }
}

fn jira(settings: v1::JiraSettings, violations: &mut Violations) -> SystemChange {
    let flavour = settings.flavour.and_then(|value| flavour("jira.flavour", value, violations));
    let draft = ticketing_jira::SettingsDraft {
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
    let token = secret(settings.api_token, SecretKind::ApiToken);
    let kind = SecretKind::PersonalAccessToken;
    let access_token = secret(settings.personal_access_token, kind);
    let secret = match (token, access_token) {
        (Some(SecretChange::Set(_)), Some(SecretChange::Set(_))) => {
            let description = "must not be set together with api_token";
            violations.add("jira.personal_access_token", description);
            None
        }
        (Some(SecretChange::Set(secret)), _) | (_, Some(SecretChange::Set(secret))) => {
            Some(SecretChange::Set(secret))
        }
        (removed, None) | (_, removed) => removed,
    };
    let password = self::secret(settings.proxy_password, SecretKind::ProxyPassword);
    SystemChange { draft: Draft::Jira(draft), enabled: settings.enabled, secrets: secrets(secret, password) }
}

fn servicenow(settings: v1::ServiceNowSettings) -> SystemChange {
    let given = settings.priorities.unwrap_or_default();
    let pair = |given: Option<v1::ServiceNowPriority>| {
        given.map(|given| ImpactUrgencyDraft { impact: given.impact, urgency: given.urgency })
    };
    let draft = ticketing_servicenow::SettingsDraft {
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
    let secret = secret(settings.password, SecretKind::Password);
    let proxy_password = self::secret(settings.proxy_password, SecretKind::ProxyPassword);
    let secrets = secrets(secret, proxy_password);
    SystemChange { draft: Draft::ServiceNow(draft), enabled: settings.enabled, secrets }
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

fn secret(value: Option<String>, kind: SecretKind) -> Option<SecretChange> {
    Some(match value? {
        value if value.is_empty() => SecretChange::Remove,
        value => SecretChange::Set(Secret { kind, value: value.into() }),
    })
}

fn secrets(
    of_system: Option<SecretChange>,
    of_proxy: Option<SecretChange>,
) -> BTreeMap<SecretUse, SecretChange> {
    let all = [(SecretUse::TicketSystem, of_system), (SecretUse::Proxy, of_proxy)];
    all.into_iter().filter_map(|(used_for, change)| Some((used_for, change?))).collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn changed(request: v1::ConfigureRequest) -> (Change, Vec<String>) {
        let mut violations = Violations::default();
        let change = change(request, &Rules::default(), &mut violations);
        (change, violations.iter().map(|violation| violation.field.clone()).collect())
    }

    fn jira(settings: v1::JiraSettings) -> v1::ConfigureRequest {
        v1::ConfigureRequest { jira: Some(settings), ..Default::default() }
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn toggle_changes_only_itself() {
        let (change, wrong) = changed(jira(v1::JiraSettings { enabled: Some(true), ..Default::default() }));
        assert!(wrong.is_empty());
        assert_eq!(change.rules, Rules::default());
        let [only] = change.systems.as_slice() else { panic!("{:?}", change.systems) };
        assert_eq!((only.enabled, &only.draft), (Some(true), &Draft::empty(System::Jira)));
        assert!(only.secrets.is_empty());
    }

    #[test]
    fn sets_removes_or_keeps_secret() {
        let settings = v1::JiraSettings { personal_access_token: text("pat"), ..Default::default() };
        let (change, _) = changed(jira(settings));
        let of_system = |change: &Change| change.systems[0].secrets.get(&SecretUse::TicketSystem).cloned();
        let Some(SecretChange::Set(secret)) = of_system(&change) else { panic!("the secret is not set") };
        assert_eq!((secret.kind, secret.value.expose_secret()), (SecretKind::PersonalAccessToken, "pat"));
        let (change, _) = changed(jira(v1::JiraSettings { api_token: text(""), ..Default::default() }));
        assert!(matches!(of_system(&change), Some(SecretChange::Remove)));
        let (change, _) =
            changed(jira(v1::JiraSettings { proxy_password: text("word"), ..Default::default() }));
        let secrets = &change.systems[0].secrets;
        let Some(SecretChange::Set(secret)) = secrets.get(&SecretUse::Proxy) else { panic!("it is not set") };
        assert_eq!(secrets.len(), 1);
        assert_eq!((secret.kind, secret.value.expose_secret()), (SecretKind::ProxyPassword, "word"));
    }

    #[test]
    fn reports_violations_of_all_systems() {
        let request = v1::ConfigureRequest {
            jira: Some(v1::JiraSettings {
                flavour: Some(0),
                api_token: text("one"),
                personal_access_token: text("two"),
                ..Default::default()
            }),
            retry: Some(v1::RetrySettings { jitter: Some(2.0), ..Default::default() }),
            ..Default::default()
        };
        let expected = ["jira.flavour", "jira.personal_access_token", "retry.jitter"];
        assert_eq!(changed(request).1, expected);
    }

    #[test]
    fn refuses_test_with_settings_of_other_system() {
        let request = v1::TestConnectionRequest {
            destination: Some(v1::TicketSystem::Jira.into()),
            unsaved: Some(Unsaved::Servicenow(v1::ServiceNowSettings::default())),
        };
        let Err(Rejection::Invalid(wrong)) = tested_connection(request) else { panic!("not invalid") };
        assert_eq!(
            wrong.iter().map(|violation| violation.field.as_str()).collect::<Vec<_>>(),
            ["servicenow"]
        );
        assert!(tested_connection(v1::TestConnectionRequest::default()).is_err());
    }
}
