//! Parameters and results of the store, besides the types of the domain.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ticketing_core::delivery::look_up::LookUp;
use ticketing_core::delivery::operate::OperationError;
use ticketing_core::delivery::restore::SearchPlace;
use ticketing_core::delivery::settle::SendIntent;
use ticketing_core::delivery::{Delivery, EventKind, Outcome, Resolution, State, Trigger};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::health::Health;
use ticketing_core::incident::Incident;
use ticketing_core::marker::Marker;
use ticketing_core::namespace::Namespace;
use ticketing_core::role::Role;
use ticketing_core::system::{Authorship, Destination, SearchResult, System, TicketRef};
use ticketing_secrets::TokenHash;
use ticketing_secrets::audit::{Actor, AuditAction};

use super::StoreError;

/// An incident that is pushed.
#[derive(Debug, Clone)]
pub struct AcceptRequest {
    pub incident: Incident,
    /// Each connection at most once. Without connections, only the snapshot of existing deliveries is updated.
    pub connections: Vec<AcceptConnection>,
    /// Whether a waiting or failed delivery becomes due now.
    pub expedite: bool,
    pub by: Requester,
}

/// The caller that pushes an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requester {
    /// For example `token:soar`.
    pub name: String,
    /// The namespace of the credential. A new incident belongs to it.
    pub namespace: Namespace,
    /// Whether incidents of other namespaces are refused.
    pub is_confined: bool,
}

/// Why an incident was not accepted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AcceptError {
    #[error("the incident belongs to another namespace")]
    OwnedByOther,
    #[error("the settings of a connection were changed")]
    SettingsChanged,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A connection of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptConnection {
    pub connection: String,
    /// The settings of the connection that the caller decided by; 0 if none were ever saved.
    pub settings_revision: u32,
    pub system: System,
    pub trigger: Trigger,
}

/// The result for one connection of an [`AcceptRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub delivery: Delivery,
    /// The delivery already existed; there is never a second one.
    pub existed: bool,
    /// The incident differed from its snapshot, and the next attempt will send the new one.
    pub snapshot_updated: bool,
}

/// Which leases to expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leases {
    /// Those whose time has passed.
    Expired,
    /// All. Only correct at start: the process that held them is gone, because the store has one owner at a
    /// time.
    All,
}

/// Start and end of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptTimes {
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
}

/// A stored attempt of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub delivery_id: String,
    /// 1 is the first of its delivery; look-ups and duplicate scans count too.
    pub number: u32,
    pub kind: AttemptKind,
    /// The epoch of its claim; for a duplicate scan, the last one.
    pub epoch: u32,
    pub times: AttemptTimes,
    pub outcome: AttemptOutcome,
    pub fault: Option<Fault>,
}

/// The kind of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptKind {
    Create,
    LookUp,
    DuplicateScan,
}

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// The ticket was created.
    Created,
    /// A look-up found a ticket.
    Found,
    /// A definite failure: no ticket was created, or the look-up was not answered.
    Failed,
    /// An unknown outcome: a ticket may have been created.
    Ambiguous,
    /// A look-up has proven the absence of the ticket.
    Absent,
    /// A look-up found nothing, without proof of absence.
    Unproven,
}

/// An operation of an operator on a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    Retry {
        /// Whether an unknown outcome is discarded, because the operator has checked.
        create_anyway: bool,
    },
    Cancel,
    Resolve(NamedTicket),
}

/// The ticket that an operator names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTicket {
    pub ticket: TicketRef,
    pub resolution: Resolution,
    /// Markers on the ticket, or that it would have if it were ours: no other delivery may have one of them.
    pub markers: Vec<Marker>,
}

/// Which deliveries to retry.
#[derive(Debug, Clone)]
pub struct RetryRequest {
    pub by: Actor,
    pub filter: DeliveryFilter,
    pub page_size: u32,
    pub after: Option<PageKey>,
    /// Connections to which tickets can be pushed; deliveries to others are refused.
    pub enabled: Vec<String>,
    pub note: String,
}

/// The result of one page of a bulk retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetriedPage {
    /// The retried deliveries.
    pub retried: Vec<Delivery>,
    /// Number of deliveries that cannot be retried.
    pub refused: u32,
    /// Where to continue; `None` if this was the last page.
    pub next: Option<PageKey>,
}

/// Why an operation was refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OperateError {
    #[error("there is no delivery with this ID")]
    NotFound,
    #[error("{0}")]
    Refused(OperationError),
    #[error("the ticket belongs to incident {0}")]
    TicketInUse(String),
    #[error("the operation could not be recorded")]
    Store(#[from] StoreError),
}

/// The intent of the lease holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    pub delivery_id: String,
    /// The settings of the connection that the create was prepared with; 0 if none were ever saved.
    pub settings_revision: u32,
    pub epoch: u32,
    pub send: SendIntent,
}

