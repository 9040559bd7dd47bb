//! A file system whose power can be cut: it forgets what was not synced, and fails on demand. For tests.
//!
//! It is mounted by FUSE, so that any program can keep its files there, and keeps them in memory, twice: as the running
//! system sees them, and as they are durable. A sync of a file makes its content and size durable, a sync of a folder
//! the names in it. [`Disk::cut`] goes back to what is durable, and chooses by a seed what else had reached the platter:
//! nothing, the first of the changes, or any sectors of any of them, torn and in any order.
//!
//! Kept apart from cuts: permissions and owners, which are durable at once, and times, of which there are none.
//!
//! The kernel keeps locks (`fcntl`, `flock`) and memory maps by itself: nothing is opened for direct I/O. It writes a
//! mapped page back whenever it likes, which is when the disk hears of it.
//!
//! The process that mounts the disk answers for it. It may read and write files there, but must not map them to memory,
//! as SQLite does, nor end with one open: it would wait for itself. What is tested runs in a process of its own.
//!
//! Mounting takes Linux, `/dev/fuse`, and either root or the program `fusermount3`.

#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

mod directory_entries;
mod fault;
mod file;
mod image;
mod power;
mod random;
mod writeback;

#[cfg(target_os = "linux")]
mod fuse;
#[cfg(not(target_os = "linux"))]
#[path = "unsupported.rs"]
mod fuse;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use fault::{Dirty, Fault};
use image::{Image, Refusal};
use power::Power;
pub use random::Random;

/// If this variable is set, [`Disk::mount_or_skip`] panics where no disk can be mounted.
pub const REQUIRED: &str = "TICKETING_DISK_REQUIRED";

/// A mounted disk; unmounted when dropped.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    power: Arc<Power>,
    _mounted: fuse::Mounted,
}

/// How the disk behaves.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many bytes reach the platter together or not at all; at least 1.
    pub sector: usize,
    pub syncs: Syncs,
}

/// Which names a sync of a file makes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syncs {
    /// None: only a sync of the folder does. All that POSIX promises.
    WithoutNames,
    /// Those of the whole disk, as file systems with one journal do in practice.
    WithTheNames,
}

/// An operation on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskOperation {
    Write,
    Sync,
}

/// What the disk did since it was mounted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub writes: u64,
    /// Syncs of files and of folders, failed ones too.
    pub syncs: u64,
    pub cuts: u64,
    /// Pieces of writes, a sector each at most, that were not synced and that a cut took.
    pub sectors_forgotten: u64,
    /// Those that were not synced either, but had arrived.
    pub sectors_spared: u64,
}

/// Why no disk can be mounted here.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    #[error("no disk can be mounted: there are such disks on Linux alone")]
    NotLinux,
    #[error("no disk can be mounted: /dev/fuse is missing (try `modprobe fuse`)")]
    NoFuse,
    #[error("no disk can be mounted at {}: it takes root, or the program fusermount3", folder.display())]
    Refused { folder: PathBuf, source: io::Error },
}

// === impl Disk ===

impl Disk {
    /// Mounts an empty disk on a folder that exists.
    ///
    /// # Errors
    /// What is missing on this machine.
    pub fn mount(folder: &Path, options: Options) -> Result<Self, MountError> {
        let refused = |source| MountError::Refused { folder: folder.to_owned(), source };
        let owner = fuse::owner(folder).map_err(refused)?;
        let power = Arc::new(Power::new(Image::new(options, owner)));
        let mounted = fuse::mount(folder, power.clone())?;
        Ok(Self { folder: folder.to_owned(), power, _mounted: mounted })
    }

    /// Mounts a disk for a test. Where that is not possible, a line says so that no test runner hides, and the test can
    /// show nothing: `None`.
    ///
    /// # Panics
    /// If [`REQUIRED`] is set and no disk can be mounted.
    #[must_use]
    pub fn mount_or_skip(folder: &Path, options: Options) -> Option<Self> {
        use io::Write;
        match Self::mount(folder, options) {
            Ok(disk) => Some(disk),
            Err(error) if std::env::var_os(REQUIRED).is_some() => panic!("{REQUIRED} is set, but {error}"),
            Err(error) => {
                let test = std::thread::current().name().unwrap_or("a test").to_owned();
                // Not by `eprintln!`, which is kept back while a test passes.
                let line = format!("\nNOT TESTED: {test}: {error}\n");
                let _ = io::stderr().write_all(line.as_bytes());
                None
            }
        }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Cuts the power and gives it back: what was not synced is gone, but for what the seed spares. Who had files open
    /// gets errors from now on. Programs that used the disk should be dead by now, or be about to die (`SIGKILL` was
    /// sent): with the power, they went too.
    pub fn cut(&self, seed: u64) {
        self.power.cut(seed);
    }

    /// After so many more changes (writes, changes of size, syncs, changes of names) the disk freezes: no one who
    /// asks it anything gets an answer until it is cut or goes on. The calling process must not ask either.
    pub fn stand_still_after(&self, changes: u64) {
        self.power.stand_still_after(changes);
    }

    /// At the next such operation to a file whose name ends so, and before it is done, the disk stands still: until it is cut, or
    /// goes on.
    pub fn stand_still_at(&self, operation: DiskOperation, ending: &str) {
        self.power.stand_still_at(operation, ending);
    }

    /// Ends a standstill as if it had not been, or calls it off: what waits is done now.
    pub fn go_on(&self) {
        self.power.go_on();
    }

    /// Waits until the disk stands still, at most so long: whether it does.
    #[must_use]
    pub fn wait_until_still(&self, patience: Duration) -> bool {
        self.power.wait_until_still(patience)
    }

    /// Breaks something, beside what is broken already.
    pub fn fail(&self, fault: Fault) {
        self.fail_only("", fault);
    }

    /// Breaks something for files whose name ends like this. Space and the time of a sync are the whole disk's.
    pub fn fail_only(&self, ending: &str, fault: Fault) {
        self.power.quietly(|image| image.faults.add(fault, ending));
    }

    /// Mends everything.
    pub fn heal(&self) {
        self.power.quietly(|image| image.faults.heal());
    }

    /// Flips the lowest bit of one byte, durably. No program may have the file open.
    ///
    /// # Errors
    /// If there is no such file, or no such byte in it.
    pub fn flip(&self, path: &Path, offset: usize) -> io::Result<()> {
        let len = self.power.quietly(|image| image.length(path))?;
        if offset >= len {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        self.damage(path, |bytes| bytes[offset] ^= 1)
    }

    /// Cuts a file short, durably, or makes it longer by zeros. No program may have it open.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn truncate(&self, path: &Path, len: usize) -> io::Result<()> {
        self.damage(path, |bytes| bytes.resize(len, 0))
    }

    /// What it did until now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.power.quietly(|image| image.counts)
    }

    fn damage(&self, path: &Path, damage: impl Fn(&mut Vec<u8>)) -> io::Result<()> {
        Ok(self.power.quietly(|image| image.damage(path, damage))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.power.end();
    }
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self { sector: 512, syncs: Syncs::WithoutNames }
    }
}

// === impl Refusal ===

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal {
            Refusal::NotFound => io::ErrorKind::NotFound,
            Refusal::Exists => io::ErrorKind::AlreadyExists,
            Refusal::NotEmpty => io::ErrorKind::DirectoryNotEmpty,
            Refusal::IsAFolder => io::ErrorKind::IsADirectory,
            Refusal::NoSpace => io::ErrorKind::StorageFull,
            Refusal::Broken => io::ErrorKind::Other,
        };
        kind.into()
    }
}
