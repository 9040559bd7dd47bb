//! One binding a statement: no `let (a, b) = (x, y);`.

use super::Violation;
use crate::workspace::Source;

/// Checked folders.
const CHECKED: &[&str] = &["crates", "testing", "tests", "examples"];

/// The statements in a Rust file that bind each part of a literal tuple to a name.
pub(super) fn violations(source: &Source) -> Vec<Violation> {
    let is_rust = source.path.extension().is_some_and(|extension| extension == "rs");
    if !is_rust || !CHECKED.iter().any(|folder| source.path.starts_with(folder)) {
        return Vec::new();
    }
    let lines = source.text.lines().enumerate().filter(|(_, line)| binds_literal_tuple(line) == Some(true));
    lines
        .map(|(index, _)| {
            let place = format!("{}:{}", source.path.display(), index + 1);
            Violation::new(place, "a statement binds one value: split the tuple")
        })
        .collect()
}

/// Whether a line binds a literal tuple to as many plain names; `None` if it is another statement.
fn binds_literal_tuple(line: &str) -> Option<bool> {
    let (pattern, rest) = line.trim_start().strip_prefix("let (")?.split_once(')')?;
    let (annotation, values) = rest.strip_suffix(");")?.split_once(" = (")?;
    let names: Vec<&str> = pattern.split(',').map(str::trim).collect();
    let is_plain = names.iter().all(|name| is_identifier(name.strip_prefix("mut ").unwrap_or(name)));
    let is_annotation = annotation.is_empty() || annotation.starts_with(": (");
    Some(is_plain && is_annotation && names.len() > 1 && parts(values)? == names.len())
}

fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The number of comma-separated expressions; `None` if a bracket is closed that was not opened here.
fn parts(values: &str) -> Option<usize> {
    let mut count = 1;
    let mut depth = 0_usize;
    let mut is_text = false;
    let mut rest = values.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' if is_text => drop(rest.next()),
            '"' => is_text = !is_text,
            _ if is_text => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            ',' if depth == 0 => count += 1,
            _ => {}
        }
    }
    Some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binding_of_a_literal_tuple_is_found() {
        for line in [
            "let (a, b) = (x, y);",
            "    let (mut first, mut last) = (vec![], f(1, \"(\"));",
            "let (a, b, c) = ([0; 2], \",\", x.y(&z, w));",
            "let (a, b): (u8, String) = (x.get(\"a\")?, y);",
        ] {
            assert_eq!(
                found("tests/a.rs", line),
                ["tests/a.rs:1: a statement binds one value: split the tuple"],
                "{line}"
            );
        }
    }

    #[test]
    fn other_patterns_pass() {
        for line in [
            "let (a, b) = pair();",
            "let (a, b) = (x, y).min((y, x));",
            "let (a, Pair { b }) = (x, y);",
            "let (a, b) = (if c { (x, y) } else { (y, x) });",
            "let a = (x, y);",
        ] {
            assert_eq!(found("tests/a.rs", line), [""; 0], "{line}");
        }
        assert_eq!(found("src/a.rs", "let (a, b) = (x, y);"), [""; 0]);
    }

    fn found(path: &str, text: &str) -> Vec<String> {
        let source = Source { path: path.into(), text: text.to_owned() };
        violations(&source).iter().map(ToString::to_string).collect()
    }
}
