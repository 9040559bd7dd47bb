//! When the database file is checked, and what follows from damage.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use super::Database;
use super::open::{connect_options, open_checked};
use super::tests::{accept, options};
use crate::types::{FileCheck, StoreFailure};
use crate::{DEFAULT_BUSY_TIMEOUT, OpenError, Store, StoreError};

const PAGE: usize = 4_096;

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("ticketing.db")
}

/// Opens the database as if it were too large to be checked at each start.
async fn open(folder: &TempDir) -> Result<(Store, Arc<Database>, bool), OpenError> {
    let options = options();
    let clock = options.clock.clone();
    let entropy = options.entropy.clone();
    let (database, opened) = open_checked(&path(folder), options, 0).await?;
    let database = Arc::new(database);
    Ok((Store::over(database.clone(), clock, entropy), database, opened.is_checking))
}

/// A store with a delivery whose process was killed: the mark is as it was while it ran.
async fn killed(folder: &TempDir) {
    let mark = folder.path().join("ticketing.db.mark");
    let (store, ..) = open(folder).await.unwrap();
    accept(&store, "INC-1").await.unwrap();
    let running = std::fs::read(&mark).unwrap();
    store.close().await;
    std::fs::write(mark, running).unwrap();
}

/// Overwrites the first page of an index that no start reads. Returns what was there.
async fn damage(path: &Path) -> (usize, Vec<u8>) {
    let mut db = connect_options(path, DEFAULT_BUSY_TIMEOUT).connect().await.unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'deliveries_by_marker'";
    let root: i64 = sqlx::query_scalar(root).fetch_one(&mut db).await.unwrap();
    db.close().await.unwrap();
    let at = (usize::try_from(root).unwrap() - 1) * PAGE;
    let was = std::fs::read(path).unwrap()[at..at + PAGE].to_vec();
    overwrite(path, at, &[0xAA; PAGE]);
    (at, was)
}

fn overwrite(path: &Path, at: usize, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(bytes, at as u64).unwrap();
}

#[tokio::test]
async fn file_is_checked_only_after_unclean_stop() {
    let folder = tempfile::tempdir().unwrap();
    killed(&folder).await;
    let (store, database, _) = open(&folder).await.unwrap();
    let mut check = database.state.check.subscribe();
    check.wait_for(|check| *check == FileCheck::Passed).await.unwrap();
    accept(&store, "INC-2").await.unwrap();
    store.close().await;
    let (store, _, is_checking) = open(&folder).await.unwrap();
    assert!(!is_checking);
    assert_eq!(store.file_check(), FileCheck::Passed);
    store.close().await;
}

#[tokio::test]
async fn interrupted_check_is_made_at_next_start() {
    let folder = tempfile::tempdir().unwrap();
    killed(&folder).await;
    let (store, database, _) = open(&folder).await.unwrap();
    database.checker.lock().await.take().unwrap().stop().await;
    database.state.check.send_replace(FileCheck::Running);
    store.close().await;
    let (store, _, is_checking) = open(&folder).await.unwrap();
    assert!(is_checking);
    store.close().await;
}

#[tokio::test]
async fn nothing_is_written_to_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    killed(&folder).await;
    let path = path(&folder);
    let (at, was) = damage(&path).await;
    let (store, _, is_checking) = open(&folder).await.unwrap();
    assert!(is_checking);
    let failure = store.failed().await;
    assert!(matches!(failure, StoreFailure::Damaged { .. }), "{failure:?}");
    let refused = accept(&store, "INC-2").await;
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    store.close().await;
    let refused = open(&folder).await.map(drop);
    assert!(matches!(refused, Err(OpenError::Damaged { .. })), "{refused:?}");
    overwrite(&path, at, &was);
    let (store, _, is_checking) = open(&folder).await.unwrap();
    assert!(!is_checking, "it was checked before it was opened");
    accept(&store, "INC-2").await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn damage_that_a_write_meets_stops_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (store, ..) = open(&folder).await.unwrap();
    accept(&store, "INC-1").await.unwrap();
    store.close().await;
    damage(&path(&folder)).await;
    let (store, _, is_checking) = open(&folder).await.unwrap();
    assert!(!is_checking, "the stop was orderly");
    accept(&store, "INC-2").await.unwrap_err();
    assert!(matches!(store.failed().await, StoreFailure::Damaged { .. }));
    store.close().await;
    let refused = open(&folder).await.map(drop);
    assert!(matches!(refused, Err(OpenError::Damaged { .. })), "{refused:?}");
}
