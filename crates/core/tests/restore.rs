//! A store that was restored from a backup, and a clock that was set between two runs: whatever was sent after the copy was
//! made, there is never a second ticket, nothing is stuck, and no wait gets longer or shorter by the step of the clock.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use ticketing_core::delivery::look_up::LookUp;
use ticketing_core::delivery::operate::NewDelivery;
use ticketing_core::delivery::restore::{Downtime, RESTORE_WINDOW, Recovery, SearchPlace};
use ticketing_core::delivery::settle::SendIntent;
use ticketing_core::delivery::{Delivery, Outcome, Settled, State, Trigger};
use ticketing_core::evidence::Evidence;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::health::Health;
use ticketing_core::marker::{InstallationKey, Marker};
use ticketing_core::namespace::Namespace;
use ticketing_core::policy::Policy;
use ticketing_core::system::{
    Authorship, Created, Destination, FoundTicket, SearchResult, System, TicketRef,
};

/// What becomes of a create.
#[derive(Debug, Clone, Copy)]
enum AttemptOutcome {
    Fair,
    Refuse,
    /// No answer; applied so many seconds later, or never.
    Lose(Option<u64>),
}

#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Work(AttemptOutcome),
    /// The server is killed after it has sent, and started again.
    Crash(Option<u64>),
    /// The store is copied.
    Copy,
    /// The copy is restored, or a new store if there is none; the incident is handed over again where it is not known.
    Restore,
}

const INDEX_BOUND: Duration = Duration::from_secs(180);

/// A ticket system whose index lags, the delivery, and a copy of it.
struct World {
    now: Timestamp,
    policy: Policy,
    delivery: Delivery,
    copy: Option<Delivery>,
    restored_at: Option<Timestamp>,
    tickets: Vec<Timestamp>,
    index_lag: Duration,
}

// === impl World ===

impl World {
    fn new(index_lag: u64) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let policy = Policy::default();
        let index_lag = Duration::from_secs(index_lag);
        Self {
            now,
            policy,
            delivery: accepted(now),
            copy: None,
            restored_at: None,
            tickets: vec![],
            index_lag,
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Wait(seconds) => self.now += Duration::from_secs(seconds),
            Step::Work(outcome) => self.work(outcome),
            Step::Crash(applied_after) => {
                self.work_until_sent(applied_after);
                self.recovery(None);
            }
            Step::Copy => self.copy = Some(self.delivery.clone()),
            Step::Restore => {
                self.restored_at = Some(self.now);
                self.delivery = self.copy.clone().unwrap_or_else(|| accepted(self.now));
                self.recovery(self.restored_at);
            }
        }
        assert!(self.tickets.len() <= 1, "{} tickets: {:#?}", self.tickets.len(), self.delivery);
    }

    /// Recovers like the server at its start: no lease is valid.
    fn recovery(&mut self, restored_at: Option<Timestamp>) {
        let recovery = Recovery { step: SignedDuration::ZERO, restored_at, counts_from: restored_at };
        self.delivery = self.delivery.clone().recover(&recovery);
        if self.delivery.lease_until.is_some() {
            self.delivery.lease_until = Some(self.now);
        }
        self.apply(Delivery::expire_lease);
    }

    fn work(&mut self, outcome: AttemptOutcome) {
        if self.delivery.due_at.is_none_or(|due| self.now < due) {
            return;
        }
        if self.delivery.state == State::Reconciling {
            return self.look_up();
        }
        let lost_after = match outcome {
            AttemptOutcome::Fair => Some(0),
            AttemptOutcome::Refuse => None,
            AttemptOutcome::Lose(after) => after,
        };
        let Some(epoch) = self.work_until_sent(lost_after) else { return };
        let outcome = match outcome {
            AttemptOutcome::Fair => Ok(Created { ticket: ticket(), adjustments: vec![] }),
            AttemptOutcome::Refuse => Err(Fault::new(FaultKind::Rejected, "no")),
            AttemptOutcome::Lose(_) => Err(Fault::new(FaultKind::TimedOut, "lost")),
        };
        self.apply(|delivery, policy, now| {
            delivery.settle(epoch, Outcome::Sent(outcome), policy, now, now, 0.0)
        });
    }

    /// Claims and sends, unless the ticket is to be looked for first; the epoch of the send.
    fn work_until_sent(&mut self, applied_after: Option<u64>) -> Option<u32> {
        let due = self.delivery.due_at.is_some_and(|due| due <= self.now);
        if !due || self.delivery.state == State::Reconciling {
            return None;
        }
        self.apply(|delivery, policy, now| Some(delivery.claim(policy.bounds.lease, now)));
        let epoch = self.delivery.epoch;
        let search =
            self.restored_at.and_then(|at| Some((at, self.delivery.place_to_search(at, vec![place()])?)));
        if let Some((at, place)) = search {
            self.apply(|delivery, policy, now| delivery.assume_sent(epoch, place, at, policy, now));
            return None;
        }
        let deadline = self.now + self.policy.bounds.attempt_deadline;
        let SearchPlace { destination, index_bound, marker_in_text, made_by } = place();
        let adjustments = vec![];
        let intent = SendIntent { destination, made_by, index_bound, deadline, marker_in_text, adjustments };
        self.delivery = self.delivery.clone().intend(epoch, intent, self.now)?.delivery;
        if let Some(after) = applied_after {
            let latest = deadline + self.policy.bounds.server_bound;
            self.tickets.push((self.now + Duration::from_secs(after)).min(latest));
        }
        Some(epoch)
    }

    fn look_up(&mut self) {
        self.apply(|delivery, policy, now| Some(delivery.claim(policy.bounds.lease, now)));
        let visible = self.tickets.iter().filter(|at| **at + self.index_lag <= self.now);
        let found = visible.map(|at| FoundTicket { ticket: ticket(), created_at: Some(*at) });
        let answer = Ok(SearchResult { tickets: found.collect(), canary_seen: false });
        let epoch = self.delivery.epoch;
        let asked_at = self.now;
        let look_up = LookUp { answer, had_canaries: false, evidence: Evidence::Shown, asked_at };
        self.apply(|delivery, policy, now| delivery.settle_look_up(epoch, look_up, policy, now));
    }

    fn apply(&mut self, decide: impl FnOnce(Delivery, &Policy, Timestamp) -> Option<Settled>) {
        if let Some(settled) = decide(self.delivery.clone(), &self.policy, self.now) {
            self.delivery = settled.delivery;
        }
    }

    fn run_without_faults(&mut self) {
        for _ in 0..400 {
            self.take(&Step::Wait(60));
            self.take(&Step::Work(AttemptOutcome::Fair));
        }
    }
}

