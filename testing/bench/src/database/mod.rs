//! Rows of the database: taken from real deliveries, written in bulk, and written plainly as a limit for the store.
//!
//! All SQL of the bench is in this folder. It names no column but those that identify a delivery, so that it follows
//! the schema.

mod fill;
mod naive;
mod plain;
mod sample;
mod usage;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use rusqlite::Connection;

pub(crate) use fill::{failed_numbers, fill};
pub(crate) use naive::Naive;
pub(crate) use plain::{GroupCommit, Stage, Stages};
pub(crate) use sample::Sample;
pub(crate) use usage::sizes_by_name;

/// How long to wait for a lock of another connection.
const BUSY: Duration = Duration::from_secs(10);

/// Opens a database with the settings of the store.
fn open(path: &Path) -> Result<Connection> {
    let db = Connection::open(path)?;
    db.busy_timeout(BUSY)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;",
    )?;
    Ok(db)
}
