//! The bounds of the delivery protocol. All are configurable, down to tens of milliseconds.

use std::time::Duration;

use ticketing_retry::Backoff;

/// The inputs of a decision about a delivery, besides the delivery and the time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {
    pub retry: Backoff,
    pub bounds: Bounds,
}

/// Worst-case durations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Time from the intent until the create is abandoned. Default 30 s.
    pub attempt_deadline: Duration,
    /// Duration of a lease. Must be longer than the attempt deadline. Default 90 s.
    pub lease: Duration,
    /// Server bound: how long after the send deadline a ticket system may still apply a request. Default 60
    /// s.
    pub server_bound: Duration,
    /// Interval between look-ups of a delivery of unknown outcome, and between the two empty results that
    /// prove absence. Default 30 s.
    pub look_up_interval: Duration,
    /// Delays of the duplicate scans of a delivery that ever had an unknown outcome, counted from when it was
    /// settled. Default 15 min, 1 h, 24 h.
    pub duplicate_scan_delays: [Duration; 3],
    /// Consecutive connection-scoped failures that open a connection's circuit. Default 10.
    pub circuit_threshold: u32,
    /// Maximum of `Retry-After`, and of the delay between two probes of a refused login. Default 1 h.
    pub max_retry_after: Duration,
}

// === impl Bounds ===

impl Bounds {
    /// The pause for a ticket system that requests `asked`.
    #[must_use]
    pub fn cap_retry_after(&self, asked: Duration) -> Duration {
        asked.min(self.max_retry_after)
    }

    /// The delay before a refused login that cannot be locked is probed again, after `before` earlier
    /// consecutive refusals: a look-up interval, doubled each time.
    #[must_use]
    pub fn login_probe_delay(&self, before: u32) -> Duration {
        self.cap_retry_after(self.look_up_interval.saturating_mul(1 << before.min(16)))
    }
}

impl Default for Bounds {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            attempt_deadline: MINUTE / 2,
            lease: MINUTE * 3 / 2,
            server_bound: MINUTE,
            look_up_interval: MINUTE / 2,
            duplicate_scan_delays: [MINUTE * 15, MINUTE * 60, MINUTE * 60 * 24],
            circuit_threshold: 10,
            max_retry_after: MINUTE * 60,
        }
    }
}
