//! Removes the ciphertext of a replaced secret from the WAL.
//!
//! In the main file it is written over with zeros. The write-ahead log has it still, until that is written over too or cut
//! off: it is truncated here, which has to wait for its readers.

use std::fmt::Display;
use std::time::Duration;

use sqlx::{AssertSqlSafe, SqliteConnection};

/// Truncates the WAL so that old ciphertext does not survive, waiting for readers up to `backoff`. Returns whether it did: else the
/// log is cut off when the last server or command lets go of the database.
pub(super) async fn scrub(db: &mut SqliteConnection, backoff: Duration) -> bool {
    match try_scrub(db, backoff.as_millis()).await {
        Ok(scrubbed) => scrubbed,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "failed to truncate the WAL; it may still hold old ciphertext"
            );
            false
        }
    }
}

async fn try_scrub(db: &mut SqliteConnection, backoff: u128) -> Result<bool, sqlx::Error> {
    let usual: i64 = sqlx::query_scalar("PRAGMA busy_timeout").fetch_one(&mut *db).await?;
    wait_at_most(db, &backoff).await?;
    let cut_off = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *db).await;
    wait_at_most(db, &usual).await?;
    let (busy, _, _): (i64, i64, i64) = cut_off?;
    Ok(busy == 0)
}

async fn wait_at_most(
    db: &mut SqliteConnection,
    milliseconds: &(dyn Display + Sync),
) -> Result<(), sqlx::Error> {
    let statement = format!("PRAGMA busy_timeout = {milliseconds}");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(db).await.map(drop)
}
