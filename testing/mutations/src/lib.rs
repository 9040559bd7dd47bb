//! Each guard of a promise as a mutation that removes it.
//!
//! A test of a guard that passes without the guard does not test it. [`MUTATIONS`] lists the guards: what each prevents,
//! the change that removes it, and the cells of the fault matrix that must fail then. [`build`] applies mutations to a
//! copy of the sources and builds `ticketing` there; `cargo xtask faults guards` plays the cells on it. The product itself
//! has no switch.

mod build;
mod list;
mod seed;
mod tree;

use std::path::{Path, PathBuf};

pub use build::build;
pub use list::MUTATIONS;

/// A guard, and what removes it.
#[derive(Debug)]
pub struct Mutation {
    pub name: &'static str,
    /// What the guard prevents, in three sentences or fewer.
    pub prevents: &'static str,
    pub changes: &'static [Change],
    /// The cells of the matrix that must see it: all whose name contains this text.
    pub cells: &'static str,
    /// The mutation of another guard that keeps the promise by itself. It is applied together with this one; the cells
    /// must pass with each of the two alone.
    pub covered_by: Option<&'static str>,
}

/// A change of one file.
#[derive(Debug)]
pub struct Change {
    /// Path from the root of the workspace.
    pub file: &'static str,
    /// Occurs exactly once in the file.
    pub text: &'static str,
    pub replacement: &'static str,
}

/// The first mutation whose name contains `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Mutation> {
    MUTATIONS.iter().find(|mutation| mutation.name.contains(name))
}

/// The root of the workspace.
fn root() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    folder.ancestors().nth(2).unwrap_or(folder).to_owned()
}

// === impl Mutation ===

impl Mutation {
    /// This mutation, and the one of the guard that covers it.
    #[must_use]
    pub fn with_cover(&'static self) -> Vec<&'static Self> {
        let cover = self.covered_by.and_then(|name| MUTATIONS.iter().find(|other| other.name == name));
        std::iter::once(self).chain(cover).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_each_mutation_occurs_once() {
        for mutation in MUTATIONS {
            let changed = tree::changed(&root(), &mutation.with_cover());
            assert!(changed.is_ok(), "{}: {:#}", mutation.name, changed.unwrap_err());
        }
    }

    #[test]
    fn names_are_unique_and_covers_exist() {
        for (at, mutation) in MUTATIONS.iter().enumerate() {
            assert!(MUTATIONS[..at].iter().all(|other| other.name != mutation.name), "{}", mutation.name);
            let expected = 1 + usize::from(mutation.covered_by.is_some());
            assert_eq!(mutation.with_cover().len(), expected, "{}", mutation.name);
        }
    }

    #[test]
    fn explains_each_guard_in_three_sentences() {
        for Mutation { name, prevents, .. } in MUTATIONS {
            let sentences = prevents.matches(". ").count() + usize::from(prevents.ends_with('.'));
            assert!((1..=3).contains(&sentences), "{name}: {sentences}");
        }
    }
}
