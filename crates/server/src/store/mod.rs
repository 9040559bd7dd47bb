//! The store: what was accepted is never lost, and what was answered is on the disk.
//!
//! Each write that changes something is one step of the domain: the rows are loaded, a pure function decides, and rows,
//! attempts and events are committed together, in one transaction with whatever else was asked for at the same time.
//!
//! Invariant: one delivery for an incident and a target, under any concurrency.
//! Invariant: a transition and its events are committed together; events are numbered without gaps.
//! Invariant: no caller is answered before the commit.

mod administration;
mod audit;
mod bulk;
mod encryption;
mod error;
mod feed;
mod settings;
mod sqlite;
mod types;
mod unit_of_work;
mod writes;

#[cfg(test)]
pub(crate) mod conformance;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ticketing_core::clock::Clock;
use ticketing_core::delivery::Delivery;
use ticketing_core::evidence::SearchScope;
use ticketing_core::incident::Incident;
use ticketing_core::marker::Marker;
use ticketing_core::namespace::Namespace;
use ticketing_core::policy::{Bounds, Policy};
use ticketing_core::target::{Health, Observation};
use ticketing_failpoints::{self as failpoints, Point};
use tokio::sync::watch;

use crate::clock::Machine;
use crate::entropy::Entropy;
use bulk::CHUNK;
use writes::accept::{Accept, Wanted};
use writes::claim::{AssumeSent, Claim, ExpireLeases, Intend};
use writes::health::{EndPauses, Observe, ResetHealth};
use writes::operate::Operate;
use writes::record::Record;
use writes::retry_many::RetryMany;

pub use administration::{Administration, OFFLINE_CREDENTIAL, RotateError, TokenError};
pub use audit::{Actor, AuditAction, AuditBroken, AuditEntry, DONE, FAILED, NewAuditEntry, PASSED, STARTED};
pub use encryption::KeySource;
pub use error::{BackupError, OpenError, StoreError, StoreErrorKind};
pub use settings::*;
pub use sqlite::{DataKeyRotated, MasterRotated};
pub use types::*;

/// The most attempts that are read with one delivery, and with each of a list.
const MAX_ATTEMPTS: u32 = 200;
const MAX_LISTED_ATTEMPTS: u32 = 20;

/// Default time to wait for the lock of another process.
pub const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The handle to the store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    database: Arc<sqlite::Database>,
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
        Ok((Self { database: Arc::new(database), clock, entropy }, opened))
    }

    /// Writes the database at `path` as it is now to the file `to`, which must not exist. Another process may have it open.
    ///
    /// # Errors
    /// If there is no such database or the copy cannot be written whole: then there is none.
    pub async fn backup(path: &Path, to: &Path, now: Timestamp) -> Result<(), BackupError> {
        sqlite::backup(path, to, now).await
    }

    /// Waits until all that was asked for is written, then lets go of the file. Later calls are refused.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// Completes if nothing can be written any more, other than because the store was closed: a failure of the program
    /// itself, after which it should be restarted. Else it never completes.
    pub fn failed(&self) -> impl Future<Output = ()> + Send + 'static {
        self.database.failed()
    }

    /// Names this installation; a UUID.
    #[must_use]
    pub fn installation_id(&self) -> &str {
        &self.database.state().installation_id
    }

    /// Tells the resume tokens of this store from those of another.
    #[must_use]
    pub fn stream(&self) -> &StreamName {
        &self.database.state().stream
    }

    /// The name under which events are told now.
    #[must_use]
    pub fn stream_id(&self) -> &str {
        &self.stream().current
    }

    /// When the store was last restored from a backup, or may have been; `None` if never.
    #[must_use]
    pub fn restored_at(&self) -> Option<Timestamp> {
        self.database.state().restored_at
    }

    /// The marker of an incident on a target.
    #[must_use]
    pub fn marker(&self, incident_id: &str, target: &str) -> Marker {
        Marker::derive(&self.database.state().marker_key, incident_id, target)
    }

    /// How many transactions were committed since the store was opened.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.database.commits()
    }
}

// === impl Store: deliveries ===

