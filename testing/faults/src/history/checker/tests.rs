//! Handwritten histories, each with one error.

use std::time::Duration;

use jiff::Timestamp;

use super::{Promise, Verdict, check};
use crate::history::record::{
    Answer, Create, DeliverySnapshot, Entry, Event, Kind, Observation, Operation, Reference, Setting, State,
    Ticket, read, write,
};
use crate::history::subscribers::{FILTERED, RECONNECTING, STEADY};

const KEY: &str = "SEC-1";
/// After the first attempt.
const RETRIES: u32 = 2;

/// A history in time order, ten milliseconds per entry.
#[derive(Default)]
struct HistoryBuilder {
    entries: Vec<Entry>,
    sequence: u64,
}

fn snapshot(state: State, key: Option<&str>) -> DeliverySnapshot {
    let named = |text: &str| text.to_owned();
    let ticket = key.map(|key| Reference { id: format!("id of {key}"), key: named(key) });
    DeliverySnapshot {
        delivery: named("d-1"),
        incident: named("HISTORY-1"),
        target: named("jira"),
        marker: named("rhythmx-1"),
        state,
        ticket,
        duplicates: 0,
    }
}

// === impl HistoryBuilder ===

impl HistoryBuilder {
    fn begin() -> Self {
        let setting = Setting {
            attempt_deadline_ms: 1_000,
            server_bound_ms: 500,
            retries: RETRIES,
            ..Setting::default()
        };
        Self::default().and(Observation::Began(setting)).subscribes(STEADY, false, 0)
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_millis(10) * u32::try_from(self.entries.len()).unwrap()
    }

    fn and(mut self, what: Observation) -> Self {
        let at = self.now();
        self.entries.push(Entry { at, what });
        self
    }

    fn later(mut self, time: Duration) -> Self {
        self.entries.iter_mut().for_each(|entry| {
            entry.at -= time;
            if let Observation::Seen { event, .. } = &mut entry.what {
                event.time -= time;
            }
        });
        self
    }

    fn subscribes(self, subscriber: u32, filtered: bool, after: u64) -> Self {
        self.and(Observation::Subscribed { subscriber, filtered, after })
    }

    fn event(&self, sequence: u64, kind: Kind, state: State) -> Event {
        let ticket = snapshot(state, (state == State::Delivered).then_some(KEY)).ticket;
        let delivery = Some("d-1".to_owned());
        Event { sequence, time: self.now(), kind, delivery, state: Some(state), ticket }
    }

    /// The next event, which the steady subscriber sees.
    fn event_of(mut self, kind: Kind, state: State) -> Self {
        self.sequence += 1;
        let event = self.event(self.sequence, kind, state);
        self.and(Observation::Seen { subscriber: STEADY, event })
    }

    /// An event that was seen before, by another subscriber.
    fn sees(self, subscriber: u32, sequence: u64) -> Self {
        let known = self.entries.iter().find_map(|entry| match &entry.what {
            Observation::Seen { event, .. } if event.sequence == sequence => Some(event.clone()),
            _ => None,
        });
        self.and(Observation::Seen { subscriber, event: known.unwrap() })
    }

    fn answered(self, call: u64, state: State, key: Option<&str>) -> Self {
        let operation =
            Operation::Create { incident: "HISTORY-1".to_owned(), body: 0, target: "jira".to_owned() };
        let answer = Answer::Snapshots(vec![snapshot(state, key)]);
        self.and(Observation::CallStarted { call, operation }).and(Observation::CallEnded { call, answer })
    }

    fn create(self, key: Option<&str>) -> Self {
        let applied_at = key.map(|_| self.now());
        self.create_applied_at(key, applied_at)
    }

    fn create_applied_at(self, key: Option<&str>, applied_at: Option<Timestamp>) -> Self {
        let create = Create {
            target: "jira".to_owned(),
            marker: "rhythmx-1".to_owned(),
            applied_at,
            key: key.map(str::to_owned),
            answered: None,
            faults: None,
        };
        let history = self.and(Observation::Create(create));
        match key {
            Some(key) => history.ticket(key, "rhythmx-1"),
            None => history,
        }
    }

