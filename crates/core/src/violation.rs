//! Violations of a request: all of them at once, each with its field path.

use std::fmt;

use crate::clean::is_blank;

/// A violation of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field path in the contract, for example `incident.firing_rules[3].name`.
    pub field: String,
    /// The problem, the limit, and the fix.
    pub description: String,
}

/// A collection of violations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

// === impl Violations ===

impl Violations {
    pub fn add(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation { field: field.into(), description: description.into() });
    }

    /// Adds a violation unless `holds`.
    pub fn require(&mut self, holds: bool, field: &str, description: &str) {
        if !holds {
            self.add(field, description);
        }
    }

    /// Requires at least one visible and at most `max` characters.
    pub fn require_text(&mut self, field: &str, value: &str, max: usize) {
        if value.trim().is_empty() {
            self.add(field, format!("must not be empty; give 1 to {max} characters"));
        } else if is_blank(value) {
            let length = value.chars().count();
            self.add(
                field,
                format!("has {length} invisible characters and no other; give 1 to {max} that can be read"),
            );
        }
        self.limit_text(field, value, max);
    }

    /// Requires at most `max` characters.
    pub fn limit_text(&mut self, field: &str, value: &str, max: usize) {
        let length = value.chars().count();
        if length > max {
            self.add(field, format!("has {length} characters; at most {max} are allowed"));
        }
    }

    /// Requires at most `max` entries.
    pub fn limit_list<T>(&mut self, field: &str, list: &[T], max: usize) {
        if list.len() > max {
            self.add(field, format!("has {} entries; at most {max} are allowed", list.len()));
        }
    }

    /// Adds the violations of another check.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The same violations, of fields below `path`.
    #[must_use]
    pub fn within(self, path: &str) -> Self {
        if path.is_empty() {
            return self;
        }
        let below = |violation: Violation| Violation {
            field: format!("{path}.{}", violation.field),
            description: violation.description,
        };
        Self(self.0.into_iter().map(below).collect())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Violation> {
        self.0.iter()
    }

    /// `value` if there are no violations, else all violations.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", violation.field, violation.description)?;
        }
        Ok(())
    }
}

impl std::error::Error for Violations {}
