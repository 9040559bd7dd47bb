//! The marker: an idempotency key on the ticket, by which it can be found again.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

const PREFIX: &str = "rhythmx-";

/// The key that makes the markers unique to one installation. It is stored in the database permanently,
/// across restored backups.
#[derive(Clone)]
pub struct InstallationKey([u8; 32]);

/// `rhythmx-` and 32 hex digits: a keyed hash of installation, incident and connection. Letters, digits and `-`
/// only, so that it can be a Jira label and a ServiceNow query value without quoting.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marker(String);

// === impl InstallationKey ===

impl InstallationKey {
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for InstallationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstallationKey(..)")
    }
}

// === impl Marker ===

impl Marker {
    /// The marker of one incident on one connection. The same three always give the same marker.
    #[must_use]
    pub fn derive(installation: &InstallationKey, incident_id: &str, connection: &str) -> Self {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&installation.0).expect("HMAC takes a key of any length");
        for part in [incident_id, connection] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let digest = mac.finalize().into_bytes();
        let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{PREFIX}{hex}"))
    }

    /// Parses a stored marker.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix(PREFIX)?;
        let valid = hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        valid.then(|| Self(text.to_owned()))
    }

    /// The marker with these 32 hex digits.
    #[must_use]
    pub fn of_hex(hex: &str) -> Option<Self> {
        Self::parse(&format!("{PREFIX}{hex}"))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 32 hex digits after the prefix.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0[PREFIX.len()..]
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marker_is_stable_and_unique() {
        let here = InstallationKey::new([1; 32]);
        let there = InstallationKey::new([2; 32]);
        let marker = Marker::derive(&here, "INC-1", "jira");
        assert_eq!(marker, Marker::derive(&here, "INC-1", "jira"));
        assert_ne!(marker, Marker::derive(&there, "INC-1", "jira"));
        assert_ne!(marker, Marker::derive(&here, "INC-2", "jira"));
        assert_ne!(marker, Marker::derive(&here, "INC-1", "servicenow"));
        assert_ne!(Marker::derive(&here, "ab", "c"), Marker::derive(&here, "a", "bc"));
    }

    #[test]
    fn parses_valid_markers_only() {
        let marker = Marker::derive(&InstallationKey::new([7; 32]), "INC-1", "jira");
        assert_eq!(Marker::parse(marker.as_str()), Some(marker));
        for text in ["", "rhythmx-", "rhythmx-ABCDEF", "other-0123456789abcdef0123456789abcdef"] {
            assert_eq!(Marker::parse(text), None, "{text}");
        }
    }
}
