//! What is shown of each connection, at a cost that does not depend on the number of deliveries: counts are rows, and
//! the last attempts are read from the ends of their indexes.
//!
//! All is read in one snapshot, and again only after a commit: until then the answer in memory is the current one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, SqliteConnection};
use ticketing_core::delivery::{LastError, State};

use super::Database;
use super::bound_rows::BoundStatement;
use super::rows::Reader;
use crate::StoreError;
use crate::delivery_counts::CountChanges;
use crate::port;
use crate::settings::StoredTest;
use crate::summary::{ConnectionSummary, LastFailure, LastSuccess, StateCount};
use crate::types::AttemptOutcome;

pub(super) static ADJUST: BoundStatement = BoundStatement::new("delivery_counts", 4, |rows| {
    format!(
        "INSERT INTO delivery_counts (target, state, count, needs_attention)
         SELECT * FROM {rows} WHERE column1 IS NOT NULL
         ON CONFLICT (target, state) DO UPDATE SET
             count = count + excluded.count, needs_attention = needs_attention + excluded.needs_attention"
    )
});

/// The IDs of deliveries sort by their creation.
const COUNTS: &str = "
    SELECT target, state, count, needs_attention, (
        SELECT created_at FROM deliveries AS d WHERE d.target = c.target AND d.state = c.state ORDER BY id LIMIT 1
    ) AS oldest
    FROM delivery_counts AS c WHERE count > 0";

const LAST_SUCCESSES: &str = "
    SELECT c.target, a.delivery_id, a.finished_at, d.ticket
    FROM (SELECT DISTINCT target FROM delivery_counts) AS c
        CROSS JOIN attempts AS a ON (a.delivery_id, a.number) = (
            SELECT delivery_id, number FROM attempts AS last
            WHERE last.target = c.target AND kind <> 'SWEEP' AND outcome IN ('CREATED', 'FOUND')
            ORDER BY finished_at DESC LIMIT 1)
        CROSS JOIN deliveries AS d ON d.id = a.delivery_id";

const LAST_FAILURES: &str = "
    SELECT c.target, a.delivery_id, a.finished_at, a.outcome, a.fault
    FROM (SELECT DISTINCT target FROM delivery_counts) AS c
        CROSS JOIN attempts AS a ON (a.delivery_id, a.number) = (
            SELECT delivery_id, number FROM attempts AS last
            WHERE last.target = c.target AND fault IS NOT NULL
            ORDER BY finished_at DESC LIMIT 1)";

type Summaries = BTreeMap<String, ConnectionSummary>;

/// The last answer, and what it includes.
#[derive(Debug, Default)]
pub(super) struct SummaryCache {
    last: Mutex<Option<Cached>>,
    /// Callers that find it outdated wait for one of them to read.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Cached {
    /// It includes at least so many commits.
    commits: u64,
    summaries: Arc<Summaries>,
}

// === impl SummaryCache ===

impl SummaryCache {
    /// The last answer, if it includes this many commits.
    fn get(&self, commits: u64) -> Option<Arc<Summaries>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|last| last.commits >= commits).map(|last| last.summaries.clone())
    }

    fn set(&self, commits: u64, summaries: Arc<Summaries>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Cached { commits, summaries });
    }
}

#[async_trait]
impl port::Summaries for Database {
    async fn summaries(&self) -> Result<Arc<Summaries>, StoreError> {
        // The writer counts a commit before it answers: a caller that was answered finds the change here.
        let needed = self.state.commits();
        if let Some(summaries) = self.summaries.get(needed) {
            return Ok(summaries);
        }
        let _one_at_a_time = self.summaries.reading.lock().await;
        if let Some(summaries) = self.summaries.get(needed) {
            return Ok(summaries);
        }
        let included = self.state.commits();
        let mut db = self.readers.acquire().await.map_err(StoreError::begin)?;
        let mut snapshot = db.begin().await.map_err(StoreError::begin)?;
        let summaries = Arc::new(read(&mut snapshot).await?);
        self.summaries.set(included, summaries.clone());
        Ok(summaries)
    }
}

/// Writes the changes of the numbers.
pub(super) async fn adjust(db: &mut SqliteConnection, changes: &CountChanges) -> Result<(), StoreError> {
    let changes: Vec<_> = changes.iter().collect();
    let adjusted = ADJUST.write(db, &changes, |(connection, state, change), values| {
        values.add(*connection)?;
        values.add(state.as_str())?;
        values.add(change.count)?;
        values.add(change.needs_attention)
    });
    adjusted.await.map(drop)
}

async fn read(db: &mut SqliteConnection) -> Result<Summaries, StoreError> {
    let mut summaries = Summaries::new();
    for row in &all(COUNTS, "counts", db).await? {
        let row = Reader::new(row, "delivery_counts", "target")?;
        let summary = summaries.entry(row.get("target")?).or_default();
        let needs_attention: i64 = row.get("needs_attention")?;
        summary.needs_attention += u64::try_from(needs_attention).unwrap_or_default();
        summary.counts.push(StateCount {
            state: row.name("state", State::parse)?,
            count: row.get::<i64>("count")?.cast_unsigned(),
            oldest: row.time_if("oldest")?,
        });
    }
    for row in &all("SELECT target, at, checks FROM target_tests", "tests", db).await? {
        let row = Reader::new(row, "target_tests", "target")?;
        let test = StoredTest { at: row.time("at")?, checks: row.json("checks")? };
        summaries.entry(row.get("target")?).or_default().last_test = Some(test);
    }
    for row in &all(LAST_SUCCESSES, "attempts", db).await? {
        let row = Reader::new(row, "attempts", "delivery_id")?;
        let at = row.time("finished_at")?;
        let success =
            LastSuccess { at, delivery_id: row.get("delivery_id")?, ticket: row.json_if("ticket")? };
        summaries.entry(row.get("target")?).or_default().last_success = Some(success);
    }
    for row in &all(LAST_FAILURES, "attempts", db).await? {
        let row = Reader::new(row, "attempts", "delivery_id")?;
        let outcome: String = row.get("outcome")?;
        let ambiguous = outcome == AttemptOutcome::Ambiguous.as_str();
        let error = LastError { fault: row.json("fault")?, ambiguous, at: row.time("finished_at")? };
        let failure = LastFailure { delivery_id: row.get("delivery_id")?, error };
        summaries.entry(row.get("target")?).or_default().last_failure = Some(failure);
    }
    Ok(summaries)
}

async fn all(
    statement: &'static str,
    what: &'static str,
    db: &mut SqliteConnection,
) -> Result<Vec<SqliteRow>, StoreError> {
    sqlx::query(statement).fetch_all(db).await.map_err(StoreError::read(what))
}
