//! Another process that uses the server's database, with the file locks that SQLite takes.
//!
//! SQLite locks byte ranges, and such locks belong to a process. The server therefore runs in its own
//! process, where the locks of this one conflict with it.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use ticketing_harness::{Server, WAIT_TIMEOUT};
use tokio::time::Instant;

/// The range that every open database locks shared, and an exclusive user locks alone.
const SHARED: Range = Range { start: 0x4000_0002, bytes: 510 };
/// In the `-shm` file: the lock of the writer.
const WRITE: Range = Range { start: 120, bytes: 1 };
/// In the `-shm` file: locked shared by every process that has the file open.
const OPEN: Range = Range { start: 128, bytes: 1 };

/// Retry interval for a lock, shorter than the server's pause between two transactions.
const RETRY_INTERVAL: Duration = Duration::from_micros(100);

/// A process that has the database open. Its locks are released on drop.
#[derive(Debug)]
pub(super) struct OtherProcess {
    _database: File,
    shared_memory: File,
}

/// A range of bytes of a file.
#[derive(Debug, Clone, Copy)]
struct Range {
    start: i64,
    bytes: i64,
}

#[derive(Debug, Clone, Copy)]
enum LockKind {
    Shared,
    Exclusive,
}

// === impl OtherProcess ===

impl OtherProcess {
    /// Opens the database of a server that has been started before.
    pub(super) fn open(server: &Server) -> Self {
        let database = database(server);
        let shared_memory = open_file(&database.with_extension("db-shm"));
        let database = open_file(&database);
        SHARED.lock(&database, LockKind::Shared).expect("all may share it");
        OPEN.lock(&shared_memory, LockKind::Shared).expect("all may share it");
        Self { _database: database, shared_memory }
    }

    /// `BEGIN IMMEDIATE`: returns whether the write lock was free and is now held.
    pub(super) fn try_write_lock(&self) -> bool {
        WRITE.lock(&self.shared_memory, LockKind::Exclusive).is_ok()
    }

    /// `BEGIN IMMEDIATE`, with a long busy timeout.
    pub(super) async fn until_write_lock(self) -> Self {
        let wait = move || {
            let deadline = Instant::now() + WAIT_TIMEOUT;
            while !self.try_write_lock() {
                assert!(Instant::now() < deadline, "the server does not let go of its database");
                std::thread::sleep(RETRY_INTERVAL);
            }
            self
        };
        tokio::task::spawn_blocking(wait).await.unwrap()
    }
}

/// Locks the database like a program with `PRAGMA locking_mode = EXCLUSIVE`, until the file is dropped;
/// `None` if another process has the database open.
pub(super) fn lock_exclusively(server: &Server) -> Option<File> {
    let file = open_file(&database(server));
    SHARED.lock(&file, LockKind::Exclusive).is_ok().then_some(file)
}

fn database(server: &Server) -> PathBuf {
    server.data().join("ticketing.db")
}

fn open_file(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

// === impl Range ===

impl Range {
    /// Does not wait.
    #[expect(clippy::cast_possible_truncation, reason = "the constants of locks are small")]
    fn lock(self, file: &File, kind: LockKind) -> Result<(), Errno> {
        let kind = match kind {
            LockKind::Shared => libc::F_RDLCK,
            LockKind::Exclusive => libc::F_WRLCK,
        };
        let lock = libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: self.start,
            l_len: self.bytes,
            l_pid: 0,
        };
        fcntl(file, FcntlArg::F_SETLK(&lock)).map(drop)
    }
}
