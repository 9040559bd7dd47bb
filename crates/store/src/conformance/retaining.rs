use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::delivery::operate::OperationError;
use ticketing_core::delivery::{Delivery, EventKind, Outcome, State};
use ticketing_core::fault::FaultKind;
use ticketing_core::policy::Policy;
use ticketing_core::system::System;
use ticketing_retry::Backoff;

use super::{Bench, CONNECTION, ClaimKind, connection, created, fault, incident, noted, ticket};
use crate::{AcceptRequest, Accepted, AttemptRecord, EventFilter, OperateError, Operation, Requester};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const RETENTION: Duration = Duration::from_secs(90 * 24 * 3_600);

pub async fn removes_content_and_attempts_of_ended_incidents(bench: Bench) {
    let first = deliver(&bench, "1").await;
    bench.clock.advance(DAY);
    let last = deliver(&bench, "2").await;
    bench.accept("INC-open").await;
    bench.clock.advance(RETENTION);
    assert_eq!(remove_expired(&bench, bench.now() - RETENTION).await, 1);
    let kept = bench.store.delivery(&first.id).await.unwrap().unwrap();
    assert_eq!(kept, Delivery { content_removed_at: Some(bench.now()), ..first.clone() });
    assert_eq!(bench.store.incident("INC-1", 1).await.unwrap(), None);
    assert!(bench.attempts(&first.id).await.is_empty());
    bench.clock.advance(DAY);
    assert_eq!(remove_expired(&bench, bench.now() - RETENTION).await, 1);
    assert_eq!(bench.store.incident("INC-2", 1).await.unwrap(), None);
    assert!(bench.store.incident("INC-open", 1).await.unwrap().is_some());
    // What is shown of the connection stays.
    assert_eq!(bench.summary().await.last_success.unwrap().delivery_id, last.id);
    assert_eq!(bench.claim(ClaimKind::Fresh, 9).await.len(), 1);
}

pub async fn content_stays_while_a_delivery_of_the_incident_is_open(bench: Bench) {
    let both = vec![connection(System::Jira), connection(System::ServiceNow)];
    accept_for(&bench, "INC-1", 90.0, both).await;
    let claimed = bench.claim(ClaimKind::Fresh, 1).await.remove(0).delivery;
    let delivery = bench.store.intend(bench.intent(&claimed).await, bench.now()).await.unwrap();
    bench.settle(&delivery, created("1")).await.unwrap();
    bench.clock.advance(RETENTION);
    assert_eq!(remove_expired(&bench, bench.now()).await, 0);
    let open = bench.store.delivery_for("INC-1", "servicenow").await.unwrap().unwrap();
    operate(&bench, &open.id, Operation::Cancel).await.unwrap();
    bench.clock.advance(DAY);
    assert_eq!(remove_expired(&bench, bench.now() - 2 * DAY).await, 0);
    assert_eq!(remove_expired(&bench, bench.now()).await, 1);
}

pub async fn resubmission_after_removal_changes_nothing(bench: Bench) {
    let delivery = deliver(&bench, "1").await;
    bench.clock.advance(RETENTION);
    remove_expired(&bench, bench.now()).await;
    let removed = bench.store.delivery(&delivery.id).await.unwrap().unwrap();
    let events = event_kinds(&bench).await.len();
    for score in [90.0, 50.0] {
        let again = bench.accept_as(incident("INC-1", score), true).await;
        assert!(again.existed && !again.snapshot_updated);
        assert_eq!(again.delivery, removed);
    }
    assert_eq!(bench.store.incident("INC-1", 1).await.unwrap(), None);
    assert_eq!(bench.store.incident("INC-1", 2).await.unwrap(), None);
    assert_eq!(event_kinds(&bench).await.len(), events);
}

pub async fn new_connection_gets_removed_content_from_resubmission(bench: Bench) {
    deliver(&bench, "1").await;
    bench.clock.advance(RETENTION);
    remove_expired(&bench, bench.now()).await;
    let both = vec![connection(System::Jira), connection(System::ServiceNow)];
    let accepted = accept_for(&bench, "INC-1", 90.0, both).await;
    assert!(accepted[0].existed && !accepted[1].existed);
    assert_eq!(accepted[1].delivery.incident_revision, 1);
    assert_eq!(bench.store.incident("INC-1", 1).await.unwrap(), Some(incident("INC-1", 90.0)));
    // It is removed again with the new delivery.
    operate(&bench, &accepted[1].delivery.id, Operation::Cancel).await.unwrap();
    bench.clock.advance(RETENTION);
    assert_eq!(remove_expired(&bench, bench.now()).await, 1);
    assert_eq!(bench.store.incident("INC-1", 1).await.unwrap(), None);
}

