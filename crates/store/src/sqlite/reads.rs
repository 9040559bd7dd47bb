//! Reads beside the writer: every read sees what was committed before it.

use async_trait::async_trait;
use jiff::Timestamp;
use ticketing_core::delivery::Delivery;
use ticketing_core::health::Health;
use ticketing_core::incident::Incident;
use ticketing_core::marker::Marker;
use ticketing_core::namespace::Namespace;

use super::Database;
use super::compression;
use super::lists::newest_attempts;
use super::rows::{self, Reader};
use crate::StoreError;
use crate::claims::ClaimKind;
use crate::port;
use crate::types::{Attempt, CanaryQuery};

/// A ticket that an operator named need not have our marker, so it is no canary.
const MAX_CANARIES: &str = "
    WITH canaries AS NOT MATERIALIZED (
        SELECT d.rowid AS row, d.id, d.marker, d.send_at FROM deliveries AS d
        WHERE d.state = 'DELIVERED' AND d.send_at IS NOT NULL AND d.base_url = ?1 AND d.place = ?2
            AND d.send_at >= ?3 AND d.send_at <= ?6
            AND (?7 = '' OR coalesce(d.send ->> '$.made_by.account', '') IN ('', ?7))
            AND (?8 = '' OR coalesce(d.send ->> '$.made_by.issue_type', '') IN ('', ?8))
            AND NOT EXISTS (SELECT 1 FROM operations AS o WHERE o.delivery_id = d.id AND o.kind = 'RESOLVE'))
    SELECT * FROM (SELECT * FROM canaries ORDER BY send_at, row LIMIT ?4)
    UNION
    SELECT * FROM (SELECT * FROM canaries ORDER BY send_at DESC, row DESC LIMIT ?5)
    ORDER BY send_at, row";

const NEXT_DUE: &str = "
    SELECT min(due_at) AS due_at FROM deliveries
    WHERE target = ? AND state = ? AND due_at IS NOT NULL AND lease_until IS NULL";

#[async_trait]
impl port::Deliveries for Database {
    async fn delivery(&self, id: &str) -> Result<Option<Delivery>, StoreError> {
        let query = sqlx::query("SELECT * FROM deliveries WHERE id = ?").bind(id);
        let row = query.fetch_optional(&self.readers).await.map_err(StoreError::read("a delivery"))?;
        row.as_ref().map(rows::delivery).transpose()
    }

    async fn delivery_for(
        &self,
        incident_id: &str,
        connection: &str,
    ) -> Result<Option<Delivery>, StoreError> {
        let query = sqlx::query("SELECT * FROM deliveries WHERE incident_id = ? AND target = ?");
        let row = query.bind(incident_id).bind(connection).fetch_optional(&self.readers).await;
        row.map_err(StoreError::read("a delivery"))?.as_ref().map(rows::delivery).transpose()
    }

    async fn owner(&self, incident_id: &str) -> Result<Option<Namespace>, StoreError> {
        let query = sqlx::query("SELECT id, namespace FROM deliveries WHERE incident_id = ? LIMIT 1");
        let row = query.bind(incident_id).fetch_optional(&self.readers).await;
        let Some(row) = row.map_err(StoreError::read("a delivery"))? else { return Ok(None) };
        let row = Reader::new(&row, "deliveries", "id")?;
        row.name("namespace", |name| Namespace::parse(name).ok()).map(Some)
    }

    async fn incident_of_marker(&self, marker: &Marker) -> Result<Option<String>, StoreError> {
        let query = sqlx::query_scalar("SELECT incident_id FROM deliveries WHERE marker = ?");
        let found = query.bind(marker.as_str()).fetch_optional(&self.readers).await;
        found.map_err(StoreError::read("a delivery"))
    }

    async fn delivery_with_attempts(&self, id: &str) -> Result<Option<(Delivery, Vec<Attempt>)>, StoreError> {
        let mut snapshot = self.readers.begin().await.map_err(StoreError::begin)?;
        let query = sqlx::query("SELECT * FROM deliveries WHERE id = ?").bind(id);
        let row = query.fetch_optional(&mut *snapshot).await.map_err(StoreError::read("a delivery"))?;
        let Some(delivery) = row.as_ref().map(rows::delivery).transpose()? else { return Ok(None) };
        let attempts = newest_attempts(&mut snapshot, &[&delivery.id], crate::MAX_READ_ATTEMPTS).await?;
        Ok(Some((delivery, attempts)))
    }

    async fn incident(&self, id: &str, revision: u32) -> Result<Option<Incident>, StoreError> {
        let query = sqlx::query("SELECT * FROM incident_revisions WHERE incident_id = ? AND revision = ?");
        let row = query.bind(id).bind(revision).fetch_optional(&self.readers).await;
        let row = row.map_err(StoreError::read("an incident"))?;
        let Some(row) = row else { return Ok(None) };
        let row = Reader::new(&row, "incident_revisions", "incident_id")?;
        let body = compression::text(&row, "body")?;
        serde_json::from_str(&body).map(Some).map_err(|error| row.bad("body", &error))
    }

    async fn due_duplicate_scans(
        &self,
        connection: &str,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let query = sqlx::query(
            "SELECT * FROM deliveries WHERE target = ? AND sweep_due_at IS NOT NULL AND sweep_due_at <= ?
            ORDER BY sweep_due_at LIMIT ?",
        );
        let rows =
            query.bind(connection).bind(now.as_microsecond()).bind(limit).fetch_all(&self.readers).await;
        rows.map_err(StoreError::read("duplicate scans"))?.iter().map(rows::delivery).collect()
    }

    async fn canaries(&self, query: &CanaryQuery) -> Result<Vec<Marker>, StoreError> {
        let CanaryQuery { destination, made_by, after, until, limit } = query;
        let query = sqlx::query(MAX_CANARIES).bind(&destination.base_url).bind(&destination.place);
        let query = query.bind(after.as_microsecond()).bind(limit.div_ceil(2)).bind(limit / 2);
        let query = query.bind(until.as_microsecond()).bind(&made_by.account).bind(&made_by.issue_type);
        let rows = query.fetch_all(&self.readers).await;
        let rows = rows.map_err(StoreError::read("canaries"))?;
        rows.iter().map(|row| Reader::new(row, "deliveries", "id")?.name("marker", Marker::parse)).collect()
    }

    async fn health(&self, connection: &str) -> Result<Health, StoreError> {
        let query = sqlx::query("SELECT target, health FROM target_health WHERE target = ?").bind(connection);
        let row = query.fetch_optional(&self.readers).await;
        let row = row.map_err(StoreError::read("the health of a connection"))?;
        let health = row.map(|row| Reader::new(&row, "target_health", "target")?.json("health"));
        Ok(health.transpose()?.unwrap_or_default())
    }

    async fn next_due(&self, connection: &str, kind: ClaimKind) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query(NEXT_DUE).bind(connection).bind(super::load::state_of(kind));
        let row = query.fetch_one(&self.readers).await.map_err(StoreError::read("what is due"))?;
        Reader::named(&row, "deliveries", connection.to_owned()).time_if("due_at")
    }
}
