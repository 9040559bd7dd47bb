//! Writes many deliveries at once.

use std::path::Path;

use anyhow::Result;
use rusqlite::Connection;

use super::sample::{Names, Sample, run, values};

/// How many deliveries there are for each failed one.
const PER_FAILURE: u64 = 100;
/// Microseconds between two deliveries.
const INTERVAL: i64 = 1_000;
/// Rows in one transaction, so that its pages fit the cache.
const PER_TRANSACTION: usize = 20_000;

/// The numbers of the first failed deliveries.
pub(crate) fn failed_numbers(count: u64) -> Vec<u64> {
    (0..count).map(|index| index * PER_FAILURE + PER_FAILURE - 1).collect()
}

fn is_failed(number: &u64) -> bool {
    number % PER_FAILURE == PER_FAILURE - 1
}

/// Adds the deliveries with these numbers to the database of a stopped server: one of a hundred failed, the others
/// delivered. The newest has the highest number.
pub(crate) fn fill(database: &Path, numbers: &[u64], delivered: &Sample, failed: &Sample) -> Result<()> {
    let db = Connection::open(database)?;
    db.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA cache_size = -400000;",
    )?;
    for numbers in numbers.chunks(PER_TRANSACTION) {
        db.execute_batch("BEGIN")?;
        let (failures, others): (Vec<u64>, Vec<u64>) = numbers.iter().copied().partition(is_failed);
        insert(&db, delivered, &others)?;
        insert(&db, failed, &failures)?;
        db.execute_batch("COMMIT")?;
    }
    recount(&db)?;
    db.execute_batch("PRAGMA locking_mode = NORMAL; PRAGMA journal_mode = WAL;")?;
    Ok(())
}

fn insert(db: &Connection, sample: &Sample, numbers: &[u64]) -> Result<()> {
    let mut statements = Vec::new();
    for table in &sample.tables {
        statements.push((table, db.prepare(&table.insert())?));
    }
    for number in numbers.iter().copied() {
        let names = Names::numbered(number);
        // Before the samples, which are the newest.
        let earlier = (10_000_000 - i64::try_from(number)?) * INTERVAL;
        for (table, statement) in &mut statements {
            for row in &table.rows {
                run(statement, values(row, &names, earlier))?;
            }
        }
    }
    Ok(())
}

/// Counts again what the store counts in the transaction of each change.
fn recount(db: &Connection) -> Result<()> {
    if db.table_exists(None, "delivery_counts")? {
        db.execute_batch(
            "DELETE FROM delivery_counts;
             INSERT INTO delivery_counts (target, state, count, needs_attention)
             SELECT target, state, count(*), 0 FROM deliveries GROUP BY target, state;",
        )?;
    }
    Ok(())
}
