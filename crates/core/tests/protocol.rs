//! The delivery state machine against a ticket system that loses replies, applies late and shows late, with a worker that
//! crashes: whatever happens in whatever order, within the bounds there is never a second ticket, and without faults
//! there is one in the end.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use ticketing_core::delivery::look_up::LookUp;
use ticketing_core::delivery::operate::{NewDelivery, OperationError};
use ticketing_core::delivery::settle::SendIntent;
use ticketing_core::delivery::{Delivery, EventKind, Outcome, Resolution, Settled, State, Trigger};
use ticketing_core::evidence::Evidence;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::marker::{InstallationKey, Marker};
use ticketing_core::namespace::Namespace;
use ticketing_core::policy::Policy;
use ticketing_core::system::{
    Authorship, Created, Destination, FoundTicket, SearchResult, System, TicketRef,
};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    /// Time passes, in seconds.
    Wait(u64),
    /// A worker claims what is due, and sends if it is to be sent.
    Work(AttemptOutcome),
    /// A worker claims, makes its intent, sends, and dies before it can record.
    Crash {
        applied: bool,
    },
    /// Leases that are over are ended.
    ExpireLeases,
    /// An analyst asks again.
    Hasten,
    Cancel,
    Retry,
}

/// What the ticket system does with a create.
#[derive(Debug, Clone, Copy)]
enum AttemptOutcome {
    Fair,
    Refuse(FaultKind),
    /// The reply is lost; the request was applied, or not, or is applied so many seconds later.
    Lose {
        applied_after: Option<u64>,
    },
}

const INDEX_BOUND: Duration = Duration::from_secs(180);

/// A ticket system, the delivery, and the time.
#[derive(Debug)]
struct World {
    now: Timestamp,
    policy: Policy,
    delivery: Delivery,
    /// When each ticket came to be.
    tickets: Vec<Timestamp>,
    index_lag: Duration,
    /// Whether the search is known to show tickets of ours.
    evidence: Evidence,
}

// === impl World ===

