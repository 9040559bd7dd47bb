//! Writes many deliveries at once.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use rusqlite::Connection;

use super::sample::{Names, Sample, run, values};

/// How many deliveries there are for each failed one.
const PER_FAILURE: u64 = 100;
/// Microseconds between two deliveries.
const INTERVAL: i64 = 1_000;
/// Rows in one transaction, so that its pages fit the cache.
const PER_TRANSACTION: u64 = 20_000;

/// Adds the deliveries with these numbers to the database of a stopped server: one of a hundred failed, the others
/// delivered. The newest has the highest number.
pub(crate) fn fill(database: &Path, numbers: Range<u64>, delivered: &Sample, failed: &Sample) -> Result<()> {
    let db = Connection::open(database)?;
    db.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
         PRAGMA cache_size = -400000;",
    )?;
    let mut start = numbers.start;
    while start < numbers.end {
        let end = numbers.end.min(start + PER_TRANSACTION);
        db.execute_batch("BEGIN")?;
        for sample in [delivered, failed] {
            let is_failed = |number: &u64| number % PER_FAILURE == PER_FAILURE - 1;
            let chosen = (start..end).filter(|number| is_failed(number) == std::ptr::eq(sample, failed));
            insert(&db, sample, chosen)?;
        }
        db.execute_batch("COMMIT")?;
        start = end;
    }
    recount(&db)?;
    db.execute_batch("PRAGMA locking_mode = NORMAL; PRAGMA journal_mode = WAL;")?;
    Ok(())
}

fn insert(db: &Connection, sample: &Sample, numbers: impl Iterator<Item = u64>) -> Result<()> {
    let mut statements = Vec::new();
    for table in &sample.tables {
        statements.push((table, db.prepare(&table.insert())?));
    }
    for number in numbers {
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

/// Counts anew what the store counts in the transaction of each change.
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
