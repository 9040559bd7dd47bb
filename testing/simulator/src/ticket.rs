//! A ticket of a simulated site.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

/// A ticket that was created, whatever reply its creator received.
#[derive(Debug, Clone, Serialize)]
pub struct Ticket {
    /// The issue ID on Jira, the `sys_id` on ServiceNow.
    pub id: String,
    /// The issue key on Jira, the number on ServiceNow.
    pub key: String,
    /// Keys from before it was moved.
    pub previous_keys: Vec<String>,
    /// The project key on Jira, the table on ServiceNow.
    pub container: String,
    /// Stored fields. On ServiceNow, `work_notes` and `comments` are arrays of the written notes.
    pub fields: Map<String, Value>,
    /// Jira: its issue properties.
    pub properties: BTreeMap<String, Value>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Whether a user created it: [`Simulator::add_foreign_ticket`](crate::Simulator::add_foreign_ticket) or
    /// [`Simulator::clone_ticket`](crate::Simulator::clone_ticket).
    pub foreign: bool,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Its description as plain text, for text searches.
    #[serde(skip)]
    pub(crate) plain: String,
}

impl Ticket {
    /// Its labels; none on ServiceNow.
    pub fn labels(&self) -> Vec<String> {
        let labels = self.fields.get("labels").and_then(Value::as_array);
        labels.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Its `correlation_id`; `None` on Jira or when empty.
    pub fn correlation_id(&self) -> Option<&str> {
        self.fields.get("correlation_id").and_then(Value::as_str).filter(|id| !id.is_empty())
    }

    /// Returns all possible markers: its labels, or its `correlation_id`.
    pub fn marker_candidates(&self) -> Vec<String> {
        self.labels().into_iter().chain(self.correlation_id().map(str::to_owned)).collect()
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}
