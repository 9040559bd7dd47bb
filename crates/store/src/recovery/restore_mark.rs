//! The restore mark: a small file beside the database that records how far the database has progressed, and
//! when.
//!
//! At start it shows whether the database is an older copy. If only the database was restored, the mark names
//! something that the database lacks. If the whole folder was restored, the mark was written by the copy,
//! later than it says. If a machine was restored with its disk while the server ran, it was booted since. The
//! mark also reveals clock steps between two runs.
//!
//! It is written after each commit, in place, without a sync: it survives a killed process, and after a power
//! failure the machine was booted anyway. It may lag behind the database, and is never ahead of it.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ticketing_core::clock::Clock;
use ticketing_core::error_chain::ErrorChain;
use ticketing_host::clock::Machine;
use ticketing_host::files::private_file;
use tokio::sync::watch;

use crate::types::{FileCheck, Suspicion};
use crate::unit_of_work::IntentName;

/// Fixed length, so that it is overwritten in place and needs no space on a full disk.
const LENGTH: usize = 512;

/// Tolerance between the timestamp of a file and the time of the write, by the same clock.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The content of the mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The newest event.
    pub(crate) event: u64,
    /// The last intent.
    pub(crate) intent: Option<IntentName>,
    /// The time of writing, by the store's clock.
    pub(crate) clock: Timestamp,
    /// The time of writing, by the wall clock.
    pub(crate) wall: Timestamp,
    /// The time of writing, since boot.
    pub(crate) since_boot: Duration,
    pub(crate) boot_id: Option<String>,
    /// Everything was written, and the database was closed: the last record of a process.
    #[serde(default)]
    pub(crate) closed: bool,
    /// What was known of the database file when it was written. Former versions checked it at each start.
    #[serde(default)]
    pub(crate) check: MarkedCheck,
    /// Identifies the files: a copy has other inode numbers, however soon it was made.
    #[serde(default)]
    files: Option<Files>,
}

/// The check of the database file, as far as the next start must know it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum MarkedCheck {
    #[default]
    Passed,
    Incomplete,
    Damaged,
}

/// The inode numbers of a database and its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Files {
    database: u64,
    mark: u64,
}

/// The file, and its content when it was opened.
#[derive(Debug)]
pub(crate) struct Mark {
    path: PathBuf,
    machine: Arc<dyn Machine>,
    clock: Arc<dyn Clock>,
    boot_id: Option<String>,
    found: Option<Found>,
    event: u64,
    intent: Option<IntentName>,
    check: watch::Receiver<FileCheck>,
    /// `None` once it cannot be written.
    file: Option<File>,
    files: Option<Files>,
}

/// A mark of an earlier process.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) record: Record,
    /// When the file was last changed, by the wall clock.
    changed: Timestamp,
    files: Option<Files>,
}

// === impl Mark ===

impl Mark {
    /// Opens the mark and reads its content.
    pub(crate) fn open(path: PathBuf, machine: Arc<dyn Machine>, clock: Arc<dyn Clock>) -> Self {
        let found = read(&path);
        let file = private_file().create(true).open(&path);
        let file = file.inspect_err(|error| not_written(&path, error)).ok();
        let boot_id = machine.boot_id();
        let files = Files::beside(&path);
        let (_, check) = watch::channel(FileCheck::Running);
        Self { path, machine, clock, boot_id, found, event: 0, intent: None, check, file, files }
    }

    /// The mark of an earlier process.
    pub(crate) fn found(&self) -> Option<&Record> {
        self.found.as_ref().map(|found| &found.record)
    }

    /// The time that has really passed since then; `None` if the machine was booted in the meantime.
    pub(crate) fn passed(&self) -> Option<Duration> {
        let record = self.found()?;
        if record.boot_id.is_none() || record.boot_id != self.boot_id {
            return None;
        }
        self.machine.since_boot().checked_sub(record.since_boot)
    }

    /// Why the files may have been restored, judged by the mark alone, beside a database whose newest event
    /// is `kept_event`.
    pub(crate) fn suspicion(&self, kept_event: u64) -> Option<Suspicion> {
        let Some(Found { record, changed, files }) = &self.found else {
            return Some(Suspicion::NoMark(self.path.display().to_string()));
        };
        // A process that ended before the machine was shut down had no work in progress.
        let ended = record.closed && record.event == kept_event;
        if record.boot_id != self.boot_id && !ended {
            return Some(Suspicion::OtherBoot);
        }
        if record.files.is_some() && record.files != *files {
            return Some(Suspicion::OtherFiles);
        }
        let written = record.wall;
        let changed = *changed;
        let touched = changed.duration_since(written).unsigned_abs() > TOLERANCE;
        touched.then_some(Suspicion::MarkTouched { written, changed })
    }

