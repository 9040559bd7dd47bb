//! When to try again. No I/O, no clock, no domain: a leaf.

pub mod backoff;
pub mod retry_after;

pub use backoff::{Backoff, InvalidBackoff};
