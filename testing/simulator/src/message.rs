//! HTTP requests and replies, independent of connections.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};

use crate::ticket::Ticket;

/// A request that was read completely.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) raw_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    /// The segments of the path, percent-decoded, without empty ones.
    pub(crate) fn segments(&self) -> Vec<String> {
        self.path.split('/').filter(|segment| !segment.is_empty()).map(percent_decode).collect()
    }

    /// The first value of a query parameter, decoded.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.raw_query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Whether the body is declared as JSON.
    pub(crate) fn says_json(&self) -> bool {
        self.header("content-type")
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    }

    /// Whether the client accepts JSON; `None` without an `Accept` header.
    pub(crate) fn takes_json(&self) -> Option<bool> {
        let accept = self.header("accept")?;
        let kinds = accept.split(',').filter_map(|part| part.split(';').next()).map(str::trim);
        Some(kinds.into_iter().any(|kind| matches!(kind, "application/json" | "application/*" | "*/*")))
    }
}

/// A reply.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    /// Whether the request changed the ticket system.
    pub(crate) applied: bool,
    /// The ticket that the request created.
    pub(crate) created: Option<Created>,
}

/// The identifiers of a created ticket.
#[derive(Debug, Clone)]
pub(crate) struct Created {
    pub(crate) id: String,
    pub(crate) key: String,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::empty(status).with_body("application/json;charset=UTF-8", body.to_string())
    }

    pub(crate) fn html(status: u16, body: &str) -> Self {
        Self::empty(status).with_body("text/html;charset=UTF-8", body.to_owned())
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), applied: false, created: None }
    }

    pub(crate) fn with_body(mut self, kind: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.with_header("content-type", kind)
    }

    pub(crate) fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn applied(mut self) -> Self {
        self.applied = true;
        self
    }

    /// Sets the created ticket.
    pub(crate) fn created(mut self, ticket: &Ticket) -> Self {
        self.created = Some(Created { id: ticket.id.clone(), key: ticket.key.clone() });
        self.applied()
    }

    /// Jira's error collection with general messages.
    pub(crate) fn jira_messages(status: u16, messages: &[&str]) -> Self {
        Self::json(status, &json!({ "errorMessages": messages, "errors": {} }))
    }

    /// Jira's error collection with messages by field.
    pub(crate) fn jira_fields(status: u16, errors: &serde_json::Map<String, Value>) -> Self {
        Self::json(status, &json!({ "errorMessages": [], "errors": errors }))
    }

    /// Jira's error collection with messages of both kinds.
    pub(crate) fn jira_errors(
        status: u16,
        messages: &[String],
        errors: &serde_json::Map<String, Value>,
    ) -> Self {
        Self::json(status, &json!({ "errorMessages": messages, "errors": errors }))
    }

    /// Error of Jira's servlet container, in JSON or, without an `Accept` header for JSON, in XML.
    pub(crate) fn jira_status(request: &Request, status: u16, message: &str) -> Self {
        if request.takes_json() == Some(true) {
            return Self::json(status, &json!({ "message": message, "status-code": status }));
        }
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?><status><status-code>{status}\
             </status-code><message>{message}</message></status>"
        );
        Self::empty(status).with_body("application/xml;charset=UTF-8", xml)
    }

    /// ServiceNow's error body.
    pub(crate) fn servicenow_error(status: u16, message: &str, detail: Option<&str>) -> Self {
        let body = json!({ "error": { "message": message, "detail": detail }, "status": "failure" });
        Self::json(status, &body)
    }
}

fn percent_decode(segment: &str) -> String {
    // The form decoder also decodes '+' as a space and splits at '&' and '=': escape these three first.
    let shielded = segment.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(shielded.as_bytes())
        .next()
        .map_or_else(String::new, |(key, _)| key.into_owned())
}

/// User and secret of the parameter of a `Basic` authorization.
pub(crate) fn decode_basic(text: &str) -> Option<(String, String)> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.split_once(':').map(|(user, secret)| (user.to_owned(), secret.to_owned()))
}
