//! Opens the database: exclusively, migrated to the current schema, with the right key. Except for a migration, what this
//! costs does not depend on its size.

use std::fs::{DirBuilder, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqlSafeStr, SqliteConnection};
use ticketing_core::marker::InstallationKey;
use ticketing_failpoints::{self as failpoints, Point};
use ticketing_host::files::{beside, private_file, sync_folder};
use ticketing_secrets::audit::AuditKey;
use ticketing_secrets::encryption::{Cipher, MasterKey};
use tokio::sync::{Mutex, Semaphore, mpsc, watch};

use super::connection::{WriterConnection, unopened};
use super::file_check::{self, Checker, MAX_CHECKED_AT_START};
use super::keys::{self, Keyring, Unlocked};
use super::restore::{self, Begun};
use super::rows::Reader;
use super::summaries::SummaryCache;
use super::tokens::KnownTokens;
use super::writer::Writer;
use super::{Database, State, audit};
use crate::feed::Feed;
use crate::port::Installation;
use crate::recovery::Mark;
use crate::types::FileCheck;
use crate::{OpenError, Opened, StoreError, StoreOptions, uuid_v7};

/// Older versions of SQLite can lose committed writes.
const OLDEST_SQLITE: &str = "3.51.3";

/// Maximum number of concurrent reads.
pub(super) const READERS: u32 = 4;
/// Maximum number of concurrent lists; fewer than the readers.
const LISTS: usize = 2;
/// Maximum number of queued writes before callers have to wait.
const INBOX: usize = 1_024;

/// Every migration, oldest first. Listed by hand: the macro that collects them would build SQLite a second
/// time.
pub(super) const MIGRATIONS: [(i64, &str, &str); 12] = [
    (1, "store", include_str!("../../migrations/0001_store.sql")),
    (2, "restored", include_str!("../../migrations/0002_restored.sql")),
    (3, "sweeps", include_str!("../../migrations/0003_sweeps.sql")),
    (4, "access", include_str!("../../migrations/0004_access.sql")),
    (5, "keys", include_str!("../../migrations/0005_keys.sql")),
    (6, "proxies", include_str!("../../migrations/0006_proxies.sql")),
    (7, "search_evidence", include_str!("../../migrations/0007_search_evidence.sql")),
    (8, "filters", include_str!("../../migrations/0008_filters.sql")),
    (9, "namespaces", include_str!("../../migrations/0009_namespaces.sql")),
    (10, "counts", include_str!("../../migrations/0010_counts.sql")),
    (11, "retention", include_str!("../../migrations/0011_retention.sql")),
    (12, "connections", include_str!("../../migrations/0012_connections.sql")),
];

/// The row of table `installation`.
struct InstallationRow {
    installation_id: String,
    marker_key: InstallationKey,
    keys: Keyring,
    audit_key: AuditKey,
    key_made: Option<PathBuf>,
    /// Newly created.
    is_new: bool,
}

pub(crate) async fn open(path: &Path, options: StoreOptions) -> Result<(Database, Opened), OpenError> {
    open_checked(path, options, MAX_CHECKED_AT_START).await
}

/// Checks a file of up to `max_checked` bytes before it is opened.
pub(super) async fn open_checked(
    path: &Path,
    options: StoreOptions,
    max_checked: u64,
) -> Result<(Database, Opened), OpenError> {
    refuse_links(path)?;
    make_folder(path)?;
    let locks = [lock(&beside(path, "lock"), path)?, lock(path, path)?];
    let connect = connect_options(path, options.busy_timeout);
    let file_size = std::fs::metadata(path).map_or(0, |file| file.len());
    let mut db = match file_size {
        // An existing file keeps its mode until it is compacted.
        0 => connect.clone().auto_vacuum(SqliteAutoVacuum::Incremental).connect().await,
        _ => connect.connect().await,
    }
    .map_err(|source| unopened(path, source))?;
    check_version(&mut db, path).await?;
    let mark = Mark::open(beside(path, "mark"), options.machine.clone(), options.clock.clone());
    let is_small = std::fs::metadata(path).is_ok_and(|file| file.len() <= max_checked);
    // A migration rewrites much of the file, and one that was found to be damaged must have been replaced.
    let is_checked = is_small || mark.is_file_damaged() || !is_migrated(&mut db, path).await?;
    if is_checked {
        file_check::check_now(&mut db, path).await?;
    }
    migrator()
        .run_direct(None, &mut db, false)
        .await
        .map_err(|source| OpenError::Migrate { path: path.to_owned(), source: Box::new(source) })?;
    failpoints::pass(Point::Migrated).await;
    let found = installation(&mut db, path, &mark, &options).await?;
    let begun = restore::begin(&mut db, mark, (found.is_new, is_checked), &options).await;
    let Begun { mark, newest, stream, restored_at, suspicion, step, check } =
        begun.map_err(|source| OpenError::State { source })?;
    audit::adopt_settings(&mut db, &found.audit_key).await.map_err(|source| OpenError::State { source })?;
    let readers = SqlitePoolOptions::new().max_connections(READERS).test_before_acquire(false);
    let connection = WriterConnection::new(connect.clone(), db);
    let is_checking = *check.borrow() == FileCheck::Running;
    let checker = is_checking.then(|| Checker::start(connect.clone(), check.clone()));
    let readers = readers.connect_lazy_with(connect.create_if_missing(false).read_only(true));
    let state = Arc::new(State {
        installation: Installation {
            id: found.installation_id,
            stream,
            restored_at,
            marker_key: found.marker_key,
        },
        keys: found.keys,
        audit_key: found.audit_key,
        entropy: options.entropy,
        feed: Feed::new(newest),
        commits: AtomicU64::new(0),
        check,
    });
    let (writer, inbox) = mpsc::channel(INBOX);
    let (ended, life) = watch::channel(false);
    tokio::spawn(Writer { connection, state: state.clone(), mark, locks, ended }.run(inbox));
    Ok((
        Database {
            readers,
            lists: Semaphore::new(LISTS),
            summaries: SummaryCache::default(),
            tokens: KnownTokens::default(),
            checker: Mutex::new(checker),
            writer,
            state,
            life,
        },
        Opened { key_made: found.key_made, suspicion, is_checking, clock_step: step },
    ))
}

