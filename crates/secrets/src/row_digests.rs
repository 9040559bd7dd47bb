//! Row digests: a hash of each row that has a secret, of each token and of the settings. The list of them stands in the head
//! of the audit, covered by its HMAC.
//!
//! A ciphertext proves its place, not its age, and a token has no ciphertext. A row that was restored from an older copy of
//! the file, inserted or edited does not match its digest. Restoring the digests too requires restoring the audit with
//! them: that is, an older copy of the whole database.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// In the list once it includes plain settings: earlier versions did not list them.
const SETTINGS_LISTED: &str = "settings";
/// Places of plain settings.
const SETTINGS_PLACES: [&str; 2] = ["settings/", "policy/"];

/// The digests, by the place of the row: its table and key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RowDigests(BTreeMap<String, String>);

/// The digest of one row.
#[derive(Debug)]
pub struct RowDigest {
    place: String,
    hash: String,
}

/// Hashes the parts of a row. Each is preceded by its length, so that no two rows have the same input.
#[derive(Debug, Default)]
pub struct RowHasher(Sha256);

// === impl RowDigests ===

impl RowDigests {
    #[must_use]
    pub fn is_current(&self, row: &RowDigest) -> bool {
        self.0.get(&row.place) == Some(&row.hash)
    }

    pub fn set(&mut self, row: RowDigest) {
        self.0.insert(row.place, row.hash);
    }

    pub fn remove(&mut self, place: &str) {
        self.0.remove(place);
    }

    /// Takes the digest of one place from `others`, if they have it.
    pub fn take(&mut self, mut others: Self, place: &str) {
        if let Some((place, hash)) = others.0.remove_entry(place) {
            self.0.insert(place, hash);
        }
    }

    /// Whether the list includes plain settings.
    #[must_use]
    pub fn lists_settings(&self) -> bool {
        self.0.contains_key(SETTINGS_LISTED)
    }

    /// Replaces the digests of all plain settings.
    pub fn set_settings(&mut self, rows: impl IntoIterator<Item = RowDigest>) {
        self.0.retain(|place, _| !SETTINGS_PLACES.iter().any(|settings| place.starts_with(settings)));
        self.0.insert(SETTINGS_LISTED.to_owned(), String::new());
        rows.into_iter().for_each(|row| self.set(row));
    }

    /// The first place whose digest is not the one in `found`: edited, inserted or removed by hand.
    #[must_use]
    pub fn first_difference<'a>(&'a self, found: &'a Self) -> Option<&'a str> {
        let places: BTreeSet<&String> = self.0.keys().chain(found.0.keys()).collect();
        let mut places = places.into_iter();
        places.find(|place| self.0.get(*place) != found.0.get(*place)).map(String::as_str)
    }
}

// === impl RowHasher ===

impl RowHasher {
    pub fn part(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    /// The digest of the row at `place`.
    #[must_use]
    pub fn finish(self, place: String) -> RowDigest {
        let mut hash = String::new();
        for byte in self.0.finalize() {
            // Writing to a string cannot fail.
            let _ = write!(hash, "{byte:02x}");
        }
        RowDigest { place, hash }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(place: &str, parts: &[&str]) -> RowDigest {
        let mut hasher = RowHasher::default();
        parts.iter().for_each(|part| hasher.part(part.as_bytes()));
        hasher.finish(place.to_owned())
    }

    #[test]
    fn parts_have_boundaries() {
        assert_ne!(digest("a", &["ab", "c"]).hash, digest("a", &["a", "bc"]).hash);
    }

    #[test]
    fn names_first_edited_inserted_or_removed_row() {
        let mut listed = RowDigests::default();
        ["a", "b"].into_iter().for_each(|place| listed.set(digest(place, &["1"])));
        let mut found = listed.clone();
        assert_eq!(listed.first_difference(&found), None);
        found.set(digest("b", &["2"]));
        assert_eq!(listed.first_difference(&found), Some("b"));
        found.remove("a");
        assert_eq!(listed.first_difference(&found), Some("a"));
        let mut inserted = listed.clone();
        inserted.set(digest("c", &["1"]));
        assert_eq!(listed.first_difference(&inserted), Some("c"));
    }

    #[test]
    fn settings_are_replaced_as_a_whole() {
        let mut listed = RowDigests::default();
        listed.set(digest("tokens/1", &["1"]));
        listed.set_settings([digest("settings/jira", &["1"]), digest("policy/1", &["1"])]);
        listed.set_settings([digest("policy/1", &["2"])]);
        assert!(listed.lists_settings());
        assert!(!listed.is_current(&digest("settings/jira", &["1"])));
        assert!(listed.is_current(&digest("policy/1", &["2"])));
        assert!(listed.is_current(&digest("tokens/1", &["1"])));
    }
}
