//! The store: accepted deliveries are never lost, and a write is on the disk before its caller is answered.
//!
//! A write loads its rows, a pure function of the domain decides the change, and rows, attempts and events are committed
//! in one transaction. Concurrent writes share a transaction (group commit).
//!
//! Invariant: there is one delivery for an incident and a connection, under any concurrency.
//! Invariant: a transition and its events are committed together; events are numbered without gaps.
//! Invariant: no caller is answered before the commit.

mod administration;
mod claims;
mod connection_changes;
mod content;
mod delivery_counts;
mod error;
mod feed;
pub mod port;
mod recovery;
mod settings;
mod sqlite;
mod summary;
mod types;
mod unit_of_work;
mod writes;

#[cfg(any(test, feature = "conformance"))]
#[allow(clippy::unwrap_used, clippy::missing_panics_doc, missing_debug_implementations, reason = "tests")]
pub mod conformance;
#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ticketing_core::clock::Clock;
use ticketing_core::delivery::Delivery;
use ticketing_core::health::{Health, Observation};
use ticketing_core::marker::Marker;
use ticketing_core::policy::{Bounds, Policy};
use ticketing_failpoints::{self as failpoints, Point};

use connection_changes::CHUNK;
use port::Database;
use ticketing_host::clock::Machine;
use ticketing_host::entropy::Entropy;
use unit_of_work::{BatchedWrite, GroupCommit};
use writes::accept::{Accept, Wanted};
use writes::claim::{AssumeSent, Claim, ExpireLeases, Intend};
use writes::health::{BoundPauses, EndPauses, Observe, ResetHealth};
use writes::operate::Operate;
use writes::record::Record;
use writes::retry_many::RetryMany;

pub use administration::{Administration, OFFLINE_CREDENTIAL, RotateError, TokenError};
pub use claims::*;
pub use content::{ContentKey, ExpiredContent, Shrunk};
pub use error::{BackupError, DatabaseError, OpenError, StoreError, StoreErrorKind};
pub use settings::*;
pub use sqlite::{DataKeyRotated, MasterRotated};
pub use summary::*;
pub use ticketing_secrets::audit::{
    Actor, AuditAction, AuditBroken, AuditEntry, DONE, FAILED, NewAuditEntry, PASSED, STARTED,
};
pub use ticketing_secrets::encryption::KeySource;
pub use types::*;

/// Maximum number of attempts that are read with one delivery, and with each of a list.
pub const MAX_READ_ATTEMPTS: u32 = 200;
pub const MAX_LISTED_ATTEMPTS: u32 = 20;

/// Default of [`StoreOptions::busy_timeout`].
pub const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The handle to the store; cheap to clone. Dereferences to the port for the methods that need the database alone.
#[derive(Debug, Clone)]
pub struct Store {
    database: Arc<dyn Database>,
    /// The same database, for batched writes.
    group_commit: Arc<dyn GroupCommit>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Dependencies and settings of a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub machine: Arc<dyn Machine>,
    /// The source of the master key.
    pub key: KeySource,
    /// The operator states that the database was restored from a backup.
    pub restored: bool,
    /// Maximum time to wait for the lock of another process.
    pub busy_timeout: Duration,
}

/// The size of a database file before and after it was compacted, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compacted {
    pub before: u64,
    pub after: u64,
}

/// Findings at the opening of a store, to be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The key file, if it was created now. The operator must back it up, apart from the database.
    pub key_made: Option<PathBuf>,
    /// The reason to suspect that the database was restored from a backup.
    pub suspicion: Option<Suspicion>,
    /// Whether the database file is being checked, because the last stop was not orderly.
    pub is_checking: bool,
    /// The change of the wall clock since the last write to the store; zero if it was not set.
    pub clock_step: SignedDuration,
}

// === impl Store: opening and backup ===