/// Creates the folder, durably: if the name of a folder is not synced, a power failure loses its content.
fn make_folder(path: &Path) -> Result<(), OpenError> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    let missing = folder.ancestors().take_while(|folder| !folder.exists()).count();
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    let failed = |source| OpenError::Folder { path: folder.to_owned(), source };
    builder.create(folder).map_err(failed)?;
    for (depth, made) in folder.ancestors().enumerate() {
        let Some(above) = made.parent() else { break };
        let synced = sync_folder(above);
        // The existing folders may have been created by an interrupted start. Not every folder further up can
        // be opened or synced, but each in which this start has created a name.
        if depth < missing {
            synced.map_err(failed)?;
        }
    }
    Ok(())
}

/// Refuses symbolic links in place of the data folder and of the files that SQLite or the server would write through
/// them: another local user may have planted them. Links further up, and those of files that flags name, are allowed.
pub(super) fn refuse_links(path: &Path) -> Result<(), OpenError> {
    let endings = ["-wal", "-shm", "-journal"].map(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    });
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    let ours = [folder, path.to_owned(), beside(path, "lock"), beside(path, "mark")];
    match ours.into_iter().chain(endings).find(|file| file.is_symlink()) {
        Some(path) => Err(OpenError::Link { path }),
        None => Ok(()),
    }
}

/// Creates a file, if it does not exist, and locks it while it is open. The system releases the lock when the
/// process dies. Both the database and a file beside it are locked, because either can be removed by hand
/// while a server runs; SQLite gives its other files the mode of the database.
///
/// The database file must be closed after SQLite has closed it: closing it earlier would release SQLite's own
/// locks.
pub(super) fn lock(path: &Path, database: &Path) -> Result<File, OpenError> {
    let unusable = |source| OpenError::File { path: path.to_owned(), source };
    let file = private_file().create(true).open(path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: database.to_owned() }),
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

pub(super) fn connect_options(path: &Path, busy_timeout: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(busy_timeout)
        // Removed and replaced content is overwritten with zeros, rather than left in free pages.
        .pragma("secure_delete", "ON")
        .disable_statement_logging()
}

async fn check_version(db: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(db)
        .await
        .map_err(|source| unopened(path, source))?;
    let enough = version(&found) >= version(OLDEST_SQLITE);
    if enough { Ok(()) } else { Err(OpenError::TooOld { found, needed: OLDEST_SQLITE }) }
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|part| part.parse().unwrap_or_default()).collect()
}

/// Whether every migration was applied.
async fn is_migrated(db: &mut SqliteConnection, path: &Path) -> Result<bool, OpenError> {
    let table = "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
    let tables: i64 =
        sqlx::query_scalar(table).fetch_one(&mut *db).await.map_err(|source| unopened(path, source))?;
    if tables == 0 {
        return Ok(false);
    }
    let newest = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(db).await;
    let newest: Option<i64> = newest.map_err(|source| unopened(path, source))?;
    Ok(newest >= MIGRATIONS.last().map(|last| last.0))
}

pub(super) fn migrator() -> Migrator {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.into_iter().map(migration).collect())
}