impl World {
    fn new(index_lag: u64) -> Self {
        let now = Timestamp::UNIX_EPOCH;
        let new = NewDelivery {
            id: "d".to_owned(),
            incident_id: "INC-1".to_owned(),
            incident_revision: 1,
            connection: "jira".to_owned(),
            system: System::Jira,
            trigger: Trigger::Manual,
            marker: Marker::derive(&InstallationKey::new([0; 32]), "INC-1", "jira"),
            requested_by: String::new(),
            namespace: Namespace::default(),
        };
        let delivery = Delivery::accept(new, now).delivery;
        let policy = Policy::default();
        let index_lag = Duration::from_secs(index_lag);
        Self { now, policy, delivery, tickets: vec![], index_lag, evidence: Evidence::Shown }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Wait(seconds) => self.now += Duration::from_secs(seconds),
            Step::Work(outcome) => self.work(outcome),
            Step::Crash { applied } => self.crash(applied),
            Step::ExpireLeases => self.apply(Delivery::expire_lease),
            Step::Hasten => self.apply(|delivery, _, now| delivery.expedite(now)),
            Step::Cancel => self.apply(|delivery, policy, now| delivery.cancel(policy, now).ok()),
            Step::Retry => self.apply(|delivery, _, now| delivery.retry(false, now).ok()),
        }
        self.check();
    }

    fn work(&mut self, outcome: AttemptOutcome) {
        let due = self.delivery.due_at.is_some_and(|due| due <= self.now);
        match self.delivery.state {
            State::Pending | State::Waiting if due => self.attempt(outcome),
            State::Reconciling if due => self.look_up(),
            _ => {}
        }
    }

    fn attempt(&mut self, outcome: AttemptOutcome) {
        let Some((epoch, deadline)) = self.intend() else { return };
        let outcome = match outcome {
            AttemptOutcome::Fair => {
                self.tickets.push(self.now);
                Outcome::Sent(Ok(Created { ticket: ticket(self.tickets.len()), adjustments: vec![] }))
            }
            AttemptOutcome::Refuse(kind) => Outcome::Sent(Err(Fault::new(kind, "no"))),
            AttemptOutcome::Lose { applied_after } => {
                if let Some(after) = applied_after {
                    // The worst that the bounds allow.
                    let latest = deadline + self.policy.bounds.server_bound;
                    self.tickets.push((self.now + Duration::from_secs(after)).min(latest));
                }
                Outcome::Sent(Err(Fault::new(FaultKind::TimedOut, "lost")))
            }
        };
        self.apply(|delivery, policy, now| delivery.settle(epoch, outcome, policy, now, now, 0.0));
    }

    fn crash(&mut self, applied: bool) {
        let due = self.delivery.due_at.is_some_and(|due| due <= self.now);
        if due
            && matches!(self.delivery.state, State::Pending | State::Waiting)
            && self.intend().is_some()
            && applied
        {
            self.tickets.push(self.now);
        }
    }

    fn intend(&mut self) -> Option<(u32, Timestamp)> {
        let bounds = self.policy.bounds.clone();
        self.apply(|delivery, policy, now| Some(delivery.claim(policy.bounds.lease, now)));
        let epoch = self.delivery.epoch;
        let deadline = self.now + bounds.attempt_deadline;
        let destination =
            Destination { base_url: "https://jira.example".to_owned(), place: "SEC".to_owned() };
        let index_bound = INDEX_BOUND;
        let intent = SendIntent {
            destination,
            made_by: Authorship::default(),
            index_bound,
            deadline,
            marker_in_text: false,
            adjustments: vec![],
        };
        let intent = self.delivery.clone().intend(epoch, intent, self.now)?;
        self.delivery = intent.delivery;
        Some((epoch, deadline))
    }

    fn look_up(&mut self) {
        self.apply(|delivery, policy, now| Some(delivery.claim(policy.bounds.lease, now)));
        let shown = |(index, at): (usize, &Timestamp)| FoundTicket {
            ticket: ticket(index + 1),
            created_at: Some(*at),
        };
        let visible = |(_, at): &(usize, &Timestamp)| **at + self.index_lag <= self.now;
        let tickets = self.tickets.iter().enumerate().filter(visible).map(shown).collect();
        let answer = Ok(SearchResult { tickets, canary_seen: false });
        let epoch = self.delivery.epoch;
        let asked_at = self.now;
        let look_up = LookUp { answer, had_canaries: false, evidence: self.evidence, asked_at };
        self.apply(|delivery, policy, now| delivery.settle_look_up(epoch, look_up, policy, now));
    }

    fn apply(&mut self, decide: impl FnOnce(Delivery, &Policy, Timestamp) -> Option<Settled>) {
        if let Some(settled) = decide(self.delivery.clone(), &self.policy, self.now) {
            self.delivery = settled.delivery;
        }
    }

    fn check(&self) {
        let delivery = &self.delivery;
        assert!(self.tickets.len() <= 1, "{} tickets: {delivery:?}", self.tickets.len());
        assert_eq!(delivery.state == State::Delivered, delivery.ticket.is_some(), "{delivery:?}");
        assert!(delivery.state != State::Attempting || delivery.lease_until.is_some(), "{delivery:?}");
        let open = matches!(delivery.state, State::Pending | State::Waiting)
            || (delivery.state == State::Reconciling && delivery.lease_until.is_none());
        assert_eq!(open, delivery.due_at.is_some(), "{delivery:?}");
        assert!(delivery.state != State::Reconciling || delivery.unknown_outcome.is_some(), "{delivery:?}");
        assert!(delivery.failures <= self.policy.retry.max_retry_attempts() + 1, "{delivery:?}");
    }

    /// No faults, and time.
    fn run_without_faults(&mut self) {
        for _ in 0..400 {
            self.take(&Step::Wait(60));
            self.take(&Step::ExpireLeases);
            self.take(&Step::Work(AttemptOutcome::Fair));
        }
    }
}

fn ticket(number: usize) -> TicketRef {
    TicketRef { id: number.to_string(), key: format!("SEC-{number}"), url: String::new() }
}

