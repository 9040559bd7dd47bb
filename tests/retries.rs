//! Definite failures: retried with backoff, FAILED after the last retry, redriven by operators.

use std::time::Duration;

use prost_types::Timestamp;
use rhythmx_ticketing::v1::{
    self, AttemptOutcome, ConnectionConditionKind, DeliveryState, TicketEventKind, TicketSystem,
};
use ticketing_simulator::{Call, Effect, Reply, RetryAfter, Rule, When};

use ticketing_harness::{Plan, World, creates, retry, retrying, state};

const JIRA: TicketSystem = TicketSystem::Jira;

#[tokio::test]
async fn backoff_doubles_until_retries_are_exhausted() {
    let mut world = Plan::new().start().await;
    with_retries(&mut world, 2, retry(150, 10_000, 10)).await;
    world.jira.faults().push(Rule::new(Call::Create, When::Always, refusal()));
    let id = pushed(&mut world, "INC-1").await;
    let failed = world.until(&id, DeliveryState::Failed).await;
    assert_eq!((failed.failures, failed.max_retry_attempts, failed.attempts.len()), (3, 2, 3), "{failed:#?}");
    for (attempt, base) in failed.attempts.windows(2).zip([150, 300]) {
        // Counted from the acceptance, or from the tick, shortly before the attempt began.
        let waited = since(attempt[0].started_at, attempt[1].started_at) + Duration::from_millis(50);
        assert!(waited >= Duration::from_millis(base), "{waited:?} after {:#?}", attempt[0]);
        assert_eq!(attempt[0].outcome(), AttemptOutcome::Failed);
        assert_eq!(attempt[0].fault.as_ref().unwrap().http_status, 400);
    }
    assert!(failed.next_attempt_at.is_none(), "{failed:#?}");
    let states = vec![DeliveryState::Failed.into()];
    let filter = Some(v1::DeliveryFilter { states, ..Default::default() });
    let request = v1::ListDeliveriesRequest { filter, include_attempts: true, ..Default::default() };
    assert_eq!(world.client.list_deliveries(request).await.unwrap().deliveries, [failed]);
    world.until_event("INC-1", TicketEventKind::Failed).await;
    world.restart().await;
    assert_eq!(world.delivery(&id).await.state(), DeliveryState::Failed);
    world.finish().await;
}

#[tokio::test]
async fn manual_retry_restores_all_retries() {
    let mut world = Plan::new().start().await;
    with_retries(&mut world, 0, retry(60, 3_600, 60)).await;
    world.jira.faults().push(Rule::new(Call::Create, When::Next(2), refusal()));
    let answer = world.push("INC-1", JIRA).await;
    assert_eq!(state(&answer), DeliveryState::Failed);
    let id = answer.delivery.unwrap().id;
    let again = world.client.retry_delivery(retrying(&id)).await.unwrap().delivery.unwrap();
    assert_eq!((again.state(), again.failures), (DeliveryState::Failed, 1));
    let again = world.client.retry_delivery(retrying(&id)).await.unwrap().delivery.unwrap();
    assert_eq!(again.state(), DeliveryState::Delivered);
    assert_eq!(creates(&world.jira), 3);
    world.finish().await;
}

#[tokio::test]
async fn pushing_a_failed_incident_again_tries_now() {
    let mut world = Plan::new().start().await;
    with_retries(&mut world, 0, retry(60, 3_600, 60)).await;
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), refusal()));
    let first = world.push("INC-1", JIRA).await;
    let second = world.push("INC-1", JIRA).await;
    assert_eq!((state(&first), state(&second)), (DeliveryState::Failed, DeliveryState::Delivered));
    assert_eq!(first.delivery.unwrap().id, second.delivery.unwrap().id);
    world.finish().await;
}

#[tokio::test]
async fn cancelled_delivery_waits_for_a_manual_retry() {
    let mut world = Plan::new().start().await;
    with_retries(&mut world, 0, retry(60, 3_600, 60)).await;
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), refusal()));
    let id = pushed(&mut world, "INC-1").await;
    let note = "a false alarm".to_owned();
    let reported = "An operator cancelled this delivery. Note: a false alarm";
    let cancel = v1::CancelDeliveryRequest { delivery_id: id.clone(), note: note.clone() };
    let cancelled = world.client.cancel_delivery(cancel.clone()).await.unwrap().delivery.unwrap();
    assert_eq!(cancelled.state(), DeliveryState::Cancelled);
    assert_eq!(world.until_event("INC-1", TicketEventKind::Cancelled).await.note, reported);
    world.client.cancel_delivery(cancel.clone()).await.unwrap();
    let refused = create(&mut world, "INC-1").await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused}");
    let retried = world.client.retry_delivery(retrying(&id)).await.unwrap().delivery.unwrap();
    assert_eq!(retried.state(), DeliveryState::Delivered);
    for refused in [
        world.client.cancel_delivery(cancel).await.unwrap_err(),
        world.client.retry_delivery(retrying(&id)).await.unwrap_err(),
        world.client.resolve_delivery(resolve(&id, "SEC-99")).await.unwrap_err(),
    ] {
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused}");
    }
    world.finish().await;
}

