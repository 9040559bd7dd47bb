//! Failures of calls to ticket systems, and what they mean for the ticket.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clean::clean;

/// The kinds of failure, named after what was observed. Their meaning is decided here, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FaultKind {
    /// The egress policy does not permit the address. Nothing was sent.
    NotPermitted,
    /// The host name did not resolve.
    Dns,
    /// Connection refused, host unreachable, no connection in time, or none left when the request was to begin.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The settings cannot work: no such project, issue type, table or assignment group.
    Misconfigured,
    /// The request did not begin: its send deadline had passed.
    TooLate,
    /// 400, 422 and other refusals of the ticket.
    Rejected,
    /// 401, or another sign that the login failed.
    Unauthorized,
    /// 403: the account lacks a permission.
    Forbidden,
    /// The account is locked: a CAPTCHA or lock-out that further attempts would prolong.
    LockedOut,
    /// 404 or 410: the address or the project does not exist, or is not visible to the account.
    NotFound,
    /// 413: the request is too large.
    TooLarge,
    /// 429: rate limited.
    RateLimited,
    /// No reply in time after the request had begun.
    TimedOut,
    /// The connection broke after the request had begun.
    ConnectionLost,
    /// 3xx: a redirect, which is never followed.
    Redirected,
    /// 409: a conflict, possibly with an earlier request of ours.
    Conflict,
    /// 408 or 5xx: the server, or an intermediary, failed.
    ServerError,
    /// An untrustworthy reply: malformed, truncated, too large, or from another system.
    UnreadableReply,
    /// The instance is hibernating, or returned an HTML page.
    Dormant,
    /// 202: accepted, but possibly dropped.
    Dropped,
    /// No call failed: the store was restored from a backup, and the ticket may have been created after the
    /// backup.
    Restored,
}

/// Whether a failed create may have created a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Certainty {
    /// Definite failure: no ticket was created.
    Definite,
    /// Unknown outcome: a ticket may have been created.
    Ambiguous,
}

/// The scope of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This ticket alone: others may succeed.
    Ticket,
    /// The whole connection: other deliveries would fail in the same way.
    Connection,
}

/// A failure, with a hint for its reader. Never contains a secret, a header or a body that we sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub kind: FaultKind,
    /// The HTTP status, if any.
    pub status: Option<u16>,
    /// What happened, including the vendor's message; at most 500 characters.
    pub message: String,
    /// How to fix it, in one sentence of at most 1,000 characters; empty if waiting is the only remedy.
    pub hint: String,
    /// The minimum delay that the vendor requested.
    pub retry_after: Option<Duration>,
}

// === impl FaultKind ===

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 22] = [
        Self::NotPermitted,
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Misconfigured,
        Self::TooLate,
        Self::Rejected,
        Self::Unauthorized,
        Self::Forbidden,
        Self::LockedOut,
        Self::NotFound,
        Self::TooLarge,
        Self::RateLimited,
        Self::TimedOut,
        Self::ConnectionLost,
        Self::Redirected,
        Self::Conflict,
        Self::ServerError,
        Self::UnreadableReply,
        Self::Dormant,
        Self::Dropped,
        Self::Restored,
    ];

    /// The kind of an HTTP status other than the documented success. A status that no vendor documents as a
    /// refusal counts as an unknown outcome: a look-up is cheaper than a duplicate ticket.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            400 | 402 | 405 | 406 | 411 | 414 | 415 | 422 | 431 => Self::Rejected,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 | 410 => Self::NotFound,
            409 => Self::Conflict,
            413 => Self::TooLarge,
            429 => Self::RateLimited,
            202 => Self::Dropped,
            300..=399 => Self::Redirected,
            408 | 500..=599 => Self::ServerError,
            _ => Self::UnreadableReply,
        }
    }

    #[must_use]
    pub fn certainty(self) -> Certainty {
        match self {
            Self::NotPermitted
            | Self::Dns
            | Self::Connect
            | Self::Tls
            | Self::Misconfigured
            | Self::TooLate
            | Self::Rejected
            | Self::Unauthorized
            | Self::Forbidden
            | Self::LockedOut
            | Self::NotFound
            | Self::TooLarge
            | Self::RateLimited => Certainty::Definite,
            Self::TimedOut
            | Self::ConnectionLost
            | Self::Redirected
            | Self::Conflict
            | Self::ServerError
            | Self::UnreadableReply
            | Self::Dormant
            | Self::Dropped
            | Self::Restored => Certainty::Ambiguous,
        }
    }

    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::Rejected | Self::TooLarge | Self::Conflict | Self::TooLate | Self::Restored => {
                Scope::Ticket
            }
            Self::NotPermitted
            | Self::Dns
            | Self::Connect
            | Self::Tls
            | Self::Misconfigured
            | Self::Unauthorized
            | Self::Forbidden
            | Self::LockedOut
            | Self::NotFound
            | Self::RateLimited
            | Self::TimedOut
            | Self::ConnectionLost
            | Self::Redirected
            | Self::ServerError
            | Self::UnreadableReply
            | Self::Dormant
            | Self::Dropped => Scope::Connection,
        }
    }

    /// Whether the vendor counts it as a failed login of the account.
    #[must_use]
    pub fn is_login_refused(self) -> bool {
        matches!(self, Self::Unauthorized | Self::LockedOut)
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotPermitted => "NOT_PERMITTED",
            Self::Dns => "DNS",
            Self::Connect => "CONNECT",
            Self::Tls => "TLS",
            Self::Misconfigured => "MISCONFIGURED",
            Self::TooLate => "TOO_LATE",
            Self::Rejected => "REJECTED",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Forbidden => "FORBIDDEN",
            Self::LockedOut => "LOCKED_OUT",
            Self::NotFound => "NOT_FOUND",
            Self::TooLarge => "TOO_LARGE",
            Self::RateLimited => "RATE_LIMITED",
            Self::TimedOut => "TIMED_OUT",
            Self::ConnectionLost => "CONNECTION_LOST",
            Self::Redirected => "REDIRECTED",
            Self::Conflict => "CONFLICT",
            Self::ServerError => "SERVER_ERROR",
            Self::UnreadableReply => "UNREADABLE_REPLY",
            Self::Dormant => "DORMANT",
            Self::Dropped => "DROPPED",
            Self::Restored => "RESTORED",
        }
    }
}