fn attempt_outcomes() -> impl Strategy<Value = AttemptOutcome> {
    let definite: Vec<FaultKind> =
        FaultKind::ALL.into_iter().filter(|kind| !Fault::new(*kind, "").is_ambiguous()).collect();
    prop_oneof![
        1 => Just(AttemptOutcome::Fair),
        2 => prop::sample::select(definite).prop_map(AttemptOutcome::Refuse),
        4 => prop::option::of(0_u64..200).prop_map(|applied_after| AttemptOutcome::Lose { applied_after }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..400).prop_map(Step::Wait),
        6 => attempt_outcomes().prop_map(Step::Work),
        2 => any::<bool>().prop_map(|applied| Step::Crash { applied }),
        2 => Just(Step::ExpireLeases),
        1 => Just(Step::Hasten),
        1 => Just(Step::Cancel),
        1 => Just(Step::Retry),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn within_bounds_no_duplicate_and_no_stuck_delivery(
        steps in prop::collection::vec(step(), 1..60), index_lag in 0_u64..180,
    ) {
        let mut world = World::new(index_lag);
        for step in &steps {
            world.take(step);
        }
        world.run_without_faults();
        let state = world.delivery.state;
        prop_assert!(matches!(state, State::Delivered | State::Failed | State::Cancelled), "stuck: {:?}", world.delivery);
        if state == State::Delivered {
            prop_assert_eq!(world.tickets.len(), 1);
        }
    }
}

#[test]
fn index_lag_beyond_bound_can_duplicate() {
    // The negative: without the bound there is a duplicate, so the property above can fail.
    let mut world = World::new(10_000);
    world.attempt(AttemptOutcome::Lose { applied_after: Some(0) });
    let unbounded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run_without_faults()));
    assert!(unbounded.is_err() && world.tickets.len() == 2);
}

#[test]
fn records_created_ticket_after_lease_loss() {
    let mut world = World::new(0);
    let (epoch, _) = world.intend().unwrap();
    world.now += world.policy.bounds.lease;
    world.take(&Step::ExpireLeases);
    assert_eq!(world.delivery.state, State::Reconciling);
    world.tickets.push(world.now);
    let created = Outcome::Sent(Ok(Created { ticket: ticket(1), adjustments: vec![] }));
    world.apply(|delivery, policy, now| delivery.settle(epoch, created, policy, now, now, 0.0));
    assert_eq!(world.delivery.state, State::Delivered);
}

#[test]
fn retry_after_delays_reconciliation() {
    let mut world = World::new(0);
    let (epoch, _) = world.intend().unwrap();
    let wait = Duration::from_secs(3_600);
    let fault = Fault::new(FaultKind::ServerError, "no").with_retry_after(Some(wait));
    let outcome = Outcome::Sent(Err(fault));
    world.apply(|delivery, policy, now| delivery.settle(epoch, outcome, policy, now, now, 0.0));
    assert_eq!((world.delivery.state, world.delivery.due_at), (State::Reconciling, Some(world.now + wait)));
}

#[test]
fn unseen_canary_keeps_outcome_unknown() {
    let mut world = World::new(0);
    world.attempt(AttemptOutcome::Lose { applied_after: None });
    for _ in 0..50 {
        world.now += Duration::from_secs(60);
        world.apply(|delivery, policy, now| Some(delivery.claim(policy.bounds.lease, now)));
        let epoch = world.delivery.epoch;
        let asked_at = world.now;
        let answer = Ok(SearchResult { tickets: vec![], canary_seen: false });
        let look_up = LookUp { answer, had_canaries: true, evidence: Evidence::Shown, asked_at };
        world.apply(|delivery, policy, now| delivery.settle_look_up(epoch, look_up, policy, now));
    }
    assert_eq!(world.delivery.state, State::Reconciling);
    let epoch = world.delivery.epoch;
    let answer = Ok(SearchResult { tickets: vec![], canary_seen: true });
    let look_up = LookUp { answer, had_canaries: true, evidence: Evidence::Shown, asked_at: world.now };
    world.apply(|delivery, policy, now| delivery.settle_look_up(epoch, look_up, policy, now));
    assert_eq!(world.delivery.state, State::Waiting);
}

#[test]
fn canary_is_newer_than_server_bound() {
    // One that was made before may stand in the index while a ticket that was applied after it does not.
    let mut world = World::new(0);
    let (_, deadline) = world.intend().unwrap();
    let server_bound = world.policy.bounds.server_bound;
    assert_eq!(world.delivery.canaries_from(server_bound), Some(deadline + server_bound));
}

#[test]
fn scans_places_of_former_unknown_outcomes() {
    let mut world = World::new(0);
    world.attempt(AttemptOutcome::Lose { applied_after: None });
    while world.delivery.state != State::Waiting {
        world.take(&Step::Wait(60));
        world.take(&Step::Work(AttemptOutcome::Fair));
    }
    world.now = world.delivery.due_at.unwrap();
    world.take(&Step::Work(AttemptOutcome::Fair));
    assert_eq!(world.delivery.state, State::Delivered);
    let places: Vec<_> =
        world.delivery.uncertain_sends.iter().map(|destination| destination.place.as_str()).collect();
    assert_eq!((places, world.delivery.duplicate_scan.is_some()), (vec!["SEC"], true));
}

