//! The rows of a connection that is removed. Its deliveries, attempts and events stay.

use jiff::Timestamp;
use sqlx::{SqliteConnection, SqlitePool};
use ticketing_core::system::System;

use super::rows::{Reader, one_row};
use crate::{RemovedConnection, StoreError};

/// The index on state gives each of these at once.
const OPEN_DELIVERIES: &str = "
    SELECT count(*) FROM deliveries
    WHERE target = ? AND state IN ('PENDING', 'ATTEMPTING', 'WAITING', 'RECONCILING')";

const ROWS: [&str; 3] = [
    "DELETE FROM target_settings WHERE target = ?",
    "DELETE FROM target_health WHERE target = ?",
    "DELETE FROM target_tests WHERE target = ?",
];

/// The number of its deliveries that have not ended.
pub(super) async fn open_deliveries(connection: &str, db: &mut SqliteConnection) -> Result<u64, StoreError> {
    let query = sqlx::query_scalar(OPEN_DELIVERIES).bind(connection);
    query.fetch_one(db).await.map_err(StoreError::read("deliveries"))
}

/// Where its retired connections sent tickets.
pub(super) async fn retired_urls(
    connection: &str,
    db: &mut SqliteConnection,
) -> Result<Vec<String>, StoreError> {
    let query = sqlx::query_scalar("SELECT base_url FROM retired_connections WHERE target = ?");
    query.bind(connection).fetch_all(db).await.map_err(StoreError::read("former connections"))
}

/// Deletes its settings, health and test, and notes that it was removed.
pub(super) async fn remove_rows(
    connection: &str,
    system: System,
    now: Timestamp,
    db: &mut SqliteConnection,
) -> Result<(), StoreError> {
    for statement in ROWS {
        let done = sqlx::query(statement).bind(connection).execute(&mut *db).await;
        done.map_err(StoreError::write("settings"))?;
    }
    let query = sqlx::query("INSERT INTO removed_connections (target, system, removed_at) VALUES (?, ?, ?)");
    let query = query.bind(connection).bind(system.as_str()).bind(now.as_microsecond());
    let done = query.execute(db).await.map_err(StoreError::write("settings"))?;
    one_row("removed_connections", &done)
}

pub(super) async fn removed(readers: &SqlitePool) -> Result<Vec<RemovedConnection>, StoreError> {
    let query = sqlx::query("SELECT target, system, removed_at FROM removed_connections ORDER BY target");
    let rows = query.fetch_all(readers).await.map_err(StoreError::read("removed connections"))?;
    let removed = rows.iter().map(|row| {
        let row = Reader::new(row, "removed_connections", "target")?;
        Ok(RemovedConnection {
            connection: row.get("target")?,
            system: row.name("system", System::parse)?,
            removed_at: row.time("removed_at")?,
        })
    });
    removed.collect()
}
