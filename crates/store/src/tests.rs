//! The SQLite store: the conformance suite, and behavior specific to files.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};
use ticketing_core::delivery::Outcome;
use ticketing_core::fault::FaultKind;
use ticketing_core::policy::Policy;
use ticketing_core::secret::{Secret, SecretKind, SecretUse};
use ticketing_core::system::System;
use ticketing_host::clock::ThisMachine;
use ticketing_host::manual::{ManualClock, ManualMachine, SeededEntropy};

use super::conformance::{BUSY_TIMEOUT, Bench, connection, fault, incident};
use super::{
    AcceptError, AcceptRequest, Administration, EventFilter, KeySource, OpenError, Opened, Requester,
    SettingsChange, Store, StoreError, StoreErrorKind, StoreOptions,
};
use crate::conformance::noted;

crate::store_conformance!(bench);

async fn bench() -> Bench {
    bench_in(tempfile::tempdir().unwrap()).await
}

async fn bench_in(folder: tempfile::TempDir) -> Bench {
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()));
    let path = folder.path().join("data/ticketing.db");
    let as_is = StoreOptions { clock: clock.clone(), ..options(KeySource::BesideDatabase) };
    // Only the file shows how time passes.
    let restored =
        StoreOptions { restored: true, machine: Arc::new(ManualMachine::default()), ..as_is.clone() };
    let (store, _) = Store::open(&path, as_is).await.unwrap();
    let reopen_restored = move || -> BoxFuture<'static, Store> {
        let path = path.clone();
        let options = restored.clone();
        Box::pin(async move { Store::open(&path, options).await.unwrap().0 })
    };
    Bench { store, clock, reopen_restored: Box::new(reopen_restored), _guard: Box::new(folder) }
}

fn options(key: KeySource) -> StoreOptions {
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()));
    let entropy = Arc::new(SeededEntropy::new(1));
    let machine = Arc::new(ThisMachine);
    StoreOptions { clock, entropy, machine, key, restored: false, busy_timeout: BUSY_TIMEOUT }
}

async fn open(path: &Path) -> Result<(Store, Opened), OpenError> {
    Store::open(path, options(KeySource::BesideDatabase)).await
}

fn secret_of(system: System) -> SettingsChange {
    let connection = system.as_str().to_owned();
    let origin = Some("https://one.example".to_owned());
    let secret = Secret { origin, ..Secret::new(SecretKind::Password, format!("of {system}")) };
    SettingsChange::Connection {
        connection,
        system,
        enabled: true,
        draft: json!({}),
        base_url: None,
        secrets: [(SecretUse::TicketSystem, Some(secret))].into(),
    }
}

async fn sql(path: &Path, statement: &'static str) {
    let mut db = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::raw_sql(statement).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

#[tokio::test]
async fn refuses_second_server_until_first_has_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticketing.db");
    let (store, _) = open(&path).await.unwrap();
    let refused = open(&path).await;
    assert!(matches!(refused, Err(OpenError::InUse { .. })), "{refused:?}");
    store.close().await;
    assert!(open(&path).await.is_ok());
    let request = AcceptRequest {
        incident: incident("INC-1", 90.0),
        connections: vec![],
        expedite: false,
        by: Requester::default(),
    };
    assert!(matches!(store.accept(&request).await, Err(AcceptError::Store(StoreError::Closed))));
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_accessible_to_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/ticketing.db");
    let (store, opened) = open(&path).await.unwrap();
    store.configure(vec![secret_of(System::Jira)], noted(), Timestamp::UNIX_EPOCH).await.unwrap();
    store.settings().await.unwrap();
    assert_eq!(opened.key_made, Some(folder.path().join("data/ticketing.db.key")));
    let mut seen = 0;
    for file in std::fs::read_dir(folder.path().join("data")).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
        seen += 1;
    }
    assert_eq!(seen, 6, "the database, its two logs, the lock, the mark and the key");
    let mode = folder.path().join("data").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn replaces_half_written_key() {
    let folder = tempfile::tempdir().unwrap();
    let half = folder.path().join("ticketing.db.key.unfinished");
    std::fs::write(&half, "c2hvcnQ").unwrap();
    let (_store, opened) = open(&folder.path().join("ticketing.db")).await.unwrap();
    let key = opened.key_made.unwrap();
    assert_eq!(std::fs::read_to_string(key).unwrap().trim().len(), 44);
    assert!(!half.exists());
}