    fn ticket(self, key: &str, marker: &str) -> Self {
        let target = "jira".to_owned();
        let key = key.to_owned();
        let marker = marker.to_owned();
        self.and(Observation::Ticket(Ticket { target, key, marker }))
    }

    fn accepted(self) -> Self {
        self.event_of(Kind::Accepted, State::Pending).answered(1, State::Pending, None)
    }

    fn attempted(self) -> Self {
        self.event_of(Kind::AttemptStarted, State::Attempting)
    }

    /// A failed attempt, after which another one is due.
    fn refused(self) -> Self {
        self.attempted().create(None).event_of(Kind::Waiting, State::Waiting)
    }

    /// The last failed attempt.
    fn failed(self) -> Self {
        self.attempted().create(None).event_of(Kind::Failed, State::Failed)
    }

    fn delivered(self) -> Self {
        self.event_of(Kind::Delivered, State::Delivered)
    }

    /// The final state of the delivery.
    fn ends(self, state: State, key: Option<&str>) -> Verdict {
        let last = self.sequence;
        let history =
            self.and(Observation::Settled { last }).and(Observation::FinalState(snapshot(state, key)));
        check(&history.entries)
    }

    fn ends_well(self) -> Verdict {
        self.ends(State::Delivered, Some(KEY))
    }
}

/// A push of unknown outcome that is found.
fn valid_history() -> HistoryBuilder {
    HistoryBuilder::begin()
        .accepted()
        .attempted()
        .create(Some(KEY))
        .event_of(Kind::Reconciling, State::Reconciling)
        .delivered()
        .answered(2, State::Delivered, Some(KEY))
}

#[track_caller]
fn assert_broken(verdict: &Verdict, promise: Promise, words: &str) {
    let found = verdict.broken.iter().any(|broken| broken.promise == promise && broken.why.contains(words));
    assert!(found, "nothing {promise:?} about {words:?}: {:#?}", verdict.broken);
}

#[test]
fn valid_history_breaks_no_promise() {
    let verdict = valid_history().ends_well();
    assert_eq!(verdict.broken, []);
    assert_eq!((verdict.deliveries, verdict.unknown_outcomes, verdict.void.len()), (1, 1, 0));
}

#[test]
fn second_ticket_is_reported() {
    let verdict = valid_history().ticket("SEC-2", "rhythmx-1").ends_well();
    assert_broken(&verdict, Promise::NotTwice, "stands on");
}

#[test]
fn create_without_attempt_is_reported() {
    let verdict = valid_history().create(None).ends_well();
    assert_broken(&verdict, Promise::NotTwice, "no attempt");
}

#[test]
fn missing_acknowledged_delivery_is_reported() {
    let history = HistoryBuilder::begin().accepted();
    assert_broken(&check(&history.entries), Promise::NotLost, "acknowledged");
}

#[test]
fn delivered_without_ticket_is_reported() {
    let history = HistoryBuilder::begin().accepted().attempted().create(None).delivered();
    assert_broken(&history.ends_well(), Promise::NotLost, "delivered as");
}

#[test]
fn delivered_with_another_ticket_is_reported() {
    assert_broken(&valid_history().ends(State::Delivered, Some("SEC-7")), Promise::NotLost, "delivered as");
}

#[test]
fn failed_delivery_with_ticket_is_reported() {
    let history = HistoryBuilder::begin()
        .accepted()
        .attempted()
        .create(Some(KEY))
        .event_of(Kind::Failed, State::Failed);
    assert_broken(&history.ends(State::Failed, None), Promise::Explained, "all the same");
}

#[test]
fn delivery_that_never_settles_is_reported() {
    let history = HistoryBuilder::begin().accepted().attempted();
    assert_broken(&history.ends(State::Attempting, None), Promise::Explained, "never comes to rest");
}

#[test]
fn delivery_stuck_waiting_is_reported() {
    let history = HistoryBuilder::begin().accepted().refused();
    assert_broken(&history.ends(State::Waiting, None), Promise::Explained, "never comes to rest");
}

