//! The real clock, and a simulated one for tests.

use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ticketing_core::clock::Clock;

/// The wall clock at the start of the server plus the time elapsed since, including suspend: setting the clock while the
/// server runs, forward or back, must not end a lease or a proof early. In microseconds, like the store, so that a
/// published time is the same after a restart.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    /// The wall clock at the start, minus the uptime.
    booted_at: Timestamp,
}

/// The time sources of a machine besides the wall clock, which reveal whether the clock was set or the disk
/// was moved.
pub trait Machine: Send + Sync + std::fmt::Debug {
    /// The current wall clock, as file systems use it for timestamps.
    fn wall(&self) -> Timestamp;

    /// Time since boot, including suspend.
    fn since_boot(&self) -> Duration;

    /// An ID of the current boot; `None` if the system has none.
    fn boot_id(&self) -> Option<String>;
}

/// The machine that the program runs on.
#[derive(Debug, Clone, Copy)]
pub struct ThisMachine;

/// This machine with a clock step or a reboot, for tests.
#[derive(Debug, Default)]
pub struct ManualMachine(Mutex<Machinery>);

#[derive(Debug, Default)]
struct Machinery {
    wall_behind: Duration,
    up_longer: Duration,
    boots: u32,
}

/// A clock that moves only when it is set.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

// === impl SystemClock ===

impl SystemClock {
    /// Reads the wall clock, once.
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
    /// Makes its wall clock lag behind file timestamps by this much.
    pub fn fall_behind(&self, by: Duration) {
        self.edit(|machine| machine.wall_behind = by);
    }

    /// Advances the time.
    pub fn stay_up(&self, by: Duration) {
        self.edit(|machine| machine.up_longer += by);
    }

    /// Simulates a reboot.
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

    /// Advances the clock.
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
