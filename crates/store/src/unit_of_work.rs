//! The unit of work of a group commit: the rows of a batch of writes, in memory.
//!
//! The writer collects the read sets of a batch of writes, loads them with few statements, applies the writes
//! in order, and writes the changes back with few statements. A batched write decides nothing itself: it
//! calls the domain.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ticketing_core::clock::to_stored_resolution;
use ticketing_core::delivery::{Delivery, EventKind, Settled, State};
use ticketing_core::health::Health;
use ticketing_core::system::System;
use ticketing_failpoints::Point;
use ticketing_secrets::audit::NewAuditEntry;
use tokio::sync::oneshot;

use super::StoreError;
use super::claims::ClaimKind;
use super::content::{ContentDigest, content_digest};
use super::delivery_counts::{CountChanges, Counted};
use super::types::{AttemptKind, AttemptOutcome, AttemptTimes, Subject};

/// A write that shares its transaction with others (group commit).
pub(super) trait BatchedWrite: Send + Sync + fmt::Debug + 'static {
    type Answer: Send + 'static;

    /// Whether it needs its own transaction, for example because it changes many rows.
    const EXCLUSIVE: bool = false;
    /// A fail point before the commit of its transaction.
    const FAIL_POINT: Option<Point> = None;

    /// Names the rows that [`apply`](Self::apply) reads.
    fn read_set(&self, read_set: &mut ReadSet);

    /// Changes the rows. It may run more than once, each time on freshly loaded rows.
    ///
    /// # Errors
    /// Only before anything was changed: the other writes of the batch are committed anyway.
    fn apply(&self, work: &mut UnitOfWork) -> Result<Self::Answer, StoreError>;

    /// The fail point to pass, given the answer.
    fn fail_point(&self, _answer: &Self::Answer) -> Option<Point> {
        Self::FAIL_POINT
    }
}

/// The group commit: queues batched writes, loads what they read, applies them, and commits the changed rows with their
/// attempts and events.
#[async_trait]
pub(crate) trait GroupCommit: Send + Sync + std::fmt::Debug {
    /// Queues a write. Its answer is sent after the commit.
    async fn queue(&self, write: Box<dyn QueuedWrite>) -> Result<(), StoreError>;
}

/// A batched write in the queue, with the channel for its answer.
pub(super) trait QueuedWrite: Send {
    fn is_exclusive(&self) -> bool;
    fn fail_point(&self) -> Option<Point>;
    fn read_set(&self, read_set: &mut ReadSet);
    /// Applies the write, and keeps its answer.
    ///
    /// # Errors
    /// Only if it panicked: what it left in `work` must not be written.
    fn apply(&mut self, work: &mut UnitOfWork) -> Result<(), StoreError>;
    /// Answers the caller, with the outcome of the commit.
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// The queued form of every batched write.
struct Queued<W: BatchedWrite> {
    write: W,
    answer: Option<Result<W::Answer, StoreError>>,
    reply: oneshot::Sender<Result<W::Answer, StoreError>>,
}

/// What a batch must find in memory.
#[derive(Debug, Default)]
pub(super) struct ReadSet {
    pub(super) deliveries: BTreeSet<String>,
    /// Incidents: all their deliveries, and their newest snapshot.
    pub(super) incidents: BTreeSet<String>,
    pub(super) selections: BTreeMap<Selection, SelectionLimit>,
    /// Connections whose health and settings revision are read.
    pub(super) connections: BTreeSet<String>,
    /// Whether the same is read of the deliveries' connections.
    pub(super) connections_of_deliveries: bool,
    /// Deliveries by the ID or the key of their ticket, and by their marker.
    pub(super) ticket_ids: BTreeSet<String>,
    pub(super) ticket_keys: BTreeSet<String>,
    pub(super) markers: BTreeSet<String>,
}

/// A set of deliveries selected by the database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Selection {
    /// Those to claim, with their snapshots: the named ones, and, within the limit, those longest due.
    Claimable { connection: String, kind: ClaimKind, named: Vec<String> },
    /// Those claimed.
    Leased,
    /// Those of a connection in one state, ordered by ID, after one.
    OfConnection {
        connection: String,
        state: State,
        after: String,
        /// Only those that have failed since then.
        failing_since: Option<Timestamp>,
    },
}

