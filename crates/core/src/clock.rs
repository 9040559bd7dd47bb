//! Time as a parameter.

use jiff::Timestamp;

/// Where the time comes from. The server has the one real clock; tests bring their own.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present moment.
    fn now(&self) -> Timestamp;
}