/// Why an intent is refused: nothing may be sent.
#[derive(Debug, thiserror::Error)]
pub enum IntendError {
    #[error("the lease was lost")]
    LeaseLost,
    #[error("the settings of the connection were changed")]
    SettingsChanged,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An assumed send: the lease holder searches for the ticket before it sends, since a restored store may lack it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumedSend {
    pub delivery_id: String,
    pub epoch: u32,
    pub place: SearchPlace,
}

/// The result of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRecord {
    pub delivery_id: String,
    pub epoch: u32,
    /// The settings of the connection that it was made with; 0 if none were ever saved.
    pub settings_revision: u32,
    pub outcome: Outcome,
    pub times: AttemptTimes,
    /// Start of the delay of the next retry.
    pub counted_from: Timestamp,
    /// 0 to 1, for the jitter of the next retry.
    pub random: f64,
}

/// The result of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookUpRecord {
    pub delivery_id: String,
    pub epoch: u32,
    pub look_up: LookUp,
    pub times: AttemptTimes,
}

/// The result of a duplicate scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateScanRecord {
    pub delivery_id: String,
    /// The index of the scan.
    pub step: usize,
    pub answer: Result<SearchResult, Fault>,
    pub times: AttemptTimes,
}

/// An event, as published to subscribers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// 1 is the first of this store; there are no gaps.
    pub seq: u64,
    pub at: Timestamp,
    pub kind: EventKind,
    pub connection: String,
    pub system: System,
    pub subject: Subject,
    /// The operator's note; otherwise empty.
    pub note: String,
}

/// The subject of an event, in its state right after the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "few events are about a connection, and lists of events are short"
)]
pub enum Subject {
    Delivery(Box<Delivery>),
    #[serde(rename = "target")]
    Connection(Health),
}

/// Which events to read. An empty field filters nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    pub incident_id: Option<String>,
    pub systems: Vec<System>,
    pub kinds: Vec<EventKind>,
    /// The requesters of the delivery; events of connections have none.
    pub requested_by: Option<String>,
    /// The namespace of the incident; events of connections have none.
    pub namespace: Option<Namespace>,
}

/// A page of events, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventPage {
    pub events: Vec<std::sync::Arc<Event>>,
    /// The last examined event: continue after it, even if no event matched the filter.
    pub read_to: u64,
    /// Events after the requested number were trimmed. Then the page is empty and there is no continuation;
    /// the bounds name the remaining events.
    pub missed: bool,
}

/// The range of stored events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventBounds {
    /// The oldest stored event; `None` if there is none.
    pub first: Option<u64>,
    /// The newest event ever; 0 if there was none.
    pub last: u64,
}

/// Which deliveries to list. An empty field filters nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    pub states: Vec<State>,
    pub systems: Vec<System>,
    pub connections: Vec<String>,
    pub incident_id: Option<String>,
    pub ticket_key: Option<String>,
    pub fault_kinds: Vec<FaultKind>,
    /// Accepted at this time or later.
    pub created_from: Option<Timestamp>,
    /// Accepted before.
    pub created_until: Option<Timestamp>,
}

/// The end of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageKey {
    pub created_at: Timestamp,
    pub id: String,
}

/// A page of deliveries, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPage {
    pub deliveries: Vec<Delivery>,
    /// The newest attempts of each, ordered by delivery and number; empty unless requested.
    pub attempts: Vec<Attempt>,
    /// Where to continue; `None` if this was the last page.
    pub next: Option<PageKey>,
}

/// The last observation of the tickets of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchEvidence {
    /// The delivery whose ticket was observed; empty for a ticket found in a search for another.
    pub delivery_id: String,
    /// Whether it was visible with its marker.
    pub is_shown: bool,
}

/// Which canaries to select.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryQuery {
    pub destination: Destination,
    /// The account that sent them, and the issue type: other tickets may be visible where these are not.
    pub made_by: Authorship,
    pub after: Timestamp,
    /// Tickets sent later may not be visible yet, so their absence from the index proves nothing.
    pub until: Timestamp,
    /// Maximum number: half of them the earliest, half the latest; an odd one is early.
    pub limit: u32,
}

/// Distinguishes the resume tokens of a store from those of another, and from those of lost events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamName {
    /// A UUID. It is replaced whenever events may have been lost.
    pub current: String,
    /// Earlier streams, with the last event of each that still exists.
    pub former: Vec<(String, u64)>,
}

/// A bearer token, without its secret.
#[derive(Debug, Clone)]
pub struct StoredToken {
    pub id: String,
    /// The name of its caller.
    pub name: String,
    pub role: Role,
    /// Its namespace.
    pub namespace: Namespace,
    pub hash: TokenHash,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// What is known of the database file as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileCheck {
    /// It was checked, and every stop since then was orderly.
    Passed,
    /// It is being checked.
    Running,
    /// It is damaged: nothing is written any more.
    Damaged { detail: String },
}

/// Why nothing can be written any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreFailure {
    /// The writer has ended by a failure of the program.
    WriterEnded,
    /// The database file is damaged.
    Damaged { detail: String },
}

