//! What can happen to a connection, a call, or a search.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fault_script::Call;

/// The `Retry-After` of a throttled client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u64),
    /// An HTTP date so many seconds from now.
    DateIn(u64),
    /// This text, sensible or not.
    Text(String),
    /// No `Retry-After` at all.
    Absent,
}

/// What happens to a call. "Applied" means that the ticket system carried the request out.
///
/// An effect that *holds* its connection keeps it open without another byte until the client goes, until
/// [`FaultScript::release`](crate::FaultScript::release), which closes it, or until an outage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Answers so, without applying.
    Answer(Reply),
    /// Applies, then answers so: the gateway that gives up a moment too early.
    ApplyThenAnswer(Reply),
    /// 429 with the vendor's own headers, not applied.
    Throttle {
        /// The `Retry-After` header.
        retry_after: RetryAfter,
        /// Jira Cloud's `RateLimit-Reason`, such as `jira-burst-based`; the other vendors ignore it.
        #[serde(default)]
        reason: Option<String>,
    },
    /// Reads the request and closes the connection, not applied.
    DropBefore,
    /// Applies and closes the connection with no answer.
    ApplyThenDrop,
    /// Reads the request and resets the connection (RST), not applied.
    ResetBefore,
    /// Applies and resets the connection (RST).
    ApplyThenReset,
    /// Never answers: holds.
    Hang {
        /// Whether it is applied first.
        applied: bool,
    },
    /// Waits, then goes on as usual; a client that leaves meanwhile is not served. In JSON a number of
    /// milliseconds.
    Delay(#[serde(with = "millis")] Duration),
    /// Closes the connection with no answer now and applies so much later, or when released. In JSON a number of
    /// milliseconds.
    ApplyLate(#[serde(with = "millis")] Duration),
    /// Reads the head and half of the body, and no further: holds, not applied. What the client sent of the rest
    /// waits in the buffers of the two machines.
    StopReading,
    /// Reads the body so slowly, then goes on as usual.
    SlowRead {
        /// Bytes in a sip, at least 1.
        bytes: usize,
        /// The pause after each sip. In JSON a number of milliseconds.
        #[serde(with = "millis")]
        every: Duration,
    },
    /// Applies, announces the whole answer, sends half of it and closes.
    TruncatedBody,
    /// Applies, sends the status line and nothing more: holds.
    StatusLineOnly,
    /// Applies, announces the whole answer, sends half of its body and nothing more: holds.
    StopSending,
    /// Applies, announces a body of so many bytes and sends the usual one: holds.
    AnnounceMore(u64),
    /// Applies and answers as usual after an interim answer of this status, from 100 to 199 but 101.
    Interim(u16),
    /// Applies and answers as usual with one more header of so many bytes.
    LongHeader(usize),
    /// Applies and answers in chunks, the second of which is none, then closes.
    BrokenChunks,
    /// Applies and sends the answer drop by drop.
    SlowBody {
        /// Bytes in a drop, at least 1.
        bytes: usize,
        /// The pause before each drop. In JSON a number of milliseconds.
        #[serde(with = "millis")]
        every: Duration,
    },
    /// Applies and answers with the usual status and a body of so many bytes.
    HugeBody(u64),
    /// Applies and answers with a gzip body that unpacks to 64 MiB.
    GzipBomb,
    /// Answers with no body.
    EmptyBody {
        /// The status.
        status: u16,
        /// Whether it is applied first.
        #[serde(default)]
        applied: bool,
    },
    /// Answers with bytes that announce JSON and are none.
    Garbage {
        /// The status.
        status: u16,
        /// Whether it is applied first.
        #[serde(default)]
        applied: bool,
    },
    /// Answers with the vendor's HTML page: the login page, or the hibernating instance. Not applied.
    Html {
        /// The status.
        status: u16,
    },
    /// Answers 200 with the vendor's error in the body. Not applied.
    ErrorWithin200,
    /// Answers with a redirect. Not applied.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Where to.
        location: String,
    },
    /// Answers 201 with the body of another ticket system. Not applied.
    ForeignSuccess,
    /// Applies and answers as usual with keep-alive, then closes the connection once the next request
    /// has arrived on it, without applying that one.
    CloseIdle,
    /// A search that returns all rows whatever was asked.
    ReturnsEverything,
    /// A search that returns no rows.
    ReturnsNothing,
    /// A search that returns every row twice.
    ReturnsTwice,
    /// A search that returns rows of other people and none of those sought: one without a marker, and others whose
    /// label or `correlation_id` begins with what was sought, ends with it, or is it in capitals.
    ReturnsForeign,
    /// A search with ever more pages: each holds the first rows and announces another.
    EndlessPages,
    /// Takes no notice of the login: a Jira search is then empty, other calls are refused as the vendor does.
    IgnoresLogin,
    /// [`Call::Connection`] only. Accepts and never reads, not even a TLS handshake: holds.
    NeverRead,
    /// [`Call::Connection`] only. Sends this text at once, without TLS, and closes after the client.
    Banner(String),
}

/// A scripted answer.
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
    /// An answer with a JSON body.
    pub fn json(status: u16, body: &serde_json::Value) -> Self {
        Self { status, headers: BTreeMap::new(), body: body.to_string() }
            .header("content-type", "application/json")
    }

    /// An answer with an HTML body.
    pub fn html(status: u16, body: &str) -> Self {
        Self { status, headers: BTreeMap::new(), body: body.to_owned() }.header("content-type", "text/html")
    }

    /// Adds a header, or replaces the one of that name.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }
}

impl Effect {
    /// A web server without TLS, for a port where TLS is expected. For [`Call::Connection`].
    pub fn plain_http() -> Self {
        Self::Banner("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned())
    }

    /// Whether it can be played on these calls: a connection carries no request yet, a request no banner.
    pub(crate) fn fits(&self, call: Call) -> bool {
        match self {
            Self::NeverRead | Self::Banner(_) => call == Call::Connection,
            Self::DropBefore | Self::ResetBefore | Self::Delay(_) => true,
            _ => call != Call::Connection,
        }
    }

    /// 429 with the vendor's headers and this `Retry-After`.
    pub fn throttle(retry_after: RetryAfter) -> Self {
        Self::Throttle { retry_after, reason: Some("jira-burst-based".to_owned()) }
    }

    /// 503 with `Retry-After` in seconds, not applied.
    pub fn unavailable(retry_after: u64) -> Self {
        let reply = Reply::html(503, "<html><body>Service Unavailable</body></html>");
        Self::Answer(reply.header("retry-after", &retry_after.to_string()))
    }

    /// 504 without applying.
    pub fn gateway_timeout() -> Self {
        Self::Answer(gateway_timeout())
    }

    /// 504 although it was applied.
    pub fn apply_then_gateway_timeout() -> Self {
        Self::ApplyThenAnswer(gateway_timeout())
    }

    /// Jira Data Center's 403 that asks for a CAPTCHA, `login_url` being its login page.
    pub fn captcha(login_url: &str) -> Self {
        Self::Answer(captcha(login_url))
    }

    /// 200 with an empty body and the header that says the login failed.
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