impl Store {
    /// Keeps the intent to create tickets: one delivery for each target, old or new, in the order of the request. An
    /// incident that differs from its snapshot becomes the new one of all its deliveries that can still take it.
    ///
    /// # Errors
    /// If the incident belongs to another namespace than the one that its caller is confined to, or the store fails.
    pub async fn accept(&self, request: AcceptRequest) -> Result<Vec<Accepted>, AcceptError> {
        let now = self.clock.now();
        let AcceptRequest { incident, targets, expedite, by } = request;
        let body = serde_json::to_string(&incident).map_err(StoreError::encode("the incident"))?;
        let wanted = targets.into_iter().map(|target| Wanted {
            id: uuid_v7(now, &*self.entropy),
            marker: self.marker(&incident.id, &target.target),
            target,
        });
        let (incident_id, wanted) = (incident.id.clone(), wanted.collect());
        let accepted = self.database.write(Accept { incident_id, body, wanted, expedite, by, now }).await;
        failpoints::pass(Point::AcceptCommitted).await;
        accepted?
    }

    /// Takes at most `limit` deliveries for one attempt or one look-up each, those longest due first. What is fresh is
    /// taken even if it is not due by the clock, which may have been set back.
    pub async fn claim(
        &self,
        target: &str,
        kind: ClaimKind,
        limit: u32,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.database.write(Claim { target: target.to_owned(), kind, limit, lease, now }).await
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
            let chunk = self.database.write(write).await?;
            let last = chunk.len() < CHUNK as usize;
            expired.extend(chunk);
            if last {
                return Ok(expired);
            }
        }
    }

    /// Makes the intent to send durable; `None` if the claim is no longer the caller's, who then must not send.
    pub async fn intend(&self, intent: Intent, now: Timestamp) -> Result<Option<Delivery>, StoreError> {
        self.database.write(Intend { intent, now }).await
    }

    /// Has the ticket of a claimed delivery looked for before it is sent; `None` if the claim is no longer the caller's, or
    /// nothing is assumed.
    pub async fn assume_sent(
        &self,
        what: AssumedSend,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        let Some(restored_at) = self.restored_at() else { return Ok(None) };
        self.database.write(AssumeSent { what, restored_at, policy: policy.clone(), now }).await
    }

    /// Records how an attempt went; `None` if the delivery did not change by it.
    pub async fn record_attempt(
        &self,
        attempt: AttemptRecord,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        self.database.write(Record { what: attempt, policy: policy.clone(), now }).await
    }

    /// Records how a look-up went; `None` if the delivery did not change by it.
    pub async fn record_look_up(
        &self,
        look_up: LookUpRecord,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        self.database.write(Record { what: look_up, policy: policy.clone(), now }).await
    }

    /// Delivered ones of a target whose next search for duplicates is due, those longest due first.
    pub async fn due_duplicate_scans(
        &self,
        target: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.database.due_duplicate_scans(target, now, limit).await
    }

    /// Records how a duplicate scan went; `None` if the delivery did not change by it.
    pub async fn record_duplicate_scan(
        &self,
        duplicate_scan: DuplicateScanRecord,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        self.database.write(Record { what: duplicate_scan, policy: policy.clone(), now }).await
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
        self.database.write(Operate { delivery_id, operation, note, by, policy, now }).await?
    }

    /// Has one page of deliveries tried again; never creates anything anyway.
    pub async fn retry_many(&self, request: RetryRequest, now: Timestamp) -> Result<RetriedPage, StoreError> {
        let RetryRequest { by, filter, page_size, after, enabled, note } = request;
        let (keys, next) = self.database.list_keys(&filter, page_size, after.as_ref()).await?;
        let delivery_ids = keys.into_iter().map(|key| key.id).collect();
        let write = RetryMany { delivery_ids, filter, enabled, note, by, now };
        let (retried, refused) = self.database.write(write).await?;
        Ok(RetriedPage { retried, refused, next })
    }
}

// === impl Store: reads ===

impl Store {
    /// One delivery, if there is such.
    pub async fn delivery(&self, id: &str) -> Result<Option<Delivery>, StoreError> {
        self.database.delivery(id).await
    }

