//! What is read beside the writer: every read sees what was committed before it.

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use ticketing_core::delivery::{Delivery, LastError, State};
use ticketing_core::incident::Incident;
use ticketing_core::marker::Marker;
use ticketing_core::namespace::Namespace;
use ticketing_core::target::Health;

use super::Database;
use super::events::push_names;
use super::rows::{self, Reader};
use crate::store::StoreError;
use crate::store::types::{
    Attempt, AttemptKind, AttemptOutcome, AttemptTimes, ClaimKind, DeliveryFilter, DeliveryPage, LastFailure,
    LastSuccess, PageKey, StateCount, WitnessQuery,
};

/// A ticket that an operator named need not bear our marker: it is no witness.
const WITNESSES: &str = "
    WITH witnesses AS NOT MATERIALIZED (
        SELECT d.rowid AS row, d.id, d.marker, d.send_at FROM deliveries AS d
        WHERE d.state = 'DELIVERED' AND d.send_at IS NOT NULL AND d.base_url = ?1 AND d.place = ?2
            AND d.send_at >= ?3 AND d.send_at <= ?6
            AND NOT EXISTS (SELECT 1 FROM operations AS o WHERE o.delivery_id = d.id AND o.kind = 'RESOLVE'))
    SELECT * FROM (SELECT * FROM witnesses ORDER BY send_at, row LIMIT ?4)
    UNION
    SELECT * FROM (SELECT * FROM witnesses ORDER BY send_at DESC, row DESC LIMIT ?5)
    ORDER BY send_at, row";

const COUNTS: &str = "
    SELECT state, count(*) AS count, min(created_at) AS oldest FROM deliveries WHERE target = ? GROUP BY state";

const LAST_SUCCESS: &str = "
    SELECT delivery_id, finished_at FROM attempts
    WHERE target = ? AND kind <> 'SWEEP' AND outcome IN ('CREATED', 'FOUND')
    ORDER BY finished_at DESC LIMIT 1";

const LAST_FAILURE: &str = "
    SELECT delivery_id, finished_at, outcome, fault FROM attempts
    WHERE target = ? AND fault IS NOT NULL ORDER BY finished_at DESC LIMIT 1";

const NEXT_DUE: &str = "
    SELECT min(due_at) AS due_at FROM deliveries
    WHERE target = ? AND state = ? AND due_at IS NOT NULL AND lease_until IS NULL";

impl Database {
    pub(in crate::store) async fn delivery(&self, id: &str) -> Result<Option<Delivery>, StoreError> {
        let query = sqlx::query("SELECT * FROM deliveries WHERE id = ?").bind(id);
        let row = query.fetch_optional(&self.readers).await.map_err(StoreError::read("a delivery"))?;
        row.as_ref().map(rows::delivery).transpose()
    }

    pub(in crate::store) async fn delivery_for(
        &self,
        incident_id: &str,
        target: &str,
    ) -> Result<Option<Delivery>, StoreError> {
        let query = sqlx::query("SELECT * FROM deliveries WHERE incident_id = ? AND target = ?");
        let row = query.bind(incident_id).bind(target).fetch_optional(&self.readers).await;
        row.map_err(StoreError::read("a delivery"))?.as_ref().map(rows::delivery).transpose()
    }

    pub(in crate::store) async fn owner(&self, incident_id: &str) -> Result<Option<Namespace>, StoreError> {
        let query = sqlx::query("SELECT id, namespace FROM deliveries WHERE incident_id = ? LIMIT 1");
        let row = query.bind(incident_id).fetch_optional(&self.readers).await;
        let Some(row) = row.map_err(StoreError::read("a delivery"))? else { return Ok(None) };
        let row = Reader::new(&row, "deliveries", "id")?;
        row.name("namespace", |name| Namespace::parse(name).ok()).map(Some)
    }

    /// Both as they were at one moment.
    pub(in crate::store) async fn delivery_with_attempts(
        &self,
        id: &str,
    ) -> Result<Option<(Delivery, Vec<Attempt>)>, StoreError> {
        let mut snapshot = self.readers.begin().await.map_err(StoreError::begin)?;
        let query = sqlx::query("SELECT * FROM deliveries WHERE id = ?").bind(id);
        let row = query.fetch_optional(&mut *snapshot).await.map_err(StoreError::read("a delivery"))?;
        let Some(delivery) = row.as_ref().map(rows::delivery).transpose()? else { return Ok(None) };
        let attempts = attempts(&mut snapshot, &[&delivery.id]).await?;
        Ok(Some((delivery, attempts)))
    }

    pub(in crate::store) async fn list(
        &self,
        filter: &DeliveryFilter,
        page_size: u32,
        after: Option<&PageKey>,
        with_attempts: bool,
    ) -> Result<DeliveryPage, StoreError> {
        let mut snapshot = self.readers.begin().await.map_err(StoreError::begin)?;
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM deliveries WHERE true");
        if let Some(incident_id) = &filter.incident_id {
            query.push(" AND incident_id = ").push_bind(incident_id);
        }
        push_names(&mut query, " AND state IN (", filter.states.iter().map(|state| state.as_str()));
        push_names(&mut query, " AND system IN (", filter.systems.iter().map(|system| system.as_str()));
        if let Some(after) = after {
            query.push(" AND (created_at, id) < (").push_bind(after.created_at.as_microsecond());
            query.push(", ").push_bind(&after.id).push(")");
        }
        query.push(" ORDER BY created_at DESC, id DESC LIMIT ").push_bind(i64::from(page_size) + 1);
        let rows = query.build().fetch_all(&mut *snapshot).await.map_err(StoreError::read("deliveries"))?;
        let mut deliveries = rows.iter().map(rows::delivery).collect::<Result<Vec<_>, _>>()?;
        let more = deliveries.len() > page_size as usize;
        deliveries.truncate(page_size as usize);
        let last = deliveries.last().filter(|_| more);
        let next = last.map(|last| PageKey { created_at: last.created_at, id: last.id.clone() });
        let ids: Vec<_> = deliveries.iter().map(|delivery| delivery.id.as_str()).collect();
        let attempts = if with_attempts { attempts(&mut snapshot, &ids).await? } else { vec![] };
        Ok(DeliveryPage { deliveries, attempts, next })
    }

