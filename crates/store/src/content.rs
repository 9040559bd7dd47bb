//! The content of incidents that is old enough to be removed, and the digest that remains of it.

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::StoreError;

/// What a digest begins with, so that it is no digest of anything else.
const CONTEXT: &[u8] = b"rhythmx-ticketing incident content 1\0";

/// SHA-256 of an incident's content.
pub(crate) type ContentDigest = [u8; 32];

/// A position among the contents of incidents, in the order in which they were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentKey {
    pub stored_at: Timestamp,
    pub row: i64,
}

/// A page of incidents whose content is no longer needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiredContent {
    pub incident_ids: Vec<String>,
    /// Where the next page begins; `None` if this one examined nothing.
    pub next: Option<ContentKey>,
}

/// What a step of shrinking the database has achieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shrunk {
    /// There is more to do.
    Partly,
    /// No more free pages than the next writes need.
    Done,
    /// The file is of an earlier version: it does not shrink, and free pages are used again, until it is compacted.
    NotPossible,
}

/// The digest of an incident as JSON. It depends on what the incident says, and not on the order of the fields, or on
/// fields without a value: those that a later version adds are such fields in older incidents.
pub(crate) fn content_digest(body: &str) -> Result<ContentDigest, StoreError> {
    let content: Value =
        serde_json::from_str(body).map_err(StoreError::encode("the content of an incident"))?;
    let canonical = canonical(content).unwrap_or_default().to_string();
    Ok(Sha256::new().chain_update(CONTEXT).chain_update(canonical).finalize().into())
}

/// With sorted fields and without empty ones; `None` if nothing remains.
fn canonical(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::String(text) => (!text.is_empty()).then_some(Value::String(text)),
        // What is empty counts in a list: it has a position.
        Value::Array(list) if list.is_empty() => None,
        Value::Array(list) => {
            Some(list.into_iter().map(|entry| canonical(entry).unwrap_or_default()).collect())
        }
        Value::Object(fields) => {
            let mut kept: Vec<(String, Value)> =
                fields.into_iter().filter_map(|(name, value)| Some((name, canonical(value)?))).collect();
            kept.sort_by(|one, other| one.0.cmp(&other.0));
            (!kept.is_empty()).then(|| Value::Object(kept.into_iter().collect()))
        }
        value @ (Value::Bool(_) | Value::Number(_)) => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(body: &str) -> ContentDigest {
        content_digest(body).unwrap()
    }

    #[test]
    fn ignores_order_and_fields_without_value() {
        let stored = digest(r#"{"id":"INC-1","risk":{"score":90.0,"level":null},"rules":[{"name":"a"}]}"#);
        let later =
            r#"{"new":null,"rules":[{"tags":[],"name":"a"}],"risk":{"score":90.0},"id":"INC-1","notes":""}"#;
        assert_eq!(digest(later), stored);
    }

    #[test]
    fn differs_with_the_content() {
        let stored = digest(r#"{"id":"INC-1","list":["a","b"],"count":1}"#);
        for other in [
            r#"{"id":"INC-2","list":["a","b"],"count":1}"#,
            r#"{"id":"INC-1","list":["b","a"],"count":1}"#,
            r#"{"id":"INC-1","list":["a","b"],"count":2}"#,
            r#"{"id":"INC-1","list":["a","b",""],"count":1}"#,
            r#"{"id":"INC-1","list":["a","b"]}"#,
        ] {
            assert_ne!(digest(other), stored, "{other}");
        }
    }

    #[test]
    fn stays_the_same_forever() {
        let digest = digest(r#"{"id":"INC-1","score":90.5}"#);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "368505841285eda3d72da71ae4cb840ea55a62e213aa612e4f44c38c979fbbca");
    }
}
