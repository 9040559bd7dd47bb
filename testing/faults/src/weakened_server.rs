//! The server without one of its guards, for runs that must detect that it is missing.

use std::path::PathBuf;

use anyhow::{Context, Result};
use ticketing_mutations::{build, find};

/// Builds the server without the guard whose name contains `name`.
pub(crate) fn build_without_guard(name: &str) -> Result<PathBuf> {
    let mutation = find(name).with_context(|| format!("no guard is called {name}"))?;
    tokio::task::block_in_place(|| build(&[mutation]))
}
