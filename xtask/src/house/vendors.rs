//! Vendors are named in their own crates, in the contract, in one enum and in one registration: a further vendor must
//! not change any other file.

use std::path::{Component, Path};

use super::Violation;
use crate::workspace::Source;

const VENDORS: &[&str] = &["jira", "servicenow"];

/// Where vendors are named.
const NAMED: &[&str] = &[
    "crates/contract",
    "crates/jira",
    "crates/servicenow",
    "crates/core/src/system.rs",
    "crates/server/src/vendors.rs",
];

/// Violations in one file: identifiers in code that ships. Texts and comments may name vendors as examples.
pub(super) fn violations(source: &Source) -> Vec<Violation> {
    let path = &source.path;
    let is_code = path.starts_with("crates") && path.extension().is_some_and(|extension| extension == "rs");
    if !is_code || is_of_tests(path) || NAMED.iter().any(|named| path.starts_with(named)) {
        return vec![];
    }
    let shipped = source.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = shipped.lines().enumerate().filter(|(_, line)| names_vendor(line));
    lines
        .map(|(index, _)| {
            let rule = "names a vendor: that stands in the vendor's crate, behind ticketing_vendor::Vendor";
            Violation::new(format!("{}:{}", path.display(), index + 1), rule)
        })
        .collect()
}

fn is_of_tests(path: &Path) -> bool {
    let is_folder = |part: Component<'_>| part.as_os_str() == "tests" || part.as_os_str() == "conformance";
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    name == "tests" || name.ends_with("_tests") || path.components().any(is_folder)
}

/// Whether the code of a line, without its texts and comments, names a vendor.
fn names_vendor(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let code: String = code.split('"').step_by(2).collect::<Vec<_>>().join(" ").to_lowercase();
    VENDORS.iter().any(|vendor| code.contains(vendor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_vendor_outside_its_crate() {
        let text = "fn f() {\n    match system { System::Jira => 1, System::ServiceNow => 2 };\n}\n";
        let found = found("crates/engine/src/a.rs", text);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("crates/engine/src/a.rs:2: names a vendor"), "{found:?}");
    }

    #[test]
    fn allows_vendor_in_its_crate_registration_tests_and_texts() {
        let named = "use ticketing_jira::Jira;";
        for path in [
            "crates/jira/src/a.rs",
            "crates/server/src/vendors.rs",
            "crates/engine/src/schedule_tests.rs",
            "crates/egress/tests/tls.rs",
            "testing/demo/src/main.rs",
        ] {
            assert_eq!(found(path, named), [""; 0], "{path}");
        }
        let in_tests = "fn f() {}\n#[cfg(test)]\nmod tests {\n    use ticketing_jira::Jira;\n}\n";
        for text in ["let example = \"jira.corp\"; // as Jira does", in_tests] {
            assert_eq!(found("crates/engine/src/a.rs", text), [""; 0], "{text}");
        }
    }

    fn found(path: &str, text: &str) -> Vec<String> {
        let source = Source { path: path.into(), text: text.to_owned() };
        violations(&source).iter().map(ToString::to_string).collect()
    }
}
