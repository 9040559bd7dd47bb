//! Stored settings, which anyone with write access to the database may have edited.

use std::sync::LazyLock;

use secrecy::SecretString;
use serde_json::{Value, json};
use ticketing_core::secret::{Secret, SecretKind};
use ticketing_core::system::System;
use ticketing_core::violation::Violations;
use ticketing_egress::address_policy::AddressPolicy;
use ticketing_egress::{HttpClient, Route};
use ticketing_engine::settings::RetrySchedule;
use ticketing_vendor::Draft;

use super::VENDORS;
use crate::canned;

static CLIENT: LazyLock<HttpClient> = LazyLock::new(|| canned::client(AddressPolicy::default()));

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
        let vendor = VENDORS.of(system);
        let Ok(draft) = vendor.stored(part(system.as_str())) else { continue };
        let again = vendor.stored(draft.to_json()).expect("what we write we read");
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
    let path = draft.system().as_str();
    let is_usable_with = |kind: &SecretKind| {
        let mut violations = Violations::default();
        let secret = Secret::new(*kind, "secret");
        let vendor = VENDORS.of(draft.system());
        let connection = vendor.connect(draft, Some(&secret), Some(CLIENT.clone()), path, &mut violations);
        assert_eq!(connection.is_none(), !violations.is_empty(), "refused without a reason: {draft:?}");
        connection.is_some()
    };
    let is_usable = SecretKind::ALL.iter().filter(|kind| is_usable_with(kind)).count() > 0;
    let password = SecretString::from("secret");
    for password in [None, Some(&password)] {
        let mut found = Violations::default();
        let route = Route::parse(draft.route(), password, path, &mut found);
        assert_eq!(route.is_none(), !found.is_empty(), "a route is refused without a reason: {draft:?}");
    }
    let Some(binding) = draft.origin() else {
        assert!(!is_usable, "settings without an origin are used: {draft:?}");
        return;
    };
    // The route follows, as entered.
    let origin = binding.split(' ').next().unwrap_or_default();
    let web = origin.strip_prefix("https://").or(origin.strip_prefix("http://"));
    assert!(!is_usable || web.is_some_and(|host| !host.is_empty() && !host.contains('@')), "{origin}");
}