fn accepted(now: Timestamp) -> Delivery {
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
    Delivery::accept(new, now).delivery
}

fn place() -> SearchPlace {
    let destination = Destination { base_url: "https://jira.example".to_owned(), place: "SEC".to_owned() };
    let index_bound = INDEX_BOUND;
    SearchPlace { destination, index_bound, marker_in_text: false, made_by: Authorship::default() }
}

fn ticket() -> TicketRef {
    TicketRef { id: "1".to_owned(), key: "SEC-1".to_owned(), url: String::new() }
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        2 => Just(AttemptOutcome::Fair),
        2 => Just(AttemptOutcome::Refuse),
        2 => prop::option::of(0_u64..200).prop_map(AttemptOutcome::Lose),
    ];
    prop_oneof![
        4 => (0_u64..400).prop_map(Step::Wait),
        6 => outcome.prop_map(Step::Work),
        1 => prop::option::of(0_u64..200).prop_map(Step::Crash),
        2 => Just(Step::Copy),
        2 => Just(Step::Restore),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn restored_store_creates_no_second_ticket_and_makes_progress(
        steps in prop::collection::vec(step(), 1..60), index_lag in 0_u64..180,
    ) {
        let mut world = World::new(index_lag);
        steps.iter().for_each(|step| world.take(step));
        world.run_without_faults();
        let state = world.delivery.state;
        prop_assert!(matches!(state, State::Delivered | State::Failed), "stuck: {:#?}", world.delivery);
        if state == State::Delivered {
            prop_assert_eq!(world.tickets.len(), 1);
        }
    }

    #[test]
    fn due_times_shift_with_the_clock(
        step in -400_000_000_i64..400_000_000, passed in 0_u64..10_000, due in 0_i64..100_000,
    ) {
        let last = Timestamp::from_second(1_800_000_000).unwrap();
        let now = last + Duration::from_secs(passed) + SignedDuration::from_secs(step);
        let downtime = Downtime { last, now, passed: Some(Duration::from_secs(passed)) };
        let mut delivery = accepted(last);
        delivery.due_at = Some(last + SignedDuration::from_secs(due));
        let recovered = delivery.recover(&Recovery { step: downtime.step(), restored_at: None, counts_from: None });
        let left = recovered.due_at.unwrap().duration_since(now);
        let meant = SignedDuration::from_secs(due - i64::try_from(passed).unwrap());
        prop_assert!((left - meant).abs() <= SignedDuration::from_secs(1), "{left:?} for {meant:?}");
    }

    #[test]
    fn unknown_backward_clock_step_delays_nothing(
        back in 2_i64..400_000_000, due in 0_i64..100_000,
    ) {
        let last = Timestamp::from_second(1_800_000_000).unwrap();
        let now = last - SignedDuration::from_secs(back);
        let recovery = Recovery { step: Downtime { last, now, passed: None }.step(), restored_at: Some(now), counts_from: Some(now) };
        let due_at = recovery.shift(last + SignedDuration::from_secs(due));
        prop_assert_eq!(due_at.duration_since(now), SignedDuration::from_secs(due));
    }
}

#[test]
fn restored_store_without_assumed_send_duplicates() {
    // The negative: the property above can fail.
    let mut world = World::new(0);
    world.take(&Step::Copy);
    world.take(&Step::Work(AttemptOutcome::Fair));
    world.take(&Step::Restore);
    world.restored_at = None;
    let forgetful = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run_without_faults()));
    assert!(forgetful.is_err() && world.tickets.len() == 2);
}

