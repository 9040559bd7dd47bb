//! The copy of the sources that mutations are applied to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::Mutation;

/// What a build of `ticketing` reads: manifests and sources of every package of the workspace.
const SOURCES: &[&str] = &[
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "build.rs",
    "crates",
    "examples",
    "proto",
    "rust-toolchain.toml",
    "src",
    "testing",
    "tests",
    "xtask",
];
/// Folders in them that are installed or built.
const LEFT_OUT: &[&str] = &["node_modules", "target"];

/// The changed files, by their path from `root`, with all of `mutations` applied.
pub(crate) fn changed(root: &Path, mutations: &[&Mutation]) -> Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::new();
    for change in mutations.iter().flat_map(|mutation| mutation.changes) {
        let path = PathBuf::from(change.file);
        if !files.contains_key(&path) {
            let text = fs::read_to_string(root.join(&path));
            files.insert(path.clone(), text.with_context(|| format!("failed to read {}", change.file))?);
        }
        let Some(text) = files.get_mut(&path) else { continue };
        match text.matches(change.text).count() {
            1 => *text = text.replacen(change.text, change.replacement, 1),
            count => bail!("{} has this text {count} times, not once: {}", change.file, change.text),
        }
    }
    Ok(files)
}

/// Makes `tree` a copy of the sources in `root`, with `changed` in place of some of them. Files that are right already stay
/// untouched, so that only what differs is built again.
pub(crate) fn copy(root: &Path, tree: &Path, changed: &BTreeMap<PathBuf, String>) -> Result<()> {
    let wanted = files(root)?;
    for path in &wanted {
        let from = root.join(path);
        let to = tree.join(path);
        let bytes = match changed.get(path) {
            Some(text) => text.clone().into_bytes(),
            None => fs::read(&from).with_context(|| format!("failed to read {}", from.display()))?,
        };
        if fs::read(&to).is_ok_and(|found| found == bytes) {
            continue;
        }
        let write = || {
            fs::create_dir_all(to.parent().unwrap_or(tree))?;
            fs::write(&to, &bytes)
        };
        write().with_context(|| format!("failed to write {}", to.display()))?;
    }
    for path in files(tree)?.difference(&wanted) {
        let path = tree.join(path);
        fs::remove_file(&path).with_context(|| format!("failed to remove {}", path.display()))?;
    }
    Ok(())
}

/// The sources in a folder, by their path from it.
fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut paths: Vec<_> = SOURCES.iter().map(PathBuf::from).collect();
    while let Some(path) = paths.pop() {
        let full = root.join(&path);
        if !full.is_dir() {
            found.extend(full.is_file().then_some(path));
            continue;
        }
        for entry in fs::read_dir(&full).with_context(|| format!("failed to list {}", full.display()))? {
            let name = entry?.file_name();
            if !LEFT_OUT.iter().any(|left_out| name == *left_out) {
                paths.push(path.join(name));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

    use super::*;
    use crate::Change;

    fn mutation(changes: &'static [Change]) -> Mutation {
        Mutation { name: "test", prevents: "Nothing.", changes, cells: "", covered_by: None }
    }

    fn written(text: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("src")).unwrap();
        fs::write(root.path().join("src/a.rs"), text).unwrap();
        root
    }

    #[test]
    fn refuses_text_that_does_not_occur_once() {
        let twice = mutation(&[Change { file: "src/a.rs", text: "yes", replacement: "no" }]);
        for (text, count) in [("yes, yes", 2), ("perhaps", 0)] {
            let refused = changed(written(text).path(), &[&twice]).unwrap_err().to_string();
            assert!(refused.contains(&format!("{count} times")), "{refused}");
        }
    }

    #[test]
    fn copies_sources_with_changes_and_removes_other_files() {
        let root = written("yes");
        let tree = written("former");
        fs::write(tree.path().join("src/former.rs"), "").unwrap();
        let change = mutation(&[Change { file: "src/a.rs", text: "yes", replacement: "no" }]);
        copy(root.path(), tree.path(), &changed(root.path(), &[&change]).unwrap()).unwrap();
        assert_eq!(fs::read_to_string(tree.path().join("src/a.rs")).unwrap(), "no");
        assert!(!tree.path().join("src/former.rs").exists());
        copy(root.path(), tree.path(), &BTreeMap::new()).unwrap();
        assert_eq!(fs::read_to_string(tree.path().join("src/a.rs")).unwrap(), "yes");
    }
}
