//! Which starts are detected as restored databases, and what follows from that and from clock steps. Files
//! are copied as an operator would.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use ticketing_core::delivery::settle::SendIntent;
use ticketing_core::delivery::{Delivery, Outcome};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::health::{Failure, Observation};
use ticketing_core::policy::{Bounds, Policy};
use ticketing_core::system::{Authorship, System};
use ticketing_host::manual::{ManualClock, ManualMachine, SeededEntropy};

use crate::conformance::{BUSY_TIMEOUT, CONNECTION, claim_request, connection, destination, incident};
use crate::{
    AcceptRequest, AttemptRecord, AttemptTimes, BackupError, ClaimKind, Intent, KeySource, OpenError, Opened,
    Requester, Store, StoreOptions, Suspicion,
};

/// A machine with a disk.
struct Bench {
    folder: TempDir,
    clock: Arc<ManualClock>,
    machine: Arc<ManualMachine>,
    /// Each run generates other numbers.
    runs: AtomicU64,
}

// === impl Bench ===

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()));
        Self { folder: tempfile::tempdir().unwrap(), clock, machine: Arc::default(), runs: AtomicU64::new(0) }
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.folder.path().join(format!("ticketing.db{ending}"))
    }

    async fn open_as(&self, restored: bool) -> (Store, Opened) {
        Store::open(&self.file(""), self.options(restored)).await.unwrap()
    }

    fn options(&self, restored: bool) -> StoreOptions {
        let clock = self.clock.clone();
        let machine = self.machine.clone();
        let entropy = Arc::new(SeededEntropy::new(self.runs.fetch_add(1, Ordering::Relaxed)));
        StoreOptions {
            clock,
            entropy,
            machine,
            key: KeySource::BesideDatabase,
            restored,
            busy_timeout: BUSY_TIMEOUT,
        }
    }

    async fn open(&self) -> (Store, Opened) {
        self.open_as(false).await
    }

    /// A run of the server that accepts one incident.
    async fn accept(&self, id: &str) {
        let (store, _) = self.open().await;
        accept(&store, id).await;
        store.close().await;
    }

    /// Why the next start suspects a restore, if it does.
    async fn suspicion(&self) -> Option<Suspicion> {
        let (store, opened) = self.open().await;
        assert!(opened.suspicion.is_none() || store.installation().restored_at == Some(self.now()));
        store.close().await;
        opened.suspicion
    }

    /// Time passes, by the clock and in truth.
    fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.machine.advance_uptime(time);
    }

    fn now(&self) -> Timestamp {
        use ticketing_core::clock::Clock;
        self.clock.now()
    }

    /// A claimed delivery with an intent.
    async fn intended(&self, store: &Store, id: &str) -> Delivery {
        accept(store, id).await;
        let claimed = store.claim(claim_request(ClaimKind::Fresh, 1), self.now()).await.unwrap().remove(0);
        self.intend(store, &claimed.delivery).await
    }

    async fn intend(&self, store: &Store, delivery: &Delivery) -> Delivery {
        let send = SendIntent {
            destination: destination(),
            made_by: Authorship::default(),
            index_bound: Duration::from_secs(180),
            deadline: self.now() + Duration::from_secs(30),
            marker_in_text: false,
            adjustments: vec![],
        };
        let delivery_id = delivery.id.clone();
        let intent = Intent { delivery_id, settings_revision: 0, epoch: delivery.epoch, send };
        store.intend(intent, self.now()).await.unwrap()
    }

    async fn fail(&self, store: &Store, delivery: &Delivery, kind: FaultKind) -> Delivery {
        let record = AttemptRecord {
            delivery_id: delivery.id.clone(),
            epoch: delivery.epoch,
            settings_revision: 0,
            outcome: Outcome::Sent(Err(Fault::new(kind, "no"))),
            times: AttemptTimes { started_at: self.now(), finished_at: self.now() },
            counted_from: self.now(),
            random: 0.0,
        };
        store.record_attempt(record, &Policy::default(), self.now()).await.unwrap().unwrap()
    }
}