#[test]
fn restored_unknown_outcome_counts_from_restore() {
    let mut world = World::new(0);
    world.take(&Step::Work(AttemptOutcome::Lose(None)));
    world.take(&Step::Copy);
    world.take(&Step::Wait(100_000));
    world.take(&Step::Restore);
    let bounds = &world.policy.bounds;
    let provable = world.delivery.provable_from(bounds.server_bound);
    assert_eq!(provable, Some(world.now + bounds.server_bound + INDEX_BOUND));
}

#[test]
fn one_empty_answer_suffices_long_after_restore() {
    let mut world = World::new(0);
    world.take(&Step::Restore);
    world.take(&Step::Wait(24 * 3_600));
    world.delivery = accepted(world.now);
    let mut states = vec![];
    for _ in 0..3 {
        world.take(&Step::Work(AttemptOutcome::Fair));
        states.push(world.delivery.state);
    }
    assert_eq!(states, [State::Reconciling, State::Pending, State::Delivered]);
    assert_eq!((world.delivery.failures, world.delivery.uncertain_sends.len()), (0, 0));
}

#[test]
fn search_without_canary_proves_nothing() {
    let mut world = World::new(0);
    world.take(&Step::Restore);
    world.take(&Step::Wait(24 * 3_600));
    world.take(&Step::Work(AttemptOutcome::Fair));
    world.apply(|delivery, policy, now| Some(delivery.claim(policy.bounds.lease, now)));
    let answer = Ok(SearchResult { tickets: vec![], canary_seen: false });
    let look_up = LookUp { answer, had_canaries: true, evidence: Evidence::Shown, asked_at: world.now };
    let epoch = 2;
    world.apply(|delivery, policy, now| delivery.settle_look_up(epoch, look_up, policy, now));
    assert_eq!(world.delivery.state, State::Reconciling);
}

#[test]
fn searches_every_place_before_restored_delivery_is_sent() {
    let restored_at = Timestamp::from_second(1_800_000_000).unwrap();
    let elsewhere = Destination { base_url: "https://old.example".to_owned(), place: "OLD".to_owned() };
    let places = || vec![SearchPlace { destination: elsewhere.clone(), ..place() }, place()];
    let mut delivery = accepted(restored_at);
    let mut searched = vec![];
    while let Some(place) = delivery.place_to_search(restored_at, places()) {
        searched.push(place.destination.place.clone());
        let claimed = delivery.claim(Duration::from_secs(90), restored_at).delivery;
        let epoch = claimed.epoch;
        let policy = Policy::default();
        let is_assumed =
            claimed.assume_sent(epoch, place, restored_at, &policy, restored_at).unwrap().delivery;
        delivery = is_assumed.retry(true, restored_at).unwrap().delivery;
    }
    assert_eq!(searched, ["OLD", "SEC"]);
}

#[test]
fn sends_at_once_after_restore_window() {
    let restored_at = Timestamp::from_second(1_800_000_000).unwrap();
    let asked = |after| accepted(restored_at + after).place_to_search(restored_at, vec![place()]).is_some();
    assert_eq!([asked(RESTORE_WINDOW), asked(RESTORE_WINDOW + Duration::from_secs(1))], [true, false]);
}

#[test]
fn unset_clock_shifts_nothing() {
    let last = Timestamp::from_second(1_800_000_000).unwrap();
    let hour = Duration::from_secs(3_600);
    let step = |now, passed| Downtime { last, now, passed }.step();
    assert_eq!(step(last + hour, Some(hour)), SignedDuration::ZERO);
    assert_eq!(step(last + hour, Some(hour - Duration::from_millis(900))), SignedDuration::ZERO);
    assert_eq!(step(last + hour, None), SignedDuration::ZERO, "unknown uptime");
    assert_eq!(step(last + hour, Some(Duration::ZERO)), SignedDuration::from_secs(3_600));
    assert_eq!(step(last, Some(hour)), SignedDuration::from_secs(-3_600));
}

#[test]
fn throttling_pause_shifts_with_the_clock() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let minute = Duration::from_secs(60);
    let back = SignedDuration::from_secs(-86_400);
    let health =
        Health { throttled_until: Some(now + minute), recovered_at: Some(now - minute), ..Health::default() };
    let recovered = Recovery { step: back, restored_at: None, counts_from: None }.recover_health(health);
    assert_eq!(recovered.throttled_until, Some(now + back + minute));
    assert_eq!(recovered.recovered_at, Some(now + back - minute));
}

#[test]
fn unknown_outcome_keeps_bounds_after_forward_clock_step() {
    let mut world = World::new(0);
    world.take(&Step::Work(AttemptOutcome::Lose(None)));
    let left = world.delivery.provable_from(Duration::ZERO).unwrap().duration_since(world.now);
    let step = SignedDuration::from_hours(24);
    let recovered = world.delivery.recover(&Recovery { step, restored_at: None, counts_from: None });
    let provable = recovered.provable_from(Duration::ZERO).unwrap();
    assert_eq!(provable.duration_since(world.now + step), left);
}