    /// Whether the database file, whose newest event is `kept_event`, need not be checked: it was known to be sound, and
    /// the last process closed it.
    pub(crate) fn is_file_sound(&self, kept_event: u64) -> bool {
        let is_sound = |record: &Record| {
            record.closed && record.event == kept_event && record.check == MarkedCheck::Passed
        };
        self.found().is_some_and(is_sound)
    }

    /// Whether the database file was found to be damaged.
    pub(crate) fn is_file_damaged(&self) -> bool {
        self.found().is_some_and(|record| record.check == MarkedCheck::Damaged)
    }

    /// Continues from the content of the database, whose file is checked as `check` says. Waits for the disk: from now on
    /// the database counts as not closed.
    pub(crate) fn start(
        &mut self,
        event: u64,
        intent: Option<IntentName>,
        check: watch::Receiver<FileCheck>,
    ) {
        self.check = check;
        self.intent = None;
        self.set(event, intent);
        self.sync();
    }

    /// The database has reached this event. A write failure is logged once: the next start then suspects a
    /// restore without need.
    pub(crate) fn set(&mut self, event: u64, intent: Option<IntentName>) {
        self.event = event;
        self.intent = intent.or(self.intent.take());
        self.write(false);
    }

    /// Writes it again after a background task has changed the database.
    pub(crate) fn touch(&mut self) {
        self.set(self.event, None);
    }

    /// Records that the database was closed cleanly.
    pub(crate) fn close(mut self) {
        self.write(true);
        self.sync();
    }

    fn sync(&self) {
        if let Some(Err(error)) = self.file.as_ref().map(File::sync_all) {
            not_written(&self.path, &error);
        }
    }

    fn write(&mut self, closed: bool) {
        let Some(file) = &self.file else { return };
        let record = Record {
            closed,
            check: MarkedCheck::of(&self.check.borrow()),
            files: self.files,
            event: self.event,
            intent: self.intent.clone(),
            clock: self.clock.now(),
            wall: self.machine.wall(),
            since_boot: self.machine.since_boot(),
            boot_id: self.boot_id.clone(),
        };
        if let Err(error) = file.write_all_at(&encode(&record), 0) {
            not_written(&self.path, &error);
            self.file = None;
        }
    }
}

// === impl MarkedCheck ===

impl MarkedCheck {
    fn of(check: &FileCheck) -> Self {
        match check {
            FileCheck::Passed => Self::Passed,
            FileCheck::Running => Self::Incomplete,
            FileCheck::Damaged { .. } => Self::Damaged,
        }
    }
}

// === impl Files ===

impl Files {
    /// The inode numbers of the mark at `path` and of its database; `None` if either is missing.
    fn beside(path: &Path) -> Option<Self> {
        let inode = |path: &Path| std::fs::metadata(path).ok().map(|metadata| metadata.ino());
        Some(Self { database: inode(&path.with_extension(""))?, mark: inode(path)? })
    }
}

/// JSON, padded with spaces.
fn encode(record: &Record) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(record).expect("numbers, names and times can be written as JSON");
    bytes.resize(LENGTH - 1, b' ');
    bytes.push(b'\n');
    bytes
}

fn read(path: &Path) -> Option<Found> {
    let record = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let metadata = std::fs::metadata(path).ok()?;
    let nanos = i32::try_from(metadata.ctime_nsec()).ok()?;
    let changed = Timestamp::new(metadata.ctime(), nanos).ok()?;
    Some(Found { record, changed, files: Files::beside(path) })
}

fn not_written(path: &Path, error: &std::io::Error) {
    tracing::error!(
        path = %path.display(), error = %ErrorChain(error),
        "failed to write the restore mark: the next start will search for tickets before it creates them"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_has_fixed_length_and_round_trips() {
        let clock = Timestamp::MAX;
        let wall = Timestamp::MIN;
        let intent = IntentName { delivery_id: "0".repeat(36), epoch: u32::MAX };
        let boot_id = Some("f".repeat(36));
        let since_boot = Duration::from_nanos(u64::MAX);
        let files = Some(Files { database: u64::MAX, mark: u64::MAX });
        let intent = Some(intent);
        let closed = false;
        let check = MarkedCheck::Incomplete;
        let most = Record { event: u64::MAX, intent, clock, wall, since_boot, boot_id, closed, check, files };
        let least = Record { event: 0, intent: None, boot_id: None, ..most.clone() };
        for record in [most, least] {
            let bytes = encode(&record);
            assert_eq!(bytes.len(), LENGTH);
            assert_eq!(serde_json::from_slice::<Record>(&bytes).unwrap(), record);
        }
    }
}
