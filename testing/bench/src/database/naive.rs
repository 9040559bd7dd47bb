//! What a service does that does not batch: sqlx, one transaction for each push.

use std::path::Path;

use anyhow::Result;
use rusqlite::types::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, SqlitePool};

use super::plain::Stages;
use super::sample::{Names, values};

/// A pool of one connection: SQLite has one writer, and more connections wait for its lock with sleeps.
#[derive(Debug, Clone)]
pub(crate) struct Naive {
    pool: SqlitePool,
    statements: Vec<String>,
    stages: Stages,
}

impl Naive {
    pub(crate) async fn open(database: &Path, stages: &Stages) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(database)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .pragma("secure_delete", "ON");
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        let statements = stages.accept().iter().map(super::sample::Table::insert).collect();
        Ok(Self { pool, statements, stages: stages.clone() })
    }

    /// Writes the rows of an accepted push.
    pub(crate) async fn accept(&self, number: u64) -> Result<()> {
        let names = Names::numbered(number);
        let mut transaction = self.pool.begin().await?;
        for (table, statement) in self.stages.accept().iter().zip(&self.statements) {
            for row in &table.rows {
                let mut query = sqlx::query(AssertSqlSafe(statement.clone()));
                for value in values(row, &names, 0) {
                    query = match value {
                        Value::Null => query.bind(None::<i64>),
                        Value::Integer(value) => query.bind(value),
                        Value::Real(value) => query.bind(value),
                        Value::Text(value) => query.bind(value),
                        Value::Blob(value) => query.bind(value),
                    };
                }
                query.execute(&mut *transaction).await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }
}
