//! The harness takes databases back to the first schema for tests of the upgrade: exactly to that one.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use sqlx::{ConnectOptions, Connection};
use ticketing_harness::make_older;
use ticketing_host::manual::{ManualClock, ManualMachine, SeededEntropy};

use super::open::{connect_options, migrator};
use crate::{DEFAULT_BUSY_TIMEOUT, KeySource, Store, StoreOptions};

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
    let columns =
        "SELECT m.name, c.name, c.type || c.\"notnull\" || c.hidden || c.pk || coalesce(c.dflt_value, '-')
        FROM sqlite_schema m, pragma_table_xinfo(m.name) c ORDER BY m.name, c.cid";
    let columns = sqlx::query_as(columns).fetch_all(&mut db).await.unwrap();
    db.close().await.unwrap();
    (columns, constraints)
}

#[tokio::test]
async fn downgraded_database_has_first_schema() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first.db");
    let taken_back = folder.path().join("ticketing.db");
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
    make_older(folder.path()).await;
    let mut db =
        connect_options(&first, DEFAULT_BUSY_TIMEOUT).create_if_missing(true).connect().await.unwrap();
    let mut migrations = migrator();
    migrations.migrations.to_mut().truncate(1);
    migrations.run_direct(None, &mut db, false).await.unwrap();
    db.close().await.unwrap();
    assert_eq!(schema(&taken_back).await, schema(&first).await);
}
