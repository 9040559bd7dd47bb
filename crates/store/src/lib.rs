//! The store: what was accepted is never lost, and what was answered is on the disk.
//!
//! Each write that changes something is one step of the domain: the rows are loaded, a pure function decides, and rows,
//! attempts and events are committed together, in one transaction with whatever else was asked for at the same time.
//!
//! Invariant: one delivery for an incident and a connection, under any concurrency.
//! Invariant: a transition and its events are committed together; events are numbered without gaps.
//! Invariant: no caller is answered before the commit.

mod administration;
mod connection_changes;
mod error;
mod feed;
pub mod port;
mod recovery;
mod settings;
mod sqlite;
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
use writes::health::{EndPauses, Observe, ResetHealth};
use writes::operate::Operate;
use writes::record::Record;
use writes::retry_many::RetryMany;

pub use administration::{Administration, OFFLINE_CREDENTIAL, RotateError, TokenError};
pub use error::{BackupError, OpenError, StoreError, StoreErrorKind};
pub use settings::*;
pub use sqlite::{DataKeyRotated, MasterRotated};
pub use ticketing_secrets::audit::{
    Actor, AuditAction, AuditBroken, AuditEntry, DONE, FAILED, NewAuditEntry, PASSED, STARTED,
};
pub use ticketing_secrets::encryption::KeySource;
pub use types::*;

/// Maximum number of attempts that are read with one delivery, and with each of a list.
pub const MAX_READ_ATTEMPTS: u32 = 200;
pub const MAX_LISTED_ATTEMPTS: u32 = 20;

/// Default time to wait for the lock of another process.
pub const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The handle to the store; cheap to clone. It dereferences to the port, whose methods need no more than the database.
#[derive(Debug, Clone)]
pub struct Store {
    database: Arc<dyn Database>,
    /// The same database, for batched writes.
    group_commit: Arc<dyn GroupCommit>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// What the store needs of its surroundings.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub machine: Arc<dyn Machine>,
    /// Where the key of the secrets comes from.
    pub key: KeySource,
    /// The operator states that the database was restored from a backup.
    pub restored: bool,
    /// How long to wait for a lock of another program.
    pub busy_timeout: Duration,
}

/// What is worth telling about a store that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The key file, if it was made just now: to be backed up, apart from the database.
    pub key_made: Option<PathBuf>,
    /// Why it may have been restored from a backup.
    pub suspicion: Option<Suspicion>,
    /// By how much the clock was set since the store was last written; zero if it was not.
    pub clock_step: SignedDuration,
}

// === impl Store: its life ===

impl Store {
    /// Opens the database at `path`, and makes it if it is not there. It is this process's alone until it is closed.
    ///
    /// # Errors
    /// Whatever makes it unwise to go on: another owner, a damaged file, a wrong key.
    pub async fn open(path: &Path, options: StoreOptions) -> Result<(Self, Opened), OpenError> {
        let (clock, entropy) = (options.clock.clone(), options.entropy.clone());
        let (database, opened) = sqlite::open(path, options).await?;
        Ok((Self::over(Arc::new(database), clock, entropy), opened))
    }

    /// Writes the database at `path` as it is now to the file `to`, which must not exist. Another process may have it open.
    ///
    /// # Errors
    /// If there is no such database or the copy cannot be written whole: then there is none.
    pub async fn backup(path: &Path, to: &Path, now: Timestamp) -> Result<(), BackupError> {
        sqlite::backup(path, to, now).await
    }

