//! The table `stages`: the checks of the gate, as `.ci/run --list` reports them.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::markdown::Table;
use crate::workspace::Workspace;

pub(super) fn table(workspace: &Workspace) -> Result<Table> {
    let output = Command::new("bash")
        .args([".ci/run", "--list"])
        .current_dir(&workspace.root)
        .output()
        .context("bash does not start")?;
    ensure!(output.status.success(), ".ci/run --list failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

fn parse(list: &str) -> Table {
    let stages = list.lines().filter_map(|line| line.split_once(' '));
    let rows = stages.map(|(stage, about)| vec![format!("`{stage}`"), about.trim().to_owned()]).collect();
    Table { header: vec!["stage", "what it checks"], rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_stage_name_and_description() {
        let table = parse("fmt        every file is formatted\n");
        assert_eq!(table.rows, [["`fmt`", "every file is formatted"]]);
    }
}
