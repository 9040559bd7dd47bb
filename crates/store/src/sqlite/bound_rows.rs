//! Writes several rows with one statement whose columns are bound: SQLite neither parses nor renders any JSON.
//!
//! A statement has a text for 1, 2, 4, ... rows, so that few are ever prepared; what is left of the last one is padded with
//! rows whose first column is NULL, which the statement ignores.

use std::fmt::Write;
use std::sync::OnceLock;

use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Encode, Sqlite, SqliteConnection, Type};

use crate::StoreError;

/// Number of texts of a statement.
const SIZES: usize = 7;
/// Most rows that one statement writes; more are written by several.
const MAX_ROWS: usize = 1 << (SIZES - 1);

/// A statement around the rows `(VALUES (?, ?), ...)`, which are named `new`.
pub(super) struct BoundStatement {
    table: &'static str,
    columns: usize,
    text: fn(rows: &str) -> String,
    texts: [OnceLock<String>; SIZES],
}

/// The values of several rows.
pub(super) struct Values {
    table: &'static str,
    arguments: SqliteArguments,
}

// === impl BoundStatement ===

impl BoundStatement {
    /// `text` completes the statement for the given rows.
    pub(super) const fn new(table: &'static str, columns: usize, text: fn(rows: &str) -> String) -> Self {
        Self { table, columns, text, texts: [const { OnceLock::new() }; SIZES] }
    }

    /// Writes `rows`, each bound by `bind`, and returns their number.
    ///
    /// # Errors
    /// Also if the statement did not write each of them.
    pub(super) async fn write<T>(
        &'static self,
        db: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(&T, &mut Values) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        for some in rows.chunks(MAX_ROWS) {
            let mut values = Values { table: self.table, arguments: SqliteArguments::default() };
            let size = some.len().next_power_of_two();
            values.arguments.reserve(size * self.columns, 0);
            some.iter().try_for_each(|row| bind(row, &mut values))?;
            // What is not bound is NULL: the rows of the padding.
            let done =
                sqlx::query_with(self.text(size.ilog2() as usize), values.arguments).execute(&mut *db).await;
            let touched = done.map_err(StoreError::write(self.table))?.rows_affected();
            let expected = some.len() as u64;
            if touched != expected {
                return Err(StoreError::Miscounted { table: self.table, expected, touched });
            }
        }
        Ok(rows.len() as u64)
    }

    /// The text for 2 to the power of `size` rows.
    pub(super) fn text(&'static self, size: usize) -> &'static str {
        self.texts[size].get_or_init(|| {
            let mut row = String::from("(");
            (0..self.columns).for_each(|column| row.push_str(if column == 0 { "?" } else { ", ?" }));
            row.push(')');
            let mut rows = String::from("(VALUES ");
            (0..1_usize << size).for_each(|number| {
                let comma = if number == 0 { "" } else { ", " };
                write!(rows, "{comma}{row}").expect("a string takes everything");
            });
            rows.push_str(") AS new");
            (self.text)(&rows)
        })
    }
}

// === impl Values ===

impl Values {
    /// The next column.
    pub(super) fn add<'t, T: Encode<'t, Sqlite> + Type<Sqlite>>(
        &mut self,
        value: T,
    ) -> Result<(), StoreError> {
        self.arguments.add(value).map_err(|source| StoreError::write(self.table)(sqlx::Error::Encode(source)))
    }
}
