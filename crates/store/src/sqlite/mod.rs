//! The store in one SQLite file. All SQL is in this folder.

mod audit;
mod backup;
mod bound_rows;
mod compact;
mod compression;
mod connection;
mod errors;
mod events;
mod evidence;
mod exclusive_write;
mod file_check;
mod keys;
mod lists;
mod load;
mod offline_admin;
mod open;
mod reads;
mod remove_connection;
mod restore;
mod retention;
mod rotate;
mod row_digests;
mod rows;
mod save;
mod secrets;
mod settings;
mod summaries;
mod tokens;
mod wal_scrub;
mod writer;

#[cfg(test)]
mod file_check_tests;
#[cfg(test)]
mod query_plan_tests;
#[cfg(test)]
mod read_cost_tests;
#[cfg(test)]
mod restore_tests;
#[cfg(test)]
mod retention_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod upgrade_tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sqlx::SqlitePool;
use ticketing_core::error_chain::ErrorChain;
use ticketing_host::entropy::Entropy;
use ticketing_secrets::audit::AuditKey;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot, watch};

use super::feed::Feed;
use super::{StoreError, StoreErrorKind};
use crate::port::{self, Installation};
use crate::types::{FileCheck, StoreFailure};
use crate::unit_of_work::{GroupCommit, QueuedWrite};

use exclusive_write::ExclusiveWrite;
use file_check::Checker;
use keys::Keyring;
use summaries::SummaryCache;
use tokens::KnownTokens;
use writer::WriteRequest;

pub(super) use backup::backup;
pub(super) use compact::compact;
pub(super) use offline_admin::OfflineAdmin;
pub(super) use open::open;
pub use rotate::{DataKeyRotated, MasterRotated};

/// The database: one writer, and readers beside it.
#[derive(Debug)]
pub(super) struct Database {
    readers: SqlitePool,
    /// A place for each list that is read at a time: the other readers are for those who look up one thing.
    lists: Semaphore,
    summaries: SummaryCache,
    /// Checks the file; `None` if that was not necessary, or has been stopped.
    checker: Mutex<Option<Checker>>,
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
    /// What is known of the database file as a whole.
    check: watch::Sender<FileCheck>,
}

#[async_trait]
impl port::Database for Database {
    fn installation(&self) -> &Installation {
        &self.state.installation
    }

    fn commits(&self) -> u64 {
        self.state.commits()
    }

    fn subscribe(&self) -> watch::Receiver<u64> {
        self.state.feed.subscribe()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let (reply, closed) = oneshot::channel();
            self.lists.close();
            if let Some(checker) = self.checker.lock().await.take() {
                checker.stop().await;
            }
            self.readers.close().await;
            self.tokens.close().await;
            if self.writer.send(WriteRequest::Close(reply)).await.is_ok() {
                // An error means that the writer has ended already.
                let _ = closed.await;
            }
        })
    }

    fn file_check(&self) -> FileCheck {
        self.state.check.borrow().clone()
    }

    fn failed(&self) -> BoxFuture<'static, StoreFailure> {
        let mut life = self.life.clone();
        let mut check = self.state.check.subscribe();
        let writer_ended = async move {
            if life.wait_for(|ended| *ended).await.is_ok() {
                std::future::pending::<()>().await;
            }
            StoreFailure::WriterEnded
        };
        let damaged = async move {
            loop {
                if let FileCheck::Damaged { detail } = &*check.borrow_and_update() {
                    return StoreFailure::Damaged { detail: detail.clone() };
                }
                if check.changed().await.is_err() {
                    return std::future::pending().await;
                }
            }
        };
        Box::pin(async move {
            tokio::select! {
                failure = writer_ended => failure,
                failure = damaged => failure,
            }
        })
    }
}

impl State {
    fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// A write has met damage: nothing more is written, and the next start checks the file.
    fn stop_if_damaged(&self, error: &StoreError) {
        if error.kind() == StoreErrorKind::Corrupt && self.refuse_if_damaged().is_ok() {
            let detail = ErrorChain(error).to_string();
            tracing::error!(%detail, "the database is damaged: nothing is written any more");
            self.check.send_replace(FileCheck::Damaged { detail });
        }
    }

    /// Refuses every write once the file was found to be damaged.
    fn refuse_if_damaged(&self) -> Result<(), StoreError> {
        match &*self.check.borrow() {
            FileCheck::Damaged { detail } => Err(StoreError::Damaged { detail: detail.clone() }),
            FileCheck::Passed | FileCheck::Running => Ok(()),
        }
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