#[tokio::test]
async fn failed_delivery_can_be_resolved() {
    let mut world = Plan::new().start().await;
    with_retries(&mut world, 0, retry(60, 3_600, 60)).await;
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), refusal()));
    let id = pushed(&mut world, "INC-1").await;
    let key = world.jira.add_foreign_ticket(serde_json::Map::new());
    let resolved = world.client.resolve_delivery(resolve(&id, &key)).await.unwrap().delivery.unwrap();
    let ticket = resolved.ticket.clone().unwrap();
    assert_eq!(resolved.state(), DeliveryState::Delivered);
    assert_eq!(ticket.url, format!("{}/browse/{key}", world.jira.base_url()));
    world.until_event("INC-1", TicketEventKind::Resolved).await;
    let again = world.push("INC-1", JIRA).await;
    assert!(again.already_existed);
    assert_eq!((again.delivery.unwrap().ticket.unwrap(), creates(&world.jira)), (ticket, 1));
    let unknown = world.client.retry_delivery(retrying("no-such-delivery")).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound, "{unknown}");
    world.finish().await;
}

#[tokio::test]
async fn running_attempt_cannot_be_cancelled_or_resolved() {
    let mut world = Plan::new().start().await;
    world.jira.faults().push(Rule::new(
        Call::Create,
        When::Next(1),
        Effect::Delay(Duration::from_millis(600)),
    ));
    let mut client = world.client.clone().with_deadline(Duration::from_millis(150));
    let request = v1::CreateTicketRequest {
        incident: Some(ticketing_harness::incident("INC-1")),
        destination: Some(JIRA.into()),
    };
    let _ = client.create_ticket(request).await;
    let id = world.deliveries().await[0].id.clone();
    world.until(&id, DeliveryState::Attempting).await;
    let cancel = v1::CancelDeliveryRequest { delivery_id: id.clone(), note: String::new() };
    for refused in [
        world.client.cancel_delivery(cancel).await.unwrap_err(),
        world.client.resolve_delivery(resolve(&id, "SEC-99")).await.unwrap_err(),
        world.client.retry_delivery(retrying(&id)).await.unwrap_err(),
    ] {
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition, "{refused}");
    }
    world.until(&id, DeliveryState::Delivered).await;
    world.finish().await;
}

#[tokio::test]
async fn throttling_pauses_the_connection_and_spends_no_retry() {
    let mut world = Plan::new().start().await;
    with_retries(&mut world, 0, retry(60, 3_600, 60)).await;
    world.jira.faults().push(Rule::new(
        Call::Create,
        When::Next(1),
        Effect::throttle(RetryAfter::Seconds(1)),
    ));
    let first = world.push("INC-1", JIRA).await;
    assert_eq!(state(&first), DeliveryState::Waiting);
    world.until_condition(JIRA, ConnectionConditionKind::Throttled).await;
    // Its caller waits for the end of so brief a pause.
    let second = world.push("INC-2", JIRA).await;
    assert_eq!(state(&second), DeliveryState::Delivered);
    for answer in [first, second] {
        let delivery = world.until(&answer.delivery.unwrap().id, DeliveryState::Delivered).await;
        assert_eq!(delivery.failures, 0, "{delivery:#?}");
    }
    let sent: Vec<_> = world.jira.requests().into_iter().filter(|r| r.path.ends_with("/issue")).collect();
    for later in &sent[1..] {
        let waited = later.at.duration_since(sent[0].at);
        assert!(waited >= jiff::SignedDuration::from_millis(990), "{waited:?}");
    }
    world.finish().await;
}

async fn with_retries(world: &mut World, max_retry_attempts: u32, settings: v1::RetrySettings) {
    let settings = v1::RetrySettings { max_retry_attempts: Some(max_retry_attempts), ..settings };
    let request = v1::ConfigureRequest { retry: Some(settings), ..Default::default() };
    world.client.configure(request).await.unwrap();
}

async fn pushed(world: &mut World, incident: &str) -> String {
    world.push(incident, JIRA).await.delivery.unwrap().id
}

async fn create(world: &mut World, id: &str) -> Result<v1::CreateTicketResponse, tonic::Status> {
    let incident = Some(ticketing_harness::incident(id));
    world.client.create_ticket(v1::CreateTicketRequest { incident, destination: Some(JIRA.into()) }).await
}

fn resolve(id: &str, key: &str) -> v1::ResolveDeliveryRequest {
    v1::ResolveDeliveryRequest {
        delivery_id: id.to_owned(),
        ticket_key: key.to_owned(),
        ..Default::default()
    }
}

fn refusal() -> Effect {
    let body = serde_json::json!({ "errorMessages": ["The workflow refuses it."], "errors": {} });
    Effect::Answer(Reply::json(400, &body))
}

fn since(from: Option<Timestamp>, to: Option<Timestamp>) -> Duration {
    let nanos = |at: Option<Timestamp>| {
        let at = at.unwrap();
        i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos)
    };
    Duration::from_nanos(u64::try_from(nanos(to) - nanos(from)).unwrap())
}
