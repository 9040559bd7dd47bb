//! Recovery when the store is opened: reads what the database records, and commits what `crate::recovery` decides, in
//! one transaction.

use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, SqliteConnection};
use ticketing_core::clock::to_stored_resolution;
use ticketing_core::delivery::restore::Recovery;
use ticketing_core::delivery::{Delivery, State};
use ticketing_core::health::Health;
use ticketing_core::system::System;
use tokio::sync::watch;

use super::events::newest_event;
use super::load::BY_ID;
use super::rows::{self, Reader};
use super::save;
use crate::recovery::{Kept, Mark, Plan};
use crate::types::{FileCheck, StreamName, Suspicion};
use crate::unit_of_work::IntentName;
use crate::{StoreError, StoreOptions, uuid_v7};

/// Number of deliveries per read.
const CHUNK: u32 = 500;

/// Every connection and state that a delivery ever had.
const COUNTED: &str = "SELECT target, state FROM delivery_counts";

const OF_STATE: &str = "
    SELECT * FROM deliveries WHERE target = ? AND state = ? AND id > ? ORDER BY id LIMIT ?";

/// A delivery whose ticket exists only has its duplicate scans left.
const SCANNED: &str = "
    SELECT id FROM deliveries INDEXED BY deliveries_to_sweep
    WHERE target = ? AND sweep_due_at IS NOT NULL AND state = 'DELIVERED'";

/// A store that is ready for use.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) mark: Mark,
    pub(super) newest: u64,
    pub(super) stream: StreamName,
    pub(super) restored_at: Option<Timestamp>,
    pub(super) suspicion: Option<Suspicion>,
    pub(super) step: SignedDuration,
    /// What is known of the database file as a whole.
    pub(super) check: watch::Sender<FileCheck>,
}

pub(super) async fn begin(
    db: &mut SqliteConnection,
    mut mark: Mark,
    (is_new, is_checked): (bool, bool),
    options: &StoreOptions,
) -> Result<Begun, StoreError> {
    let now = to_stored_resolution(options.clock.now());
    let kept = kept(db, &mark).await?;
    let Plan { recovery, suspicion, step, restored_at } =
        Plan::of(&kept, &mark, is_new, options.restored, now);
    let Kept { newest, mut stream, .. } = kept;
    if recovery.changes_anything() {
        let mut transaction = db.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::begin)?;
        recover(&mut transaction, &recovery, now).await?;
        if suspicion.is_some() {
            let former = std::mem::replace(&mut stream.current, uuid_v7(now, &*options.entropy));
            rename_stream(&mut transaction, &former, &stream.current, newest).await?;
            stream.former.push((former, newest));
        }
        remember(&mut transaction, restored_at).await?;
        transaction.commit().await.map_err(StoreError::commit)?;
    }
    let intent = mark.found().and_then(|found| found.intent.clone()).filter(|_| suspicion.is_none());
    let is_sound = is_new || is_checked || mark.is_file_sound(newest) && suspicion.is_none();
    let check = watch::Sender::new(if is_sound { FileCheck::Passed } else { FileCheck::Running });
    mark.start(newest, intent, check.subscribe());
    Ok(Begun { mark, newest, stream, restored_at, suspicion, step, check })
}

async fn kept(db: &mut SqliteConnection, mark: &Mark) -> Result<Kept, StoreError> {
    let row = sqlx::query("SELECT * FROM installation").fetch_one(&mut *db).await;
    let row = row.map_err(StoreError::read("the installation"))?;
    let row = Reader::new(&row, "installation", "installation_id")?;
    let former = sqlx::query_as("SELECT stream_id, last_seq FROM former_streams").fetch_all(&mut *db).await;
    let former: Vec<(String, i64)> = former.map_err(StoreError::read("former streams"))?;
    let former = former.into_iter().map(|(id, last)| (id, last.cast_unsigned())).collect();
    let newest_at: Option<i64> =
        sqlx::query_scalar("SELECT at FROM events WHERE seq = (SELECT max(seq) FROM events)")
            .fetch_optional(&mut *db)
            .await
            .map_err(StoreError::read("events"))?;
    let intent = mark.found().and_then(|found| found.intent.clone());
    Ok(Kept {
        newest_at: newest_at.and_then(|at| Timestamp::from_microsecond(at).ok()),
        stream: StreamName { current: row.get("stream_id")?, former },
        restored_at: row.time_if("restored_at")?,
        copied_at: row.time_if("copied_at")?,
        has_marked_intent: has_intent(db, intent.as_ref()).await?,
        newest: newest_event(db).await?,
    })
}