#[tokio::test]
async fn reopened_store_keeps_its_identity() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticketing.db");
    let (store, _) = open(&path).await.unwrap();
    let before = (
        store.installation().id.clone(),
        store.installation().stream.current.clone(),
        store.marker("INC-1", "jira"),
    );
    store.configure(vec![secret_of(System::Jira)], noted(), Timestamp::UNIX_EPOCH).await.unwrap();
    store.close().await;
    let (store, opened) = open(&path).await.unwrap();
    assert_eq!(opened.key_made, None);
    let after = (
        store.installation().id.clone(),
        store.installation().stream.current.clone(),
        store.marker("INC-1", "jira"),
    );
    assert_eq!(before, after);
    assert_eq!(store.settings().await.unwrap().len(), 1);
}

#[tokio::test]
async fn refuses_wrong_missing_or_malformed_key_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticketing.db");
    open(&path).await.unwrap().0.close().await;
    let text = |text: &str| KeySource::Text { text: text.into(), origin: "TICKETING_KEY".to_owned() };
    let refused = |key| async { Store::open(&path, options(key)).await.map(|_| ()).unwrap_err().to_string() };
    let wrong = refused(text(&"ab".repeat(32))).await;
    assert!(wrong.contains("the key in TICKETING_KEY is not the one"), "{wrong}");
    let malformed = refused(text("short")).await;
    assert!(malformed.contains("the key in TICKETING_KEY is not 32 bytes"), "{malformed}");
    let absent = refused(KeySource::File(folder.path().join("absent"))).await;
    assert!(absent.contains("absent is missing"), "{absent}");
    let key = folder.path().join("ticketing.db.key");
    let right = std::fs::read_to_string(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let missing = refused(KeySource::BesideDatabase).await;
    assert!(missing.contains("ticketing.db.key is missing"), "{missing}");
    assert!(!key.exists(), "a new key would hide the loss of the old one");
    let (store, _) = Store::open(&path, options(text(&right))).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn moved_secret_cannot_be_decrypted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticketing.db");
    let (store, _) = open(&path).await.unwrap();
    let changes = vec![secret_of(System::Jira), secret_of(System::ServiceNow)];
    store.configure(changes, noted(), Timestamp::UNIX_EPOCH).await.unwrap();
    store.close().await;
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(7).any(|window| window == b"of jira"), "the secret is there for all to read");
    sql(
        &path,
        "UPDATE target_settings SET secret = (SELECT secret FROM target_settings WHERE target = 'servicenow')
        WHERE target = 'jira'",
    )
    .await;
    let (store, _) = open(&path).await.unwrap();
    let all = store.settings().await.unwrap();
    let error = all[0].lost.first().unwrap();
    assert_eq!(error.kind(), StoreErrorKind::BadRow);
    assert!(error.to_string().contains("column secret of row jira of target_settings"), "{error}");
    assert!(all[0].secrets.is_empty() && all[1].secrets.len() == 1, "the other one is good");
}

#[tokio::test]
async fn edited_proxy_password_is_named_and_unused() {
    for statement in [
        "UPDATE target_secrets SET secret = substr(secret, 1, length(secret) - 1) WHERE target = 'jira'",
        "UPDATE target_secrets SET secret_origin = 'http://evil:3128' WHERE target = 'jira'",
        "UPDATE target_secrets SET secret_set_at = 1 WHERE target = 'jira'",
        "UPDATE target_secrets SET (secret, secret_key) = (SELECT secret, secret_key FROM target_secrets WHERE target = 'servicenow')
         WHERE target = 'jira'",
        "INSERT OR REPLACE INTO target_secrets SELECT * FROM kept WHERE target = 'jira'",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticketing.db");
        for round in ["older", "newer"] {
            let (store, _) = open(&path).await.unwrap();
            let changes = [System::Jira, System::ServiceNow].map(|system| with_proxy(system, round));
            store.configure(changes.into(), noted(), Timestamp::UNIX_EPOCH).await.unwrap();
            store.close().await;
            sql(&path, "CREATE TABLE IF NOT EXISTS kept AS SELECT * FROM target_secrets").await;
        }
        sql(&path, statement).await;
        let (store, _) = open(&path).await.unwrap();
        let all = store.settings().await.unwrap();
        let messages: Vec<String> = all[0].lost.iter().map(ToString::to_string).collect();
        assert!(messages.len() == 1 && messages[0].contains("row jira of target_secrets"), "{statement}: {messages:?}");
        assert!(!all[0].secrets.contains_key(&SecretUse::Proxy), "{statement}");
        assert!(all[1].lost.is_empty() && all[1].secrets.len() == 2, "{statement}: the other one is good");
        store.close().await;
    }
}

fn with_proxy(system: System, word: &str) -> SettingsChange {
    let SettingsChange::Connection { connection, system, enabled, draft, base_url, mut secrets } =
        secret_of(system)
    else {
        panic!("these are the settings of a connection")
    };
    let origin = Some("http://proxy:3128".to_owned());
    let secret = Secret { origin, ..Secret::new(SecretKind::ProxyPassword, format!("{word} of {system}")) };
    secrets.insert(SecretUse::Proxy, Some(secret));
    SettingsChange::Connection { connection, system, enabled, draft, base_url, secrets }
}

