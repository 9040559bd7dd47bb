//! Errors of the store.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use ticketing_host::panics;
use ticketing_secrets::KeyError;

/// Why a read or write failed. Cheap to clone: all callers of a failed transaction get the same error.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("failed to begin the transaction{}", source.hint())]
    Begin { source: DatabaseError },
    #[error("failed to read {what}{}", source.hint())]
    Read { what: &'static str, source: DatabaseError },
    #[error("failed to write {what}{}", source.hint())]
    Write { what: &'static str, source: DatabaseError },
    #[error("failed to commit the transaction{}", source.hint())]
    Commit { source: DatabaseError },
    #[error("expected to write {expected} rows of {table}, wrote {touched}")]
    Miscounted { table: &'static str, expected: u64, touched: u64 },
    #[error("column {column} of row {id} of {table} is invalid: {reason}")]
    BadRow { table: &'static str, column: &'static str, id: String, reason: String },
    #[error(
        "the secret in column {column} of row {id} of {table} cannot be used: it is not the last one written, or the row was edited"
    )]
    Undecryptable { table: &'static str, column: &'static str, id: String },
    #[error("failed to read the keys of the secrets")]
    Keys { source: Arc<OpenError> },
    #[error("failed to encode {what} as JSON")]
    Encode { what: &'static str, source: Arc<serde_json::Error> },
    #[error("{write} panicked: {reason}")]
    Panicked { write: &'static str, reason: &'static str },
    #[error("the database file is damaged ({detail}): nothing is written any more")]
    Damaged { detail: String },
    #[error("the store is closed")]
    Closed,
}

/// An error of the database driver, with its kind. Displays as the driver's error, of which it is the clonable form.
#[derive(Debug, Clone)]
pub struct DatabaseError {
    kind: StoreErrorKind,
    error: Arc<dyn Error + Send + Sync>,
}

/// Kinds of [`StoreError`] that callers distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// The disk is full: nothing was changed, and the store works again once there is space.
    Full,
    /// Another process holds the database.
    Locked,
    /// The file is corrupt.
    Corrupt,
    /// The store is shutting down.
    Closed,
    /// A row holds an invalid value.
    BadRow,
    /// The schema rejected a write.
    Refused,
    /// A bug of the program: nothing was written.
    Panicked,
    /// Any other failure: of the database or of the disk.
    Other,
}

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("failed to create the folder {path}")]
    Folder { path: PathBuf, source: std::io::Error },
    #[error("the file {path} cannot be opened for writing")]
    File { path: PathBuf, source: std::io::Error },
    #[error(
        "{path} is a symbolic link, and the server follows none where its own files are: put the file itself there (the \
         data folder is named by --data, the key by --key-file)"
    )]
    Link { path: PathBuf },
    #[error("another server uses the database {path}; stop it, or use another data folder")]
    InUse { path: PathBuf },
    #[error("the database {path} cannot be opened")]
    Connect { path: PathBuf, source: DatabaseError },
    #[error("SQLite {found} can lose committed writes; {needed} or newer is needed")]
    TooOld { found: String, needed: &'static str },
    #[error("the database {path} is damaged ({detail}); restore it from a backup")]
    Damaged { path: PathBuf, detail: String },
    #[error(
        "the database {path} is empty, but {mark} records {events} events in it: restore it, with its -wal file if there \
         is one; or remove {mark} as well to start empty, without knowledge of existing tickets"
    )]
    Emptied { path: PathBuf, mark: PathBuf, events: u64 },
    #[error("the schema of the database {path} cannot be brought up to date")]
    Migrate { path: PathBuf, source: Box<dyn Error + Send + Sync> },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(
        "the key in {origin} is not the one that the secrets in the database {database} were encrypted with: restore that key, or name its file with --key-file"
    )]
    KeyWrong { origin: String, database: PathBuf },
    #[error(
        "the key in {origin} is not the one that the secrets in the database {database} are encrypted with since {since}, when \
         `ticketing key rotate` replaced it: use the new key, for example with --key-file"
    )]
    KeyReplaced { origin: String, database: PathBuf, since: jiff::Timestamp },
    #[error(
        "the audit head was removed from the database {path}, and with it the row digests that tell current secrets \
         from older ones: restore the database from a backup"
    )]
    AuditRemoved { path: PathBuf },
    #[error(
        "the schema of the database {path} is of another version: start the server of this version once to migrate it"
    )]
    OtherVersion { path: PathBuf },
    #[error(
        "the database {path} is being created by a server that starts for the first time: try again in a moment; if no server is \
         running, start it once with `ticketing serve`"
    )]
    BeingCreated { path: PathBuf },
    #[error("failed to read the state of the store")]
    State { source: StoreError },
}

/// Why the backup failed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("there is no database {path}; --data names its folder")]
    NoDatabase { path: PathBuf },
    #[error("the file {path} cannot be written; it must not exist yet")]
    File { path: PathBuf, source: std::io::Error },
    #[error(
        "the database {path} cannot be copied; one of an earlier version can once this version has opened it"
    )]
    Copy { path: PathBuf, source: DatabaseError },
}

// === impl StoreError ===

impl StoreError {
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Begin { source }
            | Self::Read { source, .. }
            | Self::Write { source, .. }
            | Self::Commit { source } => source.kind(),
            Self::BadRow { .. } | Self::Undecryptable { .. } => StoreErrorKind::BadRow,
            Self::Miscounted { .. } | Self::Encode { .. } => StoreErrorKind::Refused,
            Self::Panicked { .. } => StoreErrorKind::Panicked,
            Self::Keys { .. } => StoreErrorKind::Other,
            Self::Damaged { .. } => StoreErrorKind::Corrupt,
            Self::Closed => StoreErrorKind::Closed,
        }
    }

    /// Whether a secret in this table cannot be used.
    pub(super) fn is_about(&self, place: &str) -> bool {
        matches!(self, Self::Undecryptable { table, .. } if *table == place)
    }

    pub(super) fn encode(what: &'static str) -> impl FnOnce(serde_json::Error) -> Self {
        move |source| Self::Encode { what, source: Arc::new(source) }
    }

    /// The message of a caught panic.
    pub(super) fn panicked(write: &'static str, payload: &(dyn Any + Send)) -> Self {
        Self::Panicked { write, reason: panics::message(payload) }
    }

    pub fn bad(table: &'static str, column: &'static str, id: &str, reason: &dyn fmt::Display) -> Self {
        Self::BadRow { table, column, id: id.to_owned(), reason: reason.to_string() }
    }
}

// === impl DatabaseError ===

impl DatabaseError {
    pub(super) fn new(kind: StoreErrorKind, error: impl Error + Send + Sync + 'static) -> Self {
        Self { kind, error: Arc::new(error) }
    }

    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    fn hint(&self) -> &'static str {
        match self.kind {
            StoreErrorKind::Full => ": the disk is full",
            StoreErrorKind::Locked => ": another process holds the database",
            StoreErrorKind::Corrupt => ": the database file is damaged",
            _ => "",
        }
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for DatabaseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}