async fn accept(store: &Store, id: &str) -> Delivery {
    let incident = incident(id, 90.0);
    let connections = vec![connection(System::Jira)];
    let request = AcceptRequest { incident, connections, expedite: false, by: Requester::default() };
    store.accept(&request).await.unwrap().remove(0).delivery
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
}

#[tokio::test]
async fn new_and_reopened_databases_are_not_suspected() {
    let bench = Bench::new();
    for id in ["INC-1", "INC-2", "INC-3"] {
        assert_eq!(bench.suspicion().await, None);
        bench.accept(id).await;
        bench.pass(Duration::from_secs(100_000));
    }
}

#[tokio::test]
async fn missing_marked_events_mean_restore() {
    let bench = Bench::new();
    bench.accept("INC-1").await;
    copy(&bench.file(""), &bench.file(".copy"));
    bench.accept("INC-2").await;
    copy(&bench.file(".copy"), &bench.file(""));
    let (store, opened) = bench.open().await;
    assert_eq!(opened.suspicion, Some(Suspicion::EventsLost { marked: 2, kept: 1 }));
    assert_eq!(
        (store.installation().restored_at, store.installation().stream.former.len()),
        (Some(bench.now()), 1)
    );
    let restored_at = store.installation().restored_at;
    let stream = store.installation().stream.clone();
    store.close().await;
    bench.pass(Duration::from_secs(60));
    let (store, opened) = bench.open().await;
    assert_eq!((opened.suspicion, store.installation().restored_at), (None, restored_at), "once is enough");
    assert_eq!(store.installation().stream, stream);
}

#[tokio::test]
async fn missing_marked_intent_means_restore() {
    let bench = Bench::new();
    let (store, _) = bench.open().await;
    accept(&store, "INC-1").await;
    let claimed = store.claim(claim_request(ClaimKind::Fresh, 1), bench.now()).await.unwrap().remove(0);
    store.close().await;
    copy(&bench.file(""), &bench.file(".copy"));
    let (store, _) = bench.open().await;
    bench.intend(&store, &claimed.delivery).await;
    store.close().await;
    assert_eq!(bench.suspicion().await, None);
    copy(&bench.file(".copy"), &bench.file(""));
    assert_eq!(bench.suspicion().await, Some(Suspicion::IntentLost));
}

#[tokio::test]
async fn mark_changed_after_write_means_copy() {
    let bench = Bench::new();
    bench.machine.set_wall_back(Duration::from_secs(5));
    bench.accept("INC-1").await;
    bench.machine.set_wall_back(Duration::ZERO);
    assert!(matches!(bench.suspicion().await, Some(Suspicion::MarkTouched { .. })));
    assert_eq!(bench.suspicion().await, None);
}

#[tokio::test]
async fn recognizes_immediately_swapped_copy() {
    let bench = Bench::new();
    bench.accept("INC-1").await;
    for ending in ["", ".mark"] {
        copy(&bench.file(ending), &bench.file(".copy"));
        std::fs::rename(bench.file(".copy"), bench.file(ending)).unwrap();
    }
    assert_eq!(bench.suspicion().await, Some(Suspicion::OtherFiles));
    assert_eq!(bench.suspicion().await, None);
}

#[tokio::test]
async fn missing_or_unreadable_mark_is_suspected() {
    let bench = Bench::new();
    bench.accept("INC-1").await;
    std::fs::remove_file(bench.file(".mark")).unwrap();
    assert!(matches!(bench.suspicion().await, Some(Suspicion::NoMark(_))));
    std::fs::write(bench.file(".mark"), [0; 512]).unwrap();
    assert!(matches!(bench.suspicion().await, Some(Suspicion::NoMark(_))));
    assert_eq!(bench.suspicion().await, None);
}

