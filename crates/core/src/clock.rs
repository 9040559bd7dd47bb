//! Time as a parameter.

use jiff::Timestamp;

/// A source of time. The server has the only real clock; tests use simulated ones.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// Rounds a time down to microseconds, the resolution in which times are stored; the last storable time, to a second.
#[must_use]
pub fn to_stored_resolution(time: Timestamp) -> Timestamp {
    let second = || Timestamp::from_second(time.as_second());
    Timestamp::from_microsecond(time.as_microsecond()).or_else(|_| second()).unwrap_or(time)
}
