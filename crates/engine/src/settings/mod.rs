//! The current settings: those of the connections, and the rules for all of them.

pub mod stored;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ticketing_core::auto_push::AutoPush;
use ticketing_core::policy::{Bounds, Policy};
use ticketing_retry::{Backoff, InvalidBackoff};
use ticketing_vendor::ConnectionSettings;

/// All current settings.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// By the ID of the connection.
    pub connections: BTreeMap<String, ConnectionSettings>,
    /// Of all settings: another after each change.
    pub revision: u64,
    /// The stored revision of the settings of each connection.
    pub revisions: BTreeMap<String, u32>,
    pub rules: Rules,
}

impl Settings {
    /// Identifies this version of the settings.
    #[must_use]
    pub fn etag(&self) -> String {
        self.revision.to_string()
    }
}

/// The rules for every connection.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules {
    pub auto_push: AutoPush,
    pub retry: RetrySchedule,
}

/// When failed attempts are retried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "StoredRetrySchedule", try_from = "StoredRetrySchedule")]
pub struct RetrySchedule {
    pub backoff: Backoff,
    /// Interval between ticks, which send due retries. 10 ms to 1 h.
    pub processor_interval: Duration,
}

/// A retry schedule as stored: all durations in milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredRetrySchedule {
    max_attempts: u32,
    base_delay_ms: u64,
    max_delay_ms: u64,
    processor_interval_ms: u64,
    jitter: f64,
}

// === impl RetrySchedule ===

impl RetrySchedule {
    /// The inputs of decisions about deliveries, within the bounds of this server.
    #[must_use]
    pub fn policy(&self, bounds: &Bounds) -> Policy {
        Policy { retry: self.backoff.clone(), bounds: bounds.clone() }
    }
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self { backoff: Backoff::default(), processor_interval: Duration::from_secs(120) }
    }
}

impl From<RetrySchedule> for StoredRetrySchedule {
    fn from(schedule: RetrySchedule) -> Self {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            max_attempts: schedule.backoff.max_retry_attempts(),
            base_delay_ms: millis(schedule.backoff.base()),
            max_delay_ms: millis(schedule.backoff.max()),
            processor_interval_ms: millis(schedule.processor_interval),
            jitter: schedule.backoff.jitter(),
        }
    }
}

impl TryFrom<StoredRetrySchedule> for RetrySchedule {
    type Error = InvalidBackoff;

    fn try_from(stored: StoredRetrySchedule) -> Result<Self, InvalidBackoff> {
        let (base, max) =
            (Duration::from_millis(stored.base_delay_ms), Duration::from_millis(stored.max_delay_ms));
        let backoff = Backoff::try_new(stored.max_attempts, base, max, stored.jitter)
            .map_err(|wrong| wrong.first().copied().unwrap_or(InvalidBackoff::Jitter))?;
        Ok(Self { backoff, processor_interval: Duration::from_millis(stored.processor_interval_ms) })
    }
}
