//! The store in one SQLite file. All SQL is in this folder.

mod audit;
mod backup;
mod connection;
mod events;
mod evidence;
mod keys;
mod lists;
mod load;
mod offline_admin;
mod open;
mod reads;
mod restore;
mod restore_mark;
mod rotate;
mod row_digests;
mod rows;
mod save;
mod secrets;
mod settings;
mod tokens;
mod wal_scrub;
mod writer;

#[cfg(test)]
mod restore_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upgrade_tests;

use std::fs::OpenOptions;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::SqlitePool;
use ticketing_core::marker::InstallationKey;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::StoreError;
use super::audit::AuditKey;
use super::feed::Feed;
use super::types::StreamName;
use super::unit_of_work::BatchedWrite;
use crate::entropy::Entropy;

use keys::Keyring;

pub(super) use audit::AppendAudit;
pub(super) use backup::backup;
pub(super) use events::TrimEvents;
pub(super) use evidence::SaveEvidence;
pub(super) use offline_admin::OfflineAdmin;
pub(super) use open::open;
pub use rotate::{DataKeyRotated, MasterRotated};
pub(super) use settings::{Configure, PruneRetired, SaveTest};

/// The database: one writer, and readers beside it.
#[derive(Debug)]
pub(super) struct Database {
    readers: SqlitePool,
    /// A place for each list that is read at a time: the other readers are for those who look up one thing.
    lists: Semaphore,
    writer: mpsc::Sender<writer::WriteRequest>,
    state: Arc<State>,
    /// Whether the writer has ended as it should; without a sender once it ended in any way.
    life: watch::Receiver<bool>,
}

/// What the writer and the readers share.
#[derive(Debug)]
pub(super) struct State {
    pub(super) installation_id: String,
    pub(super) stream: StreamName,
    /// When the store was last restored from a backup, or may have been.
    pub(super) restored_at: Option<Timestamp>,
    pub(super) marker_key: InstallationKey,
    keys: Keyring,
    audit_key: AuditKey,
    entropy: Arc<dyn Entropy>,
    pub(super) feed: Feed,
    commits: std::sync::atomic::AtomicU64,
}

impl Database {
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Has the writer do something; answers once it is durable.
    pub(super) async fn write<V: BatchedWrite>(&self, write: V) -> Result<V::Answer, StoreError> {
        let (command, answer) = writer::PendingBatchedWrite::ask(write);
        self.send(writer::WriteRequest::BatchedWrite(command), answer).await
    }

    /// Has the writer do something in a transaction of its own; answers once it is durable.
    pub(super) async fn write_exclusive<T: writer::ExclusiveWrite>(
        &self,
        task: T,
    ) -> Result<T::Answer, StoreError> {
        let (command, answer) = writer::PendingExclusiveWrite::ask(task);
        self.send(writer::WriteRequest::Exclusive(command), answer).await
    }

    /// Has everything written that was asked for, then lets go of the file.
    pub(super) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        self.lists.close();
        self.readers.close().await;
        if self.writer.send(writer::WriteRequest::Close(reply)).await.is_ok() {
            // An error means that the writer has ended already.
            let _ = closed.await;
        }
    }

    /// Ends if the writer does, other than by being closed.
    pub(super) fn failed(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut life = self.life.clone();
        async move {
            if life.wait_for(|ended| *ended).await.is_ok() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// How many transactions were committed since the store was opened.
    pub(super) fn commits(&self) -> u64 {
        self.state.commits.load(std::sync::atomic::Ordering::Relaxed)
    }

    async fn send<T>(
        &self,
        message: writer::WriteRequest,
        answer: oneshot::Receiver<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.writer.send(message).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}

/// Opens files that their owner alone can read. A symbolic link in the place of one is not followed.
pub(super) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(crate::files::no_follow());
    }
    options
}
