//! The namespace of an incident: which group of producers it belongs to.
//!
//! Credentials carry a namespace. An incident belongs to the namespace of the credential that first pushed
//! it, so that a credential can be replaced by another of the same namespace.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const DEFAULT: &str = "default";

/// A namespace: 1 to 63 lowercase letters, digits and hyphens, beginning with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Namespace(String);

/// An invalid namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a namespace has 1 to {} lowercase letters, digits and hyphens, and begins with a letter",
    Namespace::MAX_LENGTH
)]
pub struct InvalidNamespace;

// === impl Namespace ===

impl Namespace {
    pub const MAX_LENGTH: usize = 63;

    /// Parses a namespace.
    ///
    /// # Errors
    /// If the text is too long, empty, or has other characters.
    pub fn parse(text: &str) -> Result<Self, InvalidNamespace> {
        let starts_with_letter = text.starts_with(|c: char| c.is_ascii_lowercase());
        let is_plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if starts_with_letter && is_plain && text.len() <= Self::MAX_LENGTH {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidNamespace)
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the namespace of credentials without a namespace.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self(DEFAULT.to_owned())
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Namespace {
    type Err = InvalidNamespace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Namespace {
    type Error = InvalidNamespace;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Namespace> for String {
    fn from(namespace: Namespace) -> Self {
        namespace.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_of_letters_digits_and_hyphens() {
        let longest = "n".repeat(Namespace::MAX_LENGTH);
        for text in ["a", "default", "soc-eu-1", longest.as_str()] {
            assert_eq!(Namespace::parse(text).unwrap().as_str(), text);
        }
        assert!(Namespace::default().is_default());
    }

    #[test]
    fn refuses_other_names() {
        let too_long = "n".repeat(Namespace::MAX_LENGTH + 1);
        for text in ["", "1a", "-a", "A", "a_b", "a b", "a.b", "a\n", "\u{e4}", too_long.as_str()] {
            assert_eq!(Namespace::parse(text), Err(InvalidNamespace), "{text:?}");
        }
    }
}
