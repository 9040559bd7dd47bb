//! Failures of SQLite and of the writer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::SqliteConnection;
use ticketing_core::system::System;
use ticketing_host::clock::ThisMachine;
use ticketing_host::manual::{ManualClock, SeededEntropy};

use super::exclusive_write::ExclusiveWrite;
use super::{Database, State, writer};
use crate::conformance::{BUSY_TIMEOUT, connection, incident};
use crate::unit_of_work::{BatchedWrite, ReadSet, UnitOfWork};
use crate::{
    AcceptError, AcceptRequest, Accepted, EventFilter, KeySource, Requester, Store, StoreError, StoreOptions,
};

/// Makes a commit of the writer's connection fail: SQLite then rolls back by itself, as it does when the disk
/// is full.
#[derive(Debug)]
struct FailCommits {
    asked: Arc<AtomicU32>,
}

#[async_trait]
impl ExclusiveWrite for FailCommits {
    type Answer = ();

    async fn run(&self, _: &State, db: &mut SqliteConnection) -> Result<(), StoreError> {
        let asked = self.asked.clone();
        let mut handle = db.lock_handle().await.map_err(StoreError::write("the hook"))?;
        handle.set_commit_hook(move || {
            asked.fetch_add(1, Ordering::Relaxed);
            false
        });
        Ok(())
    }
}

/// Leaves an incomplete change behind and panics.
#[derive(Debug)]
struct Panics;

impl BatchedWrite for Panics {
    type Answer = ();

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.incidents.insert("INC-9".to_owned());
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<(), StoreError> {
        work.add_snapshot("INC-9", 1, "{}", Timestamp::UNIX_EPOCH);
        panic!("there is no such state");
    }
}

async fn open(folder: &tempfile::TempDir) -> Store {
    open_database(folder).await.0
}

pub(super) fn options() -> StoreOptions {
    StoreOptions {
        clock: Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap())),
        entropy: Arc::new(SeededEntropy::new(1)),
        machine: Arc::new(ThisMachine),
        key: KeySource::BesideDatabase,
        restored: false,
        busy_timeout: BUSY_TIMEOUT,
    }
}

/// The store, and the database behind it.
pub(super) async fn open_database(folder: &tempfile::TempDir) -> (Store, Arc<Database>) {
    let options = options();
    let clock = options.clock.clone();
    let entropy = options.entropy.clone();
    let database = Arc::new(super::open(&folder.path().join("ticketing.db"), options).await.unwrap().0);
    (Store::over(database.clone(), clock, entropy), database)
}

pub(super) async fn accept(store: &Store, id: &str) -> Result<Accepted, StoreError> {
    let incident = incident(id, 90.0);
    let connections = vec![connection(System::Jira)];
    let mut accepted = store
        .accept(&AcceptRequest { incident, connections, expedite: false, by: Requester::default() })
        .await
        .map_err(|error| match error {
            AcceptError::Store(error) => error,
            other => panic!("{other}"),
        })?;
    Ok(accepted.remove(0))
}

#[tokio::test]
async fn failed_commit_is_reported_and_next_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let (store, database) = open_database(&folder).await;
    accept(&store, "INC-1").await.unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    database.write_exclusive(FailCommits { asked: asked.clone() }).await.unwrap_err();
    assert_eq!(asked.load(Ordering::Relaxed), 1, "the commit did not fail where it was to fail");
    assert!(!accept(&store, "INC-2").await.unwrap().existed);
    let page = store.events_after(0, &EventFilter::default(), 9).await.unwrap();
    assert_eq!(page.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2]);
    store.close().await;
    assert_eq!(open(&folder).await.event_bounds().await.unwrap().last, 2);
}

#[tokio::test]
async fn panicking_write_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let panics = store.write(Panics);
    let (before, panicked, after) = tokio::join!(accept(&store, "INC-1"), panics, accept(&store, "INC-2"));
    let message = panicked.unwrap_err().to_string();
    assert!(message.contains("Panics panicked: there is no such state"), "{message}");
    assert!(!before.unwrap().existed && !after.unwrap().existed);
    assert!(!accept(&store, "INC-3").await.unwrap().existed);
    assert_eq!(store.incident("INC-9", 1).await.unwrap(), None);
    assert_eq!(store.event_bounds().await.unwrap().last, 3);
}

#[tokio::test]
async fn writer_death_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (store, database) = open_database(&folder).await;
    let failed = store.failed();
    let fatal = writer::WriteRequest::Exclusive(Box::new(|_| panic!("the writer is to die")));
    database.writer.send(fatal).await.unwrap();
    failed.await;
    store.failed().await;
    assert!(matches!(accept(&store, "INC-1").await, Err(StoreError::Closed)));
}

#[tokio::test]
async fn closing_is_not_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let mut failed = std::pin::pin!(store.failed());
    store.close().await;
    assert!(std::future::poll_fn(|context| Poll::Ready(failed.as_mut().poll(context).is_pending())).await);
}