#[test]
fn failure_before_last_retry_is_reported() {
    let history = HistoryBuilder::begin().accepted().failed();
    assert_broken(&history.ends(State::Failed, None), Promise::Explained, "failed for good in attempt 1");
    let history = HistoryBuilder::begin().accepted().refused().failed();
    assert_broken(&history.ends(State::Failed, None), Promise::Explained, "failed for good in attempt 2");
}

#[test]
fn failure_after_last_retry_is_accepted() {
    let verdict = HistoryBuilder::begin().accepted().refused().refused().failed().ends(State::Failed, None);
    assert_eq!(verdict.broken, []);
    assert_eq!((verdict.delivered, verdict.failed, verdict.cancelled), (0, 1, 0));
}

#[test]
fn redriven_delivery_has_all_retries_again() {
    let spent = || {
        let history = HistoryBuilder::begin().accepted().refused().refused().failed();
        history.event_of(Kind::Rearmed, State::Pending)
    };
    assert_broken(
        &spent().failed().ends(State::Failed, None),
        Promise::Explained,
        "failed for good in attempt 1",
    );
    assert_eq!(spent().refused().refused().failed().ends(State::Failed, None).broken, []);
}

#[test]
fn ticket_without_delivery_is_reported() {
    assert_broken(
        &valid_history().ticket("SEC-9", "rhythmx-9").ends_well(),
        Promise::Explained,
        "no delivery",
    );
}

#[test]
fn gap_between_events_is_reported() {
    let mut history = valid_history();
    history.sequence += 1;
    assert_broken(
        &history.event_of(Kind::DuplicateFound, State::Delivered).ends_well(),
        Promise::Explained,
        "was to come",
    );
}

#[test]
fn event_out_of_order_is_reported() {
    let history = valid_history()
        .subscribes(RECONNECTING, false, 0)
        .sees(RECONNECTING, 1)
        .sees(RECONNECTING, 3)
        .sees(RECONNECTING, 2);
    assert_broken(&history.ends_well(), Promise::Explained, "event 3 came after 1");
}

#[test]
fn repeated_event_is_reported() {
    assert_broken(&valid_history().sees(STEADY, 4).ends_well(), Promise::Explained, "event 4 came after 4");
}

#[test]
fn event_lost_in_a_reconnect_is_reported() {
    let history = valid_history().subscribes(RECONNECTING, false, 0).sees(RECONNECTING, 1).subscribes(
        RECONNECTING,
        false,
        1,
    );
    assert_broken(
        &history.sees(RECONNECTING, 3).sees(RECONNECTING, 4).ends_well(),
        Promise::Explained,
        "event 3 came after 1",
    );
}

#[test]
fn subscriber_that_rereads_events_is_accepted() {
    let history = valid_history().subscribes(RECONNECTING, false, 2).sees(RECONNECTING, 3).subscribes(
        RECONNECTING,
        false,
        1,
    );
    assert_eq!(
        history.sees(RECONNECTING, 2).sees(RECONNECTING, 3).sees(RECONNECTING, 4).ends_well().broken,
        []
    );
}

#[test]
fn subscriber_without_final_event_is_reported() {
    let history = valid_history().subscribes(RECONNECTING, false, 0).sees(RECONNECTING, 1);
    assert_broken(&history.ends_well(), Promise::Explained, "no farther");
}

#[test]
fn event_that_differs_by_subscriber_is_reported() {
    let history = valid_history().subscribes(RECONNECTING, false, 3);
    let event = history.event(4, Kind::Failed, State::Failed);
    assert_broken(
        &history.and(Observation::Seen { subscriber: RECONNECTING, event }).ends_well(),
        Promise::Explained,
        "another subscriber",
    );
}

#[test]
fn event_lost_by_a_filter_is_reported() {
    let history = HistoryBuilder::begin()
        .accepted()
        .attempted()
        .event_of(Kind::Failed, State::Failed)
        .event_of(Kind::Rearmed, State::Pending)
        .attempted()
        .create(Some(KEY))
        .delivered()
        .subscribes(FILTERED, true, 0)
        .sees(FILTERED, 6);
    assert_broken(&history.ends_well(), Promise::Explained, "3 was to come");
}

