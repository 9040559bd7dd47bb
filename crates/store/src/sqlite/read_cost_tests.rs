//! The work of a read does not depend on the number of deliveries: SQLite's own steps are counted, not time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use sqlx::Connection;
use ticketing_core::delivery::State;
use ticketing_core::evidence::SearchScope;
use ticketing_core::fault::FaultKind;
use ticketing_core::system::System;

use super::tests::{accept, open_database};
use super::{Database, open};
use crate::conformance::{CONNECTION, destination, made_by};
use crate::{CanaryQuery, ClaimKind, DEFAULT_BUSY_TIMEOUT, DeliveryFilter, EventFilter, Store};

/// Deliveries with their attempts and events: of each 100, 95 are delivered, and one is in every other settled or waiting
/// state.
const FILL: &str = r#"
    CREATE TEMP TABLE numbers AS
    WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < $count)
    SELECT value, CASE value % 100 WHEN 0 THEN 'FAILED' WHEN 1 THEN 'WAITING' WHEN 2 THEN 'RECONCILING'
        WHEN 3 THEN 'PENDING' WHEN 4 THEN 'CANCELLED' ELSE 'DELIVERED' END AS state FROM n;
    BEGIN;
    INSERT INTO incident_revisions SELECT 'OLD-' || value, 1, '{}', value FROM numbers;
    INSERT INTO deliveries
        (id, incident_id, incident_revision, target, system, "trigger", marker, state, epoch, failures, due_at, send,
        send_at, doubt, doubted, ticket, duplicates, adjustments, last_error, created_at, updated_at)
    SELECT printf('0001%08d', value), 'OLD-' || value, 1, 'jira', 'jira', 'MANUAL', printf('rhythmx-%032x', value), state,
        1, 0, iif(state IN ('PENDING', 'WAITING', 'RECONCILING'), value, NULL),
        json_object('epoch', 1, 'at', '2026-01-01T00:00:00Z', 'deadline', '2026-01-01T00:00:30Z',
            'destination', json_object('base_url', 'https://jira.example/site', 'place', 'SEC'),
            'made_by', json_object('account', 'analyst@example.com', 'issue_type', 'Task'),
            'index_bound', json_object('secs', 180, 'nanos', 0), 'marker_in_text', json('false')), value,
        iif(state = 'RECONCILING', '{"since":"2026-01-01T00:00:00Z","empty_answers":0,"look_ups":0}', NULL), '[]',
        iif(state = 'DELIVERED', json_object('id', CAST(value AS TEXT), 'key', 'SEC-' || value, 'url', ''), NULL),
        '[]', '[]',
        iif(state = 'FAILED', '{"fault":{"kind":"REJECTED","message":"no","hint":""},
            "ambiguous":false,"at":"2026-01-01T00:00:00Z"}', NULL),
        value, value
    FROM numbers;
    INSERT INTO attempts SELECT printf('0001%08d', value), 1, 'jira', 'CREATE', 1, value, value, 'CREATED', NULL
    FROM numbers;
    INSERT INTO events (at, kind, target, system, body, note)
    SELECT value, 'TARGET_RECOVERED', 'jira', 'jira', '{}', '' FROM numbers;
    INSERT INTO delivery_counts SELECT target, state, count(*), 0 FROM deliveries GROUP BY target, state;
    COMMIT;"#;

/// A store with `count` deliveries, and the steps that its readers make.
async fn filled(folder: &tempfile::TempDir, count: u32) -> (Store, Arc<AtomicU64>) {
    open_database(folder).await.0.close().await;
    let options = open::connect_options(&folder.path().join("ticketing.db"), DEFAULT_BUSY_TIMEOUT);
    let mut db = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let statements = FILL.replace("$count", &count.to_string());
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
    let (store, database) = open_database(folder).await;
    let steps = count_steps(&database).await;
    accept(&store, "INC-NEW").await.unwrap();
    (store, steps)
}

async fn count_steps(database: &Database) -> Arc<AtomicU64> {
    let steps = Arc::new(AtomicU64::new(0));
    let mut readers = vec![];
    for _ in 0..open::READERS {
        let mut reader = database.readers.acquire().await.unwrap();
        let steps = steps.clone();
        reader.lock_handle().await.unwrap().set_progress_handler(1, move || {
            steps.fetch_add(1, Ordering::Relaxed);
            true
        });
        readers.push(reader);
    }
    steps
}

/// The steps of each read.
async fn costs(count: u32) -> Vec<(String, u64)> {
    let folder = tempfile::tempdir().unwrap();
    let (store, steps) = filled(&folder, count).await;
    let mut costs = vec![];
    let mut note = |what: String| costs.push((what, steps.swap(0, Ordering::Relaxed)));
    store.summaries().await.unwrap();
    note("summaries".to_owned());
    let none = DeliveryFilter::default;
    let filters = [
        none(),
        DeliveryFilter { states: vec![State::Failed], ..none() },
        DeliveryFilter { states: vec![State::Delivered, State::Failed], ..none() },
        DeliveryFilter { systems: vec![System::Jira], ..none() },
        DeliveryFilter { connections: vec![CONNECTION.to_owned()], ..none() },
        DeliveryFilter { incident_id: Some("OLD-7".to_owned()), ..none() },
        DeliveryFilter { ticket_key: Some("SEC-7".to_owned()), ..none() },
        DeliveryFilter { fault_kinds: vec![FaultKind::Rejected], ..none() },
        DeliveryFilter { created_until: Some(Timestamp::MAX), ..none() },
    ];
    for filter in filters {
        store.list_keys(&filter, 5, None).await.unwrap();
        note(format!("list of {filter:?}"));
    }
    store.next_due(CONNECTION, ClaimKind::Due).await.unwrap();
    note("next due".to_owned());
    store.due_duplicate_scans(CONNECTION, Timestamp::MAX, 5).await.unwrap();
    note("duplicate scans".to_owned());
    let from = Timestamp::UNIX_EPOCH;
    let until = Timestamp::MAX;
    let query = CanaryQuery { destination: destination(), made_by: made_by(), after: from, until, limit: 5 };
    assert_eq!(store.canaries(&query).await.unwrap().len(), 5);
    note("canaries".to_owned());
    let scope = SearchScope { destination: destination(), made_by: made_by(), reader: String::new() };
    assert_eq!(store.neighbors(&scope, from).await.unwrap().len(), 1);
    note("neighbors".to_owned());
    store.event_bounds().await.unwrap();
    note("bounds of events".to_owned());
    let newest = *store.subscribe().borrow();
    store.events_after(newest - 1, &EventFilter::default(), 5).await.unwrap();
    note("events".to_owned());
    store.audit(None, 5).await.unwrap();
    note("audit".to_owned());
    assert!(store.owner("OLD-7").await.unwrap().is_some());
    note("owner of an incident".to_owned());
    costs
}

#[tokio::test]
async fn reads_cost_the_same_at_any_size() {
    let small = costs(1_000).await;
    let large = costs(10_000).await;
    for ((what, small), (_, large)) in small.into_iter().zip(large) {
        assert!(
            large <= small + small / 10 + 20,
            "{what}: {small} steps of SQLite at 1,000 deliveries, {large} at 10,000"
        );
    }
}
