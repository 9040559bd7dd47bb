//! Architecture and wording rules that no compiler checks.

mod bindings;
mod cycles;
mod dependencies;
mod generated;
mod headers;
mod lints;
mod phrases;
mod sources;
mod vendors;

use std::fmt;

use anyhow::Result;

use self::generated::GeneratedPaths;
use crate::workspace::Workspace;

/// A violation: its place, and the rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// A package, or a file with its line.
    place: String,
    rule: String,
}

/// All violations, ordered by place.
pub(crate) fn violations(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut violations = dependencies::violations(&workspace.packages);
    violations.extend(lints::violations(workspace)?);
    let sources = workspace.files(sources::EXTENSIONS)?;
    violations.extend(sources.iter().flat_map(sources::violations));
    violations.extend(cycles::violations(&sources));
    violations.extend(sources.iter().flat_map(vendors::violations));
    violations.extend(sources.iter().flat_map(headers::violations));
    violations.extend(sources.iter().flat_map(bindings::violations));
    let mut worded = workspace.files(phrases::EXTENSIONS)?;
    for file in phrases::FURTHER_FILES {
        worded.push(workspace.read(&workspace.root.join(file))?);
    }
    let attributes = workspace.read(&workspace.root.join(generated::ATTRIBUTES))?;
    let generated = GeneratedPaths::parse(&attributes.text);
    worded.retain(|source| !generated.contains(&source.path));
    violations.extend(worded.iter().flat_map(phrases::violations));
    violations.sort();
    Ok(violations)
}

// === impl Violation ===

impl Violation {
    fn new(place: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { place: place.into(), rule: rule.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.rule)
    }
}
