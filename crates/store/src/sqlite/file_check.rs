//! The check of the database file as a whole, which reads all of it.
//!
//! What it prevents: a disk that lost or changed pages when the power failed, or the machine, goes unnoticed until the
//! damaged page is needed, and everything accepted since is in a file that has to be replaced. SQLite itself notices damage
//! only in the pages that it reads.
//!
//! When it runs: a small file is checked at each start, before anything else is done with it, and so is one before a
//! migration. A larger one takes seconds for each gigabyte: it is checked after a stop that was not orderly, which the
//! restore mark shows, and if a restore is suspected, in the background on a connection of its own. Until it has passed, the
//! mark says so, and after any stop in the meantime the next start checks. After an orderly stop SQLite
//! notices damage where it meets it.
//!
//! What follows: a damaged file is written no more. The writer refuses, the server stops, and the next start checks before it
//! does anything else, until the file is sound or another one is there.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use ticketing_core::error_chain::ErrorChain;
use ticketing_core::text::single_line;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::connection::unopened;
use crate::types::FileCheck;
use crate::{DatabaseError, OpenError, StoreErrorKind};

/// Maximum size of a file that is checked at each start: some 50 ms.
pub(super) const MAX_CHECKED_AT_START: u64 = 16 * 1024 * 1024;

/// SQLite's virtual machine steps between two looks at whether to stop.
const STEPS_PER_LOOK: i32 = 10_000;
/// Pause after the file could not be read.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// A check in the background.
#[derive(Debug)]
pub(super) struct Checker {
    stop: Arc<Stop>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Stop {
    is_requested: AtomicBool,
    requested: Notify,
}

// === impl Checker ===

impl Checker {
    pub(super) fn start(options: SqliteConnectOptions, check: watch::Sender<FileCheck>) -> Self {
        let stop = Arc::<Stop>::default();
        let task = tokio::spawn(run(options.read_only(true), check, stop.clone()));
        Self { stop, task }
    }

    /// Stops it, and waits until it has closed its connection.
    pub(super) async fn stop(self) {
        self.stop.is_requested.store(true, Ordering::Relaxed);
        self.stop.requested.notify_one();
        if let Err(error) = self.task.await {
            tracing::error!(error = %ErrorChain(&error), "the check of the database ended early");
        }
    }
}

/// Checks until there is a result, or it is stopped.
async fn run(options: SqliteConnectOptions, check: watch::Sender<FileCheck>, stop: Arc<Stop>) {
    while !stop.is_requested.load(Ordering::Relaxed) {
        let started = Instant::now();
        match read(&options, &stop).await {
            Ok(None) => {
                tracing::info!(seconds = started.elapsed().as_secs_f32(), "the database is sound");
                check.send_replace(FileCheck::Passed);
                return;
            }
            Ok(Some(detail)) => {
                tracing::error!(%detail, "the database is damaged: nothing is written any more");
                check.send_replace(FileCheck::Damaged { detail });
                return;
            }
            Err(_) if stop.is_requested.load(Ordering::Relaxed) => return,
            Err(error) => {
                tracing::error!(error = %ErrorChain(&error), "failed to check the database: trying again");
                tokio::select! {
                    () = stop.requested.notified() => return,
                    () = tokio::time::sleep(RETRY_AFTER) => {}
                }
            }
        }
    }
}

/// What is wrong with the file, if anything is.
async fn read(options: &SqliteConnectOptions, stop: &Arc<Stop>) -> Result<Option<String>, DatabaseError> {
    let mut db = options.connect().await?;
    let stop = stop.clone();
    let goes_on = move || !stop.is_requested.load(Ordering::Relaxed);
    db.lock_handle().await?.set_progress_handler(STEPS_PER_LOOK, goes_on);
    let found = quick_check(&mut db).await;
    db.close().await?;
    found
}

/// Checks the file before anything else is done with it.
pub(super) async fn check_now(db: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    match quick_check(db).await {
        Ok(None) => Ok(()),
        Ok(Some(detail)) => Err(OpenError::Damaged { path: path.to_owned(), detail }),
        Err(source) => Err(unopened(path, source)),
    }
}

async fn quick_check(db: &mut SqliteConnection) -> Result<Option<String>, DatabaseError> {
    let found = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(db).await;
    let detail: String = match found.map_err(DatabaseError::from) {
        Err(error) if error.kind() == StoreErrorKind::Corrupt => error.to_string(),
        found => found?,
    };
    let detail = single_line(&detail);
    Ok((detail != "ok").then_some(detail))
}
