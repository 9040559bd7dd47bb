//! The table `crates`: the packages of the workspace and their purposes.

use super::markdown::Table;
use crate::workspace::{Package, Workspace};

pub(super) fn table(workspace: &Workspace) -> Table {
    let mut rows: Vec<_> = workspace.packages.iter().map(|package| row(package, workspace)).collect();
    rows.sort();
    Table { header: vec!["folder", "package", "what it is"], rows }
}

fn row(package: &Package, workspace: &Workspace) -> Vec<String> {
    let folder = package.manifest_path.parent().and_then(|folder| folder.strip_prefix(&workspace.root).ok());
    let folder = folder.map(|folder| folder.display().to_string()).unwrap_or_default();
    let description = package.description.clone().unwrap_or_default();
    vec![format!("`{folder}/`"), format!("`{}`", package.name), description]
}
