//! Removes the content of incidents whose deliveries ended long ago, with their attempts, and gives free pages of the
//! file back to the file system.
//!
//! Candidates are found beside the writer, and removed in short transactions: the writes in between wait for one batch at
//! most. What remains of an incident are its deliveries, with their tickets and markers, and the digest of each revision.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::{Row, SqliteConnection};
use ticketing_core::delivery::Delivery;

use super::bound_rows::BoundStatement;
use super::compression;
use super::exclusive_write::ExclusiveWrite;
use super::load::BY_INCIDENT;
use super::rows::{self, Reader, json};
use super::{Database, State};
use crate::StoreError;
use crate::content::{ContentDigest, ContentKey, ExpiredContent, Shrunk, content_digest};
use crate::port;

/// Maximum size of the content that one batch removes, unless a single incident has more.
const MAX_BYTES: i64 = 1024 * 1024;
/// Free pages that stay in the file for the next writes: so many, or a twentieth of the file if that is more.
const MIN_FREE_PAGES: i64 = 256;
const FREE_PART: i64 = 20;
/// `PRAGMA auto_vacuum` of a file that can shrink in steps.
const INCREMENTAL: i64 = 2;

const OLDEST: &str = "
    SELECT rowid, incident_id, created_at, octet_length(body) AS size FROM incident_revisions
    WHERE created_at < ?1 AND (created_at, rowid) > (?2, ?3) ORDER BY created_at, rowid LIMIT ?4";

const REVISIONS: &str = "
    SELECT s.incident_id, s.revision, s.body
    FROM json_each(?) AS wanted CROSS JOIN incident_revisions AS s ON s.incident_id = wanted.value";

/// The content may have been stored, and removed, before.
pub(super) static KEEP_DIGESTS: BoundStatement = BoundStatement::new("removed_revisions", 4, |rows| {
    format!(
        "INSERT INTO removed_revisions (incident_id, revision, digest, removed_at)
         SELECT * FROM {rows} WHERE column1 IS NOT NULL
         ON CONFLICT (incident_id, revision) DO UPDATE SET
             digest = excluded.digest, removed_at = excluded.removed_at"
    )
});

const REMOVE_REVISIONS: &str =
    "DELETE FROM incident_revisions WHERE incident_id IN (SELECT value FROM json_each(?))";

/// The last success and the last failure of a connection are shown with its state.
const SHOWN_ATTEMPTS: &str = "
    SELECT last.delivery_id, last.number FROM json_each(?1) AS wanted
        CROSS JOIN attempts AS last ON (last.delivery_id, last.number) = (
            SELECT delivery_id, number FROM attempts
            WHERE target = wanted.value AND kind <> 'SWEEP' AND outcome IN ('CREATED', 'FOUND')
            ORDER BY finished_at DESC LIMIT 1)
    UNION ALL
    SELECT last.delivery_id, last.number FROM json_each(?1) AS wanted
        CROSS JOIN attempts AS last ON (last.delivery_id, last.number) = (
            SELECT delivery_id, number FROM attempts
            WHERE target = wanted.value AND fault IS NOT NULL
            ORDER BY finished_at DESC LIMIT 1)";

const REMOVE_ATTEMPTS: &str = "
    DELETE FROM attempts WHERE delivery_id IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (
        SELECT 1 FROM json_each(?2) AS shown
        WHERE shown.value ->> 0 = attempts.delivery_id AND shown.value ->> 1 = attempts.number)";

const MARK_DELIVERIES: &str = "
    UPDATE deliveries SET content_removed_at = ?2
    WHERE incident_id IN (SELECT value FROM json_each(?1)) AND content_removed_at IS NULL";

/// Removes the content of incidents.
#[derive(Debug)]
struct RemoveContent {
    incident_ids: Vec<String>,
    before: Timestamp,
    now: Timestamp,
}

/// Moves pages from the end of the file into free ones, and cuts it off.
#[derive(Debug)]
struct Shrink {
    max_pages: u32,
}

