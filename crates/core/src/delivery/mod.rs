//! A delivery: the outbox row for one ticket in one system, and its state machine.
//!
//! The state machine consists of pure functions: each takes a delivery, an event, the policy and the time,
//! and returns the new delivery with the events to write. The caller does the I/O and records both in one
//! transaction.
//!
//! Invariant: a create is only begun by the holder of the current epoch, after [`Delivery::intend`] was made durable, and
//! before the send deadline that it set.
//! Invariant: after a send of unknown outcome there is no other send until a look-up has proven that the first created no
//! ticket, or an operator has said so.

pub mod look_up;
pub mod operate;
pub mod restore;
pub mod settle;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::marker::Marker;
use crate::namespace::Namespace;
use crate::system::{Adjustment, Authorship, Created, Destination, System, TicketRef};

/// A delivery as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// A UUID.
    pub id: String,
    pub incident_id: String,
    /// Revision of the incident snapshot that the next attempt sends; 1 is the first.
    pub incident_revision: u32,
    /// Name of the configured connection; currently the name of its system.
    #[serde(rename = "target")]
    pub connection: String,
    pub system: System,
    pub trigger: Trigger,
    pub marker: Marker,
    /// The caller that first requested it, for example `token:soar`; empty for deliveries of older versions.
    #[serde(default)]
    pub requested_by: String,
    /// The namespace of its incident.
    #[serde(default)]
    pub namespace: Namespace,
    pub state: State,
    /// The fencing token. Each claim increments it; only its holder may send and settle.
    pub epoch: u32,
    /// When the lease of the current claim expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
    /// Number of failed attempts that count against the retries.
    pub failures: u32,
    /// When the first of these attempts failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// When it is due next; `None` in terminal states and while it is claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The last intent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<Send>,
    /// Set while the outcome of the last send is unknown.
    #[serde(default, rename = "doubt", skip_serializing_if = "Option::is_none")]
    pub unknown_outcome: Option<UnknownOutcome>,
    /// Destinations of all sends that ever had an unknown outcome; duplicate scans search there.
    #[serde(default, rename = "doubted", skip_serializing_if = "Vec::is_empty")]
    pub uncertain_sends: Vec<Destination>,
    /// Places where the ticket was searched for and proven absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absences: Vec<Absence>,
    /// The next duplicate scan of a settled delivery that once had an unknown outcome.
    #[serde(default, rename = "sweep", skip_serializing_if = "Option::is_none")]
    pub duplicate_scan: Option<DuplicateScan>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<TicketRef>,
    /// Set if an operator named the ticket, until a search finds it by its marker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// Further tickets with the same marker.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub duplicates: Vec<TicketRef>,
    /// Differences between the intended and the created ticket.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<Adjustment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// When retention removed the content of the incident, and the attempts. Without its content, nothing can be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_removed_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What requested the ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Trigger {
    /// An analyst.
    Manual,
    /// Auto-push, by the severity.
    AutoPush,
}

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// Accepted, or rearmed: to be sent as soon as possible.
    Pending,
    /// Claimed: a send is in progress.
    Attempting,
    /// The ticket exists.
    Delivered,
    /// Refused, or not sent: waits for a retry.
    Waiting,
    /// Sent with an unknown outcome: reconciliation is in progress.
    Reconciling,
    /// Dead letter: all retries are spent.
    Failed,
    /// Cancelled by an operator.
    Cancelled,
}

/// How a ticket that an operator named was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Resolution {
    /// The ticket was read: it exists, in the right place.
    Verified,
    /// The ticket could not be read, and the operator accepted it unverified.
    Unverified,
}

/// A durable intent to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// The fencing token of the claim that made it.
    pub epoch: u32,
    pub at: Timestamp,
    /// The send deadline: no byte of the request is sent later.
    pub deadline: Timestamp,
    pub destination: Destination,
    /// The account that creates the ticket, and the issue type.
    #[serde(default)]
    pub made_by: Authorship,
    /// Index bound of the destination's search.
    pub index_bound: Duration,
    /// Whether the description contains the marker.
    pub marker_in_text: bool,
    /// When its bounds start, if not at the deadline: after a clock step or a restore.
    #[serde(default)]
    pub counted_from: Option<Timestamp>,
    /// Whether the send is only assumed, because the store was restored from a backup. Then `at` is the
    /// minimum timestamp, and the deadline is the time of the restore.
    #[serde(default, rename = "supposed")]
    pub is_assumed: bool,
}

/// A place where the ticket was proven absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    pub destination: Destination,
    /// Nothing sent there until then has created a ticket.
    pub until: Timestamp,
}

/// A send whose outcome is unknown: it may have created a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownOutcome {
    pub since: Timestamp,
    /// Start of the delay of the next retry if no ticket was created; by default when the outcome became
    /// unknown.
    #[serde(default)]
    pub counted_from: Option<Timestamp>,
    /// Number of empty look-ups that count as proof, because the bounds had passed.
    pub empty_answers: u32,
    pub last_empty_at: Option<Timestamp>,
    /// Number of all look-ups, including failed ones.
    pub look_ups: u32,
    /// Absence would be proven if the search were known to find our tickets. Only search evidence or an
    /// operator ends this state.
    #[serde(default)]
    pub is_unproven: bool,
}

/// The next duplicate scan: searches for further tickets of a delivered delivery, or for any ticket of a
/// failed or cancelled one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateScan {
    /// Index of the scan; 0 is the first.
    pub step: usize,
    pub due_at: Timestamp,
    /// When the delivery was settled; the delays count from then.
    pub from: Timestamp,
}

