//! Values that are chosen from what Jira offers.

use serde_json::{Value, json};

/// A value identified by its ID, or by its name if the ID is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
}

// === impl Choice ===

impl Choice {
    pub(crate) fn with_id(id: &str, name: &str) -> Self {
        Self { id: Some(id.to_owned()), name: name.to_owned() }
    }

    pub(crate) fn named(name: &str) -> Self {
        Self { id: None, name: name.to_owned() }
    }

    pub(crate) fn to_json(&self) -> Value {
        match &self.id {
            Some(id) => json!({ "id": id }),
            None => json!({ "name": self.name }),
        }
    }
}