#[test]
fn resend_of_delivered_is_reported() {
    assert_broken(
        &valid_history().attempted().delivered().ends_well(),
        Promise::Explained,
        "leads from Delivered",
    );
}

#[test]
fn delivered_after_failed_without_attempt_is_reported() {
    let history = HistoryBuilder::begin().accepted().delivered();
    assert_broken(&history.ends_well(), Promise::Explained, "Delivered leads from Pending");
}

#[test]
fn final_state_without_event_is_reported() {
    let history = HistoryBuilder::begin().accepted().attempted();
    assert_broken(&history.ends(State::Waiting, None), Promise::Explained, "its events end with");
}

#[test]
fn cancellation_without_request_is_reported() {
    let history = HistoryBuilder::begin().accepted().event_of(Kind::Cancelled, State::Cancelled);
    assert_broken(&history.ends(State::Cancelled, None), Promise::Explained, "without a request");
}

#[test]
fn cancellation_by_operator_is_accepted() {
    let operation = Operation::Cancel { delivery: "d-1".to_owned() };
    let history = HistoryBuilder::begin().accepted().and(Observation::CallStarted { call: 7, operation });
    let history = history.event_of(Kind::Cancelled, State::Cancelled);
    assert_eq!(history.ends(State::Cancelled, None).broken, []);
}

#[test]
fn contradictory_answers_are_reported() {
    let verdict = valid_history().answered(3, State::Waiting, None).ends_well();
    assert_broken(&verdict, Promise::Explained, "a later one Waiting");
}

#[test]
fn answer_with_another_ticket_is_reported() {
    let verdict = valid_history().answered(3, State::Delivered, Some("SEC-8")).ends_well();
    assert_broken(&verdict, Promise::Explained, "different tickets");
}

#[test]
fn second_delivery_of_incident_and_target_is_reported() {
    let other = DeliverySnapshot { delivery: "d-2".to_owned(), ..snapshot(State::Delivered, Some(KEY)) };
    let verdict = valid_history().and(Observation::FinalState(other)).ends_well();
    assert_broken(&verdict, Promise::NotTwice, "same incident");
}

fn refused(code: &str, has_reason: bool) -> Observation {
    let code = code.to_owned();
    let message = "there is no delivery with this ID".to_owned();
    Observation::CallEnded { call: 3, answer: Answer::Refused { code, message, has_reason } }
}

#[test]
fn denied_delivery_is_reported() {
    assert_broken(
        &valid_history().and(refused("NotFound", true)).ends_well(),
        Promise::NotLost,
        "there is no delivery with this ID",
    );
}

#[test]
fn server_error_is_reported_and_broken_connection_is_not() {
    assert_broken(
        &valid_history().and(refused("Internal", true)).ends_well(),
        Promise::Explained,
        "there is no delivery with this ID",
    );
    assert_eq!(valid_history().and(refused("Internal", false)).ends_well().broken, []);
}

#[test]
fn duplicate_by_ticket_system_beyond_bounds_is_void() {
    let history =
        HistoryBuilder::begin().accepted().attempted().later(Duration::from_secs(2)).create(Some(KEY));
    let history = history.event_of(Kind::Reconciling, State::Reconciling);
    let history =
        history.event_of(Kind::Waiting, State::Waiting).attempted().create(Some("SEC-2")).delivered();
    let verdict = history.ends_well();
    assert_eq!(verdict.void, ["d-1"]);
    assert_eq!(verdict.broken, []);
}

#[test]
fn index_lag_beyond_its_bound_makes_the_round_void() {
    let verdict = valid_history().and(Observation::IndexLag { ms: 1 }).ends_well();
    assert_eq!(verdict.void, ["d-1"]);
}

#[test]
fn written_record_is_read_back() {
    let history = valid_history();
    let mut written = vec![];
    write(&history.entries, &mut written).unwrap();
    write(&history.entries, &mut written).unwrap();
    let rounds = read(written.as_slice()).unwrap();
    assert_eq!(rounds.len(), 2);
    assert!(rounds.iter().all(|round| format!("{round:?}") == format!("{:?}", history.entries)));
}
