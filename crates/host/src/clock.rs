//! The clocks of the machine.

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
