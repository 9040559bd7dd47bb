//! Lists of deliveries, at bounded cost.
//!
//! Any combination of filters is answered from one index, that of its most selective filter, in page order;
//! the other filters are checked on the rows of the index. A call examines at most [`MAX_EXAMINED`]
//! deliveries: if too few match, the page ends early and the next one continues there. It reads at most
//! [`MAX_BYTES`] of them.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use ticketing_core::delivery::Delivery;

use super::Database;
use super::load::BY_ID;
use super::rows::{self, Reader};
use crate::StoreError;
use crate::port;
use crate::types::{
    Attempt, AttemptKind, AttemptOutcome, AttemptTimes, DeliveryFilter, DeliveryPage, PageKey,
};

/// Maximum number of deliveries examined by one call.
const MAX_EXAMINED: u32 = 5_000;
/// Maximum size of the deliveries, and of their attempts, that one call reads. Rows from before texts of
/// ticket systems were limited may be large.
const MAX_BYTES: usize = 4 * 1024 * 1024;

const COLUMNS: &str = "SELECT id, created_at, state, system, target, fault_kind, ticket_key FROM deliveries";

/// The newest attempts of each delivery, newest first: above the limit, the oldest are omitted.
const ATTEMPTS: &str = "
    SELECT a.* FROM json_each(?) AS wanted CROSS JOIN attempts AS a ON a.delivery_id = wanted.value
        AND a.number > (SELECT max(newest.number) FROM attempts AS newest WHERE newest.delivery_id = wanted.value) - ?
    ORDER BY a.number DESC";

/// The source of a list's candidates: one index, read in page order.
struct Source {
    /// The SQL between `COLUMNS` and the value.
    from: &'static str,
    /// One range of the index per value; empty if the whole index is one range.
    values: Vec<String>,
    /// Whether every candidate matches the filter.
    is_exact: bool,
}

#[async_trait]
impl port::DeliveryLists for Database {
    async fn list(
        &self,
        filter: &DeliveryFilter,
        page_size: u32,
        after: Option<&PageKey>,
        with_attempts: bool,
    ) -> Result<DeliveryPage, StoreError> {
        let _permit = self.lists.acquire().await.map_err(|_closed| StoreError::Closed)?;
        let mut snapshot = self.readers.begin().await.map_err(StoreError::begin)?;
        let (keys, next) = keys(&mut snapshot, filter, page_size, after).await?;
        let (deliveries, is_cut) = deliveries(&mut snapshot, &keys).await?;
        let last = deliveries.last().filter(|_| is_cut).map(PageKey::of);
        let ids: Vec<_> = deliveries.iter().map(|delivery| delivery.id.as_str()).collect();
        let attempts = match with_attempts {
            true => newest_attempts(&mut snapshot, &ids, crate::MAX_LISTED_ATTEMPTS).await?,
            false => vec![],
        };
        Ok(DeliveryPage { deliveries, attempts, next: last.or(next) })
    }

    async fn list_keys(
        &self,
        filter: &DeliveryFilter,
        page_size: u32,
        after: Option<&PageKey>,
    ) -> Result<(Vec<PageKey>, Option<PageKey>), StoreError> {
        let _permit = self.lists.acquire().await.map_err(|_closed| StoreError::Closed)?;
        let mut snapshot = self.readers.begin().await.map_err(StoreError::begin)?;
        keys(&mut snapshot, filter, page_size, after).await
    }
}

async fn keys(
    db: &mut SqliteConnection,
    filter: &DeliveryFilter,
    page_size: u32,
    after: Option<&PageKey>,
) -> Result<(Vec<PageKey>, Option<PageKey>), StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new("");
    fitting(&mut query, filter, page_size + 1, after);
    let mut keys = read_keys(&mut query, db).await?;
    if keys.len() > page_size as usize {
        keys.truncate(page_size as usize);
        let next = keys.last().cloned();
        return Ok((keys, next));
    }
    if filter.source().is_exact {
        return Ok((keys, None));
    }
    let mut query = QueryBuilder::<Sqlite>::new("");
    last_examined(&mut query, filter, after);
    let next = read_keys(&mut query, db).await?.pop();
    Ok((keys, next))
}

