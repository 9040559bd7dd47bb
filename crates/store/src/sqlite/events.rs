//! Events: read in order, trimmed from the front.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use ticketing_core::delivery::EventKind;
use ticketing_core::system::System;

use super::exclusive_write::ExclusiveWrite;
use super::rows::Reader;
use super::{Database, State};
use crate::StoreError;
use crate::port;
use crate::types::{Event, EventBounds, EventFilter, EventPage};

/// Maximum size of the events in one read. Events from before texts of ticket systems were limited may be
/// large.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Maximum number of events examined by one read, so that a narrow filter does not hold a connection for
/// long.
const MAX_STRIDE: u64 = 10_000;

/// Removes the oldest events.
#[derive(Debug)]
struct TrimEvents {
    before: Timestamp,
    batch: u32,
}

#[async_trait]
impl port::Events for Database {
    async fn events_after(
        &self,
        seq: u64,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<EventPage, StoreError> {
        let newest = self.state.feed.newest();
        if seq >= newest {
            return Ok(EventPage { events: vec![], read_to: seq, missed: false });
        }
        if let Some(events) = self.state.feed.after(seq, limit as usize) {
            let read_to = events.last().map_or(seq, |event| event.seq);
            let events = events.into_iter().filter(|event| filter.admits(event)).collect();
            return Ok(EventPage { events, read_to, missed: false });
        }
        let last = newest.min(seq.saturating_add(MAX_STRIDE));
        let Some((events, is_cut)) = self.read_events(seq, last, filter, limit).await? else {
            return Ok(EventPage { events: vec![], read_to: seq, missed: true });
        };
        let full = is_cut || events.len() == limit as usize;
        let read_to = events.last().filter(|_| full).map_or(last, |event| event.seq);
        Ok(EventPage { events, read_to, missed: false })
    }

    async fn event_bounds(&self) -> Result<EventBounds, StoreError> {
        let last = self.state.feed.newest();
        let mut db = self.readers.acquire().await.map_err(StoreError::read("events"))?;
        Ok(EventBounds { first: first_event(&mut db).await?, last })
    }

    async fn trim_events(&self, before: Timestamp, batch: u32) -> Result<u64, StoreError> {
        self.write_exclusive(TrimEvents { before, batch }).await
    }
}

impl Database {
    /// The events, and whether some are omitted for size; `None` if events after `after` were trimmed.
    async fn read_events(
        &self,
        after: u64,
        last: u64,
        filter: &EventFilter,
        limit: u32,
    ) -> Result<Option<(Vec<Arc<Event>>, bool)>, StoreError> {
        // One snapshot for both statements, so that nothing is trimmed in between.
        let mut snapshot = self.readers.begin().await.map_err(StoreError::begin)?;
        if first_event(&mut snapshot).await?.is_none_or(|first| first > after + 1) {
            return Ok(None);
        }
        let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM events WHERE seq > ");
        query.push_bind(after.cast_signed()).push(" AND seq <= ").push_bind(last.cast_signed());
        if let Some(incident_id) = &filter.incident_id {
            query.push(" AND incident_id = ").push_bind(incident_id);
        }
        push_names(&mut query, " AND system IN (", filter.systems.iter().map(|system| system.as_str()));
        push_names(&mut query, " AND kind IN (", filter.kinds.iter().map(|kind| kind.as_str()));
        if let Some(name) = &filter.requested_by {
            query.push(" AND body ->> '$.delivery.requested_by' = ").push_bind(name);
        }
        if let Some(namespace) = &filter.namespace {
            // Events of versions without namespaces have none.
            query.push(" AND coalesce(body ->> '$.delivery.namespace', 'default') = ");
            query.push_bind(namespace.as_str());
            query.push(" AND delivery_id IS NOT NULL");
        }
        query.push(" ORDER BY seq LIMIT ").push_bind(limit);
        let query = query.build();
        let mut rows = query.fetch(&mut *snapshot);
        let mut events = vec![];
        let mut size = 0;
        while let Some(row) = rows.try_next().await.map_err(StoreError::read("events"))? {
            let body: &str = row.try_get("body").map_err(StoreError::read("events"))?;
            size += body.len();
            events.push(Arc::new(event(&row)?));
            if size > MAX_BYTES {
                return Ok(Some((events, true)));
            }
        }
        Ok(Some((events, false)))
    }
}

#[async_trait]
impl ExclusiveWrite for TrimEvents {
    type Answer = u64;

    async fn run(&self, _: &State, db: &mut SqliteConnection) -> Result<u64, StoreError> {
        let oldest =
            sqlx::query("SELECT seq, at FROM events WHERE seq > 0 ORDER BY seq LIMIT ?").bind(self.batch);
        let oldest = oldest.fetch_all(&mut *db).await.map_err(StoreError::read("events"))?;
        let before = self.before.as_microsecond();
        let old = oldest.iter().map_while(|row| match row.try_get::<i64, _>("at") {
            Ok(at) if at < before => row.try_get::<i64, _>("seq").ok(),
            _ => None,
        });
        let Some(last) = old.last() else { return Ok(0) };
        let done = sqlx::query("DELETE FROM events WHERE seq <= ?").bind(last).execute(db).await;
        Ok(done.map_err(StoreError::write("events"))?.rows_affected())
    }
}

/// A condition on a column, if there are any names.
pub(super) fn push_names(
    query: &mut QueryBuilder<Sqlite>,
    condition: &'static str,
    names: impl ExactSizeIterator<Item = &'static str>,
) {
    if names.len() == 0 {
        return;
    }
    query.push(condition);
    let mut list = query.separated(", ");
    for name in names {
        list.push_bind(name);
    }
    query.push(")");
}

async fn first_event(db: &mut SqliteConnection) -> Result<Option<u64>, StoreError> {
    let first: Option<i64> = sqlx::query_scalar("SELECT min(seq) FROM events")
        .fetch_one(db)
        .await
        .map_err(StoreError::read("events"))?;
    Ok(first.map(i64::cast_unsigned))
}

fn event(row: &SqliteRow) -> Result<Event, StoreError> {
    let seq: i64 = row.try_get("seq").map_err(StoreError::read("events"))?;
    let row = Reader::named(row, "events", seq.to_string());
    Ok(Event {
        seq: seq.cast_unsigned(),
        at: row.time("at")?,
        kind: row.name("kind", |name| EventKind::ALL.into_iter().find(|kind| kind.as_str() == name))?,
        connection: row.get("target")?,
        system: row.name("system", System::parse)?,
        subject: row.json("body")?,
        note: row.get("note")?,
    })
}

/// The number of the newest event ever committed, 0 if there was none.
pub(super) async fn newest_event(db: &mut SqliteConnection) -> Result<u64, StoreError> {
    let newest: Option<i64> = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        .fetch_optional(db)
        .await
        .map_err(StoreError::read("events"))?;
    Ok(newest.unwrap_or_default().cast_unsigned())
}
