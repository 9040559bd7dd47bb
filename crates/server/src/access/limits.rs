//! Rate limits per caller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::token_bucket::{Rate, TokenBucket};

/// Maximum number of tracked callers. Above it, callers with a full bucket and no stream are forgotten.
const MAX_CALLERS: usize = 10_000;

/// Limits per caller, and for unauthenticated calls per peer.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Calls of one caller.
    pub calls: Rate,
    /// Concurrent streams of one caller.
    pub streams: u32,
    /// Unauthenticated calls from one peer.
    pub unauthenticated: Rate,
}

/// A caller exceeded a limit.
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

/// A stream of a caller; released when dropped.
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
        let calls = Rate { rate: 200, burst: 1_000 };
        let unauthenticated = Rate { rate: 10, burst: 50 };
        Self { calls, streams: 32, unauthenticated }
    }
}

// === impl Limits ===

impl Limits {
    pub(crate) fn new(limits: CallLimits) -> Self {
        Self { limits, callers: Arc::default() }
    }

    /// Takes a call from the caller's token bucket.
    pub(crate) fn call(&self, name: &str, now: Instant) -> Result<(), RateLimited> {
        let result = self.with(name, now, |usage| usage.calls.take(self.limits.calls, now));
        result.map_err(|retry_after| RateLimited::Calls { retry_after })
    }

    /// Reserves a stream.
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
    fn limits_burst_and_rate_per_caller() {
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
    fn releases_stream_when_permit_is_dropped() {
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
