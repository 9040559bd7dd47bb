//! Untrusted input, mutated: requests of callers, replies of ticket systems, texts that become tickets, tokens,
//! headers, and settings as they lie on a disk.
//!
//! A [`Target`] is one body for two drivers. The gate runs each for a few seconds, on the stable compiler, with inputs that
//! are made from valid ones by changing fields and bytes ([`mutate`]); it can be repeated by its seed. For hours there is
//! libFuzzer, which sees what each input reaches: the folder `fuzz/` hands it the same bodies. What a target holds against
//! its input it says by panicking.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a target says by panicking what does not hold")]

pub mod contract;
pub mod driver;
pub mod mutate;
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use targets::TARGETS;

/// One thing that reads what strangers send.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    /// What holds, whatever the input.
    pub promise: &'static str,
    /// How its inputs are built.
    pub shape: Shape,
    /// Valid inputs, made by the product's own code.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Panics if the promise is broken.
    pub run: fn(&[u8]),
}

/// How an input is built, so that a mutation can change a part of it and leave the rest valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Bytes,
    Text,
    Json,
    /// A protobuf message, by its full name.
    Message(&'static str),
    /// A byte that chooses a method, and a request of it.
    Request,
    /// A status, headers, an empty line, and a body that is JSON or a page: see `targets/reply.rs`.
    Reply,
}

// === impl Target ===

impl Target {
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// Its seeds, and what is kept of it in the corpus.
    ///
    /// # Errors
    /// If the corpus cannot be read.
    pub fn inputs(&self) -> Result<Vec<Vec<u8>>> {
        let mut inputs = (self.seeds)();
        for path in files(&corpus().join(self.name))? {
            inputs.push(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
        Ok(inputs)
    }
}

/// Where the inputs are that are kept: one folder for each target.
#[must_use]
pub fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

/// The files of a folder, by name; none if it is not there.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