async fn installation(
    db: &mut SqliteConnection,
    path: &Path,
    mark: &Mark,
    options: &StoreOptions,
) -> Result<InstallationRow, OpenError> {
    let state = |source| OpenError::State { source };
    let row = sqlx::query("SELECT * FROM installation").fetch_optional(&mut *db).await;
    let row = row.map_err(StoreError::read("the installation")).map_err(state)?;
    if row.is_none()
        && let Some(events) = mark.found().map(|found| found.event).filter(|events| *events > 0)
    {
        // Another installation ID would change the markers, so that no existing ticket could be found.
        return Err(OpenError::Emptied { path: path.to_owned(), mark: beside(path, "mark"), events });
    }
    let Some(row) = row else { return make_installation(db, path, options).await };
    let row = Reader::new(&row, "installation", "installation_id").map_err(state)?;
    let marker_key: Vec<u8> = row.get("marker_key").map_err(state)?;
    let marker_key = <[u8; 32]>::try_from(marker_key);
    let marker_key = marker_key.map_err(|_| state(row.bad("marker_key", &"it is not 32 bytes long")))?;
    let (unlocked, audit_key) = unlock(db, path, options).await?;
    Ok(InstallationRow {
        marker_key: InstallationKey::new(marker_key),
        keys: Keyring::new(path, &options.key, &unlocked.keys),
        audit_key,
        key_made: None,
        is_new: false,
        installation_id: unlocked.installation_id,
    })
}

/// Unlocks the keys of an existing database, of any version.
async fn unlock(
    db: &mut SqliteConnection,
    path: &Path,
    options: &StoreOptions,
) -> Result<(Unlocked, AuditKey), OpenError> {
    let state = |source| OpenError::State { source };
    let now = options.clock.now();
    let entropy = &*options.entropy;
    if let Some(former) = keys::finish_rotation(db, path, &options.key, now).await? {
        tracing::warn!(former = %former.display(), "completed an interrupted rotation of the master key");
    }
    let unlocked = keys::unlock(db, path, &options.key).await?;
    let known = Keyring::new(path, &options.key, &unlocked.keys);
    if let Some(audit_key) = audit::key(db, &known).await.map_err(state)?.filter(|_| !unlocked.is_legacy) {
        return Ok((unlocked, audit_key));
    }
    if !unlocked.is_legacy {
        return Err(OpenError::AuditRemoved { path: path.to_owned() });
    }
    // Rows that an older version encrypted: from now on they have digests.
    let mut adopting = db.begin_with("BEGIN IMMEDIATE").await.map_err(|source| unopened(path, source))?;
    let audit_key = match audit::key(&mut adopting, &known).await.map_err(state)? {
        Some(key) => key,
        None => {
            let (id, cipher) = known.newest(&mut adopting).await.map_err(state)?;
            audit::begin(&mut adopting, (id, &cipher), entropy).await.map_err(state)?
        }
    };
    audit::adopt(&mut adopting, &audit_key).await.map_err(state)?;
    let wrap = unlocked.master.cipher();
    for (id, key) in &unlocked.keys {
        let saved =
            keys::save_key(&mut adopting, *id, key, &unlocked.installation_id, &wrap, now, entropy).await;
        saved.map_err(state)?;
    }
    adopting.commit().await.map_err(|source| unopened(path, source))?;
    Ok((unlocked, audit_key))
}

async fn make_installation(
    db: &mut SqliteConnection,
    path: &Path,
    options: &StoreOptions,
) -> Result<InstallationRow, OpenError> {
    let state = |source| OpenError::State { source };
    let now = options.clock.now();
    let entropy = &*options.entropy;
    let (master, key_made) = MasterKey::first(&options.key, path, entropy)?;
    let installation_id = uuid_v7(now, entropy);
    let stream_id = uuid_v7(now, entropy);
    let data_key = keys::new_data_key(entropy);
    let mut marker_key = [0; 32];
    entropy.fill(&mut marker_key);
    let mut making = db.begin_with("BEGIN IMMEDIATE").await.map_err(|source| unopened(path, source))?;
    let query = sqlx::query(
        "INSERT INTO installation (id, installation_id, stream_id, marker_key, created_at) VALUES (1, ?, ?, ?, ?)",
    );
    let query =
        query.bind(&installation_id).bind(&stream_id).bind(&marker_key[..]).bind(now.as_microsecond());
    let done = query.execute(&mut *making).await;
    done.map_err(StoreError::write("the installation")).map_err(state)?;
    let wrap = master.cipher();
    let saved = keys::save_key(&mut making, 1, &data_key, &installation_id, &wrap, now, entropy);
    saved.await.map_err(state)?;
    let begun = audit::begin(&mut making, (1, &Cipher::new(&data_key)), entropy).await;
    let audit_key = begun.map_err(state)?;
    making.commit().await.map_err(|source| unopened(path, source))?;
    let keys = Keyring::new(path, &options.key, &[(1, data_key)].into());
    let marker_key = InstallationKey::new(marker_key);
    Ok(InstallationRow { installation_id, marker_key, keys, audit_key, key_made, is_new: true })
}
