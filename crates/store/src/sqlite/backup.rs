//! Backs up the database while the server runs.

use std::path::Path;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};
use ticketing_host::files::private_file;

use crate::BackupError;

/// Writes a consistent copy of the database to `to`, which must not exist. The copy is marked as one, so that
/// a server started on it detects the restore.
pub(crate) async fn backup(database: &Path, to: &Path, now: Timestamp) -> Result<(), BackupError> {
    if !database.is_file() {
        return Err(BackupError::NoDatabase { path: database.to_owned() });
    }
    let file = private_file().create_new(true).open(to);
    let file = file.map_err(|source| BackupError::File { path: to.to_owned(), source })?;
    let written = match copy(database, to, now).await {
        Ok(()) => file
            .sync_all()
            .and_then(|()| sync_folder(to))
            .map_err(|source| BackupError::File { path: to.to_owned(), source }),
        Err(source) => Err(BackupError::Copy { path: database.to_owned(), source: source.into() }),
    };
    if written.is_err() {
        // A partial copy must not stay. A failure to remove it is not worth reporting besides the first one.
        let _ = std::fs::remove_file(to);
    }
    written
}

async fn copy(database: &Path, to: &Path, now: Timestamp) -> Result<(), sqlx::Error> {
    let from = SqliteConnectOptions::new().filename(database).read_only(true).disable_statement_logging();
    let mut db = from.connect().await?;
    let copied = sqlx::query("VACUUM INTO ?").bind(to.to_string_lossy().into_owned()).execute(&mut db).await;
    db.close().await?;
    copied?;
    let copy = SqliteConnectOptions::new().filename(to).synchronous(SqliteSynchronous::Full);
    let mut db = copy.disable_statement_logging().connect().await?;
    let marked = sqlx::query("UPDATE installation SET copied_at = ?").bind(now.as_microsecond());
    let marked = marked.execute(&mut db).await;
    db.close().await?;
    marked.map(drop)
}

/// Syncs the folder, which makes the name of the file durable.
fn sync_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}