#[tokio::test]
async fn upgrade_keeps_deliveries_of_first_schema() {
    let bench = Bench::new();
    let (store, _) = bench.open().await;
    let intended = bench.intended(&store, "INC-1").await;
    let accepted = accept(&store, "INC-2").await;
    store.close().await;
    for _ in 0..2 {
        ticketing_harness::make_older(bench.folder.path()).await;
        let (store, _) = bench.open().await;
        assert_eq!(store.delivery(&accepted.id).await.unwrap().unwrap(), accepted);
        let found = store.delivery(&intended.id).await.unwrap().unwrap();
        assert_eq!(
            (found.state, found.marker, found.send.is_some()),
            (intended.state, intended.marker.clone(), true)
        );
        accept(&store, "INC-3").await;
        store.close().await;
    }
}

#[tokio::test]
async fn suspects_reboot_unless_server_had_stopped() {
    let bench = Bench::new();
    let (store, _) = bench.open().await;
    accept(&store, "INC-1").await;
    let running = std::fs::read(bench.file(".mark")).unwrap();
    store.close().await;
    bench.machine.boot();
    assert_eq!(bench.suspicion().await, None);
    std::fs::write(bench.file(".mark"), running).unwrap();
    bench.machine.boot();
    assert_eq!(bench.suspicion().await, Some(Suspicion::OtherBoot));
    assert_eq!(bench.suspicion().await, None);
}

#[tokio::test]
async fn reboot_restarts_proof_of_absence() {
    let bench = Bench::new();
    let (store, _) = bench.open().await;
    let delivery = bench.intended(&store, "INC-1").await;
    store.close().await;
    bench.machine.boot();
    let (store, opened) = bench.open().await;
    assert_eq!(opened.suspicion, None);
    let sent = store.delivery(&delivery.id).await.unwrap().unwrap().send.unwrap();
    assert_eq!(sent.bounds_from(), sent.deadline.max(bench.now()));
}

#[tokio::test]
async fn refuses_empty_database_with_mark_of_full_one() {
    let bench = Bench::new();
    bench.accept("INC-1").await;
    std::fs::write(bench.file(""), "").unwrap();
    for _ in 0..2 {
        let refused = Store::open(&bench.file(""), bench.options(false)).await;
        assert!(matches!(refused, Err(OpenError::Emptied { events: 1, .. })), "{refused:?}");
    }
    std::fs::remove_file(bench.file(".mark")).unwrap();
    assert_eq!(bench.suspicion().await, None);
}

#[tokio::test]
async fn restored_flag_is_honored() {
    let bench = Bench::new();
    bench.accept("INC-1").await;
    let (store, opened) = bench.open_as(true).await;
    assert_eq!(
        (opened.suspicion, store.installation().restored_at),
        (Some(Suspicion::StatedByOperator), Some(bench.now()))
    );
}

#[tokio::test]
async fn unwritable_mark_does_not_stop_work() {
    let bench = Bench::new();
    std::fs::create_dir(bench.file(".mark")).unwrap();
    bench.accept("INC-1").await;
    bench.accept("INC-2").await;
    assert!(matches!(bench.suspicion().await, Some(Suspicion::NoMark(_))));
}

#[tokio::test]
async fn clock_set_back_a_year_delays_nothing() {
    let bench = Bench::new();
    let (store, _) = bench.open().await;
    let delivery = bench.intended(&store, "INC-1").await;
    let waiting = bench.fail(&store, &delivery, FaultKind::Rejected).await;
    let fault = Fault::new(FaultKind::RateLimited, "slow").with_retry_after(Some(Duration::from_secs(90)));
    let failure = Failure {
        fault,
        began: bench.now(),
        delivery_id: waiting.id.clone(),
        lockout_limit: None,
        login_refusals: 0,
    };
    let observed = Observation::Failure(failure);
    let bounds = Bounds::default();
    store.observe(CONNECTION, observed, &bounds, bench.now()).await.unwrap();
    store.close().await;
    let before = bench.now();
    let year = Duration::from_secs(365 * 24 * 3_600);
    bench.pass(Duration::from_secs(10));
    bench.clock.set(bench.now() - year);
    let (store, opened) = bench.open().await;
    assert!(
        (opened.clock_step + SignedDuration::try_from(year).unwrap()).abs() < SignedDuration::from_secs(1)
    );
    let near = |time: Option<Timestamp>, seconds: i64| {
        let left = time.unwrap().duration_since(bench.now());
        assert!((left - SignedDuration::from_secs(seconds)).abs() < SignedDuration::from_secs(1), "{left:?}");
    };
    let left = waiting.due_at.unwrap().duration_since(before).as_secs() - 10;
    near(store.delivery(&waiting.id).await.unwrap().unwrap().due_at, left);
    near(store.health(CONNECTION).await.unwrap().throttled_until, 80);
}

