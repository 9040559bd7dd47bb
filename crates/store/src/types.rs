//! What goes into the store and what comes out of it, beside the domain's own types.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ticketing_core::delivery::look_up::LookUp;
use ticketing_core::delivery::operate::OperationError;
use ticketing_core::delivery::restore::SearchPlace;
use ticketing_core::delivery::settle::SendIntent;
use ticketing_core::delivery::{Delivery, EventKind, LastError, Outcome, Resolution, State, Trigger};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::incident::Incident;
use ticketing_core::marker::Marker;
use ticketing_core::namespace::Namespace;
use ticketing_core::system::{Authorship, Destination, SearchResult, System, TicketRef};
use ticketing_core::target::Health;

use super::StoreError;
use ticketing_core::role::Role;
use ticketing_secrets::TokenHash;
use ticketing_secrets::audit::{Actor, AuditAction};

/// An incident that is to become tickets.
#[derive(Debug, Clone)]
pub struct AcceptRequest {
    pub incident: Incident,
    /// Each target at most once. With none, only the snapshot of deliveries that exist already is updated.
    pub targets: Vec<AcceptTarget>,
    /// Whether a delivery that waits or has failed is to be tried now.
    pub expedite: bool,
    pub by: Requester,
}

/// Who hands an incident over.
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
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One target of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptTarget {
    pub target: String,
    pub system: System,
    pub trigger: Trigger,
}

/// What became of one target of an [`AcceptRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub delivery: Delivery,
    /// There was a delivery already; there is never a second one.
    pub existed: bool,
    /// The incident differed from its snapshot, and the next attempt will send the new one.
    pub snapshot_updated: bool,
}

/// Which deliveries to claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimKind {
    /// Pending: to be sent as soon as possible.
    Fresh,
    /// Waiting, and due for a retry.
    Due,
    /// Of unknown outcome, and due for a look-up.
    Uncertain,
}

/// A delivery that is the caller's until its lease ends, with the snapshot to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    pub delivery: Delivery,
    pub incident: Incident,
    /// From when the delay of the next retry counts.
    pub counted_from: Timestamp,
}

/// Which leases to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leases {
    /// Those whose time is over.
    Expired,
    /// Every one. Only right at start-up: the process that held them is gone, for the store has one owner at a time.
    All,
}

/// When something was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptTimes {
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
}

/// One try of a delivery, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub delivery_id: String,
    /// 1 is the first of its delivery; look-ups and duplicate scans count too.
    pub number: u32,
    pub kind: AttemptKind,
    /// The claim that it was made under; for a duplicate scan, the last one.
    pub epoch: u32,
    pub times: AttemptTimes,
    pub outcome: AttemptOutcome,
    pub fault: Option<Fault>,
}

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptKind {
    Create,
    LookUp,
    DuplicateScan,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// The ticket was made.
    Created,
    /// A look-up found a ticket.
    Found,
    /// A definite failure: no ticket was made, or the look-up was not answered.
    Failed,
    /// A ticket may have been made.
    Ambiguous,
    /// A look-up has proven that there is no ticket.
    Absent,
    /// A look-up found nothing, which proves nothing yet.
    Unproven,
}

/// What an operator does to a delivery.
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
    /// Markers that stand on the ticket, or would if it were ours: no other delivery may have one of them.
    pub markers: Vec<Marker>,
}

/// Which deliveries to retry.
#[derive(Debug, Clone)]
pub struct RetryRequest {
    pub by: Actor,
    pub filter: DeliveryFilter,
    pub page_size: u32,
    pub after: Option<PageKey>,
    /// Connections that tickets can be pushed to; deliveries to others are refused.
    pub enabled: Vec<String>,
    pub note: String,
}

/// What became of one page of deliveries that were to be retried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetriedPage {
    /// As they became.
    pub retried: Vec<Delivery>,
    /// How many cannot be retried.
    pub refused: u32,
    /// Where to go on; `None` if this was the last page.
    pub next: Option<PageKey>,
}

/// Why an operation was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OperateError {
    #[error("there is no such delivery")]
    NotFound,
    #[error("{0}")]
    Refused(OperationError),
    #[error("the ticket belongs to incident {0}")]
    TicketInUse(String),
    #[error("the operation could not be recorded")]
    Store(#[from] StoreError),
}

/// What the holder of a claim is about to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    pub delivery_id: String,
    pub epoch: u32,
    pub send: SendIntent,
}

/// An assumed send: the lease holder searches for the ticket before it sends, since a restored store may lack it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumedSend {
    pub delivery_id: String,
    pub epoch: u32,
    pub place: SearchPlace,
}

