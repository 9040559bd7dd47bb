//! A token bucket.

use std::time::Duration;

use tokio::time::Instant;

/// A sustained rate with a burst.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Tokens per second.
    pub rate: u32,
    /// Capacity of the bucket.
    pub burst: u32,
}

/// The state of a bucket.
#[derive(Debug)]
pub(super) struct TokenBucket {
    left: f64,
    since: Instant,
}

// === impl Rate ===

impl Rate {
    /// Time to refill an empty bucket.
    pub(super) fn refill(self) -> Duration {
        Duration::from_secs_f64(f64::from(self.burst) / f64::from(self.rate))
    }
}

// === impl TokenBucket ===

impl TokenBucket {
    /// A full bucket.
    pub(super) fn full(rate: Rate, now: Instant) -> Self {
        Self { left: f64::from(rate.burst), since: now }
    }

    /// Takes a token, or returns the time until one is available.
    pub(super) fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let earned = now.duration_since(self.since).as_secs_f64() * f64::from(rate.rate);
        self.left = (self.left + earned).min(f64::from(rate.burst));
        self.since = now;
        if self.left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.left) / f64::from(rate.rate)));
        }
        self.left -= 1.0;
        Ok(())
    }

    /// Returns a token.
    pub(super) fn give_back(&mut self, rate: Rate) {
        self.left = (self.left + 1.0).min(f64::from(rate.burst));
    }

    /// Whether it is full, so that its state can be dropped.
    pub(super) fn is_full(&self, rate: Rate, now: Instant) -> bool {
        now.duration_since(self.since) >= rate.refill()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_burst_then_rate() {
        let rate = Rate { rate: 10, burst: 3 };
        let now = Instant::now();
        let mut bucket = TokenBucket::full(rate, now);
        for _ in 0..3 {
            assert_eq!(bucket.take(rate, now), Ok(()));
        }
        let wait = Duration::from_millis(100);
        assert_eq!(bucket.take(rate, now), Err(wait));
        bucket.give_back(rate);
        assert_eq!((bucket.take(rate, now), bucket.take(rate, now)), (Ok(()), Err(wait)));
        assert_eq!((bucket.take(rate, now + wait), bucket.take(rate, now + wait)), (Ok(()), Err(wait)));
    }

    #[test]
    fn never_exceeds_burst() {
        let rate = Rate { rate: 10, burst: 1 };
        let now = Instant::now();
        let mut bucket = TokenBucket::full(rate, now);
        bucket.give_back(rate);
        let later = now + Duration::from_secs(3_600);
        assert!(bucket.is_full(rate, later));
        assert_eq!(bucket.take(rate, later), Ok(()));
        assert!(bucket.take(rate, later).is_err());
    }
}
