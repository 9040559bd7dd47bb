//! Opens the server's database by itself: edits, evidence, and schemas of former servers.

mod create;
mod edit;
mod older;

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, SqliteConnection};

pub use create::create_database;
pub use edit::Edit;
pub(crate) use edit::{add_evidence, edit};
pub use older::make_older;

/// How long to wait for the lock of the server.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the database in the folder `data`, beside the server if one has it open. It must exist.
async fn open(data: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnectOptions::new()
        .filename(data.join("ticketing.db"))
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(BUSY_TIMEOUT)
        // As the server does, so that an edit leaves no older ciphertext in the file.
        .pragma("secure_delete", "ON")
        .connect()
        .await
}
