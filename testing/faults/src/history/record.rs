//! The record of a history: what callers, subscribers and ticket systems saw.
//!
//! A history is an unordered list of entries with timestamps. It is kept in memory for the checker and can be
//! written as JSON lines, which the checker reads as well.

use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use jiff::Timestamp;
use rhythmx_ticketing::v1;
use serde::{Deserialize, Serialize};
use ticketing_simulator::Clock;

use super::plan::RETRIES;

/// An observation, with its time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    #[serde(flatten)]
    pub(super) what: Observation,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub(super) enum Observation {
    /// A round begins, with a new server and new ticket systems.
    Began(Setting),
    /// A call to the server that was not answered yet.
    CallStarted {
        call: u64,
        operation: Operation,
    },
    CallEnded {
        call: u64,
        answer: Answer,
    },
    /// A fault of the server process.
    ServerFault {
        how: String,
    },
    /// From now on a Jira search shows a ticket this many milliseconds after its creation.
    IndexLag {
        ms: u64,
    },
    /// A subscriber opens a stream, after the event with this number.
    Subscribed {
        subscriber: u32,
        filtered: bool,
        after: u64,
    },
    Seen {
        subscriber: u32,
        event: Event,
    },
    /// A stream ended, or its subscriber left.
    Unsubscribed {
        subscriber: u32,
        why: String,
    },
    /// Nothing is left to do, and this is the number of the last event.
    Settled {
        last: u64,
    },
    /// How often a ticket system was searched.
    Searches {
        target: String,
        count: u64,
    },
    /// A create that a ticket system received; `at` is when it had been read.
    Create(Create),
    /// A ticket that exists at the end; `at` is when it was created.
    Ticket(Ticket),
    /// The final state of a delivery.
    FinalState(DeliverySnapshot),
}

/// Parameters of a round for the checker.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Setting {
    pub(super) seed: u64,
    pub(super) round: u64,
    pub(super) attempt_deadline_ms: u64,
    pub(super) server_bound_ms: u64,
    pub(super) index_bound_ms: u64,
    /// After the first attempt.
    #[serde(default = "retries")]
    pub(super) retries: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Operation {
    Create { incident: String, body: u32, target: String },
    Submit { incident: String, body: u32 },
    Retry { delivery: String },
    Cancel { delivery: String },
    Resolve { delivery: String, key: String },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    Snapshots(Vec<DeliverySnapshot>),
    /// Reported by the connection, not by the server.
    Refused {
        code: String,
        message: String,
        has_reason: bool,
    },
}

/// A delivery in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeliverySnapshot {
    pub(super) delivery: String,
    pub(super) incident: String,
    pub(super) target: String,
    pub(super) marker: String,
    pub(super) state: State,
    pub(super) ticket: Option<Reference>,
    pub(super) duplicates: usize,
}