    /// The one delivery of an incident to a target, if there is one.
    pub async fn delivery_for(
        &self,
        incident_id: &str,
        target: &str,
    ) -> Result<Option<Delivery>, StoreError> {
        self.database.delivery_for(incident_id, target).await
    }

    /// The namespace that an incident belongs to, if it was ever accepted.
    pub async fn owner(&self, incident_id: &str) -> Result<Option<Namespace>, StoreError> {
        self.database.owner(incident_id).await
    }

    /// The incident whose ticket bears a marker, if its delivery is known.
    pub async fn incident_of_marker(&self, marker: &Marker) -> Result<Option<String>, StoreError> {
        self.database.incident_of_marker(marker).await
    }

    /// One delivery, if there is such, with its newest attempts in their order: both as they were at one moment.
    pub async fn delivery_with_attempts(
        &self,
        id: &str,
    ) -> Result<Option<(Delivery, Vec<Attempt>)>, StoreError> {
        self.database.delivery_with_attempts(id, MAX_ATTEMPTS).await
    }

    /// A page of deliveries, newest first, after the end of another; with the newest of their attempts, if they are asked for.
    /// It may be short, or empty, though it is not the last.
    pub async fn list(
        &self,
        filter: &DeliveryFilter,
        page_size: u32,
        after: Option<&PageKey>,
        with_attempts: bool,
    ) -> Result<DeliveryPage, StoreError> {
        let attempts = if with_attempts { MAX_LISTED_ATTEMPTS } else { 0 };
        self.database.list(filter, page_size, after, attempts).await
    }

    /// A snapshot of an incident.
    pub async fn incident(&self, id: &str, revision: u32) -> Result<Option<Incident>, StoreError> {
        self.database.incident(id, revision).await
    }

    /// Markers of tickets that are known to exist at a place and were sent there since a time, the earliest first. Where
    /// there are more than the limit, half are the earliest and half the latest: people delete tickets, and those of one
    /// age together.
    pub async fn canaries(&self, query: &CanaryQuery) -> Result<Vec<Marker>, StoreError> {
        self.database.canaries(query).await
    }

    /// What was seen last of the tickets of a scope; `None` if nothing yet.
    pub async fn evidence(&self, scope: &SearchScope) -> Result<Option<SearchEvidence>, StoreError> {
        self.database.evidence(scope).await
    }

    /// Keeps what was seen last of the tickets of a scope.
    pub async fn save_evidence(
        &self,
        scope: SearchScope,
        evidence: SearchEvidence,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.database.write_exclusive(sqlite::SaveEvidence { scope, evidence, now }).await
    }

    /// The delivered ones of a scope that were sent last before a time and first after it, as far as there are such.
    pub async fn neighbours(
        &self,
        scope: &SearchScope,
        sent_at: Timestamp,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.database.neighbours(scope, sent_at).await
    }

    /// How many deliveries of a target neither time nor a look-up can settle.
    pub async fn needs_attention(&self, target: &str) -> Result<u64, StoreError> {
        self.database.needs_attention(target).await
    }

    /// How many deliveries a target has, by state; states without any are left out.
    pub async fn counts(&self, target: &str) -> Result<Vec<StateCount>, StoreError> {
        self.database.counts(target).await
    }

    /// The last ticket that was made or found.
    pub async fn last_success(&self, target: &str) -> Result<Option<LastSuccess>, StoreError> {
        self.database.last_success(target).await
    }

    /// The last attempt or look-up that failed.
    pub async fn last_failure(&self, target: &str) -> Result<Option<LastFailure>, StoreError> {
        self.database.last_failure(target).await
    }

    /// When the next delivery of a kind is due; `None` if there is none.
    pub async fn next_due(&self, target: &str, kind: ClaimKind) -> Result<Option<Timestamp>, StoreError> {
        self.database.next_due(target, kind).await
    }
}

// === impl Store: targets and settings ===

impl Store {
    /// Takes note of what was observed of a target: its health after that.
    pub async fn observe(
        &self,
        target: &str,
        observation: Observation,
        bounds: &Bounds,
        now: Timestamp,
    ) -> Result<Health, StoreError> {
        let (target, bounds) = (target.to_owned(), bounds.clone());
        self.database.write(Observe { target, observation, bounds, now }).await
    }

