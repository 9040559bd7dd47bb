//! The port: what a database must do for the store. Each trait is a part of it, implemented in one file of `sqlite/`.
//!
//! A database does not decide: batched writes bring their decision with them (`unit_of_work.rs`), the methods here read, or
//! change rows that the delivery protocol does not depend on. Nothing assumes that this process is the only one on the
//! database, that event numbers come from memory, or that leases have one owner.
//!
//! Every method fails with [`StoreError`] if the database cannot be read or written.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use ticketing_core::delivery::Delivery;
use ticketing_core::evidence::SearchScope;
use ticketing_core::health::Health;
use ticketing_core::incident::Incident;
use ticketing_core::marker::{InstallationKey, Marker};
use ticketing_core::namespace::Namespace;
use ticketing_secrets::audit::{AuditEntry, NewAuditEntry};
use tokio::sync::watch;

use crate::StoreError;
use crate::claims::ClaimKind;
use crate::content::{ContentKey, ExpiredContent, Shrunk};
use crate::settings::{
    ConfigureError, RemovedConnection, RetiredConnection, Revisions, SettingsChange, StoredPolicy,
    StoredSettings, StoredTest,
};
use crate::summary::ConnectionSummary;
use crate::types::{
    Attempt, CanaryQuery, DeliveryFilter, DeliveryPage, EventBounds, EventFilter, EventPage, FileCheck,
    PageKey, SearchEvidence, StoreFailure, StoredToken, StreamName,
};

/// What identifies the data, whatever server works with it.
#[derive(Debug)]
pub struct Installation {
    /// A UUID.
    pub id: String,
    /// The stream of events; resume tokens carry its name.
    pub stream: StreamName,
    /// When the database was last restored from a backup, or may have been; `None` if never.
    pub restored_at: Option<Timestamp>,
    /// Derives the markers of tickets.
    pub marker_key: InstallationKey,
}

/// The whole port.
pub trait Database:
    Deliveries
    + DeliveryLists
    + Summaries
    + Evidence
    + Events
    + Retention
    + Settings
    + Tokens
    + Audit
    + Send
    + Sync
    + std::fmt::Debug
{
    fn installation(&self) -> &Installation;

    /// Number of transactions committed since the store was opened.
    fn commits(&self) -> u64;

    /// The number of the newest committed event, and every later one as it is committed.
    fn subscribe(&self) -> watch::Receiver<u64>;

    /// Writes everything that is queued, then releases the database. Later calls are refused.
    fn close(&self) -> BoxFuture<'_, ()>;

    /// What is known of the database file as a whole.
    fn file_check(&self) -> FileCheck;

    /// Completes if nothing can be written any more, other than because the store was closed. Otherwise it never completes.
    fn failed(&self) -> BoxFuture<'static, StoreFailure>;
}

/// Reads of single deliveries, their incidents and connections.
#[async_trait]
pub trait Deliveries {
    /// One delivery; `None` if there is none with this ID.
    async fn delivery(&self, id: &str) -> Result<Option<Delivery>, StoreError>;

    /// The delivery of an incident to a connection, if there is one.
    async fn delivery_for(&self, incident_id: &str, connection: &str)
    -> Result<Option<Delivery>, StoreError>;

    /// The namespace of an incident, if it was ever accepted.
    async fn owner(&self, incident_id: &str) -> Result<Option<Namespace>, StoreError>;

    /// The incident whose ticket bears a marker, if its delivery is known.
    async fn incident_of_marker(&self, marker: &Marker) -> Result<Option<String>, StoreError>;

    /// One delivery with its newest [`MAX_READ_ATTEMPTS`](crate::MAX_READ_ATTEMPTS) attempts in their order, both as of one moment.
    async fn delivery_with_attempts(&self, id: &str) -> Result<Option<(Delivery, Vec<Attempt>)>, StoreError>;

    /// A snapshot of an incident.
    async fn incident(&self, id: &str, revision: u32) -> Result<Option<Incident>, StoreError>;

    /// Deliveries of a connection whose next duplicate scan is due, those longest due first.
    async fn due_duplicate_scans(
        &self,
        connection: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Markers of tickets that are known to exist at a place and were sent there since a time, the earliest first. If
    /// there are more than the limit, half are the earliest and half the latest: people delete tickets of one age together.
    async fn canaries(&self, query: &CanaryQuery) -> Result<Vec<Marker>, StoreError>;

    /// The health of a connection; the default if nothing was ever observed.
    async fn health(&self, connection: &str) -> Result<Health, StoreError>;

    /// When the next delivery of a kind is due; `None` if there is none.
    async fn next_due(&self, connection: &str, kind: ClaimKind) -> Result<Option<Timestamp>, StoreError>;
}

/// Pages of deliveries.
#[async_trait]
pub trait DeliveryLists {
    /// A page of deliveries, newest first, after the end of another; if wanted, with the newest
    /// [`MAX_LISTED_ATTEMPTS`](crate::MAX_LISTED_ATTEMPTS) attempts of each. It may be short, or empty, without being the
    /// last.
    async fn list(
        &self,
        filter: &DeliveryFilter,
        page_size: u32,
        after: Option<&PageKey>,
        with_attempts: bool,
    ) -> Result<DeliveryPage, StoreError>;