/// Whether the database contains an intent, or its outcome.
async fn has_intent(db: &mut SqliteConnection, intent: Option<&IntentName>) -> Result<bool, StoreError> {
    let Some(IntentName { delivery_id, epoch }) = intent else { return Ok(true) };
    let row = sqlx::query("SELECT * FROM deliveries WHERE id = ?").bind(delivery_id).fetch_optional(db).await;
    let row = row.map_err(StoreError::read("a delivery"))?;
    let Some(delivery) = row.as_ref().map(rows::delivery).transpose()? else { return Ok(false) };
    let sent = delivery.send.as_ref().is_some_and(|send| send.epoch >= *epoch);
    Ok(delivery.epoch > *epoch || (delivery.epoch == *epoch && sent))
}

async fn recover(db: &mut SqliteConnection, start: &Recovery, now: Timestamp) -> Result<(), StoreError> {
    let counted: Vec<(String, String)> =
        sqlx::query_as(COUNTED).fetch_all(&mut *db).await.map_err(StoreError::read("counts"))?;
    for (connection, state) in &counted {
        if state == State::Delivered.as_str() {
            recover_scans(db, start, connection).await?;
        } else {
            recover_unsettled(db, start, connection, state).await?;
        }
    }
    recover_health(db, start, now).await
}

async fn recover_unsettled(
    db: &mut SqliteConnection,
    start: &Recovery,
    connection: &str,
    state: &str,
) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let query = sqlx::query(OF_STATE).bind(connection).bind(state).bind(&after).bind(CHUNK);
        let found = query.fetch_all(&mut *db).await.map_err(StoreError::read("deliveries"))?;
        match recover_chunk(db, start, &found).await? {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

async fn recover_scans(
    db: &mut SqliteConnection,
    start: &Recovery,
    connection: &str,
) -> Result<(), StoreError> {
    let query = sqlx::query_scalar(SCANNED).bind(connection);
    let ids: Vec<String> = query.fetch_all(&mut *db).await.map_err(StoreError::read("duplicate scans"))?;
    for ids in ids.chunks(CHUNK as usize) {
        let query = sqlx::query(BY_ID).bind(rows::json("ids", ids)?);
        let found = query.fetch_all(&mut *db).await.map_err(StoreError::read("deliveries"))?;
        recover_chunk(db, start, &found).await?;
    }
    Ok(())
}

/// Recovers deliveries. Returns the ID of the last one.
async fn recover_chunk(
    db: &mut SqliteConnection,
    start: &Recovery,
    found: &[SqliteRow],
) -> Result<Option<String>, StoreError> {
    let found = found.iter().map(rows::delivery).collect::<Result<Vec<Delivery>, _>>()?;
    let recovered = found.iter().map(|delivery| delivery.clone().recover(start)).collect::<Vec<_>>();
    let changed: Vec<_> =
        found.iter().zip(&recovered).filter(|(was, is)| was != is).map(|(_, is)| is).collect();
    save::update_deliveries(db, &changed).await?;
    Ok(found.last().map(|delivery| delivery.id.clone()))
}

async fn recover_health(
    db: &mut SqliteConnection,
    start: &Recovery,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = sqlx::query("SELECT target, system, health FROM target_health").fetch_all(&mut *db).await;
    let mut recovered: Vec<(String, System, Health)> = vec![];
    for row in &rows.map_err(StoreError::read("the health of connections"))? {
        let row = Reader::new(row, "target_health", "target")?;
        let health = start.recover_health(row.json("health")?);
        recovered.push((row.get("target")?, row.name("system", System::parse)?, health));
    }
    let recovered: Vec<_> = recovered
        .iter()
        .map(|(connection, system, health)| (connection.as_str(), *system, health, now))
        .collect();
    save::write_health(db, &recovered).await.map(drop)
}

async fn rename_stream(
    db: &mut SqliteConnection,
    former: &str,
    current: &str,
    newest: u64,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO former_streams (stream_id, last_seq) VALUES (?, ?)")
        .bind(former)
        .bind(newest.cast_signed())
        .execute(&mut *db)
        .await
        .map_err(StoreError::write("former streams"))?;
    let named = sqlx::query("UPDATE installation SET stream_id = ?").bind(current).execute(db).await;
    named.map(drop).map_err(StoreError::write("the installation"))
}

async fn remember(db: &mut SqliteConnection, restored_at: Option<Timestamp>) -> Result<(), StoreError> {
    let done = sqlx::query("UPDATE installation SET restored_at = ?, copied_at = NULL")
        .bind(restored_at.map(Timestamp::as_microsecond))
        .execute(db)
        .await;
    done.map(drop).map_err(StoreError::write("the installation"))
}
