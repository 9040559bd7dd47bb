//! Retry delays. No I/O, no clock, no domain.

pub mod backoff;
pub mod retry_after;

pub use backoff::{Backoff, InvalidBackoff};
