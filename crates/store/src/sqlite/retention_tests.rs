//! The file of the database when content is removed, and a restore from a backup with removed content.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;
use ticketing_core::clock::Clock;
use ticketing_core::incident::{Incident, IncidentFields};
use ticketing_core::system::System;
use ticketing_host::manual::{ManualClock, ManualMachine, SeededEntropy};

use super::open::connect_options;
use crate::conformance::{BUSY_TIMEOUT, connection, incident, noted};
use crate::{AcceptRequest, Accepted, KeySource, Operation, Requester, Shrunk, Store, StoreOptions};

/// Their content is larger than what a file keeps of free pages.
const INCIDENTS: usize = 600;
/// Characters of notes. They do not compress well.
const NOTES: usize = 16_000;
const PAGES: u32 = 128;

struct Bench {
    folder: TempDir,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()));
        Self { folder: tempfile::tempdir().unwrap(), clock }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ticketing.db")
    }

    async fn open(&self) -> Store {
        self.open_as(false).await
    }

    async fn open_as(&self, restored: bool) -> Store {
        let options = StoreOptions {
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(self.clock.now().as_microsecond().unsigned_abs())),
            machine: Arc::<ManualMachine>::default(),
            key: KeySource::BesideDatabase,
            restored,
            busy_timeout: BUSY_TIMEOUT,
        };
        Store::open(&self.path(), options).await.unwrap().0
    }

    /// The bytes of the database in its file and its WAL.
    fn size(&self) -> u64 {
        std::fs::metadata(self.path()).unwrap().len()
    }

    /// Incidents with long notes whose deliveries ended.
    async fn fill(&self, store: &Store) {
        let accepts = (0..INCIDENTS).map(|number| {
            let store = store.clone();
            let now = self.clock.now();
            tokio::spawn(async move {
                let delivery = accept(&store, &format!("INC-{number}")).await.delivery;
                cancel(&store, &delivery.id, now).await;
            })
        });
        for accepted in accepts.collect::<Vec<_>>() {
            accepted.await.unwrap();
        }
        self.clock.advance(Duration::from_secs(1));
    }

    async fn remove_all(&self, store: &Store) -> u64 {
        let now = self.clock.now();
        let mut removed = 0;
        let mut after = None;
        loop {
            let page = store.expired_content(now, after, 100).await.unwrap();
            let Some(next) = page.next else { return removed };
            after = Some(next);
            removed += store.remove_content(page.incident_ids, now, now).await.unwrap();
        }
    }
}

async fn accept(store: &Store, id: &str) -> Accepted {
    let fields = IncidentFields { investigation_notes: notes(id), ..fields(id) };
    let request = AcceptRequest {
        incident: Incident::try_new(fields, "incident").unwrap(),
        connections: vec![connection(System::Jira)],
        expedite: false,
        by: Requester::default(),
    };
    store.accept(&request).await.unwrap().remove(0)
}

fn notes(id: &str) -> String {
    let blocks =
        (0_u32..).map(|block| Sha256::new().chain_update(id).chain_update(block.to_le_bytes()).finalize());
    let digits =
        blocks.flat_map(|block| block.into_iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>());
    digits.take(NOTES / 2).collect()
}

fn fields(id: &str) -> IncidentFields {
    let incident = incident(id, 90.0);
    IncidentFields {
        id: incident.id.clone(),
        url: incident.url.clone(),
        actor: incident.actor.clone(),
        risk: incident.risk.clone(),
        activity: incident.activity.clone(),
        timeline: incident.timeline.clone(),
        sla: incident.sla.clone(),
        tactics: vec![],
        techniques: vec![],
        firing_rules: vec![],
        investigation_notes: String::new(),
    }
}

async fn cancel(store: &Store, id: &str, now: Timestamp) {
    let policy = ticketing_core::policy::Policy::default();
    store.operate(&noted().actor, id, Operation::Cancel, "", &policy, now).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn file_shrinks_while_writes_go_on() {
    let bench = Bench::new();
    let store = bench.open().await;
    bench.fill(&store).await;
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            let mut accepted = 0;
            while !*stopped.borrow_and_update() {
                accept(&store, &format!("NEW-{accepted}")).await;
                accepted += 1;
            }
            accepted
        }
    });
    assert_eq!(bench.remove_all(&store).await, INCIDENTS as u64);
    let before = bench.size();
    while store.shrink(PAGES).await.unwrap() == Shrunk::Partly {}
    stop.send(true).unwrap();
    let accepted: u32 = writer.await.unwrap();
    // Its pages reach the file when the WAL does.
    while bench.size() >= before - (NOTES * INCIDENTS / 4) as u64 {
        accept(&store, &format!("LATER-{}", store.commits())).await;
    }
    assert!(accepted > 0);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn file_of_earlier_version_shrinks_once_compacted() {
    let bench = Bench::new();
    let store = bench.open().await;
    bench.fill(&store).await;
    store.close().await;
    sql(&bench.path(), "PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM").await;
    let store = bench.open().await;
    assert_eq!(bench.remove_all(&store).await, INCIDENTS as u64);
    assert_eq!(store.shrink(PAGES).await.unwrap(), Shrunk::NotPossible);
    assert!(Store::compact(&bench.path()).await.is_err(), "a server uses it");
    store.close().await;
    let compacted = Store::compact(&bench.path()).await.unwrap();
    assert_eq!((compacted.after, compacted.before > 2 * compacted.after), (bench.size(), true));
    let store = bench.open().await;
    assert_eq!(store.installation().restored_at, None);
    assert!(accept(&store, "INC-0").await.existed);
    bench.fill(&store).await;
    bench.remove_all(&store).await;
    assert_ne!(store.shrink(PAGES).await.unwrap(), Shrunk::NotPossible);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn backup_from_before_a_removal_is_restored() {
    let bench = Bench::new();
    let store = bench.open().await;
    let delivery = accept(&store, "INC-1").await.delivery;
    cancel(&store, &delivery.id, bench.clock.now()).await;
    let backup = bench.folder.path().join("backup.db");
    Store::backup(&bench.path(), &backup, bench.clock.now()).await.unwrap();
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.remove_all(&store).await, 1);
    store.close().await;
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(bench.folder.path().join(format!("ticketing.db{ending}")));
    }
    std::fs::rename(&backup, bench.path()).unwrap();
    let store = bench.open_as(false).await;
    assert!(store.installation().restored_at.is_some());
    let again = accept(&store, "INC-1").await;
    assert!(again.existed && !again.snapshot_updated && again.delivery.content_removed_at.is_none());
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.remove_all(&store).await, 1);
    assert!(accept(&store, "INC-1").await.snapshot_updated);
    store.close().await;
}

async fn sql(path: &Path, statements: &'static str) {
    let mut db = connect_options(path, BUSY_TIMEOUT).connect().await.unwrap();
    sqlx::raw_sql(statements).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}
