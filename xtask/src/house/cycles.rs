//! Import cycles between the files of a crate. A module and its submodules may import from each other; imports between
//! a file and one above it in the module tree do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Violation;
use crate::workspace::Source;

/// Folders whose crates must be free of cycles: those that ship, and those that test them.
const CHECKED: [&str; 3] = ["crates", "testing", "tests"];
/// The files at the root of a crate.
const ROOTS: [&str; 2] = ["lib.rs", "main.rs"];

/// A module path, such as `["sqlite", "open"]`; empty for the root of the crate.
type Module = Vec<String>;
type Imports = BTreeMap<Module, BTreeSet<Module>>;

/// One violation for each group of files that import from each other in a circle.
pub(super) fn violations(sources: &[Source]) -> Vec<Violation> {
    let is_checked = |source: &&Source| CHECKED.iter().any(|folder| source.path.starts_with(folder));
    let sources: Vec<&Source> = sources.iter().filter(is_checked).collect();
    let is_root = |source: &&&Source| ROOTS.iter().any(|name| source.path.ends_with(name));
    let roots: BTreeSet<&Path> =
        sources.iter().filter(is_root).filter_map(|root| root.path.parent()).collect();
    let mut crates: BTreeMap<&Path, Vec<(Module, &Source)>> = BTreeMap::new();
    for source in sources {
        // A file without a root above it is a crate of its own.
        let Some(root) = source.path.ancestors().find(|folder| roots.contains(folder)) else { continue };
        if let Some(module) = module_of(source.path.strip_prefix(root).unwrap_or(&source.path)) {
            crates.entry(root).or_default().push((module, source));
        }
    }
    let mut violations = Vec::new();
    for (root, files) in crates {
        let imports = imports(&files);
        violations.extend(cycles(&imports).iter().map(|cycle| at(root, cycle)));
    }
    violations
}

fn at(root: &Path, cycle: &[&Module]) -> Violation {
    let names: Vec<_> = cycle.iter().map(|module| module.join("::")).collect();
    Violation::new(
        root.display().to_string(),
        format!("these files import from each other: {}", names.join(", ")),
    )
}

/// The module of a file, by its path within `src`.
fn module_of(path: &Path) -> Option<Module> {
    let mut module: Module =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.extension().is_none_or(|extension| extension != "rs") {
        return None;
    }
    if matches!(module.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        module.pop();
    }
    Some(module)
}

fn imports(files: &[(Module, &Source)]) -> Imports {
    let known: BTreeSet<&Module> = files.iter().map(|(module, _)| module).collect();
    let mut imports = Imports::new();
    for (module, source) in files {
        let found = imports.entry(module.clone()).or_default();
        for path in paths(&source.text) {
            let imported = resolve(module, &path, &known);
            if !imported.starts_with(module) && !module.starts_with(&imported) {
                found.insert(imported);
            }
        }
    }
    imports
}

/// The file that a path leads to from a module.
fn resolve(from: &Module, path: &[String], known: &BTreeSet<&Module>) -> Module {
    let mut module = from.clone();
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        match first.as_str() {
            "crate" => module.clear(),
            "super" => {
                module.pop();
            }
            "self" => {}
            _ => break,
        }
        rest = after;
    }
    for name in rest {
        module.push(name.clone());
        if !known.contains(&module) {
            module.pop();
            break;
        }
    }
    module
}

/// Every path in a file that begins with `crate`, `super` or `self`, with the groups of `use` written out. What only
/// its tests use does not count.
fn paths(text: &str) -> Vec<Vec<String>> {
    let text = without_comments(text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default());
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in text.match_indices(start) {
            let is_inner = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if !is_inner {
                read_tree(&text[at..], &mut Vec::new(), &mut found);
            }
        }
    }
    found
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Reads one path with its groups. Returns what follows it.
fn read_tree<'a>(text: &'a str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let mut rest = text.trim_start();
    let depth = prefix.len();
    loop {
        if let Some(mut group) = rest.strip_prefix('{') {
            loop {
                group = read_tree(group, prefix, found).trim_start();
                match group.strip_prefix(',') {
                    Some(next) if !next.trim_start().starts_with('}') => group = next,
                    next => {
                        let end = next.unwrap_or(group).trim_start();
                        prefix.truncate(depth);
                        return end.strip_prefix('}').unwrap_or(end);
                    }
                }
            }
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        prefix.push(rest[..end].to_owned());
        rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(next) => rest = next,
            None => break,
        }
    }
    found.push(prefix.clone());
    prefix.truncate(depth);
    // A name that is given with `as`.
    let alias = rest
        .strip_prefix(" as ")
        .map(|rest| rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'));
    alias.unwrap_or(rest)
}

/// The groups of modules of which each is reached from each other.
fn cycles(imports: &Imports) -> Vec<Vec<&Module>> {
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        imports.keys().map(|module| (module, reached_from(module, imports))).collect();
    let mut groups: BTreeSet<Vec<&Module>> = BTreeSet::new();
    for (module, others) in &reached {
        let group: Vec<&Module> = others
            .iter()
            .copied()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(module)))
            .collect();
        if group.len() > 1 {
            groups.insert(group);
        }
    }
    groups.into_iter().collect()
}

fn reached_from<'a>(module: &'a Module, imports: &'a Imports) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut next = vec![module];
    while let Some(module) = next.pop() {
        for imported in imports.get(module).into_iter().flatten() {
            if reached.insert(imported) {
                next.push(imported);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.to_owned() }
    }

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        found_in("crates/a/src", files)
    }

    fn found_in(root: &str, files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<_> =
            files.iter().map(|(path, text)| source(&format!("{root}/{path}"), text)).collect();
        violations(&sources).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn reports_files_that_import_from_each_other() {
        let files = [
            ("lib.rs", "mod one;\nmod two;\nmod three;"),
            ("one.rs", "use crate::two::Two;"),
            ("two.rs", "use std::fmt;\nuse super::{lib::X, three::{self, Three as Other}};"),
            ("three.rs", "fn f() -> crate::one::One { loop {} }"),
        ];
        assert_eq!(found(&files), ["crates/a/src: these files import from each other: one, three, two"]);
    }

    #[test]
    fn reports_cycles_of_test_crates() {
        let files = [
            ("main.rs", "mod one;\nmod two;"),
            ("one.rs", "use crate::two::Two;"),
            ("two.rs", "use crate::one::One;"),
        ];
        for root in ["tests", "testing/a/src", "testing/a/tests/a"] {
            let expected = format!("{root}: these files import from each other: one, two");
            assert_eq!(found_in(root, &files), [expected]);
        }
    }

    #[test]
    fn allows_module_and_its_submodules() {
        let files = [
            ("lib.rs", "pub use store::Store;"),
            ("store/mod.rs", "mod rows;\nuse rows::Row;\nuse self::rows::Row;"),
            ("store/rows.rs", "use super::Store;\nuse crate::Error;"),
        ];
        assert_eq!(found(&files), <[String; 0]>::default());
    }

    #[test]
    fn ignores_comments_and_tests() {
        let files = [
            ("lib.rs", "mod one;\nmod two;"),
            ("one.rs", "use crate::two::Two;"),
            ("two.rs", "// use crate::one::One;\n\n#[cfg(test)]\nmod tests {\n    use crate::one::One;\n}"),
        ];
        assert_eq!(found(&files), <[String; 0]>::default());
    }
}
