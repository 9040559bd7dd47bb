//! A token bucket for expensive calls.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);

/// A rate per minute, which is also the burst.
#[derive(Debug)]
pub(super) struct RateLimit {
    per_minute: u32,
    /// The remaining tokens, and when they were counted.
    left: Mutex<(f64, Timestamp)>,
}

// === impl RateLimit ===

impl RateLimit {
    pub(super) fn new(per_minute: u32, now: Timestamp) -> Self {
        Self { per_minute, left: Mutex::new((per_minute.into(), now)) }
    }

    /// Takes a token, or returns how long to wait for one.
    pub(super) fn take(&self, now: Timestamp) -> Result<(), Duration> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, counted_at) = *left;
        let passed = Duration::try_from(now.duration_since(counted_at)).unwrap_or_default();
        let most = f64::from(self.per_minute);
        let there = (before + most * passed.as_secs_f64() / MINUTE.as_secs_f64()).min(most);
        if there < 1.0 {
            *left = (there, now);
            return Err(MINUTE.mul_f64((1.0 - there) / most).max(Duration::from_millis(1)));
        }
        *left = (there - 1.0, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn allows_burst_then_steady_rate() {
        let limit = RateLimit::new(30, at(0));
        for _ in 0..30 {
            assert_eq!(limit.take(at(0)), Ok(()));
        }
        assert_eq!(limit.take(at(0)), Err(Duration::from_secs(2)));
        assert_eq!(limit.take(at(1_000)), Err(Duration::from_secs(1)));
        assert_eq!(limit.take(at(2_000)), Ok(()));
        assert!(limit.take(at(2_001)).is_err());
    }

    #[test]
    fn saves_tokens_for_at_most_a_minute() {
        let limit = RateLimit::new(2, at(0));
        for _ in 0..2 {
            assert_eq!(limit.take(at(3_600_000)), Ok(()));
        }
        assert!(limit.take(at(3_600_000)).is_err());
        assert!(limit.take(at(0)).is_err());
    }
}
