//! Writes the changes of a batch with few statements.

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::SqliteConnection;
use ticketing_core::delivery::Delivery;
use ticketing_core::health::Health;
use ticketing_core::system::System;
use ticketing_secrets::audit::AuditKey;

use super::audit;
use super::rows::{self, DeliveryColumns};
use super::summaries;
use crate::StoreError;
use crate::types::{Event, Subject};
use crate::unit_of_work::{Change, NewAttempt, NewEvent, NewOperation, NewSnapshot, UnitOfWork};

const INSERT_SNAPSHOTS: &str = "
    INSERT INTO incident_revisions (incident_id, revision, body, created_at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?)";

static INSERT_DELIVERIES: LazyLock<String> = LazyLock::new(DeliveryColumns::insert);

static UPDATE_DELIVERIES: LazyLock<String> = LazyLock::new(DeliveryColumns::update);

/// Its number follows from the existing attempts, and from its position among those of the same delivery in
/// this batch.
const INSERT_ATTEMPTS: &str = "
    INSERT INTO attempts (delivery_id, number, target, kind, epoch, started_at, finished_at, outcome, fault)
    SELECT value ->> 0,
        (SELECT coalesce(max(number), 0) FROM attempts WHERE delivery_id = value ->> 0) +
            row_number() OVER (PARTITION BY value ->> 0 ORDER BY key),
        value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
    FROM json_each(?)";

const INSERT_EVENTS: &str = "
    INSERT INTO events (seq, at, kind, incident_id, delivery_id, target, system, body, note)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
        value ->> 7, value ->> 8
    FROM json_each(?)";

const INSERT_OPERATIONS: &str = "
    INSERT INTO operations (delivery_id, kind, note, at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?) ORDER BY key";

const SAVE_HEALTH: &str = "
    INSERT INTO target_health (target, system, health, updated_at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?) WHERE true
    ON CONFLICT (target) DO UPDATE SET
        system = excluded.system, health = excluded.health, updated_at = excluded.updated_at";

/// Writes the changes: the events, numbered after `newest`, or `None` if there was nothing to write.
pub(super) async fn save(
    db: &mut SqliteConnection,
    mut work: UnitOfWork,
    newest: u64,
    audit_key: &AuditKey,
) -> Result<Option<Vec<Event>>, StoreError> {
    let changes = std::mem::take(&mut work.changes);
    let snapshots: Vec<Value> = changes.snapshots.iter().map(snapshot_row).collect();
    let attempts = changes.attempts.iter().map(attempt_row).collect::<Result<Vec<_>, _>>()?;
    let operations: Vec<Value> = changes.operations.iter().map(operation_row).collect();
    let events = number(changes.events, newest);
    let event_rows = events.iter().map(event_row).collect::<Result<Vec<_>, _>>()?;
    let mut written = 0;
    written += write(db, "incident_revisions", INSERT_SNAPSHOTS, &snapshots).await?;
    written += write_deliveries(db, &INSERT_DELIVERIES, &work.changed(Change::Insert)).await?;
    written += write_deliveries(db, &UPDATE_DELIVERIES, &work.changed(Change::Update)).await?;
    summaries::adjust(db, &work.count_changes()).await?;
    written += write(db, "attempts", INSERT_ATTEMPTS, &attempts).await?;
    written += write(db, "operations", INSERT_OPERATIONS, &operations).await?;
    written += write_health(db, &work.changed_connections()).await?;
    written += write(db, "events", INSERT_EVENTS, &event_rows).await?;
    written += changes.audit.len() as u64;
    audit::append(db, audit_key, changes.audit).await?;
    Ok((written > 0).then_some(events))
}

fn number(events: Vec<NewEvent>, newest: u64) -> Vec<Event> {
    let numbered = events.into_iter().zip(newest + 1..);
    let numbered = numbered.map(|(new, seq)| Event {
        seq,
        at: ticketing_core::clock::to_stored_resolution(new.at),
        kind: new.kind,
        connection: new.connection,
        system: new.system,
        subject: new.subject,
        note: new.note,
    });
    numbered.collect()
}

fn snapshot_row(new: &NewSnapshot) -> Value {
    json!([new.incident_id, new.revision, new.body, new.created_at.as_microsecond()])
}

fn attempt_row(new: &NewAttempt) -> Result<Value, StoreError> {
    let fault = new.fault.as_ref().map(|fault| rows::json("a fault", fault)).transpose()?;
    Ok(json!([
        new.delivery_id,
        new.connection,
        new.kind.as_str(),
        new.epoch,
        new.times.started_at.as_microsecond(),
        new.times.finished_at.as_microsecond(),
        new.outcome.as_str(),
        fault
    ]))
}

fn operation_row(new: &NewOperation) -> Value {
    json!([new.delivery_id, new.kind, new.note, new.at.as_microsecond()])
}

fn health_row(
    (connection, system, health, at): (&str, System, &Health, Timestamp),
) -> Result<Value, StoreError> {
    Ok(json!([connection, system.as_str(), rows::json("health", health)?, at.as_microsecond()]))
}

fn event_row(event: &Event) -> Result<Value, StoreError> {
    let body = rows::json::<Subject>("an event", &event.subject)?;
    Ok(json!([
        event.seq,
        event.at.as_microsecond(),
        event.kind.as_str(),
        event.incident_id(),
        event.delivery_id(),
        event.connection,
        event.system.as_str(),
        body,
        event.note
    ]))
}

/// Updates existing deliveries.
pub(super) async fn update_deliveries(
    db: &mut SqliteConnection,
    deliveries: &[&Delivery],
) -> Result<u64, StoreError> {
    write_deliveries(db, &UPDATE_DELIVERIES, deliveries).await
}

/// Writes the health of connections, and when it changed.
pub(super) async fn write_health(
    db: &mut SqliteConnection,
    health: &[(&str, System, &Health, Timestamp)],
) -> Result<u64, StoreError> {
    let rows = health.iter().copied().map(health_row).collect::<Result<Vec<_>, _>>()?;
    write(db, "target_health", SAVE_HEALTH, &rows).await
}

async fn write_deliveries(
    db: &mut SqliteConnection,
    statement: &'static str,
    deliveries: &[&Delivery],
) -> Result<u64, StoreError> {
    let columns: Vec<DeliveryColumns<'_>> = deliveries.iter().map(|delivery| (*delivery).into()).collect();
    write(db, "deliveries", statement, &columns).await
}

/// Writes rows with one statement, and checks that it wrote each of them.
async fn write<T: serde::Serialize>(
    db: &mut SqliteConnection,
    table: &'static str,
    statement: &'static str,
    new: &[T],
) -> Result<u64, StoreError> {
    if new.is_empty() {
        return Ok(0);
    }
    let done = sqlx::query(statement).bind(rows::json(table, new)?).execute(db).await;
    let touched = done.map_err(StoreError::write(table))?.rows_affected();
    let expected = new.len() as u64;
    if touched == expected { Ok(touched) } else { Err(StoreError::Miscounted { table, expected, touched }) }
}
