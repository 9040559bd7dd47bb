//! Time as a parameter.

use jiff::Timestamp;

/// A source of time. The server has the only real clock; tests use simulated ones.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The current time.
    fn now(&self) -> Timestamp;
}