async fn read_keys(
    query: &mut QueryBuilder<Sqlite>,
    db: &mut SqliteConnection,
) -> Result<Vec<PageKey>, StoreError> {
    let rows = query.build().fetch_all(db).await.map_err(StoreError::read("deliveries"))?;
    let key = |row: &SqliteRow| {
        let row = Reader::new(row, "deliveries", "id")?;
        Ok(PageKey { created_at: row.time("created_at")?, id: row.get("id")? })
    };
    rows.iter().map(key).collect()
}

/// The first `limit` matching candidates.
fn fitting(query: &mut QueryBuilder<Sqlite>, filter: &DeliveryFilter, limit: u32, after: Option<&PageKey>) {
    let source = filter.source();
    let examined = if source.is_exact { limit } else { MAX_EXAMINED };
    query.push("SELECT id, created_at FROM (");
    candidates(query, filter, &source, after, examined);
    query.push(") WHERE true");
    push_any(query, "state", filter.states.iter().map(|state| state.as_str()));
    push_any(query, "system", filter.systems.iter().map(|system| system.as_str()));
    push_any(query, "target", filter.connections.iter().map(String::as_str));
    push_any(query, "fault_kind", filter.fault_kinds.iter().map(|kind| kind.as_str()));
    push_any(query, "ticket_key", filter.ticket_key.iter().map(String::as_str));
    query.push(" LIMIT ").push_bind(limit);
}

/// The last candidate that a call examines, if there are more.
fn last_examined(query: &mut QueryBuilder<Sqlite>, filter: &DeliveryFilter, after: Option<&PageKey>) {
    query.push("SELECT id, created_at FROM (");
    candidates(query, filter, &filter.source(), after, MAX_EXAMINED);
    query.push(") LIMIT 1 OFFSET ").push_bind(MAX_EXAMINED - 1);
}

/// At most `limit` deliveries of a source, newest first: the merged ranges of its index.
fn candidates(
    query: &mut QueryBuilder<Sqlite>,
    filter: &DeliveryFilter,
    source: &Source,
    after: Option<&PageKey>,
    limit: u32,
) {
    let (before, id) = before(filter, after);
    let mut value = source.values.iter();
    for range in 0..source.values.len().max(1) {
        query.push(if range > 0 { " UNION ALL " } else { "" }).push(COLUMNS).push(source.from);
        if let Some(value) = value.next() {
            query.push_bind(value.clone()).push(" AND");
        }
        query.push(" (created_at, id) < (").push_bind(before).push(", ").push_bind(id.clone()).push(")");
        if let Some(from) = filter.created_from {
            query.push(" AND created_at >= ").push_bind(ceiling(from));
        }
    }
    query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(limit);
}

/// The key that precedes every delivery of the page, in page order.
fn before(filter: &DeliveryFilter, after: Option<&PageKey>) -> (i64, String) {
    let until =
        filter.created_until.map_or((i64::MAX, String::new()), |until| (ceiling(until), String::new()));
    let after = after.map(|key| (key.created_at.as_microsecond(), key.id.clone()));
    after.map_or(until.clone(), |after| after.min(until))
}

/// Stored times have whole microseconds, so a bound is rounded up to the next one.
fn ceiling(time: Timestamp) -> i64 {
    let floor = time.as_microsecond();
    let is_whole = Timestamp::from_microsecond(floor).is_ok_and(|whole| whole >= time);
    if is_whole { floor } else { floor.saturating_add(1) }
}

fn push_any<'a>(
    query: &mut QueryBuilder<Sqlite>,
    column: &'static str,
    values: impl ExactSizeIterator<Item = &'a str>,
) {
    if values.len() == 0 {
        return;
    }
    query.push(" AND ").push(column).push(" IN (");
    let mut list = query.separated(", ");
    for value in values {
        list.push_bind(value.to_owned());
    }
    query.push(")");
}

// === impl DeliveryFilter ===

