//! How much one caller may ask for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::token_bucket::{Rate, TokenBucket};

/// The most names that are remembered. Beyond that those are forgotten who have their whole usage.
const MAX_CALLERS: usize = 10_000;

/// The limits of each caller, told apart by name, and of those who are not known, told apart by where they are.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Calls of one caller.
    pub calls: Rate,
    /// Streams of one caller at a time.
    pub streams: u32,
    /// Calls without a good credential from one peer.
    pub unauthenticated: Rate,
}

/// A caller has had too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RateLimited {
    Calls { retry_after: Duration },
    Streams { max: u32 },
}

#[derive(Debug)]
pub(crate) struct Limits {
    limits: CallLimits,
    callers: Arc<Mutex<HashMap<String, CallerUsage>>>,
}

/// A place among the streams of a caller, given back when dropped.
#[derive(Debug)]
pub(crate) struct StreamPermit {
    name: String,
    callers: Arc<Mutex<HashMap<String, CallerUsage>>>,
}

#[derive(Debug)]
struct CallerUsage {
    calls: TokenBucket,
    streams: u32,
}

// === impl CallLimits ===

impl Default for CallLimits {
    fn default() -> Self {
        let (calls, unauthenticated) = (Rate { rate: 200, burst: 1_000 }, Rate { rate: 10, burst: 50 });
        Self { calls, streams: 32, unauthenticated }
    }
}

// === impl Limits ===

impl Limits {
    pub(crate) fn new(limits: CallLimits) -> Self {
        Self { limits, callers: Arc::default() }
    }

    /// Spends a call of the caller's usage.
    pub(crate) fn call(&self, name: &str, now: Instant) -> Result<(), RateLimited> {
        let taken = self.with(name, now, |usage| usage.calls.take(self.limits.calls, now));
        taken.map_err(|retry_after| RateLimited::Calls { retry_after })
    }

    /// A place for one more stream.
    pub(crate) fn stream(&self, name: &str, now: Instant) -> Result<StreamPermit, RateLimited> {
        let max = self.limits.streams;
        self.with(name, now, |usage| {
            if usage.streams >= max {
                return Err(RateLimited::Streams { max });
            }
            usage.streams += 1;
            Ok(())
        })?;
        Ok(StreamPermit { name: name.to_owned(), callers: self.callers.clone() })
    }

    fn with<T>(&self, name: &str, now: Instant, act: impl FnOnce(&mut CallerUsage) -> T) -> T {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= MAX_CALLERS && !callers.contains_key(name) {
            callers.retain(|_, known| known.streams > 0 || !known.calls.is_full(self.limits.calls, now));
        }
        let full = || CallerUsage { calls: TokenBucket::full(self.limits.calls, now), streams: 0 };
        act(callers.entry(name.to_owned()).or_insert_with(full))
    }
}

// === impl StreamPermit ===

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(usage) = callers.get_mut(&self.name) {
            usage.streams = usage.streams.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_has_its_burst_at_once_and_its_rate_after_that_whatever_others_do() {
        let limits = Limits::new(CallLimits {
            calls: Rate { rate: 10, burst: 3 },
            streams: 1,
            ..CallLimits::default()
        });
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(limits.call("one", now), Ok(()));
        }
        let refused = RateLimited::Calls { retry_after: Duration::from_millis(100) };
        assert_eq!(limits.call("one", now), Err(refused));
        assert_eq!(limits.call("other", now), Ok(()));
        let later = now + Duration::from_millis(100);
        assert_eq!((limits.call("one", later), limits.call("one", later)), (Ok(()), Err(refused)));
    }

    #[test]
    fn a_place_for_a_stream_is_given_back() {
        let limits = Limits::new(CallLimits {
            calls: Rate { rate: 10, burst: 3 },
            streams: 1,
            ..CallLimits::default()
        });
        let now = Instant::now();
        let place = limits.stream("one", now).unwrap();
        assert_eq!(limits.stream("one", now).unwrap_err(), RateLimited::Streams { max: 1 });
        drop(place);
        assert!(limits.stream("one", now).is_ok());
    }
}