/// How an attempt went.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRecord {
    pub delivery_id: String,
    pub epoch: u32,
    pub outcome: Outcome,
    pub times: AttemptTimes,
    /// From when the delay of the next retry counts.
    pub counted_from: Timestamp,
    /// 0 to 1, for the jitter of the next retry.
    pub random: f64,
}

/// How a look-up went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookUpRecord {
    pub delivery_id: String,
    pub epoch: u32,
    pub look_up: LookUp,
    pub times: AttemptTimes,
}

/// How a duplicate scan went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateScanRecord {
    pub delivery_id: String,
    /// The step that the duplicate scan was made for.
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
    pub target: String,
    pub system: System,
    pub subject: Subject,
    /// What an operator said; else empty.
    pub note: String,
}

/// The subject of an event, in its state right after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "few events are about a target, and lists of events are short")]
pub enum Subject {
    Delivery(Box<Delivery>),
    Target(Health),
}

/// Which events to tell. An empty field filters nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    pub incident_id: Option<String>,
    pub systems: Vec<System>,
    pub kinds: Vec<EventKind>,
    /// Who asked for the delivery; events of targets have none.
    pub requested_by: Option<String>,
    /// The namespace of the incident; events of targets have none.
    pub namespace: Option<Namespace>,
}

/// Some events, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventPage {
    pub events: Vec<std::sync::Arc<Event>>,
    /// How far the store was read: go on after this, even if no event passed the filter.
    pub read_to: u64,
    /// Events after the number that was asked for were trimmed. The page is empty then and there is no going on: those
    /// that are left are named by the bounds.
    pub missed: bool,
}

/// Which events there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventBounds {
    /// The oldest that is kept; `None` if none is.
    pub first: Option<u64>,
    /// The newest there ever was; 0 if there was none.
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
    /// Accepted then or later.
    pub created_from: Option<Timestamp>,
    /// Accepted before.
    pub created_until: Option<Timestamp>,
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageKey {
    pub created_at: Timestamp,
    pub id: String,
}

/// Some deliveries, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPage {
    pub deliveries: Vec<Delivery>,
    /// The newest of each, ordered by delivery and number; none where they were not asked for.
    pub attempts: Vec<Attempt>,
    /// Where to go on; `None` if this was the last page.
    pub next: Option<PageKey>,
}

/// A ticket that was made or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastSuccess {
    pub at: Timestamp,
    pub delivery_id: String,
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFailure {
    pub delivery_id: String,
    pub error: LastError,
}

/// How many deliveries a target has in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateCount {
    pub state: State,
    pub count: u64,
    /// When the oldest of them was accepted.
    pub oldest: Timestamp,
}

/// What was seen of the tickets of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchEvidence {
    /// The delivery whose ticket was seen; empty for one seen in a search for another.
    pub delivery_id: String,
    /// Whether it was seen with its marker.
    pub is_shown: bool,
}

/// When canaries were sent, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryQuery {
    pub destination: Destination,
    /// Who sent them, and as what kind: other tickets may be visible where these are not.
    pub made_by: Authorship,
    pub after: Timestamp,
    /// What was sent later may not be seen yet, so that it proves nothing that it is not.
    pub until: Timestamp,
    /// At most so many: half of them the earliest, half the latest; the odd one is early.
    pub limit: u32,
}

/// What tells the resume tokens of a store from those of another, and from those of events that it has lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamName {
    /// A UUID. Another takes its place whenever events may have been lost.
    pub current: String,
    /// Earlier ones, and the last event under each name that is still there.
    pub former: Vec<(String, u64)>,
}

/// A bearer token, but for its secret.
#[derive(Debug, Clone)]
pub struct StoredToken {
    pub id: String,
    /// The name of its holder.
    pub name: String,
    pub role: Role,
    /// The namespace that it carries.
    pub namespace: Namespace,
    pub hash: TokenHash,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// A sign that the store was restored from a backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Suspicion {
    #[error("the operator passed --restored")]
    Told,
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
    pub fn is_good(&self, now: Timestamp) -> bool {
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
            Subject::Target(_) => None,
        }
    }

    /// Who asked for the delivery, if the event is about one.
    #[must_use]
    pub fn requested_by(&self) -> Option<&str> {
        match &self.subject {
            Subject::Delivery(delivery) => Some(&delivery.requested_by),
            Subject::Target(_) => None,
        }
    }

    /// The namespace of the incident, if the event is about a delivery.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        match &self.subject {
            Subject::Delivery(delivery) => Some(&delivery.namespace),
            Subject::Target(_) => None,
        }
    }

    /// The delivery, if the event is about one.
    #[must_use]
    pub fn delivery_id(&self) -> Option<&str> {
        match &self.subject {
            Subject::Delivery(delivery) => Some(&delivery.id),
            Subject::Target(_) => None,
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
            && admits(&self.connections, &delivery.target)
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
