use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::delivery::look_up::LookUp;
use ticketing_core::delivery::{EventKind, Resolution, State};
use ticketing_core::evidence::Evidence;
use ticketing_core::fault::FaultKind;
use ticketing_core::health::{Condition, Failure, Health, Observation};
use ticketing_core::marker::Marker;
use ticketing_core::policy::{Bounds, Policy};
use ticketing_core::system::{FoundTicket, SearchResult};

use super::{Bench, CONNECTION, ClaimKind, Outcome, created, fault, ticket};
use crate::conformance::noted;
use crate::{
    AttemptKind, AttemptOutcome, DeliveryFilter, DuplicateScanRecord, EventFilter, LookUpRecord, NamedTicket,
    OperateError, Operation, RetryRequest, Subject,
};

pub async fn created_ticket_is_recorded_with_its_attempt(bench: Bench) {
    let delivery = bench.intended("INC-1").await;
    let delivered = bench.settle(&delivery, created("1")).await.unwrap();
    assert_eq!((delivered.state, delivered.ticket.clone()), (State::Delivered, Some(ticket("1"))));
    assert_eq!(bench.store.delivery(&delivery.id).await.unwrap(), Some(delivered));
    let attempts = bench.attempts(&delivery.id).await;
    let [attempt] = &attempts[..] else { panic!("{attempts:?}") };
    assert_eq!((attempt.number, attempt.kind, attempt.epoch), (1, AttemptKind::Create, 1));
    assert_eq!((attempt.outcome, attempt.fault.clone()), (AttemptOutcome::Created, None));
    assert_eq!(bench.summary().await.last_success.unwrap().delivery_id, delivery.id);
    assert_eq!(bench.summary().await.last_failure, None);
}

pub async fn records_ticket_after_lost_lease(bench: Bench) {
    let delivery = bench.intended("INC-1").await;
    bench.store.expire_leases(crate::Leases::All, &Policy::default(), bench.now()).await.unwrap();
    let delivered = bench.settle(&delivery, created("1")).await.unwrap();
    assert_eq!((delivered.state, delivered.unknown_outcome.clone()), (State::Delivered, None));
    assert!(delivered.duplicate_scan.is_some());
}

pub async fn refused_delivery_waits_for_retry(bench: Bench) {
    let delivery = bench.intended("INC-1").await;
    let refused = Outcome::Sent(Err(fault(FaultKind::Rejected)));
    let waiting = bench.settle(&delivery, refused).await.unwrap();
    assert_eq!((waiting.state, waiting.failures), (State::Waiting, 1));
    assert_eq!(waiting.due_at, Some(bench.now() + Duration::from_secs(60)));
    let failure = bench.summary().await.last_failure.unwrap();
    assert_eq!((failure.delivery_id, failure.error.fault.kind), (delivery.id, FaultKind::Rejected));
}

pub async fn failure_of_lost_lease_only_adds_attempt(bench: Bench) {
    let delivery = bench.claimed("INC-1").await;
    bench.store.expire_leases(crate::Leases::All, &Policy::default(), bench.now()).await.unwrap();
    let before = bench.store.delivery(&delivery.id).await.unwrap();
    assert_eq!(bench.settle(&delivery, Outcome::NotSent(fault(FaultKind::Dns))).await, None);
    assert_eq!(bench.store.delivery(&delivery.id).await.unwrap(), before);
    assert_eq!(bench.attempts(&delivery.id).await.len(), 1);
}

pub async fn found_ticket_settles_and_schedules_scan(bench: Bench) {
    let uncertain = of_unknown_outcome(&bench).await;
    let found = look_up(&bench, &uncertain, Ok(search_result(&["1"]))).await.unwrap();
    assert_eq!((found.state, found.ticket.clone()), (State::Delivered, Some(ticket("1"))));
    let bounds = Bounds::default();
    assert!(bench.store.due_duplicate_scans(CONNECTION, bench.now(), 9).await.unwrap().is_empty());
    bench.clock.advance(bounds.duplicate_scan_delays[0]);
    assert_eq!(
        bench.store.due_duplicate_scans(CONNECTION, bench.now(), 9).await.unwrap(),
        std::slice::from_ref(&found)
    );
    let duplicate_scan = DuplicateScanRecord {
        delivery_id: found.id.clone(),
        step: 0,
        answer: Ok(search_result(&["1", "2"])),
        times: bench.times(),
    };
    let scanned = bench
        .store
        .record_duplicate_scan(duplicate_scan.clone(), &Policy::default(), bench.now())
        .await
        .unwrap();
    assert_eq!(scanned.unwrap().duplicates, [ticket("2")]);
    assert!(bench.store.due_duplicate_scans(CONNECTION, bench.now(), 9).await.unwrap().is_empty());
    assert_eq!(
        bench.store.record_duplicate_scan(duplicate_scan, &Policy::default(), bench.now()).await.unwrap(),
        None
    );
}