impl DeliveryFilter {
    /// The most selective index, and whether it is sufficient. Every index can restrict times.
    fn source(&self) -> Source {
        let narrowing = [
            self.incident_id.is_some(),
            self.ticket_key.is_some(),
            !self.fault_kinds.is_empty(),
            !self.states.is_empty(),
            !self.connections.is_empty(),
            !self.systems.is_empty(),
        ];
        let is_exact = narrowing.into_iter().filter(|is_set| *is_set).count() <= 1;
        let (from, mut values): (_, Vec<&str>) = match self {
            // Its few deliveries are sorted.
            Self { incident_id: Some(id), .. } => (" WHERE incident_id = ", vec![id]),
            Self { ticket_key: Some(key), .. } => {
                (" INDEXED BY deliveries_by_ticket_key WHERE ticket_key = ", vec![key])
            }
            Self { fault_kinds: kinds, .. } if !kinds.is_empty() => {
                let from = " INDEXED BY deliveries_by_fault_kind WHERE fault_kind = ";
                (from, kinds.iter().map(|kind| kind.as_str()).collect())
            }
            Self { states, .. } if !states.is_empty() => {
                let from = " INDEXED BY deliveries_by_state WHERE state = ";
                (from, states.iter().map(|state| state.as_str()).collect())
            }
            Self { connections, .. } if !connections.is_empty() => {
                let from = " INDEXED BY deliveries_by_connection WHERE target = ";
                (from, connections.iter().map(String::as_str).collect())
            }
            Self { systems, .. } if !systems.is_empty() => {
                let from = " INDEXED BY deliveries_by_system WHERE system = ";
                (from, systems.iter().map(|system| system.as_str()).collect())
            }
            _ => (" INDEXED BY deliveries_newest WHERE", vec![]),
        };
        // A duplicate range would be read twice.
        values.sort_unstable();
        values.dedup();
        Source { from, values: values.into_iter().map(str::to_owned).collect(), is_exact }
    }
}

/// Deliveries in the order of their keys, and whether some are omitted for size. At least one.
async fn deliveries(
    db: &mut SqliteConnection,
    keys: &[PageKey],
) -> Result<(Vec<Delivery>, bool), StoreError> {
    let ids: Vec<_> = keys.iter().map(|key| &key.id).collect();
    let ids = rows::json("ids", &ids)?;
    let mut found = sqlx::query(BY_ID).bind(ids).fetch(db);
    let mut deliveries = vec![];
    let mut size = 0;
    while let Some(row) = found.try_next().await.map_err(StoreError::read("deliveries"))? {
        if size > MAX_BYTES {
            return Ok((deliveries, true));
        }
        size += size_of(&row, &["ticket", "duplicates", "adjustments", "last_error"])?;
        deliveries.push(rows::delivery(&row)?);
    }
    Ok((deliveries, false))
}

/// The newest attempts of each delivery, in order.
pub(super) async fn newest_attempts(
    db: &mut SqliteConnection,
    delivery_ids: &[&str],
    of_each: u32,
) -> Result<Vec<Attempt>, StoreError> {
    let mut found = sqlx::query(ATTEMPTS).bind(rows::json("ids", delivery_ids)?).bind(of_each).fetch(db);
    let mut attempts = vec![];
    let mut size = 0;
    while let Some(row) = found.try_next().await.map_err(StoreError::read("attempts"))? {
        size += size_of(&row, &["fault"])?;
        if size > MAX_BYTES {
            break;
        }
        attempts.push(attempt(&row)?);
    }
    attempts.sort_by(|one, other| (&one.delivery_id, one.number).cmp(&(&other.delivery_id, other.number)));
    Ok(attempts)
}