/// Limits of a selection.
#[derive(Debug, Clone, Copy)]
pub(super) struct SelectionLimit {
    /// Due, or leased, until then; all if `None`.
    pub(super) until: Option<Timestamp>,
    pub(super) limit: u32,
}

/// The rows in memory, and the pending changes.
#[derive(Debug, Default)]
pub(super) struct UnitOfWork {
    rows: HashMap<String, Row>,
    by_incident: HashMap<String, Vec<String>>,
    snapshots: HashMap<(String, u32), String>,
    newest: HashMap<String, u32>,
    /// What remains of the newest revisions whose content was removed.
    removed: HashMap<(String, u32), ContentDigest>,
    connections: HashMap<String, ConnectionRow>,
    pub(super) changes: Changes,
}

/// Pending changes besides the deliveries.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) snapshots: Vec<NewSnapshot>,
    pub(super) attempts: Vec<NewAttempt>,
    pub(super) events: Vec<NewEvent>,
    pub(super) operations: Vec<NewOperation>,
    pub(super) audit: Vec<NewAuditEntry>,
}

/// Identifies an intent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct IntentName {
    pub(super) delivery_id: String,
    pub(super) epoch: u32,
}

#[derive(Debug)]
struct Row {
    delivery: Delivery,
    change: Change,
    /// As what it is counted in the database; `None` if it is new.
    counted: Option<Counted>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Insert,
    Update,
}

#[derive(Debug)]
struct ConnectionRow {
    health: Health,
    settings_revision: u32,
    system: System,
    changed_at: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) struct NewSnapshot {
    pub(super) incident_id: String,
    pub(super) revision: u32,
    pub(super) body: String,
    pub(super) created_at: Timestamp,
}

#[derive(Debug)]
pub(super) struct NewAttempt {
    pub(super) delivery_id: String,
    pub(super) connection: String,
    pub(super) kind: AttemptKind,
    pub(super) epoch: u32,
    pub(super) times: AttemptTimes,
    pub(super) outcome: AttemptOutcome,
    pub(super) fault: Option<ticketing_core::fault::Fault>,
}

#[derive(Debug)]
pub(super) struct NewEvent {
    pub(super) at: Timestamp,
    pub(super) kind: EventKind,
    pub(super) connection: String,
    pub(super) system: System,
    pub(super) subject: Subject,
    pub(super) note: String,
}

#[derive(Debug)]
pub(super) struct NewOperation {
    pub(super) delivery_id: String,
    pub(super) kind: &'static str,
    pub(super) note: String,
    pub(super) at: Timestamp,
}

/// Queues a batched write, and waits for its answer, which is sent after the commit.
pub(super) async fn write<W: BatchedWrite>(
    database: &dyn GroupCommit,
    write: W,
) -> Result<W::Answer, StoreError> {
    let (reply, answer) = oneshot::channel();
    database.queue(Box::new(Queued { write, answer: None, reply })).await?;
    answer.await.map_err(|_| StoreError::Closed)?
}

// === impl Queued ===

impl<W: BatchedWrite> QueuedWrite for Queued<W> {
    fn is_exclusive(&self) -> bool {
        W::EXCLUSIVE
    }

    fn fail_point(&self) -> Option<Point> {
        let answer = self.answer.as_ref()?.as_ref().ok()?;
        self.write.fail_point(answer)
    }

    fn read_set(&self, read_set: &mut ReadSet) {
        self.write.read_set(read_set);
    }

    fn apply(&mut self, work: &mut UnitOfWork) -> Result<(), StoreError> {
        // After a panic the rows in memory are discarded, so nothing half done is used again.
        let applied = catch_unwind(AssertUnwindSafe(|| self.write.apply(work)));
        let applied =
            applied.map_err(|payload| StoreError::panicked(std::any::type_name::<W>(), &*payload))?;
        self.answer = Some(applied);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { answer, reply, .. } = *self;
        let answer = outcome.and_then(|()| answer.unwrap_or(Err(StoreError::Closed)));
        // The caller may be gone; the write is done anyway.
        let _ = reply.send(answer);
    }
}

// === impl ReadSet ===

impl ReadSet {
    /// Adds a selection. Identical selections of several writes are combined.
    pub(super) fn select(&mut self, selection: Selection, reach: SelectionLimit) {
        let known = self.selections.entry(selection).or_insert(SelectionLimit { limit: 0, ..reach });
        known.limit = known.limit.saturating_add(reach.limit);
        known.until = known.until.zip(reach.until).map(|(one, other)| one.max(other));
    }
}

