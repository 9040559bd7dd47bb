//! Time as a parameter.

use jiff::Timestamp;

/// Where the time comes from. The server has the one real clock; tests bring their own.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// Rounds a time down to microseconds, the resolution in which times are stored; the last storable time, to a second.
#[must_use]
pub fn to_stored_resolution(time: Timestamp) -> Timestamp {
    let second = || Timestamp::from_second(time.as_second());
    Timestamp::from_microsecond(time.as_microsecond()).or_else(|_| second()).unwrap_or(time)
}
