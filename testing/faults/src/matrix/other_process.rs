//! Another program that uses the server's database: it takes the very locks that SQLite takes.
//!
//! SQLite's locks are locks of byte ranges, and belong to a process: what is locked here is locked against the server in
//! a process of its own.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use ticketing_harness::{PATIENCE, Server};
use tokio::time::Instant;

/// The shared lock of every open database, which an exclusive user must have alone.
const SHARED: Range = Range { start: 0x4000_0002, bytes: 510 };
/// In the `-shm` file: who writes.
const WRITE: Range = Range { start: 120, bytes: 1 };
/// In the `-shm` file: shared by every process that has it open.
const OPEN: Range = Range { start: 128, bytes: 1 };

/// Between two tries to get a lock: less than the server needs between two transactions.
const TRY_AGAIN_AFTER: Duration = Duration::from_micros(100);

/// A program that has the database open. What it has locked is free again once it is dropped.
#[derive(Debug)]
pub(super) struct OtherProcess {
    _database: File,
    shared_memory: File,
}

/// Bytes of a file.
#[derive(Debug, Clone, Copy)]
struct Range {
    start: i64,
    bytes: i64,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Shared,
    Exclusive,
}

// === impl OtherProcess ===

impl OtherProcess {
    /// Opens the database of a server, which has been started before.
    pub(super) fn beside(server: &Server) -> Self {
        let database = database(server);
        let shared_memory = open(&database.with_extension("db-shm"));
        let database = open(&database);
        SHARED.lock(&database, Kind::Shared).expect("all may share it");
        OPEN.lock(&shared_memory, Kind::Shared).expect("all may share it");
        Self { _database: database, shared_memory }
    }

    /// `BEGIN IMMEDIATE`: whether the database is this program's to write now.
    pub(super) fn may_write(&self) -> bool {
        WRITE.lock(&self.shared_memory, Kind::Exclusive).is_ok()
    }

    /// `BEGIN IMMEDIATE`, with a long busy timeout.
    pub(super) async fn until_it_may_write(self) -> Self {
        let wait = move || {
            let deadline = Instant::now() + PATIENCE;
            while !self.may_write() {
                assert!(Instant::now() < deadline, "the server does not let go of its database");
                std::thread::sleep(TRY_AGAIN_AFTER);
            }
            self
        };
        tokio::task::spawn_blocking(wait).await.unwrap()
    }
}

/// Locks the database of a server as a program does that wants it alone (`PRAGMA locking_mode = EXCLUSIVE`), for as long as
/// the file is kept; `None` if another process has it open.
pub(super) fn alone(server: &Server) -> Option<File> {
    let file = open(&database(server));
    SHARED.lock(&file, Kind::Exclusive).is_ok().then_some(file)
}

fn database(server: &Server) -> PathBuf {
    server.data().join("ticketing.db")
}

fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

// === impl Range ===

impl Range {
    /// Without waiting.
    #[expect(clippy::cast_possible_truncation, reason = "the constants of locks are small")]
    fn lock(self, file: &File, kind: Kind) -> Result<(), Errno> {
        let kind = match kind {
            Kind::Shared => libc::F_RDLCK,
            Kind::Exclusive => libc::F_WRLCK,
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
