//! Stored settings, which anyone with write access to the database may have edited.

use secrecy::SecretString;
use serde_json::{Value, json};
use ticketing_core::system::System;
use ticketing_core::violation::Violations;
use ticketing_egress::Route;
use ticketing_engine::settings::{Draft, RetrySchedule};
use ticketing_jira::{Secret, SecretKind};

/// The settings of each system, and the retry schedule, as one document.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let cloud = json!({
        "url": "https://acme.atlassian.net", "email": "a@acme.example", "project_key": "SEC", "issue_type": "Task",
        "flavour": "cloud", "labels": ["rhythmx"],
    });
    let scoped = json!({
        "url": "https://acme.atlassian.net", "email": "a@acme.example", "project_key": "SEC",
        "cloud_id": "11111111-2222-4333-8444-555555555555", "gateway_url": "https://api.atlassian.com",
    });
    let data_center =
        json!({ "url": "https://jira.example/jira", "project_key": "SEC", "flavour": "data_center" });
    let servicenow = json!({
        "instance": "acme", "username": "u", "assignment_group": "Security", "table": "incident",
        "priorities": { "critical": { "impact": 1, "urgency": 1 } },
        "proxy_url": "http://proxy.acme.example:3128", "proxy_username": "bot",
    });
    let retry = serde_json::to_value(RetrySchedule::default()).expect("a schedule is made of numbers");
    let all = [cloud, scoped, data_center];
    all.map(|jira| json!({ "jira": jira, "servicenow": servicenow, "retry": retry }).to_string().into_bytes())
        .to_vec()
}

pub(super) fn run(input: &[u8]) {
    let Ok(document) = serde_json::from_slice::<Value>(input) else { return };
    let part = |name: &str| document.get(name).cloned().unwrap_or(Value::Null);
    for system in System::ALL {
        let Ok(draft) = Draft::from_json(system, part(system.as_str())) else { continue };
        let again = Draft::from_json(system, draft.to_json()).expect("what we write we read");
        assert_eq!(again, draft);
        sound(&draft);
    }
    if let Ok(schedule) = serde_json::from_value::<RetrySchedule>(part("retry")) {
        let written = serde_json::to_value(&schedule).expect("a schedule is made of numbers");
        let _ = serde_json::from_value::<RetrySchedule>(written);
    }
}

/// Checks that usable settings have a web address and no violation, and that others have violations.
fn sound(draft: &Draft) {
    let mut violations = Violations::default();
    let usable = match draft {
        Draft::Jira(draft) => [SecretKind::ApiToken, SecretKind::PersonalAccessToken]
            .map(|kind| {
                let secret = Secret { kind, value: SecretString::from("secret") };
                ticketing_jira::Settings::parse(draft, Some(&secret), "jira", &mut violations).is_some()
            })
            .contains(&true),
        Draft::ServiceNow(draft) => {
            let password = SecretString::from("secret");
            ticketing_servicenow::Settings::parse(draft, Some(&password), "servicenow", &mut violations)
                .is_some()
        }
    };
    let password = SecretString::from("secret");
    for password in [None, Some(&password)] {
        let mut found = Violations::default();
        let way = Route::parse(draft.route(), password, draft.system().as_str(), &mut found);
        assert_eq!(way.is_none(), !found.is_empty(), "a way is refused without a reason: {draft:?}");
    }
    assert!(usable || !violations.is_empty(), "settings are refused without a reason: {draft:?}");
    let Some(origin) = draft.origin() else {
        assert!(!usable, "settings without an origin are used: {draft:?}");
        return;
    };
    let web = origin.strip_prefix("https://").or(origin.strip_prefix("http://"));
    assert!(!usable || web.is_some_and(|host| !host.is_empty() && !host.contains('@')), "{origin}");
}
