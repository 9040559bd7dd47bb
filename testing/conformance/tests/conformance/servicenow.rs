//! ServiceNow.

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::{Map, Value, json};
use ticketing_conformance::{RequestKind, SECRET};
use ticketing_core::system::TicketSystem;
use ticketing_core::violation::Violations;
use ticketing_servicenow::{ServiceNow, Settings, SettingsDraft};
use ticketing_simulator::{
    Call, Credential, Effect, Profile, RecordedRequest, Reply, Rule, Simulator, Vendor, When,
};

use crate::simulated::{Adapter, Simulated, http_client};

const USER: &str = "rhythmx.integration";

async fn start() -> Simulated {
    let login = Credential::Basic { user: USER.to_owned(), secret: SECRET.to_owned() };
    let mut profile = Profile::of(Vendor::ServiceNow).only_credential(login);
    // Databases have limits where the platform has none.
    profile.refuses_long_short_description = true;
    profile.description_limit = Some(4_000);
    Simulated::start(Vendor::ServiceNow, profile, SERVICENOW).await
}

const SERVICENOW: Adapter = Adapter {
    connect,
    refusal,
    kind_of,
    permission: "read",
    remove_place: |simulator| {
        let gone = Effect::Answer(refusal(400, "Invalid table incident"));
        simulator.faults().push(Rule::new(Call::Any, When::Always, gone));
    },
    marked: |marker| Map::from_iter([("correlation_id".to_owned(), marker.into())]),
    move_ticket: |simulator, key| {
        let renumbered = key.replace("INC", "INC9");
        assert!(simulator.move_ticket(key, &renumbered), "there is a record {key}");
        simulator.set_field(&renumbered, "number", Value::from(renumbered.clone()));
        renumbered
    },
};

fn connect(simulator: &Simulator, password: &str) -> Arc<dyn TicketSystem> {
    let draft = SettingsDraft {
        instance: Some(simulator.base_url()),
        username: Some(USER.to_owned()),
        assignment_group: Some("Security Operations".to_owned()),
        ..SettingsDraft::default()
    };
    let password = SecretString::from(password);
    let mut violations = Violations::default();
    let settings = Settings::parse(&draft, Some(&password), "servicenow", &mut violations);
    Arc::new(ServiceNow::new(settings.unwrap_or_else(|| panic!("{violations}")), http_client()))
}

fn refusal(status: u16, text: &str) -> Reply {
    let error = json!({ "message": text, "detail": "" });
    Reply::json(status, &json!({ "error": error, "status": "failure" }))
}

fn kind_of(request: &RecordedRequest) -> RequestKind {
    match request.method.as_str() {
        "GET" => RequestKind::Read,
        "POST" => RequestKind::Create,
        _ => RequestKind::Change,
    }
}

ticketing_conformance::ticket_system_conformance!(start);
