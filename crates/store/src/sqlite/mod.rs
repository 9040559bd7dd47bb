//! The store in one SQLite file. All SQL is in this folder.

mod audit;
mod backup;
mod connection;
mod errors;
mod events;
mod evidence;
mod exclusive_write;
mod keys;
mod lists;
mod load;
mod offline_admin;
mod open;
mod reads;
mod restore;
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

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sqlx::SqlitePool;
use ticketing_host::entropy::Entropy;
use ticketing_secrets::audit::AuditKey;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::StoreError;
use super::feed::Feed;
use crate::port::{self, Installation};
use crate::unit_of_work::{GroupCommit, QueuedWrite};

use exclusive_write::ExclusiveWrite;
use keys::Keyring;
use tokens::KnownTokens;
use writer::WriteRequest;

pub(super) use backup::backup;
pub(super) use offline_admin::OfflineAdmin;
pub(super) use open::open;
pub use rotate::{DataKeyRotated, MasterRotated};

/// The database: one writer, and readers beside it.
#[derive(Debug)]
pub(super) struct Database {
    readers: SqlitePool,
    /// A place for each list that is read at a time: the other readers are for those who look up one thing.
    lists: Semaphore,
    tokens: KnownTokens,
    writer: mpsc::Sender<WriteRequest>,
    state: Arc<State>,
    /// Whether the writer has ended as it should; without a sender once it ended in any way.
    life: watch::Receiver<bool>,
}

/// What the writer and the readers share.
#[derive(Debug)]
pub(super) struct State {
    installation: Installation,
    keys: Keyring,
    audit_key: AuditKey,
    entropy: Arc<dyn Entropy>,
    feed: Feed,
    commits: AtomicU64,
}

#[async_trait]
impl port::Database for Database {
    fn installation(&self) -> &Installation {
        &self.state.installation
    }

    fn commits(&self) -> u64 {
        self.state.commits.load(Ordering::Relaxed)
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.state.feed.subscribe()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let (reply, closed) = oneshot::channel();
            self.lists.close();
            self.readers.close().await;
            self.tokens.close().await;
            if self.writer.send(WriteRequest::Close(reply)).await.is_ok() {
                // An error means that the writer has ended already.
                let _ = closed.await;
            }
        })
    }

    fn failed(&self) -> BoxFuture<'static, ()> {
        let mut life = self.life.clone();
        Box::pin(async move {
            if life.wait_for(|ended| *ended).await.is_ok() {
                std::future::pending::<()>().await;
            }
        })
    }
}

#[async_trait]
impl GroupCommit for Database {
    async fn queue(&self, write: Box<dyn QueuedWrite>) -> Result<(), StoreError> {
        self.writer.send(WriteRequest::Batched(write)).await.map_err(|_| StoreError::Closed)
    }
}

impl Database {
    /// Runs a write in a transaction of its own; answers after its commit.
    async fn write_exclusive<W: ExclusiveWrite>(&self, write: W) -> Result<W::Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request = WriteRequest::Exclusive(Box::new(|writer| {
            Box::pin(async move {
                // The caller may be gone; the write is done anyway.
                let _ = reply.send(writer.commit_exclusive(&write).await);
            })
        }));
        self.writer.send(request).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }
}
