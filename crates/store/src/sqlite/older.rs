//! Takes a database back to the first schema, as the first servers left theirs: for tests of the upgrade.
//!
//! Invariant: a build without debug assertions has none of this.

use std::path::Path;

use sqlx::{ConnectOptions, Connection};

use super::keys;
use super::open::connect_options;
use crate::DEFAULT_BUSY_TIMEOUT;
use ticketing_host::files::beside;

/// What the later migrations added; those who add another take it away here.
const TAKE_BACK: &str = "
    BEGIN IMMEDIATE;
    CREATE TABLE former_installation (
        id               INTEGER PRIMARY KEY,
        installation_id  TEXT NOT NULL,
        stream_id        TEXT NOT NULL,
        marker_key       BLOB NOT NULL,
        data_key         BLOB NOT NULL,
        created_at       INTEGER NOT NULL,
        CONSTRAINT installation_is_one CHECK (id = 1),
        CONSTRAINT marker_key_is_32_bytes CHECK (length(marker_key) = 32)
    ) STRICT;
    INSERT INTO former_installation SELECT id, installation_id, stream_id, marker_key, x'', created_at FROM installation;
    DROP TABLE installation;
    ALTER TABLE former_installation RENAME TO installation;
    DROP TABLE data_keys;
    DROP TABLE target_secrets;
    DROP TABLE search_evidence;
    ALTER TABLE target_settings DROP COLUMN secret_key;
    ALTER TABLE retired_connections DROP COLUMN secret_key;
    DROP INDEX deliveries_by_state;
    DROP INDEX deliveries_by_connection;
    DROP INDEX deliveries_by_system;
    DROP INDEX deliveries_by_ticket_key;
    DROP INDEX deliveries_by_fault_kind;
    DROP INDEX deliveries_by_ticket_id;
    DROP INDEX deliveries_by_marker;
    ALTER TABLE deliveries DROP COLUMN fault_kind;
    ALTER TABLE deliveries DROP COLUMN ticket_id;
    ALTER TABLE deliveries DROP COLUMN ticket_key;
    ALTER TABLE deliveries DROP COLUMN resolution;
    ALTER TABLE deliveries DROP COLUMN absences;
    DROP TABLE former_streams;
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema
    SET sql = replace(
        sql,
        'only_settled_is_swept CHECK (sweep IS NULL OR state IN (''DELIVERED'', ''FAILED'', ''CANCELLED''))',
        'only_delivered_is_swept CHECK (sweep IS NULL OR state = ''DELIVERED'')')
    WHERE type = 'table' AND name = 'deliveries';
    PRAGMA writable_schema = RESET;
    ALTER TABLE deliveries DROP COLUMN requested_by;
    ALTER TABLE deliveries DROP COLUMN namespace;
    DROP TABLE tokens;
    DROP TABLE audit;
    DROP TABLE audit_head;
    DELETE FROM _sqlx_migrations WHERE version > 1;
    COMMIT;
";

/// Takes the database at `path` back; no server may have it open. What was accepted stays in it.
///
/// # Errors
/// If it cannot be opened, or has not the newest schema.
pub async fn make_older(path: &Path) -> Result<(), sqlx::Error> {
    let mut db = connect_options(path, DEFAULT_BUSY_TIMEOUT).create_if_missing(false).connect().await?;
    let first = keys::encrypted_as_first_version(&mut db, path)
        .await
        .map_err(|error| sqlx::Error::Protocol(error.to_string()))?;
    sqlx::raw_sql(TAKE_BACK).execute(&mut db).await?;
    sqlx::query("UPDATE installation SET data_key = ?").bind(first).execute(&mut db).await?;
    db.close().await?;
    // The first servers wrote none.
    std::fs::remove_file(beside(path, "mark")).map_err(sqlx::Error::Io)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::{KeySource, Store, StoreOptions};
    use ticketing_host::clock::{ManualClock, ManualMachine};
    use ticketing_host::entropy::SeededEntropy;

    /// Every column of every table, and every constraint.
    async fn schema(path: &Path) -> (Vec<(String, String, String)>, Vec<String>) {
        let mut db = connect_options(path, DEFAULT_BUSY_TIMEOUT).connect().await.unwrap();
        let tables: Vec<String> =
            sqlx::query_scalar("SELECT sql FROM sqlite_schema WHERE type = 'table' ORDER BY name")
                .fetch_all(&mut db)
                .await
                .unwrap();
        let lines = tables.iter().flat_map(|table| table.lines().map(|line| line.trim().to_owned()));
        let constraints = lines.filter(|line| line.starts_with("CONSTRAINT")).collect();
        let columns = "SELECT m.name, c.name, c.type || c.\"notnull\" || c.hidden || c.pk || coalesce(c.dflt_value, '-')
            FROM sqlite_schema m, pragma_table_xinfo(m.name) c ORDER BY m.name, c.cid";
        let columns = sqlx::query_as(columns).fetch_all(&mut db).await.unwrap();
        db.close().await.unwrap();
        (columns, constraints)
    }

    #[tokio::test]
    async fn downgraded_database_has_first_schema() {
        let folder = tempfile::tempdir().unwrap();
        let (first, taken_back) = (folder.path().join("first.db"), folder.path().join("ticketing.db"));
        let options = StoreOptions {
            clock: Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH)),
            entropy: Arc::new(SeededEntropy::new(1)),
            machine: Arc::<ManualMachine>::default(),
            key: KeySource::BesideDatabase,
            restored: false,
            busy_timeout: DEFAULT_BUSY_TIMEOUT,
        };
        let (store, _) = Store::open(&taken_back, options).await.unwrap();
        store.close().await;
        make_older(&taken_back).await.unwrap();
        let mut db =
            connect_options(&first, DEFAULT_BUSY_TIMEOUT).create_if_missing(true).connect().await.unwrap();
        let mut migrations = super::super::open::migrator();
        migrations.migrations.to_mut().truncate(1);
        migrations.run_direct(None, &mut db, false).await.unwrap();
        db.close().await.unwrap();
        assert_eq!(schema(&taken_back).await, schema(&first).await);
    }
}