// === impl UnitOfWork: loaded rows ===

impl UnitOfWork {
    pub(super) fn load_delivery(&mut self, delivery: Delivery) {
        if self.rows.contains_key(&delivery.id) {
            return;
        }
        self.put(delivery, Change::None);
    }

    pub(super) fn load_snapshot(&mut self, incident_id: String, revision: u32, body: String, newest: bool) {
        if newest {
            self.newest.insert(incident_id.clone(), revision);
        }
        self.snapshots.insert((incident_id, revision), body);
    }

    pub(super) fn load_removed(&mut self, incident_id: String, revision: u32, digest: ContentDigest) {
        let newest = self.newest.entry(incident_id.clone()).or_default();
        *newest = revision.max(*newest);
        self.removed.insert((incident_id, revision), digest);
    }

    pub(super) fn load_connection(
        &mut self,
        connection: String,
        system: System,
        settings_revision: u32,
        health: Health,
    ) {
        let row = ConnectionRow { health, settings_revision, system, changed_at: None };
        self.connections.insert(connection, row);
    }

    pub(super) fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        self.rows.values().map(|row| &row.delivery)
    }

    pub(super) fn changed(&self, change: Change) -> Vec<&Delivery> {
        let rows = self.rows.values().filter(|row| row.change == change);
        rows.map(|row| &row.delivery).collect()
    }

    /// What the batch changes in the numbers of deliveries.
    pub(super) fn count_changes(&self) -> CountChanges {
        let mut changes = CountChanges::default();
        for row in self.rows.values() {
            changes.replace(row.counted.as_ref(), Counted::of(&row.delivery));
        }
        changes
    }

    /// The last intent of this batch, by delivery. Any would do: all are committed together.
    pub(super) fn last_intent(&self) -> Option<IntentName> {
        let changed = self.rows.values().filter(|row| row.change != Change::None).map(|row| &row.delivery);
        let intended = changed.filter_map(|delivery| {
            let send =
                delivery.send.as_ref().filter(|send| send.epoch == delivery.epoch && !send.is_assumed)?;
            Some(IntentName { delivery_id: delivery.id.clone(), epoch: send.epoch })
        });
        intended.max()
    }

    pub(super) fn changed_connections(&self) -> Vec<(&str, System, &Health, Timestamp)> {
        let rows = self.connections.iter();
        rows.filter_map(|(connection, row)| {
            Some((connection.as_str(), row.system, &row.health, row.changed_at?))
        })
        .collect()
    }
}

// === impl UnitOfWork: changes ===

impl UnitOfWork {
    pub(super) fn delivery(&self, id: &str) -> Option<&Delivery> {
        self.rows.get(id).map(|row| &row.delivery)
    }

