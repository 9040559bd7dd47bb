//! Errors of SQLite and its driver, as errors of the store.

use crate::error::{DatabaseError, StoreError, StoreErrorKind};

// === impl StoreError ===

impl StoreError {
    pub(super) fn begin(source: sqlx::Error) -> Self {
        Self::Begin { source: source.into() }
    }

    pub(super) fn read(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Read { what, source: source.into() }
    }

    pub(super) fn write(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Write { what, source: source.into() }
    }

    pub(super) fn commit(source: sqlx::Error) -> Self {
        Self::Commit { source: source.into() }
    }
}

// === impl DatabaseError ===

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        Self::new(kind_of(&error), error)
    }
}

/// The meaning of SQLite's primary result code.
fn kind_of(error: &sqlx::Error) -> StoreErrorKind {
    let error = match error {
        sqlx::Error::Database(error) => error,
        sqlx::Error::PoolClosed => return StoreErrorKind::Closed,
        _ => return StoreErrorKind::Other,
    };
    let code = error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or_default();
    match code & 0xff {
        5 | 6 => StoreErrorKind::Locked,
        11 | 26 => StoreErrorKind::Corrupt,
        13 => StoreErrorKind::Full,
        19 => StoreErrorKind::Refused,
        _ => StoreErrorKind::Other,
    }
}