    /// The marker of an incident on a connection.
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
    /// Keeps the intent to create tickets: one delivery for each connection, old or new, in the order of the request. An
    /// incident that differs from its snapshot becomes the new one of all its deliveries that can still take it.
    ///
    /// # Errors
    /// If the incident belongs to another namespace than the one that its caller is confined to, or the store fails.
    pub async fn accept(&self, request: AcceptRequest) -> Result<Vec<Accepted>, AcceptError> {
        let now = self.clock.now();
        let AcceptRequest { incident, connections, expedite, by } = request;
        let body = serde_json::to_string(&incident).map_err(StoreError::encode("the incident"))?;
        let wanted = connections.into_iter().map(|connection| Wanted {
            id: uuid_v7(now, &*self.entropy),
            marker: self.marker(&incident.id, &connection.connection),
            connection,
        });
        let (incident_id, wanted) = (incident.id.clone(), wanted.collect());
        let accepted = self.write(Accept { incident_id, body, wanted, expedite, by, now }).await;
        failpoints::pass(Point::AcceptCommitted).await;
        accepted?
    }

    /// Takes at most `limit` deliveries for one attempt or one look-up each, those longest due first. What is fresh is
    /// taken even if it is not due by the clock, which may have been set back.
    pub async fn claim(
        &self,
        connection: &str,
        kind: ClaimKind,
        limit: u32,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.write(Claim { connection: connection.to_owned(), kind, limit, lease, now }).await
    }

    /// Expires stale leases. Returns the deliveries afterwards.
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

    /// Makes the intent to send durable; `None` if the claim is no longer the caller's, who then must not send.
    pub async fn intend(&self, intent: Intent, now: Timestamp) -> Result<Option<Delivery>, StoreError> {
        self.write(Intend { intent, now }).await
    }

    /// Has the ticket of a claimed delivery looked for before it is sent; `None` if the claim is no longer the caller's, or
    /// nothing is assumed.
    pub async fn assume_sent(
        &self,
        what: AssumedSend,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        let Some(restored_at) = self.installation().restored_at else { return Ok(None) };
        self.write(AssumeSent { what, restored_at, policy: policy.clone(), now }).await
    }

    /// Records how an attempt went; `None` if the delivery did not change by it.
    pub async fn record_attempt(
        &self,
        attempt: AttemptRecord,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        self.write(Record { what: attempt, policy: policy.clone(), now }).await
    }

    /// Records how a look-up went; `None` if the delivery did not change by it.
    pub async fn record_look_up(
        &self,
        look_up: LookUpRecord,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        self.write(Record { what: look_up, policy: policy.clone(), now }).await
    }

    /// Records how a duplicate scan went; `None` if the delivery did not change by it.
    pub async fn record_duplicate_scan(
        &self,
        duplicate_scan: DuplicateScanRecord,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        self.write(Record { what: duplicate_scan, policy: policy.clone(), now }).await
    }

    /// Does what an operator wants, with a note why.
    pub async fn operate(
        &self,
        by: &Actor,
        delivery_id: &str,
        operation: Operation,
        note: &str,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Delivery, OperateError> {
        let (delivery_id, note) = (delivery_id.to_owned(), note.to_owned());
        let (by, policy) = (by.clone(), policy.clone());
        self.write(Operate { delivery_id, operation, note, by, policy, now }).await?
    }

    /// Has one page of deliveries tried again; never creates anything anyway.
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
    /// Takes note of what was observed of a connection: its health after that.
    pub async fn observe(
        &self,
        connection: &str,
        observation: Observation,
        bounds: &Bounds,
        now: Timestamp,
    ) -> Result<Health, StoreError> {
        let (connection, bounds) = (connection.to_owned(), bounds.clone());
        self.write(Observe { connection, observation, bounds, now }).await
    }

    /// An operator wants a try now: every wait of the connection is over.
    pub async fn end_pauses(&self, connection: &str, now: Timestamp) -> Result<Health, StoreError> {
        self.write(EndPauses { connection: connection.to_owned(), now }).await
    }

    /// Settings were changed or a test passed: the connection is given a fresh start.
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

/// A UUID that sorts by the time it was made at.
fn uuid_v7(now: Timestamp, entropy: &dyn Entropy) -> String {
    let mut random = [0; 10];
    entropy.fill(&mut random);
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
}
