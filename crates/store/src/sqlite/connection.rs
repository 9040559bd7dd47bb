//! The writer's connection, reopened after a failure that may have left it in an unknown state.
//!
//! Where a commit fails for want of room, SQLite rolls back by itself; sqlx is not told, holds the transaction for open,
//! and refuses to begin another. What is left in the connection after any failure of the disk is not worth finding out.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::open::newest_event;
use crate::StoreError;
use crate::feed::Feed;

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

    /// The connection. Where it was opened anew, the feed goes on after what is in the database: whether a commit that
    /// failed has reached the disk is only known then.
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

    /// Lets go of the connection, so that the next use opens another.
    pub(super) async fn discard(&mut self) {
        let Some(db) = self.db.take() else { return };
        if let Err(error) = db.close().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
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