#[tokio::test]
async fn invalid_row_is_named_and_affects_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticketing.db");
    let (store, _) = open(&path).await.unwrap();
    for id in ["INC-1", "INC-2"] {
        let request = AcceptRequest {
            incident: incident(id, 90.0),
            connections: vec![connection(System::Jira)],
            expedite: false,
            by: Requester::default(),
        };
        store.accept(&request).await.unwrap();
    }
    store.close().await;
    sql(&path, "UPDATE deliveries SET marker = 'none' WHERE incident_id = 'INC-1'").await;
    let (store, _) = open(&path).await.unwrap();
    let accept = async |id: &str| {
        let request = AcceptRequest {
            incident: incident(id, 90.0),
            connections: vec![connection(System::Jira)],
            expedite: false,
            by: Requester::default(),
        };
        store.accept(&request).await
    };
    let (bad, good) = tokio::join!(accept("INC-1"), accept("INC-2"));
    let bad = bad.unwrap_err();
    assert!(bad.to_string().contains("column marker of row"), "{bad}");
    assert!(good.unwrap()[0].existed);
}

#[tokio::test]
async fn schema_refusal_fails_only_its_caller() {
    let bench = bench().await;
    let delivery = bench.claimed("INC-1").await;
    // An unknown outcome of a send without an intent: the caller violated the protocol.
    let attempt = super::AttemptRecord {
        delivery_id: delivery.id.clone(),
        epoch: delivery.epoch,
        settings_revision: 0,
        outcome: Outcome::Sent(Err(fault(FaultKind::TimedOut))),
        times: bench.times(),
        counted_from: bench.now(),
        random: 0.0,
    };
    let policy = Policy::default();
    let unknown_outcome = bench.store.record_attempt(attempt, &policy, bench.now());
    let (refused, accepted) = tokio::join!(unknown_outcome, bench.accept("INC-2"));
    assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::Refused);
    assert!(!accepted.existed);
    assert_eq!(bench.store.delivery(&delivery.id).await.unwrap(), Some(delivery));
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_writes_survive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("data/ticketing.db");
    let bench = bench_in(folder).await;
    let folder = tempfile::tempdir().unwrap();
    let accepts = (0..200).map(|n| {
        let store = bench.store.clone();
        tokio::spawn(async move {
            let incident = incident(&format!("INC-{n}"), 90.0);
            let connections = vec![connection(System::Jira)];
            store
                .accept(&AcceptRequest { incident, connections, expedite: false, by: Requester::default() })
                .await
                .unwrap()
                .remove(0)
                .delivery
        })
    });
    let mut acknowledged = vec![];
    for accept in accepts.collect::<Vec<_>>() {
        acknowledged.push(accept.await.unwrap());
    }
    // The files of a killed process: unchanged, without a checkpoint, not closed.
    for ending in ["", "-wal", ".key"] {
        let name = |path: &Path| format!("{}{ending}", path.display());
        std::fs::copy(name(&from), name(&folder.path().join("ticketing.db"))).unwrap();
    }
    let (store, _) = open(&folder.path().join("ticketing.db")).await.unwrap();
    for delivery in acknowledged {
        assert_eq!(store.delivery(&delivery.id).await.unwrap(), Some(delivery));
    }
    assert_eq!(store.event_bounds().await.unwrap().last, 200);
}

#[tokio::test]
async fn reader_is_notified_of_trimmed_events() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticketing.db");
    let (store, _) = open(&path).await.unwrap();
    for id in ["INC-1", "INC-2", "INC-3"] {
        let incident = incident(id, 90.0);
        let connections = vec![connection(System::Jira)];
        store
            .accept(&AcceptRequest { incident, connections, expedite: false, by: Requester::default() })
            .await
            .unwrap();
    }
    // Events in memory stay readable when the table no longer has them.
    store.trim_events(Timestamp::MAX, 2).await.unwrap();
    assert_eq!(store.events_after(0, &EventFilter::default(), 9).await.unwrap().events.len(), 3);
    store.close().await;
    let (store, _) = open(&path).await.unwrap();
    let narrow = EventFilter { incident_id: Some("INC-9".to_owned()), ..EventFilter::default() };
    let read = async |seq| {
        let page = store.events_after(seq, &narrow, 9).await.unwrap();
        assert!(page.events.is_empty());
        (page.read_to, page.missed)
    };
    assert_eq!([read(0).await, read(1).await], [(0, true), (1, true)]);
    assert_eq!([read(2).await, read(3).await], [(3, false), (3, false)]);
    store.trim_events(Timestamp::MAX, 9).await.unwrap();
    assert_eq!([read(2).await, read(3).await], [(2, true), (3, false)]);
}

