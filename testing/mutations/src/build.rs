//! Builds `ticketing` with mutations.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{Mutation, root, seed, tree};

/// Builds `ticketing` from a copy of the sources with these mutations, and returns its path. The copy and its build folder
/// are kept in `mutations` in the target folder, so that the next build compiles only what differs.
///
/// # Errors
/// If a text of a mutation does not occur exactly once, a file cannot be written, or the mutated sources do not compile.
pub fn build(mutations: &[&Mutation]) -> Result<PathBuf> {
    let target = target_folder()?;
    let folder = target.join("mutations");
    let root = root();
    let sources = folder.join("tree");
    let built = folder.join("build");
    tree::copy(&root, &sources, &tree::changed(&root, mutations)?)?;
    if !built.exists() {
        seed::link_dependencies(&root.join("Cargo.lock"), &target.join("debug"), &built.join("debug"))?;
    }
    let names: Vec<_> = mutations.iter().map(|mutation| mutation.name).collect();
    cargo_build(&sources, &built).with_context(|| format!("failed to build without {}", names.join(", ")))?;
    let program = folder.join("programs").join(names.join("+"));
    fs::create_dir_all(folder.join("programs"))?;
    fs::copy(built.join("debug/ticketing"), &program).context("failed to copy the program")?;
    Ok(program)
}

/// The target folder that this program was built in.
fn target_folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let is_profile = |folder: &&Path| folder.ends_with("debug") || folder.ends_with("fast");
    let profile = program.ancestors().skip(1).find(is_profile);
    let target = profile.and_then(Path::parent).map(Path::to_owned);
    target.with_context(|| format!("{} is in no target folder", program.display()))
}

/// The whole workspace is selected, so that the dependencies have the same features as in the main build.
fn cargo_build(sources: &Path, built: &Path) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--locked", "--workspace", "--bin=ticketing", "--target-dir"]);
    let output = cargo.arg(built).current_dir(sources).output().context("cargo cannot be run")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