#[test]
fn rearms_only_failures_of_the_outage() {
    let mut world = World::new(0);
    let outage_began = world.now;
    for _ in 0..=world.policy.retry.max_retry_attempts() {
        world.now += Duration::from_secs(3_600);
        world.take(&Step::Work(AttemptOutcome::Refuse(FaultKind::Connect)));
    }
    assert_eq!(world.delivery.state, State::Failed);
    let after = |began| world.delivery.clone().outage_ended(began, world.now);
    assert_eq!(after(outage_began).unwrap().delivery.state, State::Pending);
    assert_eq!(after(world.now), None);
}

#[test]
fn nothing_rearms_delivery_without_content() {
    let mut world = World::new(0);
    let outage_began = world.now;
    for _ in 0..=world.policy.retry.max_retry_attempts() {
        world.now += Duration::from_secs(3_600);
        world.take(&Step::Work(AttemptOutcome::Refuse(FaultKind::Connect)));
    }
    let now = world.now;
    let removed = Delivery { content_removed_at: Some(now), ..world.delivery };
    assert_eq!(
        (removed.state, removed.has_ended_before(now + Duration::from_secs(1))),
        (State::Failed, true)
    );
    assert_eq!(removed.clone().retry(false, now), Err(OperationError::ContentRemoved));
    assert_eq!(removed.clone().expedite(now), None);
    assert_eq!(removed.clone().connection_recovered(now), None);
    assert_eq!(removed.clone().outage_ended(outage_began, now), None);
    assert_eq!(removed.clone().rearm_as_probe(now), None);
    let restored = removed.update_snapshot(1, now).unwrap().delivery;
    assert_eq!(restored.retry(false, now).unwrap().delivery.state, State::Pending);
}

#[test]
fn operator_can_end_unknown_outcome() {
    let mut world = World::new(0);
    world.attempt(AttemptOutcome::Lose { applied_after: None });
    let searched_again = world.delivery.clone().retry(false, world.now).unwrap().delivery;
    assert_eq!(searched_again.state, State::Reconciling);
    let sent_again = world.delivery.clone().retry(true, world.now).unwrap().delivery;
    assert_eq!((sent_again.state, sent_again.uncertain_sends.len()), (State::Pending, 1));
}

#[test]
fn ticket_named_by_key_is_not_a_duplicate() {
    let mut world = World::new(0);
    world.attempt(AttemptOutcome::Lose { applied_after: Some(0) });
    let named = TicketRef { id: String::new(), ..ticket(1) };
    let resolved = world
        .delivery
        .clone()
        .resolve(named, Resolution::Unverified, &world.policy, world.now)
        .unwrap()
        .delivery;
    let found = FoundTicket { ticket: ticket(1), created_at: None };
    let search_result = SearchResult { tickets: vec![found], canary_seen: false };
    let scanned = resolved.settle_duplicate_scan(0, Ok(search_result), &world.policy, world.now).unwrap();
    assert_eq!((scanned.events, scanned.delivery.ticket), (vec![], Some(ticket(1))));
}

#[test]
fn keeps_found_ticket_beside_named_one() {
    let mut world = World::new(0);
    world.attempt(AttemptOutcome::Lose { applied_after: Some(0) });
    let claimed = world.delivery.clone().claim(world.policy.bounds.lease, world.now).delivery;
    let resolved = |named: TicketRef| {
        let settled = claimed.clone().resolve(named, Resolution::Verified, &world.policy, world.now);
        settled.unwrap().delivery
    };
    let found = || {
        let tickets = vec![FoundTicket { ticket: ticket(1), created_at: None }];
        let answer = Ok(SearchResult { tickets, canary_seen: false });
        LookUp { answer, had_canaries: false, evidence: Evidence::Shown, asked_at: world.now }
    };
    let look_up = |delivery: Delivery| {
        let epoch = claimed.epoch;
        delivery.settle_look_up(epoch, found(), &world.policy, world.now)
    };
    let other = look_up(resolved(ticket(7))).unwrap();
    assert_eq!((other.events, other.delivery.ticket), (vec![EventKind::DuplicateFound], Some(ticket(7))));
    assert_eq!((other.delivery.state, other.delivery.duplicates), (State::Delivered, vec![ticket(1)]));
    let by_its_key = look_up(resolved(TicketRef { id: String::new(), ..ticket(1) })).unwrap();
    assert_eq!((by_its_key.events, by_its_key.delivery.ticket), (vec![], Some(ticket(1))));
    let confirmed = look_up(resolved(ticket(1))).unwrap();
    assert_eq!((confirmed.events, confirmed.delivery.resolution), (vec![], None));
}

