//! Scripted effects on connections, calls and searches.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::call::Call;

/// The `Retry-After` header of a throttling reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u64),
    /// An HTTP date, this many seconds from now.
    DateIn(u64),
    /// An arbitrary text, valid or not.
    Text(String),
    /// No `Retry-After` header.
    Absent,
}

/// The effect of a fault on a call. "Applied" means that the ticket system executed the request.
///
/// An effect that *holds* its connection keeps it open without sending until the client closes it, until
/// [`FaultScript::release`](crate::FaultScript::release), which closes it, or until an outage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Sends this reply; not applied.
    Answer(Reply),
    /// Applied, and then sends this reply, like a gateway that times out too early.
    ApplyThenAnswer(Reply),
    /// 429 with the headers of the vendor; not applied.
    Throttle {
        /// The `Retry-After` header.
        retry_after: RetryAfter,
        /// Jira Cloud's `RateLimit-Reason`, such as `jira-burst-based`; the other vendors ignore it.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Reads the request and closes the connection; not applied.
    DropBefore,
    /// Applied, and then closes the connection without a reply.
    ApplyThenDrop,
    /// Reads the request and resets the connection (RST); not applied.
    ResetBefore,
    /// Applied, and then resets the connection (RST).
    ApplyThenReset,
    /// Never replies: holds.
    Hang {
        /// Whether it is applied first.
        applied: bool,
    },
    /// Continues normally after a delay. If the client disconnects meanwhile, the request is not applied. In
    /// JSON: milliseconds.
    Delay(#[serde(with = "millis")] Duration),
    /// Closes the connection without a reply, and applies the request after this delay or when released. In
    /// JSON: milliseconds.
    ApplyLate(#[serde(with = "millis")] Duration),
    /// Reads the headers and half of the body, then holds; not applied. The rest of the request stays in the
    /// socket buffers.
    StopReading,
    /// Reads the body slowly, then continues normally.
    SlowRead {
        /// Bytes per read, at least 1.
        bytes: usize,
        /// Pause after each read. In JSON: milliseconds.
        #[serde(with = "millis")]
        every: Duration,
    },
    /// Applied; sends half of the reply that its headers announce, and closes the connection.
    TruncatedBody,
    /// Applied; sends only the status line, then holds.
    StatusLineOnly,
    /// Applied; sends the headers and half of the body, then holds.
    StopSending,
    /// Applied; announces a body of this many bytes, sends the normal one, then holds.
    AnnounceMore(u64),
    /// Applied; sends an interim response with this status (100 to 199, except 101) before the reply.
    Interim(u16),
    /// Applied; adds a header of this many bytes to the reply.
    LongHeader(usize),
    /// Applied; replies with chunked encoding whose second chunk is malformed, and closes the connection.
    BrokenChunks,
    /// Applied; sends the reply slowly.
    SlowBody {
        /// Bytes per write, at least 1.
        bytes: usize,
        /// Pause before each write. In JSON: milliseconds.
        #[serde(with = "millis")]
        every: Duration,
    },
    /// Applied; replies with the normal status and a body of this many bytes.
    HugeBody(u64),
    /// Applied; replies with a gzip body that decompresses to 64 MiB.
    GzipBomb,
    /// Replies with an empty body.
    EmptyBody {
        /// The status.
        status: u16,
        /// Whether it is applied first.
        #[serde(default)]
        applied: bool,
    },
    /// Replies with `Content-Type: application/json` and a body that is not JSON.
    Garbage {
        /// The status.
        status: u16,
        /// Whether it is applied first.
        #[serde(default)]
        applied: bool,
    },
    /// Replies with an HTML page of the vendor (login page, or hibernating instance); not applied.
    Html {
        /// The status.
        status: u16,
    },
    /// Replies with status 200 and an error of the vendor in the body; not applied.
    ErrorWithin200,
    /// Replies with a redirect; not applied.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The `Location` header.
        location: String,
    },
    /// Replies 201 with the body of another kind of ticket system; not applied.
    ForeignSuccess,
    /// Applied; the reply allows keep-alive, but the connection is closed once the next request has arrived,
    /// which is not applied.
    CloseIdle,
    /// A search that ignores its query and returns all rows.
    ReturnsEverything,
    /// A search that returns no rows.
    ReturnsNothing,
    /// A search that returns every row twice.
    ReturnsTwice,
    /// A search that returns only foreign rows: one without a marker, and others whose label or
    /// `correlation_id` starts or ends with the queried marker, or is its upper-case form.
    ReturnsForeign,
    /// A search with endless pages: each has the first rows and announces a next page.
    EndlessPages,
    /// Ignores the credentials: a Jira search is then empty, and other calls are refused like anonymous ones.
    IgnoresLogin,
    /// Accepts and never reads, not even a TLS handshake: holds. [`Call::Connection`] only.
    NeverRead,
    /// Sends this text immediately, without TLS, and closes after the client. [`Call::Connection`] only.
    Banner(String),
}

/// A scripted reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers by name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: String,
}