#[async_trait]
impl port::Retention for Database {
    async fn expired_content(
        &self,
        before: Timestamp,
        after: Option<ContentKey>,
        limit: u32,
    ) -> Result<ExpiredContent, StoreError> {
        let mut snapshot = self.readers.begin().await.map_err(StoreError::begin)?;
        let after = after.unwrap_or(ContentKey { stored_at: Timestamp::MIN, row: i64::MIN });
        let query = sqlx::query(OLDEST).bind(before.as_microsecond());
        let query = query.bind(after.stored_at.as_microsecond()).bind(after.row).bind(limit);
        let rows = query.fetch_all(&mut *snapshot).await.map_err(StoreError::read("incidents"))?;
        let mut incident_ids = vec![];
        let mut next = None;
        let mut size = 0;
        for row in &rows {
            let row_id: i64 = row.try_get("rowid").map_err(StoreError::read("incidents"))?;
            let row = Reader::new(row, "incident_revisions", "incident_id")?;
            size += row.get::<i64>("size")?;
            if size > MAX_BYTES && next.is_some() {
                break;
            }
            incident_ids.push(row.get("incident_id")?);
            next = Some(ContentKey { stored_at: row.time("created_at")?, row: row_id });
        }
        incident_ids.dedup();
        let expired = ended(&mut snapshot, &incident_ids, before).await?;
        Ok(ExpiredContent { incident_ids: expired.into_keys().collect(), next })
    }

    async fn remove_content(
        &self,
        incident_ids: Vec<String>,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.write_exclusive(RemoveContent { incident_ids, before, now }).await
    }

    async fn shrink(&self, max_pages: u32) -> Result<Shrunk, StoreError> {
        // Beside the writer: mostly there is nothing to do.
        let mut db = self.readers.acquire().await.map_err(StoreError::read("the size of the file"))?;
        let pages = Pages::read(&mut db).await?;
        drop(db);
        match pages.surplus() {
            0 => Ok(Shrunk::Done),
            _ if !pages.is_incremental => Ok(Shrunk::NotPossible),
            _ => self.write_exclusive(Shrink { max_pages }).await,
        }
    }
}

/// The deliveries of the incidents of which all ended before a time.
async fn ended(
    db: &mut SqliteConnection,
    incident_ids: &[String],
    before: Timestamp,
) -> Result<BTreeMap<String, Vec<Delivery>>, StoreError> {
    let found = sqlx::query(BY_INCIDENT).bind(json("incident ids", incident_ids)?).fetch_all(db).await;
    let mut incidents: BTreeMap<String, Vec<Delivery>> = BTreeMap::new();
    for row in &found.map_err(StoreError::read("deliveries"))? {
        let delivery = rows::delivery(row)?;
        incidents.entry(delivery.incident_id.clone()).or_default().push(delivery);
    }
    incidents.retain(|_, deliveries| deliveries.iter().all(|delivery| delivery.has_ended_before(before)));
    Ok(incidents)
}

#[async_trait]
impl ExclusiveWrite for RemoveContent {
    type Answer = u64;

    async fn run(&self, _: &State, db: &mut SqliteConnection) -> Result<u64, StoreError> {
        let incidents = ended(db, &self.incident_ids, self.before).await?;
        if incidents.is_empty() {
            return Ok(0);
        }
        let incident_ids = json("incident ids", &incidents.keys().collect::<Vec<_>>())?;
        let now = self.now.as_microsecond();
        let digests = digests(db, &incident_ids).await?;
        let kept = KEEP_DIGESTS.write(&mut *db, &digests, |(incident_id, revision, digest), values| {
            values.add(incident_id)?;
            values.add(*revision)?;
            values.add(&digest[..])?;
            values.add(now)
        });
        let expected = kept.await?;
        let query = sqlx::query(REMOVE_REVISIONS).bind(&incident_ids);
        let done = query.execute(&mut *db).await.map_err(StoreError::write("incident_revisions"))?;
        if done.rows_affected() != expected {
            let touched = done.rows_affected();
            return Err(StoreError::Miscounted { table: "incident_revisions", expected, touched });
        }
        remove_attempts(db, incidents.values().flatten()).await?;
        let query = sqlx::query(MARK_DELIVERIES).bind(&incident_ids).bind(now);
        query.execute(db).await.map_err(StoreError::write("deliveries"))?;
        Ok(incidents.len() as u64)
    }
}