#[tokio::test]
async fn refuses_other_file_as_corrupt_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticketing.db");
    std::fs::write(&path, "not a database, and long enough to be looked at as one ".repeat(50)).unwrap();
    let refused = open(&path).await;
    assert!(matches!(refused, Err(OpenError::Damaged { .. })), "{refused:?}");
}

/// Every ciphertext in the database.
async fn all_sealed(path: &Path) -> Vec<Vec<u8>> {
    let mut db = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let query = "SELECT secret FROM target_settings WHERE secret IS NOT NULL UNION ALL SELECT secret FROM target_secrets
        UNION ALL SELECT secret FROM retired_connections UNION ALL SELECT sealed FROM data_keys UNION ALL SELECT key FROM audit_head";
    let all = sqlx::query_scalar(query).fetch_all(&mut db).await.unwrap();
    db.close().await.unwrap();
    all
}

/// The database and its accompanying files that contain one of these values.
fn files_with(path: &Path, values: &[Vec<u8>]) -> Vec<String> {
    let files = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|file| file.unwrap().path());
    let has_one = |file: &std::path::PathBuf| {
        let bytes = std::fs::read(file).unwrap();
        values.iter().any(|value| bytes.windows(value.len()).any(|window| window == value))
    };
    files.filter(has_one).map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

/// The ciphertexts of `before` that were replaced.
async fn gone_since(path: &Path, before: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let now = all_sealed(path).await;
    before.into_iter().filter(|value| !now.contains(value)).collect()
}

async fn administration(path: &Path) -> Administration {
    let clock = Arc::new(ManualClock::new(Timestamp::UNIX_EPOCH));
    let entropy = Arc::new(SeededEntropy::new(7));
    Administration::open(path, &KeySource::BesideDatabase, clock, entropy, String::new()).await.unwrap()
}

#[tokio::test]
async fn rotation_removes_old_ciphertext_while_serving() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticketing.db");
    let (store, _) = open(&path).await.unwrap();
    let changes = [System::Jira, System::ServiceNow].map(|system| with_proxy(system, "a word"));
    store.configure(changes.into(), noted(), Timestamp::UNIX_EPOCH).await.unwrap();
    let mut beside = administration(&path).await;
    let before = all_sealed(&path).await;
    beside.rotate_data_key().await.unwrap();
    let gone = gone_since(&path, before).await;
    assert_eq!(gone.len(), 6, "four secrets, a key and that of the audit");
    assert_eq!(files_with(&path, &gone), [""; 0]);
    let before = all_sealed(&path).await;
    beside.rotate_master_key(None).await.unwrap();
    let gone = gone_since(&path, before).await;
    assert_eq!(gone.len(), 1, "the data key");
    assert_eq!(files_with(&path, &gone), [""; 0]);
    assert!(!beside.has_old_ciphertext());
    beside.close().await;
    assert_eq!(store.settings().await.unwrap()[0].secrets.len(), 2, "the server reads them as ever");
    store.close().await;
}

#[tokio::test]
async fn replaced_secret_leaves_no_ciphertext() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticketing.db");
    let (store, _) = open(&path).await.unwrap();
    let configure =
        async |change| store.configure(vec![change], noted(), Timestamp::UNIX_EPOCH).await.unwrap();
    // Of another length, so that it does not fit in the place of the former one.
    for (round, change) in [
        with_proxy(System::Jira, "a much longer word than the one before, by far"),
        with_proxy(System::Jira, "short"),
        without_secrets(System::Jira),
    ]
    .into_iter()
    .enumerate()
    {
        if round == 0 {
            configure(with_proxy(System::Jira, "a word")).await;
        }
        let before = all_sealed(&path).await;
        configure(change).await;
        let gone = gone_since(&path, before).await;
        assert_eq!(gone.len(), 2, "{round}");
        assert_eq!(files_with(&path, &gone), [""; 0], "{round}: while the server runs");
    }
    let before = all_sealed(&path).await;
    store.close().await;
    assert_eq!(files_with(&path, &gone_since(&path, before).await), [""; 0]);
}

fn without_secrets(system: System) -> SettingsChange {
    let SettingsChange::Connection { connection, system, draft, .. } = secret_of(system) else {
        panic!("these are the settings of a connection")
    };
    let secrets = SecretUse::ALL.map(|used_for| (used_for, None)).into();
    SettingsChange::Connection { connection, system, enabled: false, draft, base_url: None, secrets }
}