#[test]
fn resolving_again_corrects_ticket_and_keeps_searching() {
    let mut world = World::new(0);
    world.attempt(AttemptOutcome::Lose { applied_after: Some(0) });
    let resolve = |delivery: &Delivery, number, resolution| {
        delivery.clone().resolve(ticket(number), resolution, &world.policy, world.now)
    };
    let first = resolve(&world.delivery, 7, Resolution::Unverified).unwrap().delivery;
    let again = resolve(&first, 7, Resolution::Unverified).unwrap();
    assert_eq!((&again.delivery, again.events), (&first, vec![]));
    let corrected = resolve(&first, 8, Resolution::Verified).unwrap();
    assert_eq!(corrected.events, [EventKind::Resolved]);
    let corrected = corrected.delivery;
    assert_eq!((corrected.state, &corrected.ticket), (State::Delivered, &Some(ticket(8))));
    assert_eq!(corrected.resolution, Some(Resolution::Verified));
    assert!(!corrected.uncertain_sends.is_empty() && corrected.duplicate_scan.is_some());
}

#[test]
fn created_ticket_cannot_be_corrected() {
    let mut world = World::new(0);
    let created = Outcome::Sent(Ok(Created { ticket: ticket(2), adjustments: vec![] }));
    let epoch = world.delivery.epoch;
    world.apply(|delivery, policy, now| delivery.settle(epoch, created, policy, now, now, 0.0));
    let refused = world.delivery.clone().resolve(ticket(7), Resolution::Verified, &world.policy, world.now);
    assert_eq!(refused, Err(OperationError::WrongState(State::Delivered, "resolved")));
}

#[test]
fn older_of_two_tickets_is_the_reference() {
    let mut world = World::new(0);
    world.attempt(AttemptOutcome::Lose { applied_after: Some(0) });
    let created = |number| Outcome::Sent(Ok(Created { ticket: ticket(number), adjustments: vec![] }));
    let epoch = world.delivery.epoch;
    world.apply(|delivery, policy, now| delivery.settle(epoch, created(2), policy, now, now, 0.0));
    // The answer to the first send comes at last: nothing says yet which of the two is older.
    world.apply(|delivery, policy, now| delivery.settle(epoch, created(1), policy, now, now, 0.0));
    let found = |number, at| FoundTicket { ticket: ticket(number), created_at: Some(at) };
    let tickets = vec![found(1, world.now), found(2, world.now + Duration::from_secs(1))];
    let search_result = SearchResult { tickets, canary_seen: false };
    let scanned = |delivery: Delivery, step| {
        delivery.settle_duplicate_scan(step, Ok(search_result.clone()), &world.policy, world.now).unwrap()
    };
    let first = scanned(world.delivery.clone(), 0);
    assert_eq!(
        (first.delivery.ticket.as_ref(), first.delivery.duplicates.as_slice()),
        (Some(&ticket(1)), &[ticket(2)][..])
    );
    assert_eq!(first.events, [EventKind::DuplicateFound]);
    assert_eq!(scanned(first.delivery, 1).events, []);
}

/// A delivery whose unknown outcome was proven absent and that has no retries left.
fn failed_after_unknown_outcome() -> World {
    let mut world = World::new(0);
    world.attempt(AttemptOutcome::Lose { applied_after: None });
    while world.delivery.state == State::Reconciling {
        world.take(&Step::Wait(60));
        world.take(&Step::Work(AttemptOutcome::Fair));
    }
    while world.delivery.state != State::Failed {
        world.now = world.delivery.due_at.expect("what waits is due");
        world.take(&Step::Work(AttemptOutcome::Refuse(FaultKind::Rejected)));
    }
    world
}