pub async fn scans_cancelled_unknown_outcome_until_found(bench: Bench) {
    let uncertain = of_unknown_outcome(&bench).await;
    let by = noted().actor;
    let policy = Policy::default();
    let cancel = bench.store.operate(&by, &uncertain.id, Operation::Cancel, "", &policy, bench.now());
    let cancelled = cancel.await.unwrap();
    bench.clock.advance(Bounds::default().duplicate_scan_delays[0]);
    assert_eq!(bench.store.due_duplicate_scans(CONNECTION, bench.now(), 9).await.unwrap(), [cancelled]);
    let answer = Ok(search_result(&["1"]));
    let duplicate_scan =
        DuplicateScanRecord { delivery_id: uncertain.id, step: 0, answer, times: bench.times() };
    let found =
        bench.store.record_duplicate_scan(duplicate_scan, &policy, bench.now()).await.unwrap().unwrap();
    assert_eq!((found.state, found.ticket), (State::Delivered, Some(ticket("1"))));
}

pub async fn reads_delivery_and_attempts_consistently(bench: Bench) {
    let uncertain = of_unknown_outcome(&bench).await;
    let writing = async {
        for _ in 0..200 {
            look_up(&bench, &uncertain, Err(fault(FaultKind::ServerError))).await;
        }
    };
    let reading = async {
        for _ in 0..200 {
            let (delivery, attempts) =
                bench.store.delivery_with_attempts(&uncertain.id).await.unwrap().unwrap();
            let page = bench.store.list(&DeliveryFilter::default(), 1, None, true).await.unwrap();
            for (delivery, attempts) in [(&delivery, &attempts), (&page.deliveries[0], &page.attempts)] {
                // The first attempt was the create.
                let newest = attempts.last().map(|attempt| attempt.number);
                assert_eq!(newest, Some(delivery.unknown_outcome.as_ref().unwrap().look_ups + 1));
            }
        }
    };
    tokio::join!(writing, reading);
}

pub async fn attempts_are_numbered_one_by_one(bench: Bench) {
    let uncertain = of_unknown_outcome(&bench).await;
    let unproven = look_up(&bench, &uncertain, Ok(search_result(&[]))).await.unwrap();
    assert_eq!(unproven.state, State::Reconciling);
    let (one, other) = tokio::join!(
        look_up(&bench, &uncertain, Err(fault(FaultKind::ServerError))),
        look_up(&bench, &uncertain, Ok(search_result(&["1"]))),
    );
    assert!(one.is_some() && other.is_some());
    let attempts = bench.attempts(&uncertain.id).await;
    let recorded: Vec<_> = attempts.iter().map(|attempt| (attempt.number, attempt.outcome)).collect();
    let expected = [
        (1, AttemptOutcome::Ambiguous),
        (2, AttemptOutcome::Unproven),
        (3, AttemptOutcome::Failed),
        (4, AttemptOutcome::Found),
    ];
    assert_eq!(recorded, expected);
}

