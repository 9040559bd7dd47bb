//! The single writer: group-commits all queued writes in one transaction and answers after its commit.
//!
//! Invariant: no caller is answered before its write is durable.

use std::collections::VecDeque;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, SqliteConnection};
use ticketing_failpoints::{self as failpoints, Point};
use tokio::sync::{mpsc, oneshot, watch};

use super::connection::WriterConnection;
use super::restore_mark::Mark;
use super::{State, load, save, wal_scrub};
use crate::error_chain::ErrorChain;
use crate::panics::{self, PanicMessage};
use crate::store::unit_of_work::{BatchedWrite, ReadSet, UnitOfWork};
use crate::store::{StoreError, StoreErrorKind};

/// Maximum number of batched writes per transaction.
const MAX_BATCH: usize = 256;
/// How long pushes wait for readers so that a replaced secret can be removed from the WAL.
const MAX_READER_WAIT: Duration = Duration::from_millis(250);

/// A request to the writer.
pub(super) enum WriteRequest {
    BatchedWrite(Box<dyn QueuedBatchedWrite>),
    Exclusive(Box<dyn QueuedExclusiveWrite>),
    Close(oneshot::Sender<()>),
}

/// A queued batched write, with the channel for its answer.
pub(super) trait QueuedBatchedWrite: Send {
    fn is_exclusive(&self) -> bool;
    fn fail_point(&self) -> Option<Point>;
    fn read_set(&self, read_set: &mut ReadSet);
    /// Fails only if the write panicked: what it left in `work` must not be written.
    fn apply(&mut self, work: &mut UnitOfWork) -> Result<(), StoreError>;
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

/// A rare write with its own statements, in a transaction of its own.
#[async_trait]
pub(in crate::store) trait ExclusiveWrite: Send + Sync + 'static {
    type Answer: Send + 'static;

    async fn run(&self, state: &State, db: &mut SqliteConnection) -> Result<Self::Answer, StoreError>;

    /// Whether it removes or replaces secrets.
    fn replaces_secrets(&self) -> bool {
        false
    }
}

/// A queued exclusive write, with the channel for its answer.
#[async_trait]
pub(super) trait QueuedExclusiveWrite: Send {
    async fn run(self: Box<Self>, writer: &mut Writer);
}

pub(super) struct PendingBatchedWrite<V: BatchedWrite> {
    write: V,
    answer: Option<Result<V::Answer, StoreError>>,
    reply: oneshot::Sender<Result<V::Answer, StoreError>>,
}

pub(super) struct PendingExclusiveWrite<T: ExclusiveWrite> {
    task: T,
    reply: oneshot::Sender<Result<T::Answer, StoreError>>,
}

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
                WriteRequest::BatchedWrite(command) if !command.is_exclusive() => batch.push(command),
                WriteRequest::BatchedWrite(command) if batch.is_empty() => {
                    self.commit_all(vec![command]).await;
                    return None;
                }
                WriteRequest::Exclusive(command) if batch.is_empty() => {
                    command.run(self).await;
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
    async fn commit_all(&mut self, mut batch: Vec<Box<dyn QueuedBatchedWrite>>) {
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

    async fn commit(&mut self, batch: &mut [Box<dyn QueuedBatchedWrite>]) -> Result<(), StoreError> {
        let outcome = self.try_commit(batch).await;
        self.discard_if_broken(outcome).await
    }

    async fn commit_exclusive<T: ExclusiveWrite>(&mut self, task: &T) -> Result<T::Answer, StoreError> {
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

    async fn try_commit(&mut self, batch: &mut [Box<dyn QueuedBatchedWrite>]) -> Result<(), StoreError> {
        let mut read_set = ReadSet::default();
        batch.iter().for_each(|command| command.read_set(&mut read_set));
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
        if outcome.as_ref().is_err_and(|error| !is_of_one_row(error)) {
            self.connection.discard().await;
        }
        outcome
    }
}

// === impl PendingBatchedWrite ===

impl<V: BatchedWrite> PendingBatchedWrite<V> {
    #[expect(clippy::type_complexity, reason = "a write with its reply channel")]
    pub(super) fn ask(
        write: V,
    ) -> (Box<dyn QueuedBatchedWrite>, oneshot::Receiver<Result<V::Answer, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Self { write, answer: None, reply }), answer)
    }
}

impl<V: BatchedWrite> QueuedBatchedWrite for PendingBatchedWrite<V> {
    fn is_exclusive(&self) -> bool {
        V::EXCLUSIVE
    }

    fn fail_point(&self) -> Option<Point> {
        V::FAIL_POINT
    }

    fn read_set(&self, read_set: &mut ReadSet) {
        self.write.read_set(read_set);
    }

    fn apply(&mut self, work: &mut UnitOfWork) -> Result<(), StoreError> {
        // After a panic the rows in memory are discarded, because they may be inconsistent.
        let applied = catch_unwind(AssertUnwindSafe(|| self.write.apply(work)));
        let applied =
            applied.map_err(|payload| StoreError::panicked(std::any::type_name::<V>(), &*payload))?;
        self.answer = Some(applied);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { answer, reply, .. } = *self;
        let answer = outcome.and_then(|()| answer.unwrap_or(Err(StoreError::Closed)));
        // The caller may have disconnected; the write is done anyway.
        let _ = reply.send(answer);
    }
}

// === impl PendingExclusiveWrite ===

impl<T: ExclusiveWrite> PendingExclusiveWrite<T> {
    #[expect(clippy::type_complexity, reason = "a write with its reply channel")]
    pub(super) fn ask(
        task: T,
    ) -> (Box<dyn QueuedExclusiveWrite>, oneshot::Receiver<Result<T::Answer, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Self { task, reply }), answer)
    }
}

#[async_trait]
impl<T: ExclusiveWrite> QueuedExclusiveWrite for PendingExclusiveWrite<T> {
    async fn run(self: Box<Self>, writer: &mut Writer) {
        let answer = writer.commit_exclusive(&self.task).await;
        // The caller may have disconnected; the write is done anyway.
        let _ = self.reply.send(answer);
    }
}

/// Whether a single write failed, rather than the transaction or the connection.
fn is_of_one_row(error: &StoreError) -> bool {
    let whole = matches!(error, StoreError::Begin { .. } | StoreError::Commit { .. });
    let panicked = matches!(error, StoreError::Panicked { .. });
    !whole && (panicked || matches!(error.kind(), StoreErrorKind::Refused | StoreErrorKind::BadRow))
}

fn answer(batch: Vec<Box<dyn QueuedBatchedWrite>>, outcome: &Result<(), StoreError>) {
    if let Err(error @ StoreError::Panicked { .. }) = outcome {
        tracing::error!(error = %ErrorChain(error), "a write panicked");
    }
    for command in batch {
        command.answer(outcome.clone());
    }
}