    pub(in crate::store) async fn incident(
        &self,
        id: &str,
        revision: u32,
    ) -> Result<Option<Incident>, StoreError> {
        let query = sqlx::query("SELECT * FROM incident_revisions WHERE incident_id = ? AND revision = ?");
        let row = query.bind(id).bind(revision).fetch_optional(&self.readers).await;
        let row = row.map_err(StoreError::read("an incident"))?;
        row.map(|row| Reader::new(&row, "incident_revisions", "incident_id")?.json("body")).transpose()
    }

    pub(in crate::store) async fn due_sweeps(
        &self,
        target: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let query = sqlx::query(
            "SELECT * FROM deliveries WHERE target = ? AND sweep_due_at IS NOT NULL AND sweep_due_at <= ?
            ORDER BY sweep_due_at LIMIT ?",
        );
        let rows = query.bind(target).bind(now.as_microsecond()).bind(limit).fetch_all(&self.readers).await;
        rows.map_err(StoreError::read("sweeps"))?.iter().map(rows::delivery).collect()
    }

    pub(in crate::store) async fn witnesses(&self, query: &WitnessQuery) -> Result<Vec<Marker>, StoreError> {
        let WitnessQuery { destination, after, until, limit } = query;
        let query = sqlx::query(WITNESSES).bind(&destination.base_url).bind(&destination.place);
        let query = query.bind(after.as_microsecond()).bind(limit.div_ceil(2)).bind(limit / 2);
        let query = query.bind(until.as_microsecond());
        let rows = query.fetch_all(&self.readers).await;
        let rows = rows.map_err(StoreError::read("witnesses"))?;
        rows.iter().map(|row| Reader::new(row, "deliveries", "id")?.name("marker", Marker::parse)).collect()
    }

    pub(in crate::store) async fn health(&self, target: &str) -> Result<Health, StoreError> {
        let query = sqlx::query("SELECT target, health FROM target_health WHERE target = ?").bind(target);
        let row = query.fetch_optional(&self.readers).await;
        let row = row.map_err(StoreError::read("the health of a target"))?;
        let health = row.map(|row| Reader::new(&row, "target_health", "target")?.json("health"));
        Ok(health.transpose()?.unwrap_or_default())
    }

    pub(in crate::store) async fn counts(&self, target: &str) -> Result<Vec<StateCount>, StoreError> {
        let rows = sqlx::query(COUNTS).bind(target).fetch_all(&self.readers).await;
        let rows = rows.map_err(StoreError::read("counts"))?;
        let count = |row: &SqliteRow| {
            let row = Reader::new(row, "deliveries", "state")?;
            let count: i64 = row.get("count")?;
            let (state, oldest) = (row.name("state", State::parse)?, row.time("oldest")?);
            Ok(StateCount { state, count: count.cast_unsigned(), oldest })
        };
        rows.iter().map(count).collect()
    }

    pub(in crate::store) async fn last_success(
        &self,
        target: &str,
    ) -> Result<Option<LastSuccess>, StoreError> {
        let row = sqlx::query(LAST_SUCCESS).bind(target).fetch_optional(&self.readers).await;
        let row = row.map_err(StoreError::read("attempts"))?;
        let Some(row) = &row else { return Ok(None) };
        let row = Reader::new(row, "attempts", "delivery_id")?;
        Ok(Some(LastSuccess { at: row.time("finished_at")?, delivery_id: row.get("delivery_id")? }))
    }

    pub(in crate::store) async fn last_failure(
        &self,
        target: &str,
    ) -> Result<Option<LastFailure>, StoreError> {
        let row = sqlx::query(LAST_FAILURE).bind(target).fetch_optional(&self.readers).await;
        let row = row.map_err(StoreError::read("attempts"))?;
        let Some(row) = &row else { return Ok(None) };
        let row = Reader::new(row, "attempts", "delivery_id")?;
        let outcome: String = row.get("outcome")?;
        let ambiguous = outcome == AttemptOutcome::Ambiguous.as_str();
        let error = LastError { fault: row.json("fault")?, ambiguous, at: row.time("finished_at")? };
        Ok(Some(LastFailure { delivery_id: row.get("delivery_id")?, error }))
    }

    pub(in crate::store) async fn next_due(
        &self,
        target: &str,
        kind: ClaimKind,
    ) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query(NEXT_DUE).bind(target).bind(super::load::state_of(kind));
        let row = query.fetch_one(&self.readers).await.map_err(StoreError::read("what is due"))?;
        Reader::named(&row, "deliveries", target.to_owned()).time_if("due_at")
    }
}

async fn attempts(db: &mut SqliteConnection, delivery_ids: &[&str]) -> Result<Vec<Attempt>, StoreError> {
    let query = sqlx::query(
        "SELECT a.* FROM json_each(?) AS wanted CROSS JOIN attempts AS a ON a.delivery_id = wanted.value
        ORDER BY a.delivery_id, a.number",
    );
    let rows = query.bind(rows::json("ids", delivery_ids)?).fetch_all(db).await;
    rows.map_err(StoreError::read("attempts"))?.iter().map(attempt).collect()
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
