//! Jira Cloud and Jira Data Center.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use ticketing_conformance::{RequestKind, SECRET};
use ticketing_core::secret::{Secret, SecretKind};
use ticketing_core::system::TicketSystem;
use ticketing_core::violation::Violations;
use ticketing_jira::{Flags, Jira, Settings, SettingsDraft};
use ticketing_simulator::{Credential, Profile, RecordedRequest, Reply, Simulator, Vendor};

use crate::simulated::{Adapter, Simulated, http_client};

const EMAIL: &str = "analyst@example.com";

async fn cloud() -> Simulated {
    let login = Credential::Basic { user: EMAIL.to_owned(), secret: SECRET.to_owned() };
    let profile = Profile::of(Vendor::JiraCloud).only_credential(login);
    let connect = |simulator: &Simulator, secret: &str| connect(simulator, SecretKind::ApiToken, secret);
    Simulated::start(Vendor::JiraCloud, profile, Adapter { connect, ..JIRA }).await
}

async fn data_center() -> Simulated {
    let login = Credential::Bearer { token: SECRET.to_owned() };
    let profile = Profile::of(Vendor::JiraDataCenter).only_credential(login).with_context_path("/jira");
    Simulated::start(Vendor::JiraDataCenter, profile, JIRA).await
}

const JIRA: Adapter = Adapter {
    connect: |simulator, secret| connect(simulator, SecretKind::PersonalAccessToken, secret),
    refusal: |status, text| Reply::json(status, &json!({ "errorMessages": [text], "errors": {} })),
    kind_of,
    permission: "BROWSE_PROJECTS",
    remove_place: |simulator| simulator.edit(|profile| profile.projects.clear()),
    marked: |marker| match marker {
        "" => Map::new(),
        marker => Map::from_iter([("labels".to_owned(), Value::from(vec![marker]))]),
    },
    move_ticket: |simulator, key| {
        let moved = key.replace("SEC-", "OPS-");
        assert!(simulator.move_ticket(key, &moved), "there is a ticket {key}");
        moved
    },
};

fn connect(simulator: &Simulator, kind: SecretKind, secret: &str) -> Arc<dyn TicketSystem> {
    let draft = SettingsDraft {
        url: Some(simulator.base_url()),
        email: Some(EMAIL.to_owned()),
        project_key: Some("SEC".to_owned()),
        labels: Some(vec!["soc".to_owned()]),
        ..SettingsDraft::default()
    };
    let secret = Secret::new(kind, secret);
    let mut violations = Violations::default();
    let settings = Settings::parse(&draft, Some(&secret), "jira", &mut violations);
    let settings = settings.unwrap_or_else(|| panic!("{violations}"));
    Arc::new(Jira::new(settings, http_client(), Flags::default()))
}

/// A search is a POST that changes nothing.
fn kind_of(request: &RecordedRequest) -> RequestKind {
    match request.method.as_str() {
        "POST" if request.path.ends_with("/issue") => RequestKind::Create,
        "POST" if request.path.contains("/search") => RequestKind::Read,
        "GET" => RequestKind::Read,
        _ => RequestKind::Change,
    }
}

mod jira_cloud {
    ticketing_conformance::ticket_system_conformance!(super::cloud);
}

mod jira_data_center {
    ticketing_conformance::ticket_system_conformance!(super::data_center);
}
