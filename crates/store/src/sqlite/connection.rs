//! The writer's connection, reopened after a failure that may have left it in an unknown state.
//!
//! If a commit fails because the disk is full, SQLite rolls back by itself; sqlx does not notice, considers
//! the transaction open, and refuses to begin another. The state of the connection after any disk failure is
//! unreliable, so it is replaced.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use ticketing_core::error_chain::ErrorChain;

use super::events::newest_event;
use crate::feed::Feed;
use crate::{DatabaseError, OpenError, StoreError, StoreErrorKind};

#[derive(Debug)]
pub(super) struct WriterConnection {
    /// Options for reopening.
    options: SqliteConnectOptions,
    /// `None` between discarding and reopening.
    db: Option<SqliteConnection>,
}

impl WriterConnection {
    pub(super) fn new(options: SqliteConnectOptions, db: SqliteConnection) -> Self {
        Self { options, db: Some(db) }
    }

    /// The connection. After reopening, the feed continues after the newest event in the database: only then
    /// is it known whether a failed commit has reached the disk.
    pub(super) async fn get(&mut self, feed: &Feed) -> Result<&mut SqliteConnection, StoreError> {
        let db = match self.db.take() {
            Some(db) => db,
            None => {
                let mut db = self.options.connect().await.map_err(StoreError::begin)?;
                feed.restart(newest_event(&mut db).await?);
                tracing::info!("reopened the database");
                db
            }
        };
        Ok(self.db.insert(db))
    }

    /// Discards the connection, so that the next use opens another.
    pub(super) async fn discard(&mut self) {
        let Some(db) = self.db.take() else { return };
        if let Err(error) = db.close().await {
            tracing::warn!(
                error = %ErrorChain(&error),
                "a failed connection was not closed cleanly"
            );
        }
    }

    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        match self.db {
            Some(db) => db.close().await,
            None => Ok(()),
        }
    }
}

/// Why the database at `path` cannot be opened.
pub(super) fn unopened(path: &Path, source: impl Into<DatabaseError>) -> OpenError {
    let path = path.to_owned();
    let source = source.into();
    match source.kind() {
        StoreErrorKind::Corrupt => OpenError::Damaged { path, detail: source.to_string() },
        StoreErrorKind::Locked => OpenError::InUse { path },
        _ => OpenError::Connect { path, source },
    }
}