impl Store {
    /// Opens the database at `path`, or creates it. Locks it for this process until the store is closed.
    ///
    /// # Errors
    /// If another process has locked the database, the file is damaged, the key is wrong, or the disk fails.
    pub async fn open(path: &Path, options: StoreOptions) -> Result<(Self, Opened), OpenError> {
        let clock = options.clock.clone();
        let entropy = options.entropy.clone();
        let (database, opened) = sqlite::open(path, options).await?;
        Ok((Self::over(Arc::new(database), clock, entropy), opened))
    }

    /// Copies the current database at `path` to the file `to`, which must not exist. Another process may have the database
    /// open.
    ///
    /// # Errors
    /// If there is no such database, or the copy cannot be written completely; a partial copy is removed.
    pub async fn backup(path: &Path, to: &Path, now: Timestamp) -> Result<(), BackupError> {
        sqlite::backup(path, to, now).await
    }

    /// Rewrites the database at `path` without free pages. From then on the file shrinks in steps when content is removed.
    ///
    /// # Errors
    /// If a server uses the database, it is damaged, or the disk has no room for a second copy.
    pub async fn compact(path: &Path) -> Result<Compacted, OpenError> {
        sqlite::compact(path).await
    }

    /// Derives the marker of an incident for a connection.
    #[must_use]
    pub fn marker(&self, incident_id: &str, connection: &str) -> Marker {
        Marker::derive(&self.installation().marker_key, incident_id, connection)
    }
}

impl Store {
    fn over<D: Database + GroupCommit + 'static>(
        database: Arc<D>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { group_commit: database.clone(), database, clock, entropy }
    }

    async fn write<W: BatchedWrite>(&self, write: W) -> Result<W::Answer, StoreError> {
        unit_of_work::write(&*self.group_commit, write).await
    }
}

// === impl Store: deliveries ===

impl Store {
    /// Stores one delivery for each connection, and returns new and existing ones in the order of the request. An incident
    /// that differs from its snapshot replaces the snapshot of all its deliveries that can still be updated.
    ///
    /// # Errors
    /// If the caller is confined to another namespace than that of the incident, settings were changed since the caller
    /// read them, or the store fails.
    pub async fn accept(&self, request: &AcceptRequest) -> Result<Vec<Accepted>, AcceptError> {
        let now = self.clock.now();
        let AcceptRequest { incident, connections, expedite, by } = request;
        let body = serde_json::to_string(incident).map_err(StoreError::encode("the incident"))?;
        let wanted = connections.iter().map(|connection| Wanted {
            id: uuid_v7(now, &*self.entropy),
            marker: self.marker(&incident.id, &connection.connection),
            connection: connection.clone(),
        });
        let incident_id = incident.id.clone();
        let wanted = wanted.collect();
        let expedite = *expedite;
        let by = by.clone();
        let accepted = self.write(Accept { incident_id, body, wanted, expedite, by, now }).await;
        failpoints::pass(Point::AcceptCommitted).await;
        accepted?
    }

    /// Leases at most `limit` deliveries for one attempt or one look-up each: first those of `preferred`, but `for_others`
    /// are for the others; then those longest due. Leases a new delivery even if it is not due by the clock, which
    /// may have been set back. A delivery whose create the preparer prepares is claimed and intended at once.
    ///
    /// # Errors
    /// If the settings are others than those of the request, the stored health admits no such claim, or the store fails.
    pub async fn claim(&self, request: ClaimRequest, now: Timestamp) -> Result<Vec<Claimed>, ClaimError> {
        self.write(Claim { request, now }).await?
    }

    /// Expires stale leases, and returns the changed deliveries.
    pub async fn expire_leases(
        &self,
        leases: Leases,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut expired = vec![];
        loop {
            let write = ExpireLeases { leases, limit: CHUNK, policy: policy.clone(), now };
            let chunk = self.write(write).await?;
            let last = chunk.len() < CHUNK as usize;
            expired.extend(chunk);
            if last {
                return Ok(expired);
            }
        }
    }

    /// Makes the intent to send durable.
    ///
    /// # Errors
    /// If the lease was lost, the settings are others than those of the intent, or the store fails: then the caller must
    /// not send.
    pub async fn intend(&self, intent: Intent, now: Timestamp) -> Result<Delivery, IntendError> {
        self.write(Intend { intent, now }).await?
    }

