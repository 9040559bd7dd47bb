//! How many calls to a ticket system may be in flight: TCP congestion control (slow start, then CUBIC as in RFC 9438),
//! where an answer acknowledges, and a refusal for load, or rising latency, counts as congestion. The rate of creates has a limit
//! of its own (`send_rate.rs`).

use std::time::Duration;

use jiff::Timestamp;

use crate::fault::{Fault, FaultKind};

/// Growth of the limit per answer while no congestion was met: doubles it in about two rounds.
const SLOW_START_GROWTH: f64 = 0.5;
/// The limit is multiplied by this at congestion.
const DECREASE: f64 = 0.5;
/// Steepness of the cubic curve, per cubic second: after congestion at 4 calls, the limit is back there in 5 s.
const STEEPNESS: f64 = 0.016;
/// Share of the newest answer in the smoothed latency.
const NEWEST: f64 = 0.2;
/// Time in which the baseline of the latency follows a ticket system that became slower, in seconds.
const BASELINE_MEMORY: f64 = 120.0;
/// The smoothed latency that counts as congestion, relative to the baseline.
const LATENCY_FACTOR: f64 = 3.0;
/// Lower latencies never count as congestion.
const TOLERATED_LATENCY: Duration = Duration::from_millis(500);

/// An adaptive limit of concurrent calls.
#[derive(Debug, Clone)]
pub struct ConcurrencyLimit {
    start: f64,
    max: f64,
    limit: f64,
    /// The last congestion; `None` during slow start.
    congestion: Option<Congestion>,
    latency: Option<Latency>,
}

#[derive(Debug, Clone, Copy)]
struct Congestion {
    at: Timestamp,
    /// The limit at that time.
    limit: f64,
}

/// The latency of calls, in seconds.
#[derive(Debug, Clone, Copy)]
struct Latency {
    /// That of the fastest calls.
    baseline: f64,
    smoothed: f64,
    /// When it was last measured.
    at: Timestamp,
}

// === impl ConcurrencyLimit ===

impl ConcurrencyLimit {
    /// Begins at `start` calls, and never exceeds `max`.
    #[must_use]
    pub fn new(start: u32, max: u32) -> Self {
        let max = f64::from(max.max(start));
        let start = f64::from(start);
        Self { start, max, limit: start, congestion: None, latency: None }
    }

    /// The number of calls that may be in flight: 1 or more.
    #[must_use]
    pub fn get(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 1 and u32::MAX"
        )]
        let limit = self.limit.max(1.0) as usize;
        limit
    }

    /// A call succeeded. The limit grows only if `in_flight` calls, this one included, use half of it or more.
    pub fn succeeded(&mut self, began: Timestamp, now: Timestamp, in_flight: usize) {
        if self.is_slowing_down(began, now) {
            self.decrease(began, now, self.start);
            return;
        }
        if in_flight * 2 < self.get() {
            return;
        }
        let grown = match self.congestion {
            None => self.limit + SLOW_START_GROWTH,
            Some(congestion) => congestion.cubic(now).clamp(self.limit, self.limit + 1.0),
        };
        self.limit = grown.min(self.max);
    }

    /// A call failed. Only signs of load lower the limit.
    pub fn failed(&mut self, fault: &Fault, began: Timestamp, now: Timestamp) {
        let is_overloaded = matches!(fault.kind, FaultKind::RateLimited | FaultKind::TimedOut)
            || matches!(fault.status, Some(502..=504));
        if is_overloaded {
            self.decrease(began, now, 1.0);
        }
    }

    /// Calls that began before the last decrease say nothing about the present limit. Latency alone never lowers it below
    /// the start.
    fn decrease(&mut self, began: Timestamp, now: Timestamp, floor: f64) {
        if self.congestion.is_some_and(|congestion| began < congestion.at) {
            return;
        }
        self.congestion = Some(Congestion { at: now, limit: self.limit });
        self.limit = (self.limit * DECREASE).max(floor.min(self.limit));
    }

    fn is_slowing_down(&mut self, began: Timestamp, now: Timestamp) -> bool {
        let newest = now.duration_since(began).as_secs_f64().max(0.0);
        let first = Latency { baseline: newest, smoothed: newest, at: now };
        let latency = self.latency.get_or_insert(first);
        let drift = (now.duration_since(latency.at).as_secs_f64() / BASELINE_MEMORY).clamp(0.0, 1.0);
        latency.smoothed += (newest - latency.smoothed) * NEWEST;
        latency.baseline = newest.min(latency.baseline + (latency.smoothed - latency.baseline) * drift);
        latency.at = now;
        latency.smoothed > (latency.baseline * LATENCY_FACTOR).max(TOLERATED_LATENCY.as_secs_f64())
    }
}

