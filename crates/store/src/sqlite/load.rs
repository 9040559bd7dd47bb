//! Loads the rows of a batch with few statements.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use ticketing_core::system::System;

use super::compression;
use super::rows::{self, Reader, json};
use crate::StoreError;
use crate::claims::ClaimKind;
use crate::content::ContentDigest;
use crate::unit_of_work::{ReadSet, Selection, SelectionLimit, UnitOfWork};

pub(super) const BY_ID: &str =
    "SELECT d.* FROM json_each(?) AS wanted CROSS JOIN deliveries AS d ON d.id = wanted.value";

/// Deliveries that may have a ticket or a marker.
const BY_TICKET_ID: &str =
    "SELECT d.* FROM json_each(?) AS wanted CROSS JOIN deliveries AS d ON d.ticket_id = wanted.value";
const BY_TICKET_KEY: &str =
    "SELECT d.* FROM json_each(?) AS wanted CROSS JOIN deliveries AS d ON d.ticket_key = wanted.value";
const BY_MARKER: &str =
    "SELECT d.* FROM json_each(?) AS wanted CROSS JOIN deliveries AS d ON d.marker = wanted.value";

pub(super) const BY_INCIDENT: &str =
    "SELECT d.* FROM json_each(?) AS wanted CROSS JOIN deliveries AS d ON d.incident_id = wanted.value";

const NEWEST_SNAPSHOTS: &str = "
    SELECT s.incident_id, s.revision, s.body
    FROM json_each(?) AS wanted CROSS JOIN incident_revisions AS s ON s.incident_id = wanted.value
    WHERE s.revision =
        (SELECT max(newest.revision) FROM incident_revisions AS newest WHERE newest.incident_id = wanted.value)";

const NEWEST_REMOVED: &str = "
    SELECT r.incident_id, r.revision, r.digest
    FROM json_each(?) AS wanted CROSS JOIN removed_revisions AS r ON r.incident_id = wanted.value
    WHERE r.revision =
        (SELECT max(newest.revision) FROM removed_revisions AS newest WHERE newest.incident_id = wanted.value)";

/// The named ones, and those longest due, with their incidents.
const CLAIMABLE: &str = "
    SELECT d.*, s.body AS incident
    FROM json_each(?1) AS wanted CROSS JOIN deliveries AS d ON d.id = wanted.value
        LEFT JOIN incident_revisions AS s ON s.incident_id = d.incident_id AND s.revision = d.incident_revision
    WHERE d.target = ?2 AND d.state = ?3 AND d.lease_until IS NULL
    UNION ALL
    SELECT * FROM (
        SELECT d.*, s.body FROM deliveries AS d
            LEFT JOIN incident_revisions AS s
                ON s.incident_id = d.incident_id AND s.revision = d.incident_revision
        WHERE d.target = ?2 AND d.state = ?3 AND d.due_at IS NOT NULL AND d.due_at <= ?4 AND d.lease_until IS NULL
        ORDER BY d.due_at LIMIT ?5)";

const LEASED: &str = "
    SELECT * FROM deliveries WHERE lease_until IS NOT NULL AND lease_until <= ? ORDER BY lease_until LIMIT ?";

const OF_CONNECTION: &str = "
    SELECT * FROM deliveries
    WHERE target = ? AND state = ? AND id > ? AND coalesce(failing_since, 0) >= ? ORDER BY id LIMIT ?";

const CONNECTIONS: &str = "
    SELECT wanted.value AS target, h.health AS health, coalesce(s.system, h.system, r.system) AS system,
        coalesce(s.revision, 0) AS settings_revision
    FROM json_each(?) AS wanted
        LEFT JOIN target_health AS h ON h.target = wanted.value
        LEFT JOIN target_settings AS s ON s.target = wanted.value
        LEFT JOIN removed_connections AS r ON r.target = wanted.value";

pub(super) async fn load(db: &mut SqliteConnection, read_set: ReadSet) -> Result<UnitOfWork, StoreError> {
    let mut work = UnitOfWork::default();
    let named = [
        (BY_ID, &read_set.deliveries),
        (BY_TICKET_ID, &read_set.ticket_ids),
        (BY_TICKET_KEY, &read_set.ticket_keys),
        (BY_MARKER, &read_set.markers),
    ];
    for (statement, wanted) in named {
        if !wanted.is_empty() {
            load_deliveries(db, statement, wanted, &mut work).await?;
        }
    }
    if !read_set.incidents.is_empty() {
        load_deliveries(db, BY_INCIDENT, &read_set.incidents, &mut work).await?;
        load_newest_snapshots(db, &read_set.incidents, &mut work).await?;
        load_removed(db, &mut work).await?;
    }
    for (selection, reach) in read_set.selections {
        load_selection(db, &selection, reach, &mut work).await?;
    }
    let mut connections = read_set.connections;
    if read_set.connections_of_deliveries {
        connections.extend(work.deliveries().map(|delivery| delivery.connection.clone()));
    }
    if !connections.is_empty() {
        load_connections(db, &connections, &mut work).await?;
    }
    Ok(work)
}

