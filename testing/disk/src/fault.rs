//! What can be wrong with a disk that has power.

use std::time::Duration;

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Files can grow by so many bytes more, all together. Then there is no space left: what is written over old bytes
    /// still succeeds, what would make a file longer is written as far as it fits.
    Full {
        /// The bytes that are left.
        after: u64,
    },
    /// The next so many syncs fail.
    SyncFails { times: u32, dirty: Dirty },
    /// The next so many writes fail, and write nothing.
    WriteFails { times: u32 },
    /// The next so many reads fail. What the system has in its cache is read without asking the disk.
    ReadFails { times: u32 },
    /// Each sync takes at least so long; what is written meanwhile is not part of it.
    SlowSync(Duration),
}

/// What becomes of unsynced bytes when a sync fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dirty {
    /// A later sync can still write them.
    Kept,
    /// The system takes them for written: they are seen until the power goes, and later syncs succeed without them. Linux
    /// does this.
    Dropped,
}

/// The faults that are in force.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Active>);

#[derive(Debug)]
struct Active {
    fault: Fault,
    /// What the names of the files end with that it is confined to.
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

    /// How many bytes are left; `None` for no limit.
    pub(crate) fn space_left(&self) -> Option<u64> {
        let left = self.0.iter().filter_map(|active| match active.fault {
            Fault::Full { after } => Some(after),
            _ => None,
        });
        left.min()
    }

    /// Takes of the space that is left: how much of what was asked for there was.
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
        self.strike(name, |fault| match fault {
            Fault::WriteFails { times } => Some((times, ())),
            _ => None,
        })
        .is_some()
    }

    /// Whether this read fails.
    pub(crate) fn read_fails(&mut self, name: &str) -> bool {
        self.strike(name, |fault| match fault {
            Fault::ReadFails { times } => Some((times, ())),
            _ => None,
        })
        .is_some()
    }

    /// Whether this sync fails, and what it does with the bytes.
    pub(crate) fn sync_fails(&mut self, name: &str) -> Option<Dirty> {
        self.strike(name, |fault| match fault {
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

    /// Spends one time of the first fault of a kind that this file meets.
    fn strike<T>(&mut self, name: &str, of_kind: impl Fn(&mut Fault) -> Option<(&mut u32, T)>) -> Option<T> {
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
    fn fault_strikes_the_configured_number_of_times() {
        let mut faults = Faults::default();
        faults.add(Fault::WriteFails { times: 2 }, "");
        assert_eq!([(); 3].map(|()| faults.write_fails("file")), [true, true, false]);
        assert!(!faults.read_fails("file"));
    }

    #[test]
    fn a_fault_that_is_confined_strikes_no_other_file() {
        let mut faults = Faults::default();
        faults.add(Fault::SyncFails { times: 1, dirty: Dirty::Dropped }, "-wal");
        assert_eq!(faults.sync_fails("data.db"), None);
        assert_eq!(faults.sync_fails("data.db-wal"), Some(Dirty::Dropped));
        assert_eq!(faults.sync_fails("data.db-wal"), None);
    }

    #[test]
    fn space_is_given_until_there_is_none() {
        let mut faults = Faults::default();
        assert_eq!(faults.take_space(1_000), 1_000);
        faults.add(Fault::Full { after: 10 }, "");
        assert_eq!([7, 7, 7].map(|wanted| faults.take_space(wanted)), [7, 3, 0]);
        faults.heal();
        assert_eq!(faults.space_left(), None);
    }
}