/// A sign that the store was restored from a backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Suspicion {
    #[error("the operator passed --restored")]
    StatedByOperator,
    #[error("it is a backup made by `ticketing backup` at {0}")]
    Copied(Timestamp),
    #[error("the restore mark {0} is missing or unreadable")]
    NoMark(String),
    #[error("the restore mark names event {marked}, but the database ends with event {kept}")]
    EventsLost { marked: u64, kept: u64 },
    #[error("the restore mark names a send intent that the database lacks")]
    IntentLost,
    #[error(
        "the restore mark was written at {written} but the file changed at {changed}, which indicates a copy"
    )]
    MarkTouched { written: Timestamp, changed: Timestamp },
    #[error("the database and its restore mark are copies: their inode numbers changed")]
    OtherFiles,
    #[error("the machine rebooted or changed, so a restored disk cannot be ruled out")]
    OtherBoot,
}

// === impl StoredToken ===

impl StoredToken {
    #[must_use]
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }
}

// === impl Event ===

impl Event {
    /// The incident, if the event is about a delivery.
    #[must_use]
    pub fn incident_id(&self) -> Option<&str> {
        match &self.subject {
            Subject::Delivery(delivery) => Some(&delivery.incident_id),
            Subject::Connection(_) => None,
        }
    }

    /// The requester of the delivery, if the event is about one.
    #[must_use]
    pub fn requested_by(&self) -> Option<&str> {
        match &self.subject {
            Subject::Delivery(delivery) => Some(&delivery.requested_by),
            Subject::Connection(_) => None,
        }
    }

    /// The namespace of the incident, if the event is about a delivery.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        match &self.subject {
            Subject::Delivery(delivery) => Some(&delivery.namespace),
            Subject::Connection(_) => None,
        }
    }

    /// The delivery, if the event is about one.
    #[must_use]
    pub fn delivery_id(&self) -> Option<&str> {
        match &self.subject {
            Subject::Delivery(delivery) => Some(&delivery.id),
            Subject::Connection(_) => None,
        }
    }
}

// === impl EventFilter ===

impl EventFilter {
    #[must_use]
    pub fn admits(&self, event: &Event) -> bool {
        let incident = self.incident_id.as_deref().is_none_or(|id| event.incident_id() == Some(id));
        let system = self.systems.is_empty() || self.systems.contains(&event.system);
        let asked = self.requested_by.as_deref().is_none_or(|name| event.requested_by() == Some(name));
        let owned = self.namespace.as_ref().is_none_or(|namespace| event.namespace() == Some(namespace));
        incident && system && asked && owned && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
    }
}

// === impl PageKey ===

impl PageKey {
    /// The key of a page that ends with this delivery.
    #[must_use]
    pub fn of(delivery: &Delivery) -> Self {
        Self { created_at: delivery.created_at, id: delivery.id.clone() }
    }
}

// === impl DeliveryFilter ===

impl DeliveryFilter {
    #[must_use]
    pub fn admits(&self, delivery: &Delivery) -> bool {
        let key = delivery.ticket.as_ref().map(|ticket| ticket.key.as_str());
        let fault = delivery.last_error.as_ref().map(|error| error.fault.kind);
        admits(&self.states, &delivery.state)
            && admits(&self.systems, &delivery.system)
            && admits(&self.connections, &delivery.connection)
            && self.incident_id.as_ref().is_none_or(|id| *id == delivery.incident_id)
            && self.ticket_key.as_deref().is_none_or(|wanted| key == Some(wanted))
            && (self.fault_kinds.is_empty() || fault.is_some_and(|kind| self.fault_kinds.contains(&kind)))
            && self.created_from.is_none_or(|from| from <= delivery.created_at)
            && self.created_until.is_none_or(|until| delivery.created_at < until)
    }
}

fn admits<T: PartialEq>(wanted: &[T], value: &T) -> bool {
    wanted.is_empty() || wanted.contains(value)
}

// === impl AttemptKind ===

impl AttemptKind {
    pub const ALL: [Self; 3] = [Self::Create, Self::LookUp, Self::DuplicateScan];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::LookUp => "LOOK_UP",
            Self::DuplicateScan => "SWEEP",
        }
    }
}

// === impl AttemptOutcome ===

impl AttemptOutcome {
    pub const ALL: [Self; 6] =
        [Self::Created, Self::Found, Self::Failed, Self::Ambiguous, Self::Absent, Self::Unproven];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Found => "FOUND",
            Self::Failed => "FAILED",
            Self::Ambiguous => "AMBIGUOUS",
            Self::Absent => "ABSENT",
            Self::Unproven => "UNPROVEN",
        }
    }
}

// === impl Operation ===

impl Operation {
    #[must_use]
    pub fn audited_as(&self) -> AuditAction {
        match self {
            Self::Retry { create_anyway: false } => AuditAction::RetryDelivery,
            Self::Retry { create_anyway: true } => AuditAction::CreateAnyway,
            Self::Cancel => AuditAction::CancelDelivery,
            Self::Resolve(_) => AuditAction::ResolveDelivery,
        }
    }

    /// The name among the operations.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Retry { create_anyway: false } => "RETRY",
            Self::Retry { create_anyway: true } => "CREATE_ANYWAY",
            Self::Cancel => "CANCEL",
            Self::Resolve(_) => "RESOLVE",
        }
    }
}
