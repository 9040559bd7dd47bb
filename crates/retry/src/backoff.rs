//! Exponential backoff: retry `n` follows failure `n` after `min(max, base * 2^(n-1))`, at most `max_retry_attempts` times.

use std::time::Duration;

/// Maximum number of retries.
pub const MAX_RETRIES: u32 = 20;
/// Maximum delay: a week.
pub const MAX_DELAY: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A retry schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Backoff {
    max_retry_attempts: u32,
    base: Duration,
    max: Duration,
    jitter: f64,
}

/// Why a schedule is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBackoff {
    #[error("must be 0 to {MAX_RETRIES}")]
    MaxRetryAttempts,
    #[error("must be more than 0 and at most 7 days")]
    BaseDelay,
    #[error("must be at least base_delay and at most 7 days")]
    MaxDelay,
    #[error("must be 0 to 1")]
    Jitter,
}

// === impl Backoff ===

impl Backoff {
    /// `max_retry_attempts` retries after the first attempt; `jitter` is the maximum share (0 to 1) by which a delay is
    /// shortened. Jitter never lengthens a delay: one that misses its tick by a moment costs a whole tick.
    ///
    /// # Errors
    /// Every violation.
    pub fn try_new(
        max_retry_attempts: u32,
        base: Duration,
        max: Duration,
        jitter: f64,
    ) -> Result<Self, Vec<InvalidBackoff>> {
        let checks = [
            (max_retry_attempts <= MAX_RETRIES, InvalidBackoff::MaxRetryAttempts),
            (!base.is_zero() && base <= MAX_DELAY, InvalidBackoff::BaseDelay),
            (max >= base && max <= MAX_DELAY, InvalidBackoff::MaxDelay),
            ((0.0..=1.0).contains(&jitter), InvalidBackoff::Jitter),
        ];
        let wrong: Vec<_> = checks.into_iter().filter(|(holds, _)| !holds).map(|(_, why)| why).collect();
        if wrong.is_empty() { Ok(Self { max_retry_attempts, base, max, jitter }) } else { Err(wrong) }
    }

    /// Retries after the first attempt.
    #[must_use]
    pub fn max_retry_attempts(&self) -> u32 {
        self.max_retry_attempts
    }

    #[must_use]
    pub fn base(&self) -> Duration {
        self.base
    }

    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    #[must_use]
    pub fn jitter(&self) -> f64 {
        self.jitter
    }

    /// The delay after failure `failures` (1 is the first), or `None` if all retries are spent. `random` is 0 to 1.
    #[must_use]
    pub fn after_failure(&self, failures: u32, random: f64) -> Option<Duration> {
        (failures <= self.max_retry_attempts).then(|| self.delay(failures, random))
    }

    /// The delay before retry `n` (1 is the first), regardless of the maximum.
    #[must_use]
    pub fn delay(&self, n: u32, random: f64) -> Duration {
        let doublings = n.saturating_sub(1).min(31);
        let delay = self.base.saturating_mul(1 << doublings).min(self.max);
        delay.mul_f64(1.0 - self.jitter * random.clamp(0.0, 1.0))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            max_retry_attempts: 5,
            base: Duration::from_secs(60),
            max: Duration::from_secs(3_600),
            jitter: 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn default_backoff_doubles_from_one_minute() {
        let backoff = Backoff::default();
        let delays: Vec<_> = (1..=6).map(|n| backoff.after_failure(n, 0.5).map(|d| d.as_secs())).collect();
        assert_eq!(delays, [Some(60), Some(120), Some(240), Some(480), Some(960), None]);
    }

    #[test]
    fn reports_every_violation_of_backoff() {
        let wrong = Backoff::try_new(21, Duration::ZERO, MAX_DELAY * 2, 1.1).unwrap_err();
        use InvalidBackoff::{BaseDelay, Jitter, MaxDelay, MaxRetryAttempts};
        assert_eq!(wrong, [MaxRetryAttempts, BaseDelay, MaxDelay, Jitter]);
    }

    proptest! {
        #[test]
        fn delays_never_shrink_and_jitter_only_shortens(
            base in 1_u64..10_000, factor in 1_u64..1_000, jitter in 0.0..=1.0_f64, random in 0.0..=1.0_f64, n in 1_u32..60,
        ) {
            let max = Duration::from_millis(base * factor);
            let base = Duration::from_millis(base);
            let plain = Backoff::try_new(20, base, max, 0.0).unwrap();
            let jittered = Backoff::try_new(20, base, max, jitter).unwrap();
            prop_assert!(plain.delay(n, random) <= plain.delay(n + 1, random));
            prop_assert!(plain.delay(n, random) <= max);
            prop_assert!(jittered.delay(n, random) <= plain.delay(n, random));
        }
    }
}
