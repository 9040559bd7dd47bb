//! The single writer: group-commits all queued writes in one transaction and answers after its commit.
//!
//! Invariant: no caller is answered before its write is durable.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::Connection;
use ticketing_core::error_chain::ErrorChain;
use ticketing_failpoints::{self as failpoints, Point};
use ticketing_host::panics::{self, PanicMessage};
use tokio::sync::{mpsc, oneshot, watch};

use super::connection::WriterConnection;
use super::exclusive_write::ExclusiveWrite;
use super::{State, load, save, wal_scrub};
use crate::recovery::Mark;
use crate::unit_of_work::{QueuedWrite, ReadSet};
use crate::{StoreError, StoreErrorKind};

/// Maximum number of batched writes per transaction.
const MAX_BATCH: usize = 256;
/// How long pushes wait for readers so that a replaced secret can be removed from the WAL.
const MAX_READER_WAIT: Duration = Duration::from_millis(250);

/// A request to the writer.
pub(super) enum WriteRequest {
    Batched(Box<dyn QueuedWrite>),
    Exclusive(RunExclusive),
    Close(oneshot::Sender<()>),
}

/// Runs an exclusive write and answers its caller.
pub(super) type RunExclusive = Box<dyn FnOnce(&mut Writer) -> BoxFuture<'_, ()> + Send>;

#[derive(Debug)]
pub(super) struct Writer {
    pub(super) connection: WriterConnection,
    pub(super) state: Arc<State>,
    pub(super) mark: Mark,
    /// Held while the connection is open.
    pub(super) locks: [File; 2],
    /// Set when the writer ended regularly; dropped unset when it died.
    pub(super) ended: watch::Sender<bool>,
}

// === impl Writer ===