// === impl Fault ===

impl Fault {
    const MAX_MESSAGE: usize = 500;

    #[must_use]
    pub fn new(kind: FaultKind, message: impl AsRef<str>) -> Self {
        let message = crate::limits::cut(&clean(message.as_ref()).text, Self::MAX_MESSAGE);
        Self { kind, status: None, message, hint: String::new(), retry_after: None }
    }

    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = crate::limits::cut(&clean(&hint.into()).text, crate::limits::MAX_REASON);
        self
    }

    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// Whether other deliveries may fail in the same way: the failure concerns the connection, or refused one
    /// ticket with a status that a failing connection also returns (401, 403, 404).
    #[must_use]
    pub fn may_be_of_connection(&self) -> bool {
        self.kind.scope() == Scope::Connection || matches!(self.status, Some(401 | 403 | 404))
    }

    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.kind.certainty() == Certainty::Ambiguous
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statuses that prove a refusal. All others leave an unknown outcome.
    const DEFINITE: [u16; 16] =
        [400, 401, 402, 403, 404, 405, 406, 410, 411, 413, 414, 415, 422, 429, 431, 0];

    #[test]
    fn message_and_hint_show_bidirectional_controls() {
        let fault = Fault::new(FaultKind::Rejected, "a\u{202e}b").with_hint("field c\u{202e}d");
        assert_eq!((fault.message.as_str(), fault.hint.as_str()), ("a[U+202E]b", "field c[U+202E]d"));
    }

    #[test]
    fn every_status_is_definite_or_unknown_outcome() {
        for status in 100..=999 {
            let expected =
                if DEFINITE.contains(&status) { Certainty::Definite } else { Certainty::Ambiguous };
            assert_eq!(FaultKind::of_status(status).certainty(), expected, "status {status}");
        }
    }

    #[test]
    fn maps_documented_statuses_to_kinds() {
        let table = [
            (202, FaultKind::Dropped),
            (301, FaultKind::Redirected),
            (400, FaultKind::Rejected),
            (401, FaultKind::Unauthorized),
            (403, FaultKind::Forbidden),
            (404, FaultKind::NotFound),
            (408, FaultKind::ServerError),
            (409, FaultKind::Conflict),
            (410, FaultKind::NotFound),
            (413, FaultKind::TooLarge),
            (422, FaultKind::Rejected),
            (429, FaultKind::RateLimited),
            (500, FaultKind::ServerError),
            (504, FaultKind::ServerError),
        ];
        for (status, kind) in table {
            assert_eq!(FaultKind::of_status(status), kind, "status {status}");
        }
    }

    #[test]
    fn fault_kinds_have_distinct_names() {
        let names: std::collections::HashSet<_> = FaultKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), FaultKind::ALL.len());
    }
}
