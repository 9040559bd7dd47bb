//! The log: every line is valid JSON, a failure has level ERROR, and a change names its caller.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rhythmx_ticketing::v1::{self, DeliveryState, TicketSystem};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use ticketing_core::role::Role;
use ticketing_harness::{Plan, World, retry, retrying, state};
use ticketing_simulator::{Call, Effect, Reply, Rule, When};

const JIRA: TicketSystem = TicketSystem::Jira;

/// JSON in which no object has a key twice.
#[derive(Debug, Clone, PartialEq)]
enum Json {
    Object(BTreeMap<String, Json>),
    Array(Vec<Json>),
    Text(String),
    Other,
}

struct Unique;

impl<'de> Visitor<'de> for Unique {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without a key that is there twice")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            if fields.insert(name.clone(), value).is_some() {
                return Err(serde::de::Error::custom(format!("the key {name} is there twice")));
            }
        }
        Ok(Json::Object(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = vec![];
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Unique)
    }
}

impl Json {
    fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.get(name),
            _ => None,
        }
    }

    fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Self::Text(text)) => text,
            _ => "",
        }
    }

    /// The names of the spans around a line, the outermost first.
    fn spans(&self) -> Vec<&str> {
        match self.get("spans") {
            Some(Self::Array(spans)) => spans.iter().map(|span| span.text("name")).collect(),
            _ => vec![],
        }
    }
}

fn lines(world: &World) -> Vec<Json> {
    let log = world.server.log();
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

async fn start(plan: Plan) -> World {
    plan.in_a_process().with_flag("--log-format=json").start().await
}

async fn without_retries(world: &mut World) {
    let retry = v1::RetrySettings { max_retry_attempts: Some(0), ..retry(60, 3_600, 60) };
    world.configure(v1::ConfigureRequest { retry: Some(retry), ..Default::default() }).await;
}

fn refusal() -> Effect {
    Effect::Answer(Reply::json(400, &serde_json::json!({ "errorMessages": ["no"], "errors": {} })))
}

#[tokio::test]
async fn log_lines_have_unique_keys() {
    let mut world = start(Plan::new()).await;
    without_retries(&mut world).await;
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), refusal()));
    world.push("INC-1", JIRA).await;
    world.push("INC-2", JIRA).await;
    let denied = Effect::Answer(Reply::json(401, &serde_json::json!({})));
    world.servicenow.faults().push(Rule::new(Call::Any, When::Always, denied));
    world.push("INC-3", TicketSystem::Servicenow).await;
    world.client.get_delivery("no-such-delivery").await.unwrap_err();
    world.servicenow.faults().clear();
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), Effect::ApplyThenDrop));
    let id = world.push("INC-4", JIRA).await.delivery.unwrap().id;
    world.until(&id, DeliveryState::Delivered).await;
    assert!(lines(&world).iter().any(|line| line.text("message") == "refused"));
    world.finish().await;
}

#[tokio::test]
async fn last_failed_attempt_is_logged_at_error_level() {
    let mut world = start(Plan::new()).await;
    without_retries(&mut world).await;
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), refusal()));
    let answer = world.push("INC-1", JIRA).await;
    assert_eq!(state(&answer), DeliveryState::Failed);
    let id = answer.delivery.unwrap().id;
    let all = lines(&world);
    let failed = all.iter().find(|line| line.text("state") == "FAILED").expect("a line says so");
    assert_eq!((failed.text("level"), failed.text("delivery")), ("ERROR", id.as_str()));
    assert!(failed.text("message").contains("FAILED") && failed.text("connection") == "jira", "{failed:?}");
    world.finish().await;
}

#[tokio::test]
async fn requested_retry_has_the_span_of_its_call() {
    let mut world = start(Plan::new()).await;
    world.disable_automatic_retries().await;
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), refusal()));
    let id = world.push("INC-1", JIRA).await.delivery.unwrap().id;
    world.client.retry_delivery(retrying(&id)).await.unwrap();
    let all = lines(&world);
    let attempt = |message: &str| {
        let line = all.iter().find(|line| line.text("message") == message).expect("it was tried");
        let Some(Json::Array(spans)) = line.get("spans") else { panic!("{line:?}") };
        (line.spans(), spans[0].text("method").to_owned())
    };
    assert_eq!(attempt("no ticket was created"), (vec!["rpc", "attempt"], "CreateTicket".to_owned()));
    assert_eq!(attempt("the ticket was created"), (vec!["rpc", "attempt"], "RetryDelivery".to_owned()));
    world.finish().await;
}

#[tokio::test]
async fn scheduled_retry_has_its_own_span() {
    let mut world = start(Plan::new()).await;
    let often = retry(10, 10, 50);
    world.configure(v1::ConfigureRequest { retry: Some(often), ..Default::default() }).await;
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), refusal()));
    let id = world.push("INC-1", JIRA).await.delivery.unwrap().id;
    world.until(&id, DeliveryState::Delivered).await;
    let all = lines(&world);
    let retried = all.iter().find(|line| line.text("message") == "the ticket was created").unwrap();
    assert_eq!(retried.spans(), ["attempt"], "{retried:?}");
    world.finish().await;
}

#[tokio::test]
async fn every_change_is_logged() {
    let mut world = start(Plan::new().with_token_auth()).await;
    without_retries(&mut world).await;
    world.jira.faults().push(Rule::new(Call::Create, When::Next(2), refusal()));
    let id = world.push("INC-1", JIRA).await.delivery.unwrap().id;
    world.client.retry_delivery(retrying(&id)).await.unwrap();
    let cancel = v1::CancelDeliveryRequest { delivery_id: id.clone(), ..Default::default() };
    world.client.cancel_delivery(cancel).await.unwrap();
    world.server.make_token("wall", Role::Viewer, Duration::from_secs(60)).await;
    let mut administration = world.server.administration().await;
    administration.revoke("wall").await.unwrap();
    administration.rotate_data_key().await.unwrap();
    administration.close().await;
    let expected = [
        ("CONFIGURE", "settings", "token:harness"),
        ("RETRY_DELIVERY", id.as_str(), "token:harness"),
        ("CANCEL_DELIVERY", id.as_str(), "token:harness"),
        ("CREATE_TOKEN", "", "operator"),
        ("REVOKE_TOKEN", "", "operator"),
        ("ROTATE_KEY", "data key", "operator"),
    ];
    let has_entry = |all: &[Json], (action, subject, actor): (&str, &str, &str)| {
        all.iter().any(|line| {
            let fits = line.text("action") == action && line.text("actor") == actor;
            fits && line.text("level") == "INFO" && line.text("subject").contains(subject)
        })
    };
    let wait = async {
        while !expected.iter().all(|expected| has_entry(&lines(&world), *expected)) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let all_told = tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok();
    assert!(all_told, "{}", world.server.log());
    world.finish().await;
}
