//! Every package is under the lints of the workspace, which forbid unsafe code.

use std::fs;

use anyhow::{Context, Result};

use super::Violation;
use crate::workspace::{Package, Workspace};

const ROOT: &str = "unsafe_code = \"forbid\"";
const MEMBER: &str = "[lints]\nworkspace = true";

/// Violations in the manifests.
pub(super) fn violations(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    let manifest = workspace.root.join("Cargo.toml");
    let text =
        fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    violations.extend(of_root(&text));
    for package in &workspace.packages {
        let path = &package.manifest_path;
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        violations.extend(of_member(package, &text));
    }
    Ok(violations)
}

fn of_root(manifest: &str) -> Option<Violation> {
    let lints = manifest.split("[workspace.lints.rust]").nth(1).unwrap_or_default();
    let forbidden = lints.lines().take_while(|line| !line.starts_with('[')).any(|line| line == ROOT);
    (!forbidden).then(|| Violation::new("Cargo.toml", "unsafe code is forbidden in the whole workspace"))
}

fn of_member(package: &Package, manifest: &str) -> Option<Violation> {
    let under = manifest.contains(MEMBER);
    (!under).then(|| Violation::new(&package.name, "must be under the lints of the workspace"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspace_that_does_not_forbid_unsafe_code_is_reported() {
        assert_eq!(of_root("[workspace.lints.rust]\nunsafe_code = \"forbid\"\n[profile.dev]\n"), None);
        for manifest in [
            "",
            "[workspace.lints.rust]\nunsafe_code = \"deny\"\n",
            "[workspace.lints.rust]\n[x]\nunsafe_code = \"forbid\"\n",
        ] {
            assert!(of_root(manifest).is_some(), "{manifest}");
        }
    }

    #[test]
    fn package_with_own_lints_is_reported() {
        let package = Package {
            name: "ticketing-core".to_owned(),
            description: None,
            manifest_path: "Cargo.toml".into(),
            dependencies: vec![],
        };
        assert_eq!(of_member(&package, "[package]\n\n[lints]\nworkspace = true\n"), None);
        for manifest in ["[package]\n", "[lints.rust]\nunsafe_code = \"allow\"\n"] {
            assert!(of_member(&package, manifest).is_some(), "{manifest}");
        }
    }
}
