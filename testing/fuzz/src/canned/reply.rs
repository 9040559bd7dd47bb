//! Replies as files: the status, one line for each header, an empty line, and the body. After the status there may
//! be the name of the resource that is answered so.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Headers that say where a reply ends, which the server decides.
const FRAMING: [&str; 3] = ["content-length", "transfer-encoding", "connection"];

/// A reply of a ticket system.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The resource that is answered so; empty if the target knows which.
    pub(crate) resource: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

// === impl Reply ===

impl Reply {
    /// A reply without headers.
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self { status, resource: String::new(), headers: HeaderMap::new(), body: body.into() }
    }

    /// Parses the file of a reply leniently: invalid headers are skipped.
    pub(crate) fn parse(file: &[u8]) -> Self {
        let text = String::from_utf8_lossy(file);
        let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
        let mut lines = head.lines();
        let (status, resource) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or((head, ""));
        let status = status.lines().next().unwrap_or_default().parse().unwrap_or(200_u16).clamp(100, 599);
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        }
        Self { status, resource: resource.to_owned(), headers, body: body.to_owned() }
    }

    /// The bytes on the wire. The connection closes after them.
    pub(crate) fn to_http(&self) -> Vec<u8> {
        let mut bytes = format!("HTTP/1.1 {} -\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            if !FRAMING.contains(&name.as_str()) {
                bytes.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
            }
        }
        let end = format!("content-length: {}\r\nconnection: close\r\n\r\n{}", self.body.len(), self.body);
        bytes.extend(end.into_bytes());
        bytes
    }
}

/// The file of a reply to `resource`, which may be empty.
pub(crate) fn file(status: u16, resource: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let first = format!("{status} {resource}");
    format!("{}\n{headers}\n{body}", first.trim_end()).into_bytes()
}