pub async fn operations_succeed_or_are_refused(bench: Bench) {
    let delivery = bench.accept("INC-1").await.delivery;
    let policy = Policy::default();
    let operate = |id: &str, operation| {
        let store = bench.store.clone();
        let policy = policy.clone();
        let now = bench.now();
        let id = id.to_owned();
        async move { store.operate(&noted().actor, &id, operation, "as asked", &policy, now).await }
    };
    let cancelled = operate(&delivery.id, Operation::Cancel).await.unwrap();
    assert_eq!((cancelled.state, cancelled.due_at), (State::Cancelled, None));
    let retried = operate(&delivery.id, Operation::Retry { create_anyway: false }).await.unwrap();
    assert_eq!(retried.state, State::Pending);
    let resolved = operate(&delivery.id, named("9", vec![])).await.unwrap();
    assert_eq!((resolved.state, &resolved.ticket), (State::Delivered, &Some(ticket("9"))));
    assert_eq!(bench.store.delivery(&delivery.id).await.unwrap(), Some(resolved));
    let refused = operate(&delivery.id, Operation::Cancel).await;
    assert!(matches!(refused, Err(OperateError::Refused(_))), "{refused:?}");
    assert!(matches!(
        operate("unknown", Operation::Retry { create_anyway: false }).await,
        Err(OperateError::NotFound)
    ));
    let page = bench.store.events_after(0, &EventFilter::default(), 100).await.unwrap();
    let notes: Vec<_> = page.events.iter().map(|event| (event.kind, event.note.as_str())).collect();
    let expected = [
        (EventKind::Accepted, ""),
        (EventKind::Cancelled, "as asked"),
        (EventKind::Rearmed, "as asked"),
        (EventKind::Resolved, "as asked"),
    ];
    assert_eq!(notes, expected);
}

fn named(id: &str, markers: Vec<Marker>) -> Operation {
    let resolution = Resolution::Verified;
    Operation::Resolve(NamedTicket { ticket: ticket(id), resolution, markers })
}

pub async fn refuses_ticket_of_another_incident(bench: Bench) {
    let owner = bench.intended("INC-1").await;
    bench.settle(&owner, created("1")).await.unwrap();
    let delivery = bench.accept("INC-2").await.delivery;
    let other = bench.accept("INC-3").await.delivery;
    for operation in [named("1", vec![]), named("7", vec![other.marker])] {
        let policy = Policy::default();
        let now = bench.now();
        let refused = bench.store.operate(&noted().actor, &delivery.id, operation, "", &policy, now).await;
        assert!(matches!(refused, Err(OperateError::TicketInUse(_))), "{refused:?}");
    }
    assert_eq!(bench.store.delivery(&delivery.id).await.unwrap(), Some(delivery));
}

pub async fn bulk_retry_rearms_matches_and_counts_refusals(bench: Bench) {
    accept_many(&bench, 7).await;
    let due_at = bench.now() + Duration::from_secs(600);
    bench.store.defer(CONNECTION, due_at, &fault(FaultKind::Connect), bench.now()).await.unwrap();
    let cancelled = bench.accept("INC-9").await.delivery;
    let policy = Policy::default();
    let now = bench.now();
    bench.store.operate(&noted().actor, &cancelled.id, Operation::Cancel, "", &policy, now).await.unwrap();
    let mut after = None;
    let mut counts = vec![];
    loop {
        let request = RetryRequest {
            by: noted().actor,
            filter: DeliveryFilter::default(),
            page_size: 3,
            after,
            enabled: vec![CONNECTION.to_owned()],
            note: "an outage is over".to_owned(),
        };
        let page = bench.store.retry_many(request, bench.now()).await.unwrap();
        assert!(page.retried.iter().all(|delivery| delivery.state == State::Pending));
        counts.push((page.retried.len(), page.refused));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(counts, [(2, 1), (3, 0), (2, 0)]);
    let audited = bench.store.audit(None, 9).await.unwrap();
    let details: Vec<_> = audited.iter().filter(|entry| entry.action == "RETRY_DELIVERIES").collect();
    assert_eq!(details.len(), 3);
    assert!(details[2].detail.contains("\"refused\":1"), "{details:?}");
}

pub async fn defers_pending_deliveries_of_closed_connection(bench: Bench) {
    accept_many(&bench, 1_203).await;
    let due_at = bench.now() + Duration::from_secs(600);
    let put_off =
        bench.store.defer(CONNECTION, due_at, &fault(FaultKind::LockedOut), bench.now()).await.unwrap();
    assert_eq!(put_off, 1_203);
    assert_eq!(bench.store.next_due(CONNECTION, ClaimKind::Due).await.unwrap(), Some(due_at));
    assert_eq!(bench.store.next_due(CONNECTION, ClaimKind::Fresh).await.unwrap(), None);
}

pub async fn recovered_connection_rearms_waiting_and_failed(bench: Bench) {
    let policy = Policy { retry: no_retries(), bounds: Bounds::default() };
    for (id, kind) in [("INC-1", FaultKind::Connect), ("INC-2", FaultKind::Rejected)] {
        let delivery = bench.claimed(id).await;
        let attempt = crate::AttemptRecord {
            delivery_id: delivery.id,
            epoch: delivery.epoch,
            settings_revision: 0,
            outcome: Outcome::NotSent(fault(kind)),
            times: bench.times(),
            counted_from: bench.now(),
            random: 0.0,
        };
        let failed = bench.store.record_attempt(attempt, &policy, bench.now()).await.unwrap().unwrap();
        assert_eq!(failed.state, State::Failed);
    }
    accept_many(&bench, 501).await;
    bench.store.defer(CONNECTION, Timestamp::MAX, &fault(FaultKind::Connect), bench.now()).await.unwrap();
    assert_eq!(bench.store.connection_recovered(CONNECTION, bench.now()).await.unwrap(), 502);
    let state = async |id: &str| bench.store.delivery_for(id, CONNECTION).await.unwrap().unwrap().state;
    assert_eq!((state("INC-1").await, state("INC-2").await), (State::Pending, State::Failed));
}

pub async fn health_is_stored_and_announced(bench: Bench) {
    let observe = |observation| {
        bench.store.observe(CONNECTION, observation, BOUNDS.get_or_init(Bounds::default), bench.now())
    };
    assert_eq!(observe(Observation::Created).await.unwrap(), Health::default());
    assert_eq!(bench.store.commits(), 0, "nothing was to be written");
    let refused = observe(failure(&bench, "a", FaultKind::Unauthorized)).await.unwrap();
    assert_eq!(refused.condition, Condition::LoginRefused);
    assert_eq!(bench.store.health(CONNECTION).await.unwrap(), refused);
    bench.store.reset_health(CONNECTION, bench.now()).await.unwrap();
    assert_eq!(
        bench.store.health(CONNECTION).await.unwrap(),
        Health { recovered_at: Some(bench.now()), ..Health::default() }
    );
    let page = bench.store.events_after(0, &EventFilter::default(), 100).await.unwrap();
    let kinds: Vec<_> = page.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::ConnectionLoginRefused, EventKind::ConnectionRecovered]);
    assert_eq!(page.events[0].subject, Subject::Connection(refused));
}