pub async fn failed_delivery_without_content_waits_for_resubmission(bench: Bench) {
    let failed = fail(&bench, "INC-1", FaultKind::Connect).await;
    bench.clock.advance(RETENTION);
    remove_expired(&bench, bench.now()).await;
    let refused = operate(&bench, &failed.id, Operation::Retry { create_anyway: false }).await;
    assert_eq!(refused.unwrap_err(), Some(OperationError::ContentRemoved));
    assert_eq!(bench.store.connection_recovered(CONNECTION, bench.now()).await.unwrap(), 0);
    bench.clock.advance(DAY);
    let again = bench.accept("INC-1").await;
    assert!(again.existed && again.snapshot_updated);
    assert_eq!((again.delivery.state, again.delivery.incident_revision), (State::Failed, 1));
    assert_eq!(event_kinds(&bench).await.last(), Some(&EventKind::SnapshotUpdated));
    // It is kept for the whole time again.
    assert_eq!(remove_expired(&bench, bench.now()).await, 0);
    operate(&bench, &failed.id, Operation::Retry { create_anyway: false }).await.unwrap();
    assert_eq!(bench.claim(ClaimKind::Fresh, 1).await.remove(0).draft.incident, incident("INC-1", 90.0));
}

pub async fn changed_resubmission_of_failed_delivery_is_a_new_revision(bench: Bench) {
    fail(&bench, "INC-1", FaultKind::Rejected).await;
    bench.clock.advance(RETENTION);
    remove_expired(&bench, bench.now()).await;
    let expedited = bench.accept_as(incident("INC-1", 50.0), true).await.delivery;
    assert_eq!((expedited.state, expedited.incident_revision), (State::Pending, 2));
    assert_eq!(bench.claim(ClaimKind::Fresh, 1).await.remove(0).draft.incident, incident("INC-1", 50.0));
}

pub async fn cancelled_delivery_without_content_can_be_retried_after_resubmission(bench: Bench) {
    let delivery = bench.accept("INC-1").await.delivery;
    operate(&bench, &delivery.id, Operation::Cancel).await.unwrap();
    bench.clock.advance(RETENTION);
    remove_expired(&bench, bench.now()).await;
    let again = bench.accept_as(incident("INC-1", 90.0), true).await;
    assert_eq!((again.delivery.state, again.delivery.content_removed_at), (State::Cancelled, None));
    operate(&bench, &delivery.id, Operation::Retry { create_anyway: false }).await.unwrap();
    assert_eq!(bench.claim(ClaimKind::Fresh, 1).await.len(), 1);
}

pub async fn expired_content_is_found_page_by_page(bench: Bench) {
    for number in 1..=5 {
        deliver(&bench, &number.to_string()).await;
    }
    bench.accept("INC-open").await;
    bench.clock.advance(RETENTION);
    let mut found = vec![];
    let mut after = None;
    loop {
        let page = bench.store.expired_content(bench.now(), after, 2).await.unwrap();
        found.extend(page.incident_ids);
        let Some(next) = page.next else { break };
        after = Some(next);
    }
    assert_eq!(found, ["INC-1", "INC-2", "INC-3", "INC-4", "INC-5"]);
}

/// Removes all that can be removed. Returns the number of incidents.
async fn remove_expired(bench: &Bench, before: Timestamp) -> u64 {
    let page = bench.store.expired_content(before, None, 100).await.unwrap();
    bench.store.remove_content(page.incident_ids, before, bench.now()).await.unwrap()
}

/// A delivered incident with this number; its ticket has the same.
async fn deliver(bench: &Bench, number: &str) -> Delivery {
    let delivery = bench.intended(&format!("INC-{number}")).await;
    let delivered = bench.settle(&delivery, created(number)).await.unwrap();
    assert_eq!(delivered.ticket, Some(ticket(number)));
    delivered
}

async fn fail(bench: &Bench, id: &str, kind: FaultKind) -> Delivery {
    let delivery = bench.claimed(id).await;
    let attempt = AttemptRecord {
        delivery_id: delivery.id,
        epoch: delivery.epoch,
        settings_revision: 0,
        outcome: Outcome::NotSent(fault(kind)),
        times: bench.times(),
        counted_from: bench.now(),
        random: 0.0,
    };
    let policy = Policy { retry: Backoff::try_new(0, DAY, DAY, 0.0).unwrap(), ..Policy::default() };
    let failed = bench.store.record_attempt(attempt, &policy, bench.now()).await.unwrap().unwrap();
    assert_eq!(failed.state, State::Failed);
    failed
}

async fn accept_for(
    bench: &Bench,
    id: &str,
    score: f64,
    connections: Vec<crate::AcceptConnection>,
) -> Vec<Accepted> {
    let by = Requester::default();
    let request = AcceptRequest { incident: incident(id, score), connections, expedite: false, by };
    bench.store.accept(&request).await.unwrap()
}

async fn operate(bench: &Bench, id: &str, operation: Operation) -> Result<Delivery, Option<OperationError>> {
    let by = noted().actor;
    let operated = bench.store.operate(&by, id, operation, "", &Policy::default(), bench.now()).await;
    operated.map_err(|error| match error {
        OperateError::Refused(refused) => Some(refused),
        _ => None,
    })
}

async fn event_kinds(bench: &Bench) -> Vec<EventKind> {
    let page = bench.store.events_after(0, &EventFilter::default(), 100).await.unwrap();
    page.events.iter().map(|event| event.kind).collect()
}
