//! The one real clock, and one that tests wind by hand.

use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ticketing_core::clock::Clock;

/// The clock of the machine as it stood when the server started, and the time that has passed since: a clock that
/// somebody sets while the server runs, forward or back, must not end a lease or a proof before its time. It counts the time that the machine
/// slept. In microseconds, as the store keeps them: what is published is the same after a restart.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    /// The wall clock at the start, less the time since boot.
    booted_at: Timestamp,
}

/// What a machine says about time, beside the hour: enough to tell whether a clock was set, and whether a disk goes with the
/// machine.
pub trait Machine: Send + Sync + std::fmt::Debug {
    /// The clock on the wall just now, as files are stamped with it.
    fn wall(&self) -> Timestamp;

    /// How long it has been up, sleep and all.
    fn since_boot(&self) -> Duration;

    /// Another at each boot, of this machine or another; `None` where there is no such thing.
    fn boot_id(&self) -> Option<String>;
}

/// The machine that the program runs on.
#[derive(Debug, Clone, Copy)]
pub struct ThisMachine;

/// This machine, as it would be had its clock been set or had it been booted: for tests.
#[derive(Debug, Default)]
pub struct ManualMachine(Mutex<Machinery>);

#[derive(Debug, Default)]
struct Machinery {
    wall_behind: Duration,
    up_longer: Duration,
    boots: u32,
}

/// A clock that stands still until it is wound.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

// === impl SystemClock ===

impl SystemClock {
    /// Takes the wall clock's word, once.
    #[must_use]
    pub fn start() -> Self {
        Self { booted_at: wall() - since_boot() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = self.booted_at + since_boot();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one door to the wall clock")]
fn wall() -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(ticketing_failpoints::clock_set_by())
}

fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
}

// === impl ThisMachine ===

impl Machine for ThisMachine {
    fn wall(&self) -> Timestamp {
        wall()
    }

    fn since_boot(&self) -> Duration {
        since_boot()
    }

    fn boot_id(&self) -> Option<String> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(id.trim().to_owned()).filter(|id| !id.is_empty())
    }
}

// === impl ManualMachine ===

impl ManualMachine {
    /// Its wall clock goes wrong by so much: it is behind that which stamps files.
    pub fn fall_behind(&self, by: Duration) {
        self.edit(|machine| machine.wall_behind = by);
    }

    /// So much time passes.
    pub fn stay_up(&self, by: Duration) {
        self.edit(|machine| machine.up_longer += by);
    }

    /// Starts anew.
    pub fn boot(&self) {
        self.edit(|machine| machine.boots += 1);
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut Machinery) -> T) -> T {
        edit(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Machine for ManualMachine {
    fn wall(&self) -> Timestamp {
        ThisMachine.wall() - self.edit(|machine| machine.wall_behind)
    }

    fn since_boot(&self) -> Duration {
        since_boot() + self.edit(|machine| machine.up_longer)
    }

    fn boot_id(&self) -> Option<String> {
        Some(format!("boot {}", self.edit(|machine| machine.boots)))
    }
}

// === impl ManualClock ===

impl ManualClock {
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now += by;
    }

    /// Sets the clock, forward or back.
    pub fn set(&self, to: Timestamp) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = to;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
