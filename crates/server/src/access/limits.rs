//! How much one caller may ask for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The most names that are remembered. Beyond that those are forgotten who have their whole allowance.
const MOST_NAMES: usize = 10_000;

/// The limits of each caller, told apart by name.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// Calls a second, in the long run.
    pub rate: u32,
    /// Calls at once, after a pause.
    pub burst: u32,
    /// Event streams at a time.
    pub streams: u32,
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
    calls: f64,
    since: Instant,
    streams: u32,
}

// === impl CallLimits ===

impl Default for CallLimits {
    fn default() -> Self {
        Self { rate: 200, burst: 1_000, streams: 32 }
    }
}

// === impl Limits ===

impl Limits {
    pub(crate) fn new(limits: CallLimits) -> Self {
        Self { limits, callers: Arc::default() }
    }

    /// Spends a call of the caller's allowance.
    pub(crate) fn call(&self, name: &str, now: Instant) -> Result<(), Busy> {
        let CallLimits { rate, burst, .. } = self.limits;
        self.with(name, now, |allowance| {
            let earned = now.duration_since(allowance.since).as_secs_f64() * f64::from(rate);
            allowance.calls = (allowance.calls + earned).min(f64::from(burst));
            allowance.since = now;
            if allowance.calls >= 1.0 {
                allowance.calls -= 1.0;
                return Ok(());
            }
            let come_back_after = Duration::from_secs_f64((1.0 - allowance.calls) / f64::from(rate));
            Err(Busy::Calls { come_back_after })
        })
    }

    /// A place for one more stream. Where everybody has the same name there is no limit by name.
    pub(crate) fn stream(&self, name: &str, unlimited: bool, now: Instant) -> Result<StreamPlace, Busy> {
        let most = self.limits.streams;
        self.with(name, now, |allowance| {
            if allowance.streams >= most && !unlimited {
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
            let refilled =
                Duration::from_secs_f64(f64::from(self.limits.burst) / f64::from(self.limits.rate));
            callers.retain(|_, known| known.streams > 0 || now.duration_since(known.since) < refilled);
        }
        let full = || Allowance { calls: f64::from(self.limits.burst), since: now, streams: 0 };
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
        let limits = Limits::new(CallLimits { rate: 10, burst: 3, streams: 1 });
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
        let limits = Limits::new(CallLimits { rate: 10, burst: 3, streams: 1 });
        let now = Instant::now();
        let place = limits.stream("one", false, now).unwrap();
        assert_eq!(limits.stream("one", false, now).unwrap_err(), Busy::Streams { most: 1 });
        assert!(limits.stream("one", true, now).is_ok());
        drop(place);
        assert!(limits.stream("one", false, now).is_ok());
    }
}
