//! The requests that the simulated site received, and their outcomes.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::Call;
use crate::effect::Effect;
use crate::message::{Created, Request};

/// A request and its outcome.
#[derive(Debug, Clone, Serialize)]
pub struct RecordedRequest {
    /// The HTTP method.
    pub method: String,
    /// The path as sent, still percent-encoded.
    pub path: String,
    /// The query string as sent, without `?`.
    pub query: String,
    /// The headers in order, names in lower case. `authorization` contains the scheme and a digest of the
    /// credentials.
    pub headers: Vec<(String, String)>,
    /// The body as far as it was read. Empty if only headers are kept.
    #[serde(skip)]
    pub body: Vec<u8>,
    /// The body parsed as JSON, if it is JSON and kept.
    pub json: Option<Value>,
    /// Time at which the request was read.
    pub at: Timestamp,
    /// Whether it changed the ticket system.
    pub applied: bool,
    /// The status of the reply; `None` if the connection ended without one, or none was sent yet.
    pub status: Option<u16>,
}

/// The data of requests that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// All requests with their bodies.
    #[default]
    Everything,
    /// All requests without their bodies.
    Heads,
    /// No requests. Creates are recorded nevertheless.
    Nothing,
}

/// A create and its outcome, in a few dozen bytes.
#[derive(Debug, Clone, Serialize)]
pub struct RecordedCreate {
    /// Index among all requests, from 0, in the order in which they were read.
    pub number: usize,
    /// Possible markers: the labels, or the `correlation_id`.
    pub markers: Vec<String>,
    /// Time at which the request was read.
    pub arrived_at: Timestamp,
    /// Time at which the ticket was created; `None` if it was not, or not yet.
    pub applied_at: Option<Timestamp>,
    /// The ID of that ticket.
    pub ticket_id: Option<String>,
    /// The key or number of that ticket.
    pub ticket_key: Option<String>,
    /// The status of the reply, even if an effect changed the rest of it; `None` if the connection ended
    /// without one, or none was sent yet.
    pub answered: Option<u16>,
    /// The effect on it.
    pub faults: Option<Effect>,
}

/// All received requests.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) keep: Keep,
    pub(crate) requests: Vec<RecordedRequest>,
    /// Creates by number.
    pub(crate) creates: Vec<RecordedCreate>,
    /// Number of the first entry of `requests`, so that outcomes are recorded correctly after the list was
    /// cleared.
    forgotten: usize,
}

// === impl RecordedRequest ===

impl RecordedRequest {
    /// Returns the first value of a header; the name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn arrived(request: &Request, keep: Keep, at: Timestamp) -> Self {
        let whole = keep == Keep::Everything;
        Self {
            method: request.method.to_string(),
            path: request.path.clone(),
            query: request.raw_query.clone(),
            headers: request.headers.iter().map(|(name, value)| recorded_header(name, value)).collect(),
            body: if whole { request.body.to_vec() } else { Vec::new() },
            json: request.json().filter(|_| whole),
            at,
            applied: false,
            status: None,
        }
    }
}

// === impl Record ===

impl Record {
    /// Records a request, and returns the number under which its outcome is recorded.
    pub(crate) fn arrived(
        &mut self,
        request: &Request,
        call: Call,
        faults: Option<&Effect>,
        at: Timestamp,
    ) -> usize {
        let number = self.forgotten + self.requests.len();
        match self.keep {
            Keep::Nothing => self.forgotten += 1,
            keep => self.requests.push(RecordedRequest::arrived(request, keep, at)),
        }
        if call == Call::Create {
            self.creates.push(RecordedCreate {
                number,
                markers: request.json().map(|body| markers(&body)).unwrap_or_default(),
                arrived_at: at,
                applied_at: None,
                ticket_id: None,
                ticket_key: None,
                answered: None,
                faults: faults.cloned(),
            });
        }
        number
    }

    pub(crate) fn applied(&mut self, number: usize, created: Option<&Created>, at: Timestamp) {
        if let Some(request) = self.request(number) {
            request.applied = true;
        }
        if let (Some(create), Some(created)) = (self.create(number), created) {
            create.applied_at = Some(at);
            create.ticket_id = Some(created.id.clone());
            create.ticket_key = Some(created.key.clone());
        }
    }

    pub(crate) fn answered(&mut self, number: usize, status: u16) {
        if let Some(request) = self.request(number) {
            request.status = Some(status);
        }
        if let Some(create) = self.create(number) {
            create.answered = Some(status);
        }
    }

    pub(crate) fn clear_requests(&mut self) {
        self.forgotten += self.requests.len();
        self.requests.clear();
    }

    /// Clears everything, but does not restart the numbering.
    pub(crate) fn clear(&mut self) {
        self.clear_requests();
        self.creates.clear();
    }

    pub(crate) fn keep(&mut self, keep: Keep) {
        self.keep = keep;
        match keep {
            Keep::Everything => {}
            Keep::Heads => self.requests.iter_mut().for_each(|request| {
                request.body = Vec::new();
                request.json = None;
            }),
            Keep::Nothing => self.clear_requests(),
        }
    }

    fn request(&mut self, number: usize) -> Option<&mut RecordedRequest> {
        number.checked_sub(self.forgotten).and_then(|index| self.requests.get_mut(index))
    }

    fn create(&mut self, number: usize) -> Option<&mut RecordedCreate> {
        let found = self.creates.binary_search_by_key(&number, |create| create.number);
        found.ok().map(|index| &mut self.creates[index])
    }
}

/// The labels of a Jira create, or the `correlation_id` of a ServiceNow one.
fn markers(body: &Value) -> Vec<String> {
    let labels = body.pointer("/fields/labels").and_then(Value::as_array).into_iter().flatten();
    let texts = labels.chain(body.get("correlation_id")).filter_map(Value::as_str);
    texts.filter(|text| !text.is_empty()).map(str::to_owned).collect()
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
