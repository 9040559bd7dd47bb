//! Seeds a build folder with the dependencies that another one has already.
//!
//! Hard links of what cargo built for packages of a registry, which it never writes to again. Packages of the workspace are
//! left out: cargo gives them the same file names in every copy of the workspace, and would write through the links. What is
//! missing is compiled.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Folders of a profile with an entry for each package, whose name ends with the package's hash.
const FOLDERS: [&str; 3] = [".fingerprint", "build", "deps"];

/// Links the dependencies in the profile folder `from` into the profile folder `to`.
pub(crate) fn link_dependencies(lock: &Path, from: &Path, to: &Path) -> Result<()> {
    let lock = fs::read_to_string(lock).context("failed to read Cargo.lock")?;
    let foreign: HashSet<_> = foreign_packages(&lock).collect();
    let mut hashes = HashSet::new();
    for name in names(&from.join(".fingerprint")) {
        if let Some((package, hash)) = name.rsplit_once('-')
            && foreign.contains(package)
        {
            hashes.insert(hash.to_owned());
        }
    }
    for folder in FOLDERS {
        for name in names(&from.join(folder)) {
            if hash_of(&name).is_some_and(|hash| hashes.contains(hash)) {
                let from = from.join(folder).join(&name);
                let to = to.join(folder).join(&name);
                link(&from, &to).with_context(|| format!("failed to link {}", from.display()))?;
            }
        }
    }
    Ok(())
}

/// The packages that come from a registry.
fn foreign_packages(lock: &str) -> impl Iterator<Item = &str> {
    let packages = lock.split("[[package]]").filter(|package| package.contains("\nsource = "));
    packages.filter_map(|package| package.split("name = \"").nth(1)?.split('"').next())
}

/// `serde-0123456789abcdef` and `libserde-0123456789abcdef.rlib` have the hash `0123456789abcdef`.
fn hash_of(name: &str) -> Option<&str> {
    let (_, end) = name.rsplit_once('-')?;
    end.split('.').next()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.is_dir() {
        fs::create_dir_all(to.parent().unwrap_or(to))?;
        return fs::hard_link(from, to);
    }
    fs::create_dir_all(to)?;
    names(from).iter().try_for_each(|name| link(&from.join(name), &to.join(name)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

    use super::*;

    const LOCK: &str = r#"
[[package]]
name = "serde"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"

[[package]]
name = "ours"
version = "0.1.0"
dependencies = ["serde"]
"#;

    #[test]
    fn links_packages_of_registries_alone() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        let to = folder.path().join("to");
        for file in [
            ".fingerprint/serde-01/lib-serde",
            ".fingerprint/ours-02/lib-ours",
            "build/serde-01/out/made.rs",
            "deps/libserde-01.rlib",
            "deps/libours-02.rlib",
            "deps/ours-02",
        ] {
            fs::create_dir_all(from.join(file).parent().unwrap()).unwrap();
            fs::write(from.join(file), file).unwrap();
        }
        fs::write(folder.path().join("Cargo.lock"), LOCK).unwrap();
        link_dependencies(&folder.path().join("Cargo.lock"), &from, &to).unwrap();
        let mut found: Vec<_> = FOLDERS.iter().flat_map(|folder| names(&to.join(folder))).collect();
        found.sort();
        assert_eq!(found, ["libserde-01.rlib", "serde-01", "serde-01"]);
        assert!(to.join("build/serde-01/out/made.rs").exists());
    }
}