async fn load_deliveries(
    db: &mut SqliteConnection,
    statement: &'static str,
    wanted: &BTreeSet<String>,
    work: &mut UnitOfWork,
) -> Result<(), StoreError> {
    let found = sqlx::query(statement).bind(json("ids", wanted)?).fetch_all(db).await;
    for row in &found.map_err(StoreError::read("deliveries"))? {
        work.load_delivery(rows::delivery(row)?);
    }
    Ok(())
}

async fn load_newest_snapshots(
    db: &mut SqliteConnection,
    incidents: &BTreeSet<String>,
    work: &mut UnitOfWork,
) -> Result<(), StoreError> {
    let found = sqlx::query(NEWEST_SNAPSHOTS).bind(json("incident ids", incidents)?).fetch_all(db).await;
    for row in &found.map_err(StoreError::read("incidents"))? {
        let row = Reader::new(row, "incident_revisions", "incident_id")?;
        let incident_id = row.get("incident_id")?;
        let revision = row.get("revision")?;
        let body = compression::text(&row, "body")?;
        work.load_snapshot(incident_id, revision, body, true);
    }
    Ok(())
}

/// Loads the digests of the newest revisions of those incidents whose content was removed.
async fn load_removed(db: &mut SqliteConnection, work: &mut UnitOfWork) -> Result<(), StoreError> {
    let removed = work.deliveries().filter(|delivery| delivery.content_removed_at.is_some());
    let incident_ids: Vec<&str> = removed.map(|delivery| delivery.incident_id.as_str()).collect();
    if incident_ids.is_empty() {
        return Ok(());
    }
    let found = sqlx::query(NEWEST_REMOVED).bind(json("incident ids", &incident_ids)?).fetch_all(db).await;
    for row in &found.map_err(StoreError::read("incidents"))? {
        let row = Reader::new(row, "removed_revisions", "incident_id")?;
        let digest: Vec<u8> = row.get("digest")?;
        let digest = ContentDigest::try_from(digest);
        let digest = digest.map_err(|_| row.bad("digest", &"it is not 32 bytes long"))?;
        work.load_removed(row.get("incident_id")?, row.get("revision")?, digest);
    }
    Ok(())
}

/// Loads deliveries; those to claim with their snapshots.
async fn load_selection(
    db: &mut SqliteConnection,
    selection: &Selection,
    reach: SelectionLimit,
    work: &mut UnitOfWork,
) -> Result<(), StoreError> {
    let is_claim = matches!(selection, Selection::Claimable { .. });
    for row in &select(db, selection, reach).await? {
        let delivery = rows::delivery(row)?;
        let body: Option<String> = if is_claim {
            compression::text_if(&Reader::named(row, "incident_revisions", delivery.id.clone()), "incident")?
        } else {
            None
        };
        if let Some(body) = body {
            work.load_snapshot(delivery.incident_id.clone(), delivery.incident_revision, body, false);
        }
        work.load_delivery(delivery);
    }
    Ok(())
}

async fn select(
    db: &mut SqliteConnection,
    selection: &Selection,
    reach: SelectionLimit,
) -> Result<Vec<SqliteRow>, StoreError> {
    let until = reach.until.unwrap_or(Timestamp::MAX).as_microsecond();
    let query = match selection {
        Selection::Claimable { named, connection, kind } => {
            let named = json("ids", named)?;
            sqlx::query(CLAIMABLE).bind(named).bind(connection).bind(state_of(*kind)).bind(until)
        }
        Selection::Leased => sqlx::query(LEASED).bind(until),
        Selection::OfConnection { connection, state, after, failing_since } => {
            let since = failing_since.map_or(i64::MIN, Timestamp::as_microsecond);
            sqlx::query(OF_CONNECTION).bind(connection).bind(state.as_str()).bind(after).bind(since)
        }
    };
    query.bind(reach.limit).fetch_all(db).await.map_err(StoreError::read("deliveries"))
}

pub(super) fn state_of(kind: ClaimKind) -> &'static str {
    match kind {
        ClaimKind::Fresh => "PENDING",
        ClaimKind::Due => "WAITING",
        ClaimKind::Uncertain => "RECONCILING",
    }
}

async fn load_connections(
    db: &mut SqliteConnection,
    wanted: &BTreeSet<String>,
    work: &mut UnitOfWork,
) -> Result<(), StoreError> {
    let found = sqlx::query(CONNECTIONS).bind(json("connections", wanted)?).fetch_all(db).await;
    for row in &found.map_err(StoreError::read("the health of connections"))? {
        let row = Reader::new(row, "target_health", "target")?;
        let connection: String = row.get("target")?;
        let system: Option<String> = row.get("system")?;
        // A connection without settings is named after its system.
        let system = System::parse(system.as_deref().unwrap_or(&connection));
        let system = system.ok_or_else(|| row.bad("system", &"the connection has no known system"))?;
        let health = row.json_if("health")?.unwrap_or_default();
        let settings_revision = row.get("settings_revision")?;
        work.load_connection(connection, system, settings_revision, health);
    }
    Ok(())
}
