//! A section header `// === impl Name ===` names the type of the next `impl`.

use super::Violation;
use crate::workspace::Source;

/// The headers in a Rust file that name another type than the next `impl`.
pub(super) fn violations(source: &Source) -> Vec<Violation> {
    if source.path.extension().is_none_or(|extension| extension != "rs") {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().collect();
    let mut violations = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(named) = named(line) else { continue };
        let place = format!("{}:{}", source.path.display(), index + 1);
        match implemented(&lines[index + 1..]) {
            Some(found) if found == named => {}
            Some(found) => violations.push(Violation::new(
                place,
                format!("the header names {named}, the next impl is of {found}"),
            )),
            None => violations.push(Violation::new(place, format!("no impl of {named} follows the header"))),
        }
    }
    violations
}

/// The type that a header names. Text after a colon says which part of its methods follows.
fn named(line: &str) -> Option<&str> {
    let name = line.trim_start().strip_prefix("// === impl ")?.strip_suffix(" ===")?;
    name.split(':').next()
}

/// The type of the first `impl` before the next header; the trait if it is implemented for a type parameter.
fn implemented(lines: &[&str]) -> Option<String> {
    let section = lines.iter().position(|line| named(line).is_some()).unwrap_or(lines.len());
    let start = lines[..section].iter().position(|line| is_impl(line))?;
    let head = lines[start..section].join(" ");
    let (_, head) = head.split('{').next()?.split_once("impl")?;
    let (parameters, head) = generics(head);
    let head = head.split(" where ").next()?;
    let (interface, of) = head.split_once(" for ").unwrap_or(("", head));
    let of = last_segment(of);
    let is_parameter =
        parameters.split(',').any(|one| one.split(':').next().is_some_and(|it| it.trim() == of));
    Some(if is_parameter { last_segment(interface) } else { of }.to_owned())
}

fn is_impl(line: &str) -> bool {
    let line = line.trim_start();
    let line = line.strip_prefix("unsafe ").unwrap_or(line);
    line.starts_with("impl ") || line.starts_with("impl<")
}

/// Splits off the generic parameters at the beginning.
fn generics(head: &str) -> (&str, &str) {
    let Some(inner) = head.strip_prefix('<') else { return ("", head) };
    let mut depth = 1;
    let mut previous = ' ';
    for (at, c) in inner.char_indices() {
        match c {
            '<' => depth += 1,
            '>' if previous != '-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&inner[..at], &inner[at + 1..]);
        }
        previous = c;
    }
    ("", head)
}

/// The name of a type without its path, reference and parameters.
fn last_segment(of: &str) -> &str {
    let of = of.trim().trim_start_matches('&').trim_start_matches("dyn ");
    let end = of.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(of.len());
    of[..end].rsplit("::").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_of_the_next_impl_passes() {
        for implemented in [
            "impl Relay {",
            "impl<T: Fn(u8) -> u8> Relay<T> {",
            "impl fmt::Display for Relay {",
            "unsafe impl Send for super::Relay<'_> {}",
            "#[async_trait]\nimpl<T>\n    Port<T> for Relay\nwhere\n    T: Clone,\n{",
            "impl<R, D: Draft> Relay for D {",
        ] {
            assert_eq!(found("Relay", implemented), [""; 0], "{implemented}");
        }
        assert_eq!(found("Relay: frames", "impl Relay {"), [""; 0]);
    }

    #[test]
    fn header_of_another_type_is_found() {
        assert_eq!(
            found("Way", "impl Relay {"),
            ["crates/a.rs:2: the header names Way, the next impl is of Relay"]
        );
    }

    #[test]
    fn header_without_impl_is_found() {
        let expected = ["crates/a.rs:2: no impl of Relay follows the header"];
        assert_eq!(found("Relay", "fn relay() {}"), expected);
        assert_eq!(found("Relay", "// === impl Link ===\nimpl Link {"), expected);
    }

    fn found(name: &str, rest: &str) -> Vec<String> {
        let text = format!("struct Relay;\n// === impl {name} ===\n\n{rest}\n");
        let source = Source { path: "crates/a.rs".into(), text };
        violations(&source).iter().map(ToString::to_string).collect()
    }
}
