//! Replies as files: the status, one line for each header, an empty line, and the body.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use ticketing_egress::Reply;
use ticketing_retry::retry_after;

/// Writes a reply in the format of its file.
pub(super) fn write(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    format!("{status}\n{headers}\n{body}").into_bytes()
}

/// Parses a reply leniently: invalid headers are skipped.
pub(super) fn read(input: &[u8]) -> Reply {
    let text = String::from_utf8_lossy(input);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.parse().ok()).unwrap_or(200_u16).clamp(100, 599);
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    let header = headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = header.and_then(|text| retry_after::parse(text, Timestamp::UNIX_EPOCH));
    let url = "https://acme.example/rest/api/2/issue".parse().expect("an address");
    Reply { url, status, headers, body: body.to_owned(), elapsed: Duration::ZERO, retry_after }
}