impl Writer {
    /// Runs until it is closed, or until every sender is dropped.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<WriteRequest>) {
        let mut queue = VecDeque::new();
        let mut closing = vec![];
        loop {
            if queue.is_empty() {
                let Some(message) = inbox.recv().await else { break };
                queue.push_back(message);
            }
            while queue.len() < MAX_BATCH
                && let Ok(message) = inbox.try_recv()
            {
                queue.push_back(message);
            }
            if let Some(reply) = self.step(&mut queue).await {
                inbox.close();
                closing.push(reply);
            }
        }
        failpoints::pass(Point::Closing).await;
        if let Err(error) = self.connection.close().await {
            tracing::warn!(error = %ErrorChain(&error), "the database was not closed cleanly");
        }
        self.mark.close();
        drop(self.locks);
        self.ended.send_replace(true);
        for reply in closing {
            // The caller may have disconnected.
            let _ = reply.send(());
        }
    }

    /// Executes the first write of the queue, together with all that can share its transaction.
    async fn step(&mut self, queue: &mut VecDeque<WriteRequest>) -> Option<oneshot::Sender<()>> {
        let mut batch = vec![];
        while let Some(message) = queue.pop_front() {
            match message {
                WriteRequest::Batched(command) if !command.is_exclusive() => batch.push(command),
                WriteRequest::Batched(command) if batch.is_empty() => {
                    self.commit_all(vec![command]).await;
                    return None;
                }
                WriteRequest::Exclusive(run) if batch.is_empty() => {
                    run(self).await;
                    return None;
                }
                WriteRequest::Close(reply) if batch.is_empty() => return Some(reply),
                later => {
                    queue.push_front(later);
                    break;
                }
            }
        }
        self.commit_all(batch).await;
        None
    }

    /// Commits a batch. If the schema rejects a write, or a write panics, each write is committed separately,
    /// so that the others succeed.
    async fn commit_all(&mut self, mut batch: Vec<Box<dyn QueuedWrite>>) {
        match self.commit(&mut batch).await {
            Err(error) if batch.len() > 1 && is_of_one_row(&error) => {
                for command in batch {
                    let mut alone = vec![command];
                    let outcome = self.commit(&mut alone).await;
                    answer(alone, &outcome);
                }
            }
            outcome => answer(batch, &outcome),
        }
    }

    async fn commit(&mut self, batch: &mut [Box<dyn QueuedWrite>]) -> Result<(), StoreError> {
        let outcome = self.try_commit(batch).await;
        self.discard_if_broken(outcome).await
    }

    pub(super) async fn commit_exclusive<T: ExclusiveWrite>(
        &mut self,
        task: &T,
    ) -> Result<T::Answer, StoreError> {
        match panics::catch(self.try_commit_exclusive(task)).await {
            Ok(outcome) => self.discard_if_broken(outcome).await,
            Err(PanicMessage(reason)) => {
                // Discarding the connection rolls its transaction back.
                self.connection.discard().await;
                let error = StoreError::Panicked { write: std::any::type_name::<T>(), reason };
                tracing::error!(error = %ErrorChain(&error), "a write panicked");
                Err(error)
            }
        }
    }

    async fn try_commit(&mut self, batch: &mut [Box<dyn QueuedWrite>]) -> Result<(), StoreError> {
        let mut read_set = ReadSet::default();
        batch.iter().for_each(|command| command.read_set(&mut read_set));
        self.state.refuse_if_damaged()?;
        let db = self.connection.get(&self.state.feed).await?;
        let mut transaction = db.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::begin)?;
        let mut work = load::load(&mut transaction, read_set).await?;
        batch.iter_mut().try_for_each(|command| command.apply(&mut work))?;
        let intent = work.last_intent();
        let Some(events) =
            save::save(&mut transaction, work, self.state.feed.newest(), &self.state.audit_key).await?
        else {
            return Ok(());
        };
        let points: Vec<_> = batch.iter().filter_map(|command| command.fail_point()).collect();
        for point in points {
            failpoints::pass(point).await;
        }
        transaction.commit().await.map_err(StoreError::commit)?;
        self.state.commits.fetch_add(1, Ordering::Relaxed);
        self.state.feed.publish(events);
        self.mark.set(self.state.feed.newest(), intent);
        Ok(())
    }

    async fn try_commit_exclusive<T: ExclusiveWrite>(&mut self, task: &T) -> Result<T::Answer, StoreError> {
        self.state.refuse_if_damaged()?;
        let db = self.connection.get(&self.state.feed).await?;
        let mut transaction = db.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::begin)?;
        let answer = task.run(&self.state, &mut transaction).await?;
        transaction.commit().await.map_err(StoreError::commit)?;
        self.state.commits.fetch_add(1, Ordering::Relaxed);
        self.mark.touch();
        if task.replaces_secrets() {
            // Pushes wait in the meantime, so slow readers are not waited for.
            wal_scrub::scrub(db, MAX_READER_WAIT).await;
        }
        Ok(answer)
    }

    /// Discards the connection after a failure that may have left it in an unknown state.
    async fn discard_if_broken<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &outcome {
            self.state.stop_if_damaged(error);
        }
        if outcome.as_ref().is_err_and(|error| !is_of_one_row(error)) {
            self.connection.discard().await;
            // The failed commit may have reached the disk: what was read before it may be outdated.
            self.state.commits.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }
}

/// Whether a single command is to blame, and neither the transaction nor the connection.
fn is_of_one_row(error: &StoreError) -> bool {
    let whole = matches!(error, StoreError::Begin { .. } | StoreError::Commit { .. });
    let panicked = matches!(error, StoreError::Panicked { .. });
    !whole && (panicked || matches!(error.kind(), StoreErrorKind::Refused | StoreErrorKind::BadRow))
}

fn answer(batch: Vec<Box<dyn QueuedWrite>>, outcome: &Result<(), StoreError>) {
    if let Err(error @ StoreError::Panicked { .. }) = outcome {
        tracing::error!(error = %ErrorChain(error), "a write panicked");
    }
    for command in batch {
        command.answer(outcome.clone());
    }
}