    /// All deliveries of an incident in the read set.
    pub(super) fn of_incident(&self, incident_id: &str) -> Vec<&Delivery> {
        let ids = self.by_incident.get(incident_id).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.delivery(id)).collect()
    }

    /// Adds a new delivery with its events.
    pub(super) fn insert(&mut self, settled: Settled) -> Delivery {
        self.take(settled, Change::Insert, "")
    }

    /// Updates a delivery, with its events.
    pub(super) fn settle(&mut self, settled: Settled, note: &str) -> Delivery {
        self.take(settled, Change::Update, note)
    }

    pub(super) fn snapshot(&self, incident_id: &str, revision: u32) -> Option<&str> {
        self.snapshots.get(&(incident_id.to_owned(), revision)).map(String::as_str)
    }

    /// Whether this is the content of a revision, also if that was removed.
    pub(super) fn is_content(
        &self,
        incident_id: &str,
        revision: u32,
        body: &str,
    ) -> Result<bool, StoreError> {
        let removed = self.removed.get(&(incident_id.to_owned(), revision));
        match (self.snapshot(incident_id, revision), removed) {
            (Some(known), _) => Ok(known == body),
            (None, Some(digest)) => Ok(content_digest(body)? == *digest),
            (None, None) => Ok(false),
        }
    }

    /// The newest revision of an incident in the read set; 0 if there is none.
    pub(super) fn newest_revision(&self, incident_id: &str) -> u32 {
        self.newest.get(incident_id).copied().unwrap_or_default()
    }

    pub(super) fn add_snapshot(&mut self, incident_id: &str, revision: u32, body: &str, now: Timestamp) {
        self.load_snapshot(incident_id.to_owned(), revision, body.to_owned(), true);
        self.changes.snapshots.push(NewSnapshot {
            incident_id: incident_id.to_owned(),
            revision,
            body: body.to_owned(),
            created_at: now,
        });
    }

    pub(super) fn health(&self, connection: &str) -> Health {
        self.connections.get(connection).map(|row| row.health.clone()).unwrap_or_default()
    }

    /// The revision of the settings of a connection in the read set; 0 if none were ever saved.
    pub(super) fn settings_revision(&self, connection: &str) -> u32 {
        self.connections.get(connection).map_or(0, |row| row.settings_revision)
    }

    /// Updates the health of a connection in the read set, with its event.
    pub(super) fn set_health(
        &mut self,
        connection: &str,
        health: Health,
        event: Option<EventKind>,
        now: Timestamp,
    ) {
        let Some(row) = self.connections.get_mut(connection) else { return };
        if row.health != health {
            row.health = health.clone();
            row.changed_at = Some(now);
        }
        let connection = connection.to_owned();
        let system = row.system;
        let event = event.map(|kind| NewEvent {
            at: now,
            kind,
            connection,
            system,
            subject: Subject::Connection(health),
            note: String::new(),
        });
        self.changes.events.extend(event);
    }

    fn take(&mut self, settled: Settled, change: Change, note: &str) -> Delivery {
        let delivery = whole_microseconds(settled.delivery);
        if self.delivery(&delivery.id) != Some(&delivery) {
            self.put(delivery.clone(), change);
        }
        let events = settled.events.into_iter().map(|kind| NewEvent {
            at: delivery.updated_at,
            kind,
            connection: delivery.connection.clone(),
            system: delivery.system,
            subject: Subject::Delivery(Box::new(delivery.clone())),
            note: note.to_owned(),
        });
        self.changes.events.extend(events);
        delivery
    }

    fn put(&mut self, delivery: Delivery, change: Change) {
        let id = delivery.id.clone();
        match self.rows.get_mut(&id) {
            Some(row) => {
                // Rows that are new in this batch are inserted in their final state.
                row.change = if row.change == Change::Insert { Change::Insert } else { change };
                row.delivery = delivery;
            }
            None => {
                self.by_incident.entry(delivery.incident_id.clone()).or_default().push(id.clone());
                let counted = (change != Change::Insert).then(|| Counted::of(&delivery));
                self.rows.insert(id, Row { delivery, change, counted });
            }
        }
    }
}

/// A delivery as it will be read back: the answer to a batched write and a later read are the same.
fn whole_microseconds(mut delivery: Delivery) -> Delivery {
    delivery.lease_until = delivery.lease_until.map(to_stored_resolution);
    delivery.due_at = delivery.due_at.map(to_stored_resolution);
    delivery.content_removed_at = delivery.content_removed_at.map(to_stored_resolution);
    delivery.created_at = to_stored_resolution(delivery.created_at);
    delivery.updated_at = to_stored_resolution(delivery.updated_at);
    if let Some(send) = &mut delivery.send {
        send.at = to_stored_resolution(send.at);
        send.deadline = to_stored_resolution(send.deadline);
        send.counted_from = send.counted_from.map(to_stored_resolution);
    }
    for absence in &mut delivery.absences {
        absence.until = to_stored_resolution(absence.until);
    }
    if let Some(unknown_outcome) = &mut delivery.unknown_outcome {
        unknown_outcome.since = to_stored_resolution(unknown_outcome.since);
        unknown_outcome.counted_from = unknown_outcome.counted_from.map(to_stored_resolution);
        unknown_outcome.last_empty_at = unknown_outcome.last_empty_at.map(to_stored_resolution);
    }
    if let Some(duplicate_scan) = &mut delivery.duplicate_scan {
        duplicate_scan.due_at = to_stored_resolution(duplicate_scan.due_at);
        duplicate_scan.from = to_stored_resolution(duplicate_scan.from);
    }
    if let Some(error) = &mut delivery.last_error {
        error.at = to_stored_resolution(error.at);
    }
    delivery
}
