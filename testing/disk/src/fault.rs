//! Faults of a disk other than power failures.

use std::time::Duration;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Files can grow by this many bytes in total. Then there is no space left: overwriting still succeeds,
    /// and an extending write is done as far as it fits.
    Full {
        /// The remaining bytes.
        after: u64,
    },
    /// The next syncs fail, this many.
    SyncFails { times: u32, dirty: Dirty },
    /// The next writes fail without writing, this many.
    WriteFails { times: u32 },
    /// The next reads fail, this many. Reads from the system's cache do not reach the disk.
    ReadFails { times: u32 },
    /// Minimum duration of each sync; concurrent writes are not part of it.
    SlowSync(Duration),
}

/// What happens to unsynced bytes when a sync fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dirty {
    /// A later sync can still write them.
    Kept,
    /// The system treats them as written: they are visible until the power fails, and later syncs succeed
    /// without them. Linux behaves like this.
    Dropped,
}

/// The active faults.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Active>);

#[derive(Debug)]
struct Active {
    fault: Fault,
    /// Suffix of the file names that it is confined to.
    ending: String,
}

// === impl Faults ===

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault, ending: &str) {
        self.0.push(Active { fault, ending: ending.to_owned() });
    }

    pub(crate) fn heal(&mut self) {
        self.0.clear();
    }

    /// Remaining bytes; `None` for no limit.
    pub(crate) fn space_left(&self) -> Option<u64> {
        let left = self.0.iter().filter_map(|active| match active.fault {
            Fault::Full { after } => Some(after),
            _ => None,
        });
        left.min()
    }

    /// Takes space. Returns how much of the request was available.
    pub(crate) fn take_space(&mut self, wanted: u64) -> u64 {
        let granted = self.space_left().map_or(wanted, |left| left.min(wanted));
        for active in &mut self.0 {
            if let Fault::Full { after } = &mut active.fault {
                *after -= granted;
            }
        }
        granted
    }

    /// Whether this write fails.
    pub(crate) fn write_fails(&mut self, name: &str) -> bool {
        self.trigger(name, |fault| match fault {
            Fault::WriteFails { times } => Some((times, ())),
            _ => None,
        })
        .is_some()
    }

    /// Whether this read fails.
    pub(crate) fn read_fails(&mut self, name: &str) -> bool {
        self.trigger(name, |fault| match fault {
            Fault::ReadFails { times } => Some((times, ())),
            _ => None,
        })
        .is_some()
    }

    /// Whether this sync fails, and what happens to the bytes.
    pub(crate) fn sync_fails(&mut self, name: &str) -> Option<Dirty> {
        self.trigger(name, |fault| match fault {
            Fault::SyncFails { times, dirty } => {
                let dirty = *dirty;
                Some((times, dirty))
            }
            _ => None,
        })
    }

    /// How long a sync takes.
    pub(crate) fn sync_takes(&self) -> Duration {
        let slow = self.0.iter().filter_map(|active| match active.fault {
            Fault::SlowSync(duration) => Some(duration),
            _ => None,
        });
        slow.max().unwrap_or_default()
    }

    /// Consumes one occurrence of the first fault of a kind that applies to this file.
    fn trigger<T>(&mut self, name: &str, of_kind: impl Fn(&mut Fault) -> Option<(&mut u32, T)>) -> Option<T> {
        let met = self.0.iter_mut().filter(|active| name.ends_with(&active.ending));
        let (times, found) =
            met.filter_map(|active| of_kind(&mut active.fault)).find(|(times, _)| **times > 0)?;
        *times -= 1;
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_triggers_the_configured_number_of_times() {
        let mut faults = Faults::default();
        faults.add(Fault::WriteFails { times: 2 }, "");
        assert_eq!([(); 3].map(|()| faults.write_fails("file")), [true, true, false]);
        assert!(!faults.read_fails("file"));
    }

    #[test]
    fn confined_fault_affects_no_other_file() {
        let mut faults = Faults::default();
        faults.add(Fault::SyncFails { times: 1, dirty: Dirty::Dropped }, "-wal");
        assert_eq!(faults.sync_fails("data.db"), None);
        assert_eq!(faults.sync_fails("data.db-wal"), Some(Dirty::Dropped));
        assert_eq!(faults.sync_fails("data.db-wal"), None);
    }

    #[test]
    fn writes_succeed_until_the_disk_is_full() {
        let mut faults = Faults::default();
        assert_eq!(faults.take_space(1_000), 1_000);
        faults.add(Fault::Full { after: 10 }, "");
        assert_eq!([7, 7, 7].map(|wanted| faults.take_space(wanted)), [7, 3, 0]);
        faults.heal();
        assert_eq!(faults.space_left(), None);
    }
}