fn size_of(row: &SqliteRow, columns: &[&'static str]) -> Result<usize, StoreError> {
    let mut size = 0;
    for column in columns {
        let text: Option<&str> = row.try_get(*column).map_err(StoreError::read("deliveries"))?;
        size += text.map_or(0, str::len);
    }
    Ok(size)
}

fn attempt(row: &SqliteRow) -> Result<Attempt, StoreError> {
    let number: u32 = row.try_get("number").map_err(StoreError::read("attempts"))?;
    let row = Reader::new(row, "attempts", "delivery_id")?;
    Ok(Attempt {
        delivery_id: row.get("delivery_id")?,
        number,
        kind: row.name("kind", |name| AttemptKind::ALL.into_iter().find(|kind| kind.as_str() == name))?,
        epoch: row.get("epoch")?,
        times: AttemptTimes { started_at: row.time("started_at")?, finished_at: row.time("finished_at")? },
        outcome: row.name("outcome", |name| {
            AttemptOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == name)
        })?,
        fault: row.json_if("fault")?,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sqlx::ConnectOptions;
    use ticketing_core::delivery::State;
    use ticketing_core::fault::FaultKind;
    use ticketing_core::system::System;

    use super::super::open::{connect_options, migrator};
    use super::*;
    use crate::DEFAULT_BUSY_TIMEOUT;

    async fn migrated(path: &Path) -> SqliteConnection {
        let options = connect_options(path, DEFAULT_BUSY_TIMEOUT).create_if_missing(true);
        let mut db = options.connect().await.unwrap();
        migrator().run_direct(None, &mut db, false).await.unwrap();
        db
    }

    /// Each filter alone, all together, and none.
    fn filters() -> Vec<DeliveryFilter> {
        let none = DeliveryFilter::default;
        let all = DeliveryFilter {
            states: vec![State::Failed, State::Waiting],
            systems: vec![System::Jira, System::ServiceNow],
            connections: vec!["jira".to_owned(), "servicenow".to_owned()],
            incident_id: Some("INC-1".to_owned()),
            ticket_key: Some("SEC-1".to_owned()),
            fault_kinds: vec![FaultKind::Rejected, FaultKind::Forbidden],
            created_from: Some(Timestamp::UNIX_EPOCH),
            created_until: Some(Timestamp::MAX),
        };
        vec![
            none(),
            DeliveryFilter { states: all.states.clone(), ..none() },
            DeliveryFilter { systems: all.systems.clone(), ..none() },
            DeliveryFilter { connections: all.connections.clone(), ..none() },
            DeliveryFilter { incident_id: all.incident_id.clone(), ..none() },
            DeliveryFilter { ticket_key: all.ticket_key.clone(), ..none() },
            DeliveryFilter { fault_kinds: all.fault_kinds.clone(), ..none() },
            DeliveryFilter { created_from: all.created_from, ..none() },
            DeliveryFilter { created_until: all.created_until, ..none() },
            DeliveryFilter { incident_id: None, ticket_key: None, ..all.clone() },
            all,
        ]
    }

    #[tokio::test]
    async fn no_list_scans_or_sorts_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = migrated(&folder.path().join("ticketing.db")).await;
        let key = PageKey { created_at: Timestamp::UNIX_EPOCH, id: "0197".to_owned() };
        for filter in filters() {
            for after in [None, Some(&key)] {
                let mut first = QueryBuilder::<Sqlite>::new("EXPLAIN QUERY PLAN ");
                fitting(&mut first, &filter, 51, after);
                let mut last = QueryBuilder::<Sqlite>::new("EXPLAIN QUERY PLAN ");
                last_examined(&mut last, &filter, after);
                for mut query in [first, last] {
                    let plan = query.build().fetch_all(&mut db).await.unwrap();
                    let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
                    let reads = plan.iter().filter(|step| step.contains("deliveries"));
                    assert!(reads.clone().count() > 0, "{filter:?}: {plan:#?}");
                    assert!(reads.clone().all(|step| step.starts_with("SEARCH ")), "{filter:?}: {plan:#?}");
                    let sorts = plan.iter().any(|step| step.contains("TEMP B-TREE"));
                    // The few deliveries of one incident are.
                    assert!(!sorts || filter.incident_id.is_some(), "{filter:?}: {plan:#?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn attempts_are_read_by_their_delivery() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = migrated(&folder.path().join("ticketing.db")).await;
        let query = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {ATTEMPTS}"));
        let plan = sqlx::query(query).bind("[]").bind(9).fetch_all(&mut db).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        let reads = plan.iter().filter(|step| !step.contains("wanted") && !step.contains("TEMP B-TREE"));
        assert!(reads.clone().all(|step| !step.starts_with("SCAN ")), "{plan:#?}");
    }
}