/// A ticket in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reference {
    pub(super) id: String,
    pub(super) key: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Event {
    pub(super) sequence: u64,
    pub(super) time: Timestamp,
    pub(super) kind: Kind,
    /// Absent for events of a target.
    pub(super) delivery: Option<String>,
    pub(super) state: Option<State>,
    pub(super) ticket: Option<Reference>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Create {
    pub(super) target: String,
    pub(super) marker: String,
    /// When a ticket was created from it; `None` if none was.
    pub(super) applied_at: Option<Timestamp>,
    pub(super) key: Option<String>,
    /// The status of the reply, if any.
    pub(super) answered: Option<u16>,
    /// The fault that applied to it.
    pub(super) faults: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) target: String,
    pub(super) key: String,
    pub(super) marker: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum State {
    Unspecified,
    Pending,
    Attempting,
    Delivered,
    Waiting,
    Reconciling,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Kind {
    Accepted,
    SnapshotUpdated,
    AttemptStarted,
    Waiting,
    Reconciling,
    Delivered,
    Failed,
    Rearmed,
    Cancelled,
    Resolved,
    DuplicateFound,
    /// An event of a target.
    Target,
}

/// Records what callers, subscribers and ticket systems saw.
#[derive(Debug)]
pub(super) struct Recorder {
    clock: Clock,
    calls: AtomicU64,
    entries: Mutex<Vec<Entry>>,
}

/// The retries of records that lack this field.
fn retries() -> u32 {
    RETRIES
}

// === impl Recorder ===

impl Recorder {
    pub(super) fn new() -> Self {
        Self { clock: Clock::real(), calls: AtomicU64::new(0), entries: Mutex::default() }
    }

    pub(super) fn note(&self, what: Observation) {
        self.note_at(self.clock.now(), what);
    }

    pub(super) fn note_at(&self, at: Timestamp, what: Observation) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(Entry { at, what });
    }

    /// A call begins. Returns its number.
    pub(super) fn asked(&self, operation: Operation) -> u64 {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        self.note(Observation::CallStarted { call, operation });
        call
    }

    /// Takes all entries so far.
    pub(super) fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut *self.entries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Appends entries as JSON lines.
pub(super) fn write(entries: &[Entry], to: &mut impl Write) -> Result<()> {
    for entry in entries {
        serde_json::to_writer(&mut *to, entry).context("an entry cannot be written")?;
        to.write_all(b"\n").context("an entry cannot be written")?;
    }
    to.flush().context("the record cannot be written")
}

/// Reads what [`write()`] wrote, round by round.
pub(super) fn read(from: impl BufRead) -> Result<Vec<Vec<Entry>>> {
    let mut rounds: Vec<Vec<Entry>> = vec![];
    for line in from.lines() {
        let line = line.context("the record cannot be read")?;
        let entry: Entry = serde_json::from_str(&line).with_context(|| format!("not an entry: {line}"))?;
        match (&entry.what, rounds.last_mut()) {
            (Observation::Began(_), _) | (_, None) => rounds.push(vec![entry]),
            (_, Some(round)) => round.push(entry),
        }
    }
    Ok(rounds)
}

// === impl DeliverySnapshot ===

impl From<&v1::Delivery> for DeliverySnapshot {
    fn from(delivery: &v1::Delivery) -> Self {
        Self {
            delivery: delivery.id.clone(),
            incident: delivery.incident_id.clone(),
            target: delivery.connection.clone(),
            marker: delivery.marker.clone(),
            state: delivery.state().into(),
            ticket: delivery.ticket.as_ref().map(Reference::from),
            duplicates: delivery.duplicates.len(),
        }
    }
}

// === impl Reference ===

impl From<&v1::TicketReference> for Reference {
    fn from(ticket: &v1::TicketReference) -> Self {
        Self { id: ticket.id.clone(), key: ticket.key.clone() }
    }
}

// === impl Event ===

impl From<&v1::TicketEvent> for Event {
    fn from(event: &v1::TicketEvent) -> Self {
        let time = event.time.unwrap_or_default();
        let delivery = event.delivery.as_ref();
        Self {
            sequence: event.sequence,
            time: Timestamp::new(time.seconds, time.nanos).unwrap_or_default(),
            kind: event.kind().into(),
            delivery: delivery.map(|delivery| delivery.id.clone()),
            state: delivery.map(|delivery| delivery.state().into()),
            ticket: delivery.and_then(|delivery| delivery.ticket.as_ref()).map(Reference::from),
        }
    }
}

// === impl State ===

impl From<v1::DeliveryState> for State {
    fn from(state: v1::DeliveryState) -> Self {
        match state {
            v1::DeliveryState::Unspecified => Self::Unspecified,
            v1::DeliveryState::Pending => Self::Pending,
            v1::DeliveryState::Attempting => Self::Attempting,
            v1::DeliveryState::Delivered => Self::Delivered,
            v1::DeliveryState::Waiting => Self::Waiting,
            v1::DeliveryState::Reconciling => Self::Reconciling,
            v1::DeliveryState::Failed => Self::Failed,
            v1::DeliveryState::Cancelled => Self::Cancelled,
        }
    }
}

// === impl Kind ===

impl From<v1::TicketEventKind> for Kind {
    fn from(kind: v1::TicketEventKind) -> Self {
        use v1::TicketEventKind as V1;
        match kind {
            V1::Accepted => Self::Accepted,
            V1::SnapshotUpdated => Self::SnapshotUpdated,
            V1::AttemptStarted => Self::AttemptStarted,
            V1::Waiting => Self::Waiting,
            V1::Reconciling => Self::Reconciling,
            V1::Delivered => Self::Delivered,
            V1::Failed => Self::Failed,
            V1::Rearmed => Self::Rearmed,
            V1::Cancelled => Self::Cancelled,
            V1::Resolved => Self::Resolved,
            V1::DuplicateFound => Self::DuplicateFound,
            V1::Unspecified
            | V1::ConnectionThrottled
            | V1::ConnectionLoginRefused
            | V1::ConnectionSuspended
            | V1::ConnectionCircuitOpened
            | V1::ConnectionRecovered => Self::Target,
        }
    }
}