/// Incident, revision and digest of each revision that has content.
async fn digests(
    db: &mut SqliteConnection,
    incident_ids: &str,
) -> Result<Vec<(String, u32, ContentDigest)>, StoreError> {
    let found = sqlx::query(REVISIONS).bind(incident_ids).fetch_all(db).await;
    let digest = |row| {
        let row = Reader::new(row, "incident_revisions", "incident_id")?;
        let body = compression::text(&row, "body")?;
        Ok((row.get("incident_id")?, row.get("revision")?, content_digest(&body)?))
    };
    found.map_err(StoreError::read("incidents"))?.iter().map(digest).collect()
}

/// Removes the attempts of deliveries, except those that are shown of their connections.
async fn remove_attempts(
    db: &mut SqliteConnection,
    deliveries: impl Iterator<Item = &Delivery> + Clone,
) -> Result<(), StoreError> {
    let mut connections: Vec<&str> =
        deliveries.clone().map(|delivery| delivery.connection.as_str()).collect();
    connections.sort_unstable();
    connections.dedup();
    let query = sqlx::query(SHOWN_ATTEMPTS).bind(json("connections", &connections)?);
    let shown = query.fetch_all(&mut *db).await.map_err(StoreError::read("attempts"))?;
    let shown = shown.iter().map(|row| {
        let row = Reader::new(row, "attempts", "delivery_id")?;
        Ok((row.get("delivery_id")?, row.get("number")?))
    });
    let shown: Vec<(String, u32)> = shown.collect::<Result<_, StoreError>>()?;
    let delivery_ids: Vec<&str> = deliveries.map(|delivery| delivery.id.as_str()).collect();
    let query =
        sqlx::query(REMOVE_ATTEMPTS).bind(json("ids", &delivery_ids)?).bind(json("attempts", &shown)?);
    query.execute(db).await.map(drop).map_err(StoreError::write("attempts"))
}

/// The pages of the file.
#[derive(Debug)]
struct Pages {
    all: i64,
    free: i64,
    /// Whether free pages can be given back in steps.
    is_incremental: bool,
}

impl Pages {
    async fn read(db: &mut SqliteConnection) -> Result<Self, StoreError> {
        let mut values = [0; 3];
        let pragmas = ["PRAGMA page_count", "PRAGMA freelist_count", "PRAGMA auto_vacuum"];
        for (value, pragma) in values.iter_mut().zip(pragmas) {
            let found = sqlx::query_scalar(pragma).fetch_one(&mut *db).await;
            *value = found.map_err(StoreError::read("the size of the file"))?;
        }
        let [all, free, mode] = values;
        Ok(Self { all, free, is_incremental: mode == INCREMENTAL })
    }

    /// Free pages that the next writes do not need.
    fn surplus(&self) -> i64 {
        (self.free - MIN_FREE_PAGES.max(self.all / FREE_PART)).max(0)
    }
}

#[async_trait]
impl ExclusiveWrite for Shrink {
    type Answer = Shrunk;

    async fn run(&self, _: &State, db: &mut SqliteConnection) -> Result<Shrunk, StoreError> {
        let surplus = Pages::read(db).await?.surplus();
        let step = surplus.min(self.max_pages.into());
        if step == 0 {
            return Ok(Shrunk::Done);
        }
        let statement = sqlx::AssertSqlSafe(format!("PRAGMA incremental_vacuum({step})"));
        sqlx::raw_sql(statement).execute(db).await.map_err(StoreError::write("the size of the file"))?;
        Ok(if step < surplus { Shrunk::Partly } else { Shrunk::Done })
    }
}