    /// Marks a leased delivery as possibly sent before a restore, so that its ticket is looked up first; `None` if the lease
    /// was superseded, or nothing is assumed.
    pub async fn assume_sent(
        &self,
        what: AssumedSend,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        let Some(restored_at) = self.installation().restored_at else { return Ok(None) };
        self.write(AssumeSent { what, restored_at, policy: policy.clone(), now }).await
    }

    /// Records the outcome of an attempt; `None` if it did not change the delivery.
    pub async fn record_attempt(
        &self,
        attempt: AttemptRecord,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        self.write(Record { what: attempt, policy: policy.clone(), now }).await
    }

    /// Records the result of a look-up; `None` if it did not change the delivery.
    pub async fn record_look_up(
        &self,
        look_up: LookUpRecord,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        self.write(Record { what: look_up, policy: policy.clone(), now }).await
    }

    /// Records the result of a duplicate scan; `None` if it did not change the delivery.
    pub async fn record_duplicate_scan(
        &self,
        duplicate_scan: DuplicateScanRecord,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        self.write(Record { what: duplicate_scan, policy: policy.clone(), now }).await
    }

    /// Applies an operator's operation to a delivery, with the operator's note.
    pub async fn operate(
        &self,
        by: &Actor,
        delivery_id: &str,
        operation: Operation,
        note: &str,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Delivery, OperateError> {
        let delivery_id = delivery_id.to_owned();
        let note = note.to_owned();
        let by = by.clone();
        let policy = policy.clone();
        self.write(Operate { delivery_id, operation, note, by, policy, now }).await?
    }

    /// Schedules a retry of each delivery of one page, never with `create_anyway`.
    pub async fn retry_many(&self, request: RetryRequest, now: Timestamp) -> Result<RetriedPage, StoreError> {
        let RetryRequest { by, filter, page_size, after, enabled, note } = request;
        let (keys, next) = self.list_keys(&filter, page_size, after.as_ref()).await?;
        let delivery_ids = keys.into_iter().map(|key| key.id).collect();
        let write = RetryMany { delivery_ids, filter, enabled, note, by, now };
        let (retried, refused) = self.write(write).await?;
        Ok(RetriedPage { retried, refused, next })
    }
}

// === impl Store: health of connections ===

impl Store {
    /// Records an observation of a connection, and returns its new health.
    pub async fn observe(
        &self,
        connection: &str,
        observation: Observation,
        bounds: &Bounds,
        now: Timestamp,
    ) -> Result<Health, StoreError> {
        let connection = connection.to_owned();
        let bounds = bounds.clone();
        self.write(Observe { connection, observation, bounds, now }).await
    }

    /// Caps the stored pauses of a connection by `bounds`, which may have been changed or the clock been set back since they
    /// were stored. Returns its health.
    pub async fn bound_pauses(
        &self,
        connection: &str,
        bounds: &Bounds,
        now: Timestamp,
    ) -> Result<Health, StoreError> {
        let connection = connection.to_owned();
        let bounds = bounds.clone();
        self.write(BoundPauses { connection, bounds, now }).await
    }

    /// Ends all pauses of a connection, at the request of an operator.
    pub async fn end_pauses(&self, connection: &str, now: Timestamp) -> Result<Health, StoreError> {
        self.write(EndPauses { connection: connection.to_owned(), now }).await
    }

    /// Resets the health of a connection after its settings changed or a test passed.
    pub async fn reset_health(&self, connection: &str, now: Timestamp) -> Result<Health, StoreError> {
        self.write(ResetHealth { connection: connection.to_owned(), now }).await
    }
}

impl Deref for Store {
    type Target = dyn Database;

    fn deref(&self) -> &Self::Target {
        &*self.database
    }
}

/// A new UUID that sorts by its creation time.
fn uuid_v7(now: Timestamp, entropy: &dyn Entropy) -> String {
    let mut random = [0; 10];
    entropy.fill(&mut random);
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
}