/// The observation of a connection from an attempt, with a login that is locked after three refusals.
fn failure(bench: &Bench, delivery_id: &str, kind: FaultKind) -> Observation {
    Observation::Failure(Failure {
        fault: fault(kind),
        began: bench.now(),
        delivery_id: delivery_id.to_owned(),
        lockout_limit: Some(3),
        login_refusals: 0,
    })
}

/// A delivery that FAILED at its first attempt.
async fn failed(bench: &Bench, id: &str, kind: FaultKind) -> super::Delivery {
    let delivery = bench.claimed(id).await;
    let observed = failure(bench, &delivery.id, kind);
    bench.store.observe(CONNECTION, observed, &Bounds::default(), bench.now()).await.unwrap();
    fail_for_good(bench, &delivery, kind).await
}

pub(super) async fn fail_for_good(
    bench: &Bench,
    delivery: &super::Delivery,
    kind: FaultKind,
) -> super::Delivery {
    let policy = Policy { retry: no_retries(), bounds: Bounds::default() };
    let outcome = Outcome::NotSent(fault(kind));
    let attempt = crate::AttemptRecord { outcome, ..bench.attempt(delivery) };
    bench.store.record_attempt(attempt, &policy, bench.now()).await.unwrap().unwrap()
}

pub async fn spent_retries_open_circuit_in_same_transaction(bench: Bench) {
    failed(&bench, "INC-1", FaultKind::Rejected).await;
    assert_eq!(bench.store.health(CONNECTION).await.unwrap().condition, Condition::Ok);
    failed(&bench, "INC-2", FaultKind::Connect).await;
    assert_eq!(bench.store.health(CONNECTION).await.unwrap().condition, Condition::CircuitOpen);
    let page = bench.store.events_after(0, &EventFilter::default(), 100).await.unwrap();
    let kinds: Vec<_> = page.events.iter().rev().take(2).map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::ConnectionCircuitOpened, EventKind::Failed]);
}

