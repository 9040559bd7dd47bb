//! What the simulated site remembers: its tickets, and every request it was sent.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::message::Request;
use crate::profile::Profile;

/// A ticket that was really created, whatever its creator was told.
#[derive(Debug, Clone, Serialize)]
pub struct Ticket {
    /// The issue id on Jira, the `sys_id` on ServiceNow.
    pub id: String,
    /// The issue key on Jira, the number on ServiceNow.
    pub key: String,
    /// Keys it had before it was moved.
    pub previous_keys: Vec<String>,
    /// The project key on Jira, the table on ServiceNow.
    pub container: String,
    /// Its fields as stored. On ServiceNow `work_notes` and `comments` are arrays of the notes that were written.
    pub fields: Map<String, Value>,
    /// Jira: its issue properties.
    pub properties: BTreeMap<String, Value>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Whether it was made by [`Simulator::add_foreign_ticket`](crate::Simulator::add_foreign_ticket).
    pub foreign: bool,
    /// Whether somebody deleted it since.
    pub deleted: bool,
    /// Jira: its description as the index holds it, read when it is first searched.
    #[serde(skip)]
    pub(crate) indexed: OnceLock<String>,
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

    /// Everything on it that can serve as a marker: its labels, or its `correlation_id`.
    pub fn marker_candidates(&self) -> Vec<String> {
        self.labels().into_iter().chain(self.correlation_id().map(str::to_owned)).collect()
    }

    pub(crate) fn text(&self, field: &str) -> &str {
        self.fields.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.id == name || self.key == name || self.previous_keys.iter().any(|key| key == name)
    }
}

/// A request as it arrived, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct RecordedRequest {
    /// The HTTP method.
    pub method: String,
    /// The path as sent, still percent-encoded.
    pub path: String,
    /// The query string as sent, without `?`.
    pub query: String,
    /// The headers in order, names in lower case. `authorization` keeps its scheme and a digest of the rest.
    pub headers: Vec<(String, String)>,
    /// The body as sent.
    #[serde(skip)]
    pub body: Vec<u8>,
    /// The body read as JSON, if it is JSON.
    pub json: Option<Value>,
    /// When it had been read.
    pub at: Timestamp,
    /// Whether it changed the ticket system.
    pub applied: bool,
    /// The status that was sent back; `None` when the connection ended without one, or has not got one yet.
    pub status: Option<u16>,
}

impl RecordedRequest {
    /// The first value of a header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn arrived(request: &Request, at: Timestamp) -> Self {
        Self {
            method: request.method.to_string(),
            path: request.path.clone(),
            query: request.raw_query.clone(),
            headers: request.headers.iter().map(|(name, value)| recorded_header(name, value)).collect(),
            body: request.body.to_vec(),
            json: request.json(),
            at,
            applied: false,
            status: None,
        }
    }
}

/// All that the site remembers.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) profile: Profile,
    pub(crate) tickets: Vec<Ticket>,
    pub(crate) requests: Vec<RecordedRequest>,
    /// Where `requests` began to be counted: clearing the list must not misdirect a late entry.
    pub(crate) forgotten: usize,
    pub(crate) failed_logins: u32,
    pub(crate) created: u64,
}

impl State {
    pub(crate) fn new(profile: Profile) -> Self {
        Self {
            profile,
            tickets: Vec::new(),
            requests: Vec::new(),
            forgotten: 0,
            failed_logins: 0,
            created: 0,
        }
    }

    /// Remembers a request and returns the number under which its outcome is to be noted.
    pub(crate) fn record(&mut self, request: RecordedRequest) -> usize {
        self.requests.push(request);
        self.forgotten + self.requests.len() - 1
    }

    pub(crate) fn note(&mut self, number: usize, change: impl FnOnce(&mut RecordedRequest)) {
        let entry = number.checked_sub(self.forgotten).and_then(|index| self.requests.get_mut(index));
        if let Some(entry) = entry {
            change(entry);
        }
    }

    pub(crate) fn clear_requests(&mut self) {
        self.forgotten += self.requests.len();
        self.requests.clear();
    }

    /// Tickets that exist: not those somebody deleted.
    pub(crate) fn existing(&self) -> impl DoubleEndedIterator<Item = &Ticket> {
        self.tickets.iter().filter(|ticket| !ticket.deleted)
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Ticket> {
        self.existing().find(|ticket| ticket.is_called(name))
    }

    pub(crate) fn find_mut(&mut self, name: &str) -> Option<&mut Ticket> {
        let found = self.tickets.iter_mut().find(|ticket| !ticket.deleted && ticket.is_called(name))?;
        // It may be changed now.
        found.indexed = OnceLock::new();
        Some(found)
    }

    /// The next number for a ticket, from 1.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.created += 1;
        self.created
    }
}

fn recorded_header(name: &http::HeaderName, value: &http::HeaderValue) -> (String, String) {
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    let kept = if name == http::header::AUTHORIZATION { redacted(&text) } else { text };
    (name.as_str().to_owned(), kept)
}

fn redacted(authorization: &str) -> String {
    let (scheme, rest) = authorization.split_once(' ').unwrap_or((authorization, ""));
    let mut hasher = DefaultHasher::new();
    rest.hash(&mut hasher);
    format!("{scheme} #{:016x}", hasher.finish())
}
