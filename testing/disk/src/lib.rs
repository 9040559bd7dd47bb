//! A file system for tests that simulates power failures and disk faults: a power cut drops unsynced data.
//!
//! It is mounted by FUSE, so that any program can store files there, and keeps them in memory, twice: as the
//! running system sees them, and as they are durable. A sync of a file makes its content and size durable, a
//! sync of a folder the names in it. [`Disk::cut`] restores the durable state, and selects by a seed what
//! else had reached the disk: nothing, the first changes, or any sectors of any of them, torn and in any
//! order.
//!
//! Not affected by cuts: permissions and owners, which are durable at once, and times, which are not stored.
//!
//! The kernel implements locks (`fcntl`, `flock`) and memory maps itself: no file is opened for direct I/O.
//! It writes a mapped page back at any time, which is when the disk receives it.
//!
//! The process that mounts the disk serves it. It may read and write files there, but must not map them to
//! memory, as SQLite does, nor exit with an open file: it would deadlock. So the tested program runs in its
//! own process.
//!
//! Mounting requires Linux, `/dev/fuse`, and either root or the program `fusermount3`.

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

/// If this variable is set, [`Disk::mount_or_skip`] panics if no disk can be mounted.
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
    /// Sector size: bytes that become durable together or not at all; at least 1.
    pub sector: usize,
    pub syncs: Syncs,
}

/// Which names a sync of a file makes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syncs {
    /// None: only a sync of the folder does. POSIX promises no more.
    WithoutNames,
    /// Those of the whole disk, as journaling file systems do in practice.
    WithNames,
}

/// An operation on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskOperation {
    Write,
    Sync,
}

/// Statistics since the disk was mounted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub writes: u64,
    /// Syncs of files and of folders, including failed ones.
    pub syncs: u64,
    pub cuts: u64,
    /// Unsynced pieces of writes, at most a sector each, that a cut dropped.
    pub sectors_lost: u64,
    /// Unsynced pieces that had reached the disk.
    pub sectors_kept: u64,
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
    /// Mounts an empty disk on an existing folder.
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

    /// Mounts a disk for a test. If that is impossible, prints a line that no test runner hides, and returns
    /// `None`.
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
                // Not by `eprintln!`, whose output is captured while a test passes.
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

    /// Cuts the power and restores it: unsynced data is lost, except what the seed spares. Open files return
    /// errors from now on. Programs that used the disk should be dead by now, or about to die (`SIGKILL` was
    /// sent): a power failure ends them too.
    pub fn cut(&self, seed: u64) {
        self.power.cut(seed);
    }

    /// After this many more changes (writes, changes of size, syncs, changes of names) the disk freezes:
    /// operations block until it is cut or resumed. The calling process must not access it either.
    pub fn freeze_after(&self, changes: u64) {
        self.power.freeze_after(changes);
    }

    /// Freezes before the next such operation on a file with this suffix, until the disk is cut or resumed.
    pub fn freeze_at(&self, operation: DiskOperation, ending: &str) {
        self.power.freeze_at(operation, ending);
    }

    /// Ends or cancels a freeze: blocked operations complete.
    pub fn resume(&self) {
        self.power.resume();
    }

    /// Waits at most this long until the disk is frozen. Returns whether it is.
    #[must_use]
    pub fn wait_until_frozen(&self, timeout: Duration) -> bool {
        self.power.wait_until_frozen(timeout)
    }

    /// Adds a fault.
    pub fn fail(&self, fault: Fault) {
        self.fail_only("", fault);
    }

    /// Adds a fault for files with this suffix. Space and sync duration always apply to the whole disk.
    pub fn fail_only(&self, ending: &str, fault: Fault) {
        self.power.inspect(|image| image.faults.add(fault, ending));
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.power.inspect(|image| image.faults.heal());
    }

    /// Flips the lowest bit of one byte, durably. No program may have the file open.
    ///
    /// # Errors
    /// If there is no such file, or no such byte in it.
    pub fn flip(&self, path: &Path, offset: usize) -> io::Result<()> {
        let len = self.power.inspect(|image| image.length(path))?;
        if offset >= len {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        self.damage(path, |bytes| bytes[offset] ^= 1)
    }

    /// Truncates a file durably, or extends it by zeros. No program may have it open.
    ///
    /// # Errors
    /// If there is no such file.
    pub fn truncate(&self, path: &Path, len: usize) -> io::Result<()> {
        self.damage(path, |bytes| bytes.resize(len, 0))
    }

    /// The statistics so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.power.inspect(|image| image.counts)
    }

    fn damage(&self, path: &Path, damage: impl Fn(&mut Vec<u8>)) -> io::Result<()> {
        Ok(self.power.inspect(|image| image.damage(path, damage))?)
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

// === impl Error ===

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
