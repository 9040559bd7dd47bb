//! Rules for source files.

use std::path::Path;

use super::Violation;
use crate::workspace::Source;

/// The checked files.
pub(super) const EXTENSIONS: &[&str] =
    &["rs", "proto", "sql", "toml", "mjs", "js", "ts", "py", "go", "java", "sh"];

/// Maximum number of lines; a longer file should be split.
const MAX_LINES: usize = 600;

/// Where all SQL of the product is.
const STORE: &str = "crates/store/src";
/// Where tests edit the database by hand.
const EDITS: &str = "testing/harness/src/database";

/// Where the bench writes rows without the store.
const BENCH: &str = "testing/bench/src/database";

/// Signs of unfinished work. Written in two halves, so that this file passes its own rule.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!"),
    concat!("unimplemen", "ted!"),
    concat!("#[igno", "re"),
];

/// Beginnings of SQL statements in strings, and what else those contain.
const STATEMENTS: &[(&str, &str)] = &[
    ("select", " from "),
    ("insert", " into "),
    ("update", " set "),
    ("delete", " from "),
    ("create", " table "),
    ("alter", " table "),
    ("pragma", ""),
];

/// Violations in one file.
pub(super) fn violations(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    let is_rust = source.path.extension().is_some_and(|extension| extension == "rs");
    let may_speak_sql = !is_rust
        || source.path.starts_with(STORE)
        || source.path.starts_with(EDITS)
        || source.path.starts_with(BENCH);
    let lines = source.text.lines().count();
    if is_rust && lines > MAX_LINES {
        violations.push(at(&source.path, lines, &format!("a Rust file has at most {MAX_LINES} lines")));
    }
    for (index, line) in source.text.lines().enumerate() {
        if let Some(sign) = UNFINISHED.iter().find(|sign| line.contains(*sign)) {
            violations.push(at(&source.path, index + 1, &format!("unfinished work: {sign}")));
        }
        if !may_speak_sql && speaks_sql(line) {
            violations.push(at(&source.path, index + 1, &format!("SQL is in {STORE} alone")));
        }
    }
    violations
}

fn at(path: &Path, line: usize, rule: &str) -> Violation {
    Violation::new(format!("{}:{line}", path.display()), rule)
}

/// Whether a line uses sqlx, or has a string that begins like a statement.
fn speaks_sql(line: &str) -> bool {
    if line.contains(concat!("sqlx", "::")) {
        return true;
    }
    let line = line.to_lowercase();
    STATEMENTS.iter().any(|(verb, rest)| {
        line.split('"').skip(1).any(|text| {
            text.strip_prefix(verb).is_some_and(|tail| tail.starts_with(' ') && tail.contains(rest))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_file_passes() {
        assert_eq!(
            found("crates/core/src/a.rs", "fn select() {}\n// We select from what is there.\n"),
            [""; 0]
        );
    }

    #[test]
    fn file_of_601_lines_is_too_long() {
        assert_eq!(found("crates/core/src/a.rs", &"\n".repeat(600)), [""; 0]);
        assert_eq!(
            found("crates/core/src/a.rs", &"\n".repeat(601)),
            ["crates/core/src/a.rs:601: a Rust file has at most 600 lines"]
        );
    }

    #[test]
    fn sql_is_found_outside_of_the_store() {
        for line in [
            concat!("let rows = sqlx", "::query(text);"),
            concat!("run(\"SELE", "CT id FROM delivery\")"),
            concat!("run(\"upd", "ate delivery set state = 1\")"),
            concat!("run(\"PRAG", "MA journal_mode = WAL\")"),
        ] {
            assert_eq!(
                found("crates/engine/src/dispatch/mod.rs", line),
                ["crates/engine/src/dispatch/mod.rs:1: SQL is in crates/store/src alone"],
                "{line}"
            );
            assert_eq!(found("crates/store/src/sqlite/save.rs", line), [""; 0], "{line}");
        }
    }

    #[test]
    fn every_sign_of_unfinished_work_is_found() {
        for sign in UNFINISHED {
            let line = format!("    {sign}");
            assert_eq!(found("src/lib.rs", &line), [format!("src/lib.rs:1: unfinished work: {sign}")]);
        }
    }

    fn found(path: &str, text: &str) -> Vec<String> {
        let source = Source { path: path.into(), text: text.to_owned() };
        violations(&source).iter().map(ToString::to_string).collect()
    }
}