impl Reply {
    /// A reply with a JSON body.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self { status, headers: BTreeMap::new(), body: body.to_string() }
            .header("content-type", "application/json")
    }

    /// A reply with an HTML body.
    pub fn html(status: u16, body: &str) -> Self {
        Self { status, headers: BTreeMap::new(), body: body.to_owned() }.header("content-type", "text/html")
    }

    /// Adds or replaces a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }
}

impl Effect {
    /// Behaves like a web server without TLS on a port where TLS is expected. For [`Call::Connection`].
    pub fn plain_http() -> Self {
        Self::Banner("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned())
    }

    /// Whether the effect is possible for these calls: a new connection has no request, and a request has no
    /// banner.
    pub(crate) fn fits(&self, call: Call) -> bool {
        match self {
            Self::NeverRead | Self::Banner(_) => call == Call::Connection,
            Self::DropBefore | Self::ResetBefore | Self::Delay(_) => true,
            _ => call != Call::Connection,
        }
    }

    /// 429 with the headers of the vendor and this `Retry-After`.
    pub fn throttle(retry_after: RetryAfter) -> Self {
        Self::Throttle { retry_after, reason: Some("jira-burst-based".to_owned()) }
    }

    /// 503 with `Retry-After` in seconds; not applied.
    pub fn unavailable(retry_after: u64) -> Self {
        let reply = Reply::html(503, "<html><body>Service Unavailable</body></html>");
        Self::Answer(reply.header("retry-after", &retry_after.to_string()))
    }

    /// 504; not applied.
    pub fn gateway_timeout() -> Self {
        Self::Answer(gateway_timeout())
    }

    /// 504; applied.
    pub fn apply_then_gateway_timeout() -> Self {
        Self::ApplyThenAnswer(gateway_timeout())
    }

    /// 403 of Jira Data Center that demands a CAPTCHA; `login_url` is its login page.
    pub fn captcha(login_url: &str) -> Self {
        Self::Answer(captcha(login_url))
    }

    /// 200 with an empty body and the header that reports failed authentication.
    pub fn authenticated_failed() -> Self {
        let reply = Reply { status: 200, headers: BTreeMap::new(), body: String::new() };
        Self::Answer(reply.header("x-seraph-loginreason", "AUTHENTICATED_FAILED"))
    }
}

pub(crate) fn captcha(login_url: &str) -> Reply {
    let reason = format!("CAPTCHA_CHALLENGE; login-url={login_url}");
    Reply::html(403, "<html><head><title>Forbidden (403)</title></head><body>Basic Authentication Failure - Reason : AUTHENTICATION_DENIED</body></html>")
        .header("x-seraph-loginreason", "AUTHENTICATION_DENIED")
        .header("x-authentication-denied-reason", &reason)
}

fn gateway_timeout() -> Reply {
    Reply::html(504, "<html><head><title>504 Gateway Time-out</title></head></html>")
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}
