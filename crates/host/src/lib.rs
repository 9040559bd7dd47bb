//! The machine that the server runs on: its clocks, randomness, files, panics and process limits.
//!
//! Everything that depends on the machine is here behind a trait or in one function, so that tests can replace it. No
//! other crate reads the time or random bytes: `clippy.toml` forbids it.

pub mod clock;
pub mod entropy;
pub mod files;
#[cfg(feature = "manual")]
pub mod manual;
pub mod panics;
pub mod process;