#[test]
fn scan_finds_ticket_of_failed_or_cancelled_delivery() {
    let late = SearchResult {
        tickets: vec![FoundTicket { ticket: ticket(1), created_at: None }],
        canary_seen: false,
    };
    let failed = failed_after_unknown_outcome();
    let mut cancelled = World::new(0);
    cancelled.attempt(AttemptOutcome::Lose { applied_after: None });
    cancelled.apply(|delivery, policy, now| delivery.cancel(policy, now).ok());
    for world in [failed, cancelled] {
        let found = world
            .delivery
            .clone()
            .settle_duplicate_scan(0, Ok(late.clone()), &world.policy, world.now)
            .unwrap();
        assert_eq!((found.events, found.delivery.ticket), (vec![EventKind::Delivered], Some(ticket(1))));
        assert_eq!((found.delivery.state, found.delivery.unknown_outcome), (State::Delivered, None));
        let none = SearchResult { tickets: vec![], ..late.clone() };
        let not_found =
            world.delivery.clone().settle_duplicate_scan(0, Ok(none), &world.policy, world.now).unwrap();
        assert_eq!((not_found.events, not_found.delivery.state), (vec![], world.delivery.state));
        assert_eq!(not_found.delivery.duplicate_scan.map(|duplicate_scan| duplicate_scan.step), Some(1));
    }
}

#[test]
fn keeps_scanned_ticket_after_rearm() {
    let world = failed_after_unknown_outcome();
    let armed = world.delivery.retry(false, world.now).unwrap().delivery;
    assert_eq!(armed.duplicate_scan, None);
    let duplicate_scan =
        |tickets| armed.clone().settle_duplicate_scan(0, Ok(tickets), &world.policy, world.now);
    let tickets = vec![FoundTicket { ticket: ticket(1), created_at: None }];
    let found = duplicate_scan(SearchResult { tickets, canary_seen: false }).unwrap().delivery;
    assert_eq!((found.state, found.ticket), (State::Delivered, Some(ticket(1))));
    assert_eq!(duplicate_scan(SearchResult::default()), None);
}

/// A first send of unknown outcome, of which nothing is ever seen, looked up for so many seconds.
fn unseen(evidence: Evidence, seconds: u64) -> World {
    let mut world = World { evidence, ..World::new(u64::from(u32::MAX)) };
    world.attempt(AttemptOutcome::Lose { applied_after: Some(0) });
    for _ in 0..seconds {
        world.take(&Step::Wait(1));
        if world.delivery.state == State::Reconciling {
            world.take(&Step::Work(AttemptOutcome::Refuse(FaultKind::Rejected)));
        }
    }
    world
}

#[test]
fn does_not_prove_absence_without_evidence() {
    for evidence in [Evidence::NoTicket, Evidence::NotShown] {
        let world = unseen(evidence, 24 * 3_600);
        let delivery = &world.delivery;
        assert!(delivery.needs_attention(), "{delivery:?}");
        let error = delivery.last_error.as_ref().unwrap();
        assert!(error.fault.message.contains(evidence.reason()), "{error:?}");
        assert!(error.fault.hint.contains("create_anyway"), "{error:?}");
        let look_ups = delivery.unknown_outcome.as_ref().unwrap().look_ups;
        assert!((30..60).contains(&look_ups), "look-ups get rarer: {look_ups}");
    }
    assert_eq!(unseen(Evidence::Shown, 3_600).delivery.state, State::Waiting);
}

#[test]
fn announces_once_that_absence_is_unproven() {
    let mut world = World { evidence: Evidence::NotShown, ..World::new(u64::from(u32::MAX)) };
    world.attempt(AttemptOutcome::Lose { applied_after: Some(0) });
    let mut announced = 0;
    for _ in 0..600 {
        world.now += Duration::from_secs(10);
        let claimed = world.delivery.clone().claim(world.policy.bounds.lease, world.now).delivery;
        let answer = Ok(SearchResult::default());
        let look_up = LookUp { answer, had_canaries: false, evidence: world.evidence, asked_at: world.now };
        let settled =
            claimed.settle_look_up(world.delivery.epoch + 1, look_up, &world.policy, world.now).unwrap();
        announced += settled.events.len();
        world.delivery = settled.delivery;
    }
    assert_eq!(announced, 1);
}

#[test]
fn proves_absence_once_evidence_is_shown() {
    let mut world = unseen(Evidence::NoTicket, 3_600);
    world.evidence = Evidence::Shown;
    assert!(world.delivery.due_at.unwrap() > world.now);
    world.apply(|delivery, _, now| delivery.search_proven(now));
    world.take(&Step::Work(AttemptOutcome::Fair));
    assert_eq!((world.delivery.state, world.delivery.needs_attention()), (State::Waiting, false));
}

#[test]
fn proven_search_ignores_unaffected_deliveries() {
    let mut world = World::new(0);
    world.attempt(AttemptOutcome::Lose { applied_after: None });
    assert_eq!(world.delivery.clone().search_proven(world.now), None);
}
