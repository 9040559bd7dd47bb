//! How much one caller may ask for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::bucket::{Bucket, Rate};

/// The most names that are remembered. Beyond that those are forgotten who have their whole allowance.
const MOST_NAMES: usize = 10_000;

/// The limits of each caller, told apart by name, and of those who are not known, told apart by where they are.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Calls of one caller.
    pub calls: Rate,
    /// Streams of one caller at a time.
    pub streams: u32,
    /// Calls without a good credential from one peer.
    pub strangers: Rate,
}

/// A caller has had too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    Calls { come_back_after: Duration },
    Streams { most: u32 },
}

#[derive(Debug)]
pub(crate) struct Limits {
    limits: CallLimits,
    callers: Arc<Mutex<HashMap<String, Allowance>>>,
}

/// A place among the streams of a caller, given back when dropped.
#[derive(Debug)]
pub(crate) struct StreamPlace {
    name: String,
    callers: Arc<Mutex<HashMap<String, Allowance>>>,
}

#[derive(Debug)]
struct Allowance {
    calls: Bucket,
    streams: u32,
}

// === impl CallLimits ===

impl Default for CallLimits {
    fn default() -> Self {
        let (calls, strangers) = (Rate { rate: 200, burst: 1_000 }, Rate { rate: 10, burst: 50 });
        Self { calls, streams: 32, strangers }
    }
}

// === impl Limits ===

impl Limits {
    pub(crate) fn new(limits: CallLimits) -> Self {
        Self { limits, callers: Arc::default() }
    }

    /// Spends a call of the caller's allowance.
    pub(crate) fn call(&self, name: &str, now: Instant) -> Result<(), Busy> {
        let taken = self.with(name, now, |allowance| allowance.calls.take(self.limits.calls, now));
        taken.map_err(|come_back_after| Busy::Calls { come_back_after })
    }

    /// A place for one more stream.
    pub(crate) fn stream(&self, name: &str, now: Instant) -> Result<StreamPlace, Busy> {
        let most = self.limits.streams;
        self.with(name, now, |allowance| {
            if allowance.streams >= most {
                return Err(Busy::Streams { most });
            }
            allowance.streams += 1;
            Ok(())
        })?;
        Ok(StreamPlace { name: name.to_owned(), callers: self.callers.clone() })
    }

    fn with<T>(&self, name: &str, now: Instant, act: impl FnOnce(&mut Allowance) -> T) -> T {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= MOST_NAMES && !callers.contains_key(name) {
            callers.retain(|_, known| known.streams > 0 || !known.calls.is_full(self.limits.calls, now));
        }
        let full = || Allowance { calls: Bucket::full(self.limits.calls, now), streams: 0 };
        act(callers.entry(name.to_owned()).or_insert_with(full))
    }
}

// === impl StreamPlace ===

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(allowance) = callers.get_mut(&self.name) {
            allowance.streams = allowance.streams.saturating_sub(1);
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
        let refused = Busy::Calls { come_back_after: Duration::from_millis(100) };
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
        assert_eq!(limits.stream("one", now).unwrap_err(), Busy::Streams { most: 1 });
        drop(place);
        assert!(limits.stream("one", now).is_ok());
    }
}
