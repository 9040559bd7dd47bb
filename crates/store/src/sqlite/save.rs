//! Writes the changes of a batch with few statements.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::SqliteConnection;
use sqlx::types::Json;
use ticketing_core::delivery::Delivery;
use ticketing_core::health::Health;
use ticketing_core::system::System;
use ticketing_secrets::audit::AuditKey;

use super::audit;
use super::bound_rows::{BoundStatement, Values};
use super::compression;
use super::rows::{self, INSERT_DELIVERIES, UPDATE_DELIVERIES};
use super::summaries;
use crate::StoreError;
use crate::types::Event;
use crate::unit_of_work::{Change, NewAttempt, NewEvent, NewOperation, NewSnapshot, UnitOfWork};

static INSERT_SNAPSHOTS: BoundStatement = BoundStatement::new("incident_revisions", 4, |rows| {
    format!(
        "INSERT INTO incident_revisions (incident_id, revision, body, created_at)
         SELECT * FROM {rows} WHERE column1 IS NOT NULL"
    )
});

/// The second column is the position among the attempts of the same delivery in this batch: numbers follow those that
/// exist.
static INSERT_ATTEMPTS: BoundStatement = BoundStatement::new("attempts", 9, |rows| {
    format!(
        "INSERT INTO attempts (delivery_id, number, target, kind, epoch, started_at, finished_at, outcome, fault)
         SELECT column1, column2 + (SELECT coalesce(max(number), 0) FROM attempts WHERE delivery_id = column1),
             column3, column4, column5, column6, column7, column8, column9
         FROM {rows} WHERE column1 IS NOT NULL"
    )
});

static INSERT_EVENTS: BoundStatement = BoundStatement::new("events", 9, |rows| {
    format!(
        "INSERT INTO events (seq, at, kind, incident_id, delivery_id, target, system, body, note)
         SELECT * FROM {rows} WHERE column1 IS NOT NULL"
    )
});

static INSERT_OPERATIONS: BoundStatement = BoundStatement::new("operations", 4, |rows| {
    format!(
        "INSERT INTO operations (delivery_id, kind, note, at) SELECT * FROM {rows} WHERE column1 IS NOT NULL"
    )
});

static SAVE_HEALTH: BoundStatement = BoundStatement::new("target_health", 4, |rows| {
    format!(
        "INSERT INTO target_health (target, system, health, updated_at)
         SELECT * FROM {rows} WHERE column1 IS NOT NULL
         ON CONFLICT (target) DO UPDATE SET
             system = excluded.system, health = excluded.health, updated_at = excluded.updated_at"
    )
});

/// The statements of this folder that write several rows, for one and for two.
#[cfg(test)]
pub(super) fn bound_statements() -> Vec<String> {
    let all = [
        &INSERT_SNAPSHOTS,
        &INSERT_DELIVERIES,
        &UPDATE_DELIVERIES,
        &INSERT_ATTEMPTS,
        &INSERT_EVENTS,
        &INSERT_OPERATIONS,
        &SAVE_HEALTH,
        &summaries::ADJUST,
        &super::retention::KEEP_DIGESTS,
    ];
    all.into_iter().flat_map(|statement| [statement.text(0), statement.text(1)]).map(str::to_owned).collect()
}

/// Writes the changes: the events, numbered after `newest`, or `None` if there was nothing to write.
pub(super) async fn save(
    db: &mut SqliteConnection,
    mut work: UnitOfWork,
    newest: u64,
    audit_key: &AuditKey,
) -> Result<Option<Vec<Event>>, StoreError> {
    let changes = std::mem::take(&mut work.changes);
    let events = number(changes.events, newest);
    let mut written = 0;
    written += INSERT_SNAPSHOTS.write(db, &changes.snapshots, bind_snapshot).await?;
    written += INSERT_DELIVERIES.write(db, &work.changed(Change::Insert), rows::bind_new).await?;
    written += update_deliveries(db, &work.changed(Change::Update)).await?;
    summaries::adjust(db, &work.count_changes()).await?;
    written += INSERT_ATTEMPTS.write(db, &positions(&changes.attempts), bind_attempt).await?;
    written += INSERT_OPERATIONS.write(db, &changes.operations, bind_operation).await?;
    written += write_health(db, &work.changed_connections()).await?;
    written += INSERT_EVENTS.write(db, &events, bind_event).await?;
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

/// Each attempt with its position among those of the same delivery.
fn positions(attempts: &[NewAttempt]) -> Vec<(u32, &NewAttempt)> {
    let mut counts = HashMap::new();
    let counted = attempts.iter().map(|attempt| {
        let position = counts.entry(&attempt.delivery_id).and_modify(|count| *count += 1).or_insert(1);
        (*position, attempt)
    });
    counted.collect()
}

fn bind_snapshot(new: &NewSnapshot, values: &mut Values) -> Result<(), StoreError> {
    values.add(&new.incident_id)?;
    values.add(new.revision)?;
    match compression::compress(&new.body) {
        Some(frame) => values.add(frame)?,
        None => values.add(&new.body)?,
    }
    values.add(new.created_at.as_microsecond())
}

fn bind_attempt((position, new): &(u32, &NewAttempt), values: &mut Values) -> Result<(), StoreError> {
    values.add(&new.delivery_id)?;
    values.add(*position)?;
    values.add(&new.connection)?;
    values.add(new.kind.as_str())?;
    values.add(new.epoch)?;
    values.add(new.times.started_at.as_microsecond())?;
    values.add(new.times.finished_at.as_microsecond())?;
    values.add(new.outcome.as_str())?;
    values.add(new.fault.as_ref().map(Json))
}

fn bind_operation(new: &NewOperation, values: &mut Values) -> Result<(), StoreError> {
    values.add(&new.delivery_id)?;
    values.add(new.kind)?;
    values.add(&new.note)?;
    values.add(new.at.as_microsecond())
}

fn bind_health(
    (connection, system, health, at): &(&str, System, &Health, Timestamp),
    values: &mut Values,
) -> Result<(), StoreError> {
    values.add(*connection)?;
    values.add(system.as_str())?;
    values.add(Json(health))?;
    values.add(at.as_microsecond())
}

fn bind_event(event: &Event, values: &mut Values) -> Result<(), StoreError> {
    values.add(event.seq.cast_signed())?;
    values.add(event.at.as_microsecond())?;
    values.add(event.kind.as_str())?;
    values.add(event.incident_id())?;
    values.add(event.delivery_id())?;
    values.add(&event.connection)?;
    values.add(event.system.as_str())?;
    values.add(Json(&event.subject))?;
    values.add(&event.note)
}

/// Updates existing deliveries.
pub(super) async fn update_deliveries(
    db: &mut SqliteConnection,
    deliveries: &[&Delivery],
) -> Result<u64, StoreError> {
    UPDATE_DELIVERIES.write(db, deliveries, rows::bind_changed).await
}

/// Writes the health of connections, and when it changed.
pub(super) async fn write_health(
    db: &mut SqliteConnection,
    health: &[(&str, System, &Health, Timestamp)],
) -> Result<u64, StoreError> {
    SAVE_HEALTH.write(db, health, bind_health).await
}
