//! Tables in the documents that are generated from the code, so that they agree with it.
//!
//! A table is between `<!-- table: NAME -->` and `<!-- end table -->`, each on its own line.

mod crates;
mod markdown;
mod settings;
mod stages;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Command};
use ticketing_server::config::Config;

use self::markdown::Table;
use crate::workspace::Workspace;

const END: &str = "<!-- end table -->";

/// A document with a table that is out of date.
#[derive(Debug)]
pub(crate) struct Document {
    /// Relative to the root of the workspace.
    pub(crate) path: PathBuf,
    /// With the generated tables.
    text: String,
}

/// The documents with a table that is out of date.
pub(crate) fn stale(workspace: &Workspace) -> Result<Vec<Document>> {
    let mut stale = Vec::new();
    for document in workspace.files(&["md"])? {
        let text = refreshed(&document.text, |name| generate(name, workspace))
            .with_context(|| document.path.display().to_string())?;
        if text != document.text {
            stale.push(Document { path: document.path, text });
        }
    }
    Ok(stale)
}

/// Every table, by name.
fn generate(name: &str, workspace: &Workspace) -> Result<Table> {
    match name {
        "crates" => Ok(crates::table(workspace)),
        "settings" => Ok(settings::table(&Config::augment_args(Command::new("serve")))),
        "stages" => stages::table(workspace),
        _ => bail!("there is no table '{name}'; see xtask/src/tables"),
    }
}

/// `text` with every marked table replaced by the result of `generate`.
fn refreshed(text: &str, mut generate: impl FnMut(&str) -> Result<Table>) -> Result<String> {
    let mut fresh = String::with_capacity(text.len());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        push_line(&mut fresh, line);
        if let Some(name) = table_named(line) {
            if !lines.any(|line| line.trim() == END) {
                bail!("the table '{name}' has no end: {END}");
            }
            fresh.push_str(&generate(name)?.to_string());
            push_line(&mut fresh, END);
        }
    }
    Ok(fresh)
}

fn table_named(line: &str) -> Option<&str> {
    Some(line.trim().strip_prefix("<!-- table:")?.strip_suffix("-->")?.trim())
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

// === impl Document ===

impl Document {
    pub(crate) fn write(&self, workspace: &Workspace) -> Result<()> {
        fs::write(workspace.root.join(&self.path), &self.text)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_text_between_markers() {
        let text = "# Title\n\n<!-- table: pets -->\nold\n<!-- end table -->\n\nThe end.\n";
        assert_eq!(
            refreshed(text, pets).unwrap(),
            "# Title\n\n<!-- table: pets -->\n| name |\n|---|\n| cat |\n<!-- end table -->\n\nThe end.\n"
        );
    }

    #[test]
    fn up_to_date_document_is_unchanged() {
        let once = refreshed("<!-- table: pets -->\n<!-- end table -->\n", pets).unwrap();
        assert_eq!(refreshed(&once, pets).unwrap(), once);
    }

    #[test]
    fn table_without_an_end_is_refused() {
        let refusal = refreshed("<!-- table: pets -->\n| name |\n", pets).unwrap_err();
        assert_eq!(refusal.to_string(), "the table 'pets' has no end: <!-- end table -->");
    }

    fn pets(name: &str) -> Result<Table> {
        assert_eq!(name, "pets");
        Ok(Table { header: vec!["name"], rows: vec![vec!["cat".to_owned()]] })
    }
}
