//! Removes the ciphertext of a replaced secret from the WAL.
//!
//! In the main file it is overwritten with zeros. The WAL still contains it until that is overwritten or
//! truncated. Truncating it has to wait for readers.

use std::fmt::Display;
use std::time::Duration;

use sqlx::{AssertSqlSafe, SqliteConnection};

use ticketing_core::error_chain::ErrorChain;

/// Truncates the WAL so that old ciphertext does not survive, waiting for readers up to `backoff`. Returns
/// whether it did: otherwise the WAL is truncated when the last process closes the database.
pub(super) async fn scrub(db: &mut SqliteConnection, backoff: Duration) -> bool {
    match try_scrub(db, backoff.as_millis()).await {
        Ok(scrubbed) => scrubbed,
        Err(error) => {
            tracing::warn!(
                error = %ErrorChain(&error),
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