// === impl Congestion ===

impl Congestion {
    /// The limit by the cubic curve: a plateau at the limit of the congestion, then growth beyond it.
    fn cubic(&self, now: Timestamp) -> f64 {
        let elapsed = now.duration_since(self.at).as_secs_f64();
        let plateau = (self.limit * (1.0 - DECREASE) / STEEPNESS).cbrt();
        STEEPNESS * (elapsed - plateau).powi(3) + self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ticket system that is called all the time, as far as the limit permits.
    struct Caller {
        limit: ConcurrencyLimit,
        now: Timestamp,
    }

    impl Caller {
        fn new() -> Self {
            Self { limit: ConcurrencyLimit::new(4, 64), now: Timestamp::UNIX_EPOCH }
        }

        /// One round of calls, all in flight at once, answered after `latency`.
        fn round(&mut self, latency: Duration) {
            let began = self.now;
            let calls = self.limit.get();
            self.now += latency;
            for _ in 0..calls {
                self.limit.succeeded(began, self.now, calls);
            }
        }

        /// A round in which every call is refused.
        fn refused_round(&mut self, status: u16) {
            let began = self.now;
            self.now += Duration::from_millis(300);
            for _ in 0..self.limit.get() {
                self.limit.failed(
                    &Fault::new(FaultKind::of_status(status), "busy").with_status(status),
                    began,
                    self.now,
                );
            }
        }
    }

    #[test]
    fn reaches_the_maximum_within_three_seconds() {
        let mut caller = Caller::new();
        let mut created = 0;
        while caller.limit.get() < 64 {
            created += caller.limit.get();
            caller.round(Duration::from_millis(300));
        }
        assert!(caller.now < Timestamp::UNIX_EPOCH + Duration::from_secs(3), "{}", caller.now);
        assert!(created < 200, "{created}");
        caller.round(Duration::from_millis(300));
        assert_eq!(caller.limit.get(), 64);
    }

    #[test]
    fn one_round_of_refusals_halves_once() {
        for status in [429, 503] {
            let mut caller = Caller::new();
            (0..9).for_each(|_| caller.round(Duration::from_millis(300)));
            assert_eq!(caller.limit.get(), 64);
            caller.refused_round(status);
            assert_eq!(caller.limit.get(), 32);
            (0..9).for_each(|_| caller.refused_round(status));
            assert_eq!(caller.limit.get(), 1);
        }
    }

    #[test]
    fn refused_ticket_is_no_congestion() {
        let mut caller = Caller::new();
        caller.refused_round(400);
        assert_eq!(caller.limit.get(), 4);
    }

    #[test]
    fn returns_slowly_to_where_congestion_was() {
        let mut caller = Caller::new();
        caller.refused_round(429);
        assert_eq!(caller.limit.get(), 2);
        let start = caller.now;
        while caller.limit.get() <= 4 {
            caller.round(Duration::from_millis(300));
        }
        let passed = caller.now.duration_since(start).as_secs_f64();
        assert!((5.0..15.0).contains(&passed), "{passed} s until it exceeds 4");
    }

    #[test]
    fn rising_latency_lowers_the_limit() {
        let mut caller = Caller::new();
        (0..9).for_each(|_| caller.round(Duration::from_millis(300)));
        for _ in 0..3 {
            caller.round(Duration::from_secs(3));
        }
        assert!(caller.limit.get() <= 32, "{}", caller.limit.get());
    }

    #[test]
    fn unused_limit_does_not_grow() {
        let mut caller = Caller::new();
        for _ in 0..100 {
            let began = caller.now;
            caller.now += Duration::from_millis(300);
            caller.limit.succeeded(began, caller.now, 1);
        }
        assert_eq!(caller.limit.get(), 4);
    }
}