    /// An operator wants a try now: every wait of the target is over.
    pub async fn end_pauses(&self, target: &str, now: Timestamp) -> Result<Health, StoreError> {
        self.database.write(EndPauses { target: target.to_owned(), now }).await
    }

    /// Settings were changed or a test passed: the target is given a fresh start.
    pub async fn reset_health(&self, target: &str, now: Timestamp) -> Result<Health, StoreError> {
        self.database.write(ResetHealth { target: target.to_owned(), now }).await
    }

    /// The health of a target; a good one if nothing was ever observed.
    pub async fn health(&self, target: &str) -> Result<Health, StoreError> {
        self.database.health(target).await
    }

    /// Saves settings, all or none. Where a new secret leads to another origin, the former connection is kept among the
    /// retired ones.
    pub async fn configure(
        &self,
        changes: Vec<SettingsChange>,
        audit: NewAuditEntry,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.database.write_exclusive(sqlite::Configure { changes, audit, now }).await
    }

    /// The settings of all targets, with decrypted secrets.
    pub async fn settings(&self) -> Result<Vec<StoredSettings>, StoreError> {
        self.database.settings().await
    }

    /// The settings that belong to no target; `None` if none were ever saved.
    pub async fn policy(&self) -> Result<Option<StoredPolicy>, StoreError> {
        self.database.policy().await
    }

    /// Former connections of a target, the latest first.
    pub async fn retired_connections(&self, target: &str) -> Result<Vec<RetiredConnection>, StoreError> {
        self.database.retired_connections(target).await
    }

    /// Forgets connections that were retired before a time and that no delivery may still have to be looked up by: how
    /// many there were. The time must lie far enough back that no attempt of then is still under way.
    pub async fn prune_retired(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.database.write_exclusive(sqlite::PruneRetired { before }).await
    }

    /// Keeps the outcome of a connection test in the place of the one before.
    pub async fn save_test(&self, target: &str, test: StoredTest) -> Result<(), StoreError> {
        self.database.write_exclusive(sqlite::SaveTest { target: target.to_owned(), test }).await
    }

    /// The last connection test of a target, if there was one.
    pub async fn last_test(&self, target: &str) -> Result<Option<StoredTest>, StoreError> {
        self.database.last_test(target).await
    }
}

// === impl Store: access and audit ===

impl Store {
    /// The token with an ID, if there is one.
    pub async fn token(&self, id: &str) -> Result<Option<StoredToken>, StoreError> {
        self.database.token(id).await
    }

    /// All tokens but those that were edited by hand.
    pub async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError> {
        self.database.tokens().await
    }

    /// Writes down what was done, or refused, where nothing else is written.
    pub async fn append_audit(&self, entry: NewAuditEntry) -> Result<(), StoreError> {
        self.database.write_exclusive(sqlite::AppendAudit(entry)).await
    }

    /// At most `limit` entries of the audit after another, the oldest first.
    pub async fn audit_after(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.database.audit_after(after, limit).await
    }

    /// At most `limit` entries of the audit before another, the newest first.
    pub async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.database.audit(before, limit).await
    }
}

// === impl Store: events ===

impl Store {
    /// At most `limit` events after `seq` that pass the filter. Not every call goes to the newest event: go on after
    /// [`EventPage::read_to`].
    pub async fn events_after(
        &self,
        seq: u64,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        self.database.events_after(seq, filter, limit).await
    }

    /// Which events there are.
    pub async fn event_bounds(&self) -> Result<EventBounds, StoreError> {
        self.database.event_bounds().await
    }

    /// Removes at most `batch` of the oldest events, if they are older than `before`: how many there were.
    pub async fn trim_events(&self, before: Timestamp, batch: u32) -> Result<u64, StoreError> {
        self.database.write_exclusive(sqlite::TrimEvents { before, batch }).await
    }

    /// The number of the newest committed event, and every later one as it comes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.database.state().feed.subscribe()
    }
}

/// A UUID that sorts by the time it was made at.
fn uuid_v7(now: Timestamp, entropy: &dyn Entropy) -> String {
    let mut random = [0; 10];
    entropy.fill(&mut random);
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
}