/// The last failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    pub fault: Fault,
    /// Whether the failure left an unknown outcome. A failure before the send never does.
    pub ambiguous: bool,
    pub at: Timestamp,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The create did not begin.
    NotSent(Fault),
    /// The create began, with this result.
    Sent(Result<Created, Fault>),
}

/// An event of a delivery or a connection, as published to subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventKind {
    Accepted,
    SnapshotUpdated,
    AttemptStarted,
    Delivered,
    Waiting,
    Reconciling,
    Failed,
    Rearmed,
    Resolved,
    Cancelled,
    DuplicateFound,
    ConnectionThrottled,
    ConnectionLoginRefused,
    ConnectionSuspended,
    ConnectionCircuitOpened,
    ConnectionRecovered,
}

/// The delivery after a transition, with the events to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    pub delivery: Delivery,
    pub events: Vec<EventKind>,
}

// === impl Delivery ===

impl Delivery {
    /// Whether the lease with this fencing token is still valid.
    #[must_use]
    pub fn is_held(&self, epoch: u32, now: Timestamp) -> bool {
        self.epoch == epoch && self.lease_until.is_some_and(|until| now < until)
    }

    /// Whether it may be claimed now in the state `state`. A pending delivery is due at once, even if the
    /// clock was set back after it was accepted.
    #[must_use]
    pub fn is_claimable(&self, state: State, now: Timestamp) -> bool {
        self.state == state
            && matches!(state, State::Pending | State::Waiting | State::Reconciling)
            && self.lease_until.is_none()
            && self.due_at.is_some_and(|due_at| state == State::Pending || due_at <= now)
    }

    /// Whether a send has an unknown outcome.
    #[must_use]
    pub fn has_unknown_outcome(&self) -> bool {
        self.unknown_outcome.is_some()
    }

    /// Whether only an operator can find out if the ticket exists: absence is unproven.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        self.state == State::Reconciling
            && self.unknown_outcome.as_ref().is_some_and(|unknown_outcome| unknown_outcome.is_unproven)
    }

    /// Whether it ended before this time, so that nothing will read the content of its incident unless a caller asks for it.
    #[must_use]
    pub fn has_ended_before(&self, before: Timestamp) -> bool {
        self.state.is_settled() && self.duplicate_scan.is_none() && self.updated_at < before
    }

    /// When a search without results can first prove absence.
    #[must_use]
    pub fn provable_from(&self, server_bound: Duration) -> Option<Timestamp> {
        self.send.as_ref().map(|send| send.bounds_from() + server_bound + send.index_bound)
    }

    fn transition(mut self, state: State, now: Timestamp, events: &[EventKind]) -> Settled {
        self.state = state;
        self.lease_until = None;
        self.updated_at = now;
        match state.is_settled() {
            true => self.due_at = None,
            false => self.duplicate_scan = None,
        }
        Settled { delivery: self, events: events.to_vec() }
    }
}

// === impl UnknownOutcome ===

impl UnknownOutcome {
    fn new(since: Timestamp) -> Self {
        Self {
            since,
            counted_from: None,
            empty_answers: 0,
            last_empty_at: None,
            look_ups: 0,
            is_unproven: false,
        }
    }
}

// === impl Send ===

impl Send {
    /// Start of the bounds after which "not found" proves absence.
    #[must_use]
    pub fn bounds_from(&self) -> Timestamp {
        self.counted_from.unwrap_or(self.deadline)
    }
}

// === impl State ===

impl State {
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Attempting,
        Self::Delivered,
        Self::Waiting,
        Self::Reconciling,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether the state is terminal, unless an operator or the recovery of the connection rearms it.
    #[must_use]
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Delivered | Self::Failed | Self::Cancelled)
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Attempting => "ATTEMPTING",
            Self::Delivered => "DELIVERED",
            Self::Waiting => "WAITING",
            Self::Reconciling => "RECONCILING",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Resolution ===

impl Resolution {
    pub const ALL: [Self; 2] = [Self::Verified, Self::Unverified];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "VERIFIED",
            Self::Unverified => "UNVERIFIED",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resolution| resolution.as_str() == text)
    }
}

// === impl EventKind ===

impl EventKind {
    /// Every kind, in the order of the contract.
    pub const ALL: [Self; 16] = [
        Self::Accepted,
        Self::SnapshotUpdated,
        Self::AttemptStarted,
        Self::Delivered,
        Self::Waiting,
        Self::Reconciling,
        Self::Failed,
        Self::Rearmed,
        Self::Resolved,
        Self::Cancelled,
        Self::DuplicateFound,
        Self::ConnectionThrottled,
        Self::ConnectionLoginRefused,
        Self::ConnectionSuspended,
        Self::ConnectionCircuitOpened,
        Self::ConnectionRecovered,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "ACCEPTED",
            Self::SnapshotUpdated => "SNAPSHOT_UPDATED",
            Self::AttemptStarted => "ATTEMPT_STARTED",
            Self::Delivered => "DELIVERED",
            Self::Waiting => "WAITING",
            Self::Reconciling => "RECONCILING",
            Self::Failed => "FAILED",
            Self::Rearmed => "REARMED",
            Self::Resolved => "RESOLVED",
            Self::Cancelled => "CANCELLED",
            Self::DuplicateFound => "DUPLICATE_FOUND",
            Self::ConnectionThrottled => "TARGET_THROTTLED",
            Self::ConnectionLoginRefused => "TARGET_LOGIN_REFUSED",
            Self::ConnectionSuspended => "TARGET_SUSPENDED",
            Self::ConnectionCircuitOpened => "TARGET_CIRCUIT_OPENED",
            Self::ConnectionRecovered => "TARGET_RECOVERED",
        }
    }
}
