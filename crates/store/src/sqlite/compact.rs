//! Rewrites the database file without free pages, while no server uses it.

use std::path::Path;

use sqlx::sqlite::SqliteAutoVacuum;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::connection::unopened;
use super::open::{connect_options, lock, refuse_links};
use crate::{Compacted, DEFAULT_BUSY_TIMEOUT, OpenError};
use ticketing_host::files::beside;

/// Compacts the database. From then on its file shrinks in steps while a server runs, which files of earlier versions do
/// not. Interrupted, it leaves the database as it was.
pub(crate) async fn compact(path: &Path) -> Result<Compacted, OpenError> {
    refuse_links(path)?;
    let _locks = [lock(&beside(path, "lock"), path)?, lock(path, path)?];
    let before = size(path)?;
    let options = connect_options(path, DEFAULT_BUSY_TIMEOUT).auto_vacuum(SqliteAutoVacuum::Incremental);
    let mut db = options.connect().await.map_err(|source| unopened(path, source))?;
    let rewritten = vacuum(&mut db).await;
    let closed = db.close().await;
    rewritten.and(closed).map_err(|source| unopened(path, source))?;
    Ok(Compacted { before, after: size(path)? })
}

async fn vacuum(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("VACUUM").execute(&mut *db).await?;
    sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(db).await.map(drop)
}

fn size(path: &Path) -> Result<u64, OpenError> {
    let file = std::fs::metadata(path);
    file.map(|file| file.len()).map_err(|source| OpenError::File { path: path.to_owned(), source })
}