#[tokio::test]
async fn clock_set_forward_a_day_proves_nothing_early() {
    let bench = Bench::new();
    let (store, _) = bench.open().await;
    let sent = bench.intended(&store, "INC-1").await;
    store.close().await;
    let left = sent.provable_from(Duration::ZERO).unwrap().duration_since(bench.now());
    bench.clock.advance(Duration::from_secs(24 * 3_600));
    let (store, opened) = bench.open().await;
    assert_eq!(opened.suspicion, None);
    let recovered = store.delivery(&sent.id).await.unwrap().unwrap();
    let now_left = recovered.provable_from(Duration::ZERO).unwrap().duration_since(bench.now());
    assert!((now_left - left).abs() < SignedDuration::from_secs(1), "{now_left:?} of {left:?}");
}

#[tokio::test]
async fn restore_time_shifts_with_the_clock() {
    let bench = Bench::new();
    bench.accept("INC-1").await;
    let (store, _) = bench.open_as(true).await;
    let restored_at = store.installation().restored_at.unwrap();
    store.close().await;
    let day = SignedDuration::from_hours(24);
    bench.clock.set(restored_at - day);
    let (store, _) = bench.open().await;
    let moved = store.installation().restored_at.unwrap().duration_since(restored_at - day);
    assert!(moved.abs() < SignedDuration::from_secs(1), "{moved:?}");
}

#[tokio::test]
async fn backup_of_live_database_is_whole_and_private() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let (store, _) = bench.open().await;
    let kept = accept(&store, "INC-1").await;
    Store::backup(&bench.file(""), &bench.file(".copy"), bench.now()).await.unwrap();
    accept(&store, "INC-2").await;
    store.close().await;
    assert_eq!(bench.suspicion().await, None, "the original is none the wiser");
    assert_eq!(bench.file(".copy").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // Only the key is left beside it, as on another machine.
    for ending in ["", ".mark"] {
        std::fs::remove_file(bench.file(ending)).unwrap();
    }
    copy(&bench.file(".copy"), &bench.file(""));
    let (store, opened) = bench.open().await;
    assert_eq!(opened.suspicion, Some(Suspicion::Copied(bench.now())));
    assert_eq!(store.delivery(&kept.id).await.unwrap(), Some(kept));
    assert_eq!(store.event_bounds().await.unwrap().last, 1);
    store.close().await;
    assert_eq!(bench.suspicion().await, None, "once is enough");
}

#[tokio::test]
async fn backup_never_overwrites_or_leaves_partial_file() {
    let bench = Bench::new();
    let backup = || async { Store::backup(&bench.file(""), &bench.file(".copy"), bench.now()).await };
    assert!(matches!(backup().await, Err(BackupError::NoDatabase { .. })));
    std::fs::write(bench.file(""), "no database ".repeat(400)).unwrap();
    assert!(matches!(backup().await, Err(BackupError::Copy { .. })));
    assert!(!bench.file(".copy").exists());
    std::fs::write(bench.file(".copy"), "precious").unwrap();
    assert!(matches!(backup().await, Err(BackupError::File { .. })));
    assert_eq!(std::fs::read_to_string(bench.file(".copy")).unwrap(), "precious");
}
