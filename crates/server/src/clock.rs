//! The one real clock, and one that tests wind by hand.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::clock::Clock;

/// The clock of the machine as it stood when the server started, and the time that has passed since: a clock that
/// somebody sets while the server runs, forward or back, must not end a lease or a proof before its time. It counts the time that the machine
/// slept. In microseconds, as the store keeps them: what is told is the same after a restart.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    /// The wall clock at the start, less the time since boot.
    booted_at: Timestamp,
}

/// A clock that stands still until it is wound.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

// === impl SystemClock ===

impl SystemClock {
    /// Takes the wall clock's word, once.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one door to the wall clock")]
    pub fn start() -> Self {
        Self { booted_at: Timestamp::now() - since_boot() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = self.booted_at + since_boot();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}

fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
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