    /// The keys of such a page alone, and where the next one begins.
    async fn list_keys(
        &self,
        filter: &DeliveryFilter,
        page_size: u32,
        after: Option<&PageKey>,
    ) -> Result<(Vec<PageKey>, Option<PageKey>), StoreError>;
}

/// The state of connections.
#[async_trait]
pub trait Summaries {
    /// What is shown of each connection that has deliveries or was tested, by name. It includes every change that was
    /// answered before the call.
    async fn summaries(&self) -> Result<Arc<BTreeMap<String, ConnectionSummary>>, StoreError>;
}

/// Whether searches show our tickets.
#[async_trait]
pub trait Evidence {
    /// The last evidence of a scope; `None` if there is none yet.
    async fn evidence(&self, scope: &SearchScope) -> Result<Option<SearchEvidence>, StoreError>;

    /// Saves the last evidence of a scope.
    async fn save_evidence(
        &self,
        scope: SearchScope,
        evidence: SearchEvidence,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// The delivered ones of a scope that were sent last before a time and first after it, as far as there are such.
    async fn neighbors(&self, scope: &SearchScope, sent_at: Timestamp) -> Result<Vec<Delivery>, StoreError>;
}

/// The stream of events.
#[async_trait]
pub trait Events {
    /// At most `limit` events after `seq` that pass the filter. One call may stop before the newest event: continue after
    /// [`EventPage::read_to`].
    async fn events_after(&self, seq: u64, filter: &EventFilter, limit: u32)
    -> Result<EventPage, StoreError>;

    /// The first and the last event that are kept.
    async fn event_bounds(&self) -> Result<EventBounds, StoreError>;

    /// Removes at most `batch` of the oldest events, if they are older than `before`. Returns how many.
    async fn trim_events(&self, before: Timestamp, batch: u32) -> Result<u64, StoreError>;
}

/// What is removed once it is old.
#[async_trait]
pub trait Retention {
    /// Among at most `limit` revisions with content that were stored before a time, the oldest first: the incidents whose
    /// deliveries all ended before it. Continue after [`ExpiredContent::next`].
    async fn expired_content(
        &self,
        before: Timestamp,
        after: Option<ContentKey>,
        limit: u32,
    ) -> Result<ExpiredContent, StoreError>;

    /// Removes the content of those incidents whose deliveries all ended before a time, and the attempts of these
    /// deliveries, except the last ones of a connection. Returns the number of incidents. Keeps the deliveries, and what
    /// recognizes each revision. Writes no event.
    async fn remove_content(
        &self,
        incident_ids: Vec<String>,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Gives at most `max_pages` free pages of the database back to the file system; some stay for the next writes.
    async fn shrink(&self, max_pages: u32) -> Result<Shrunk, StoreError>;
}

/// The settings of connections, and the policy of all.
#[async_trait]
pub trait Settings {
    /// The settings of all connections, with decrypted secrets.
    async fn settings(&self) -> Result<Vec<StoredSettings>, StoreError>;

    /// The settings that belong to no connection; `None` if none were ever saved.
    async fn policy(&self) -> Result<Option<StoredPolicy>, StoreError>;

    /// Saves settings, all or none, with their audit entry. If a new secret belongs to another origin, the former connection
    /// is kept among the retired ones. A connection that is removed leaves its deliveries, events and ID behind.
    async fn configure(
        &self,
        changes: Vec<SettingsChange>,
        audit: NewAuditEntry,
        now: Timestamp,
    ) -> Result<Revisions, ConfigureError>;

    /// Connections that were removed, ever.
    async fn removed_connections(&self) -> Result<Vec<RemovedConnection>, StoreError>;

    /// Former settings of a connection, the latest first.
    async fn retired_connections(&self, connection: &str) -> Result<Vec<RetiredConnection>, StoreError>;

    /// Removes connections that were retired before a time and that no delivery may still have to be looked up by. Returns
    /// how many. The time must be early enough that no attempt of then is still under way.
    async fn prune_retired(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Saves the outcome of a connection test in place of the one before.
    async fn save_test(&self, connection: &str, test: StoredTest) -> Result<(), StoreError>;
}

/// Bearer tokens.
#[async_trait]
pub trait Tokens {
    /// The token with an ID; `None` if there is none, or its row was edited.
    async fn token(&self, id: &str) -> Result<Option<StoredToken>, StoreError>;

    /// All tokens whose rows were not edited.
    async fn tokens(&self) -> Result<Vec<StoredToken>, StoreError>;
}

/// The audit log.
#[async_trait]
pub trait Audit {
    /// Appends an entry where nothing else is written.
    async fn append_audit(&self, entry: NewAuditEntry) -> Result<(), StoreError>;

    /// At most `limit` entries before `before`, the newest first.
    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;

    /// At most `limit` entries after `after`, the oldest first.
    async fn audit_after(&self, after: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;
}