pub async fn failed_deliveries_take_turns_as_probes(bench: Bench) {
    let mut ids = vec![];
    for id in ["INC-1", "INC-2", "INC-3"] {
        ids.push(failed(&bench, id, FaultKind::Connect).await.id);
    }
    ids.sort();
    failed(&bench, "INC-4", FaultKind::Rejected).await;
    let mut last = String::new();
    let mut turns = vec![];
    for _ in 0..4 {
        last = bench.store.arm_probe(CONNECTION, &last, bench.now()).await.unwrap().unwrap();
        turns.push(last.clone());
        let probe = bench.claim(ClaimKind::Fresh, 1).await.remove(0).delivery;
        let failed = fail_for_good(&bench, &probe, FaultKind::Connect).await;
        assert_eq!((&failed.id, failed.state), (&last, State::Failed));
    }
    assert_eq!(turns, [&ids[0], &ids[1], &ids[2], &ids[0]].map(String::clone));
}

pub async fn suspended_login_spends_no_retry(bench: Bench) {
    let delivery = bench.claimed("INC-1").await;
    for began in ["a", "b"] {
        let observed = failure(&bench, began, FaultKind::Unauthorized);
        bench.store.observe(CONNECTION, observed, &Bounds::default(), bench.now()).await.unwrap();
    }
    assert_eq!(bench.store.health(CONNECTION).await.unwrap().condition, Condition::Suspended);
    let waiting = bench.settle(&delivery, Outcome::NotSent(fault(FaultKind::Unauthorized))).await.unwrap();
    assert_eq!((waiting.state, waiting.failures), (State::Waiting, 0));
}

pub async fn delays_count_from_acceptance_or_from_the_tick(bench: Bench) {
    let accepted_at = bench.accept("INC-1").await.delivery.created_at;
    bench.clock.advance(Duration::from_secs(7));
    let claimed = bench.claim(ClaimKind::Fresh, 1).await.remove(0);
    assert_eq!(claimed.counted_from, accepted_at);
    bench.clock.advance(Duration::from_secs(5));
    let waiting = bench.settle(&claimed.delivery, Outcome::NotSent(fault(FaultKind::Connect))).await.unwrap();
    assert_eq!(waiting.due_at, Some(bench.now() + Duration::from_secs(60)));
    bench.clock.advance(Duration::from_secs(60));
    let tick = bench.now();
    assert_eq!(bench.claim(ClaimKind::Due, 1).await.remove(0).counted_from, tick);
}

static BOUNDS: std::sync::OnceLock<Bounds> = std::sync::OnceLock::new();

/// A delivery whose create was not answered, claimed for a look-up.
async fn of_unknown_outcome(bench: &Bench) -> super::Delivery {
    let delivery = bench.intended("INC-1").await;
    let uncertain = bench.settle(&delivery, Outcome::Sent(Err(fault(FaultKind::TimedOut)))).await.unwrap();
    assert_eq!(uncertain.state, State::Reconciling);
    bench.clock.advance(Duration::from_secs(30));
    bench.claim(ClaimKind::Uncertain, 1).await.remove(0).delivery
}

async fn look_up(
    bench: &Bench,
    delivery: &super::Delivery,
    answer: Result<SearchResult, super::Fault>,
) -> Option<super::Delivery> {
    let record = LookUpRecord {
        delivery_id: delivery.id.clone(),
        epoch: delivery.epoch,
        look_up: LookUp { answer, had_canaries: false, evidence: Evidence::Shown, asked_at: bench.now() },
        times: bench.times(),
    };
    bench.store.record_look_up(record, &Policy::default(), bench.now()).await.unwrap()
}

fn search_result(ids: &[&str]) -> SearchResult {
    let tickets = ids.iter().map(|id| FoundTicket { ticket: ticket(id), created_at: None });
    SearchResult { tickets: tickets.collect(), canary_seen: false }
}

async fn accept_many(bench: &Bench, count: usize) {
    let accepts = (0..count).map(|n| {
        let store = bench.store.clone();
        tokio::spawn(async move {
            let incident = super::incident(&format!("MANY-{n}"), 90.0);
            let connections = vec![super::connection(super::System::Jira)];
            store
                .accept(&super::AcceptRequest {
                    incident,
                    connections,
                    expedite: false,
                    by: crate::Requester::default(),
                })
                .await
                .unwrap();
        })
    });
    for accept in accepts.collect::<Vec<_>>() {
        accept.await.unwrap();
    }
}

fn no_retries() -> ticketing_retry::Backoff {
    let second = Duration::from_secs(1);
    ticketing_retry::Backoff::try_new(0, second, second, 0.0).unwrap()
}
