//! What went wrong between us and a ticket system, and what that means for the ticket.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clean::clean;

/// The kinds of failure, named after what was observed. What each means is decided here, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FaultKind {
    /// The egress policy does not permit the address. Nothing was sent.
    NotPermitted,
    /// The host name did not resolve.
    Dns,
    /// No connection: refused, unreachable, or not made in time.
    Connect,
    /// No trusted TLS session.
    Tls,
    /// The settings cannot work: no such project, issue type, table or assignment group.
    Misconfigured,
    /// The request was never begun: its send deadline had passed.
    TooLate,
    /// 400, 422 and other refusals of the ticket itself.
    Rejected,
    /// 401, or any other way to say that the login failed.
    Unauthorized,
    /// 403: the account may not do this.
    Forbidden,
    /// The account is locked: a CAPTCHA or lock-out that more tries would only lengthen.
    LockedOut,
    /// 404 or 410: the address or the project is not there, or not for us.
    NotFound,
    /// 413: larger than the system takes.
    TooLarge,
    /// 429: slow down.
    RateLimited,
    /// No answer in time after the request had begun.
    TimedOut,
    /// The connection broke after the request had begun.
    ConnectionLost,
    /// 3xx: the answer points elsewhere; it is never followed.
    Redirected,
    /// 409: a conflict, which may be with ourselves.
    Conflict,
    /// 408 or 5xx: the server, or something before it, gave up.
    ServerError,
    /// An answer that cannot be trusted: wrong shape, cut short, too large, or of a foreign system.
    UnreadableReply,
    /// The instance sleeps or shows a page meant for people.
    Dormant,
    /// 202: taken, and perhaps dropped.
    Dropped,
    /// Nothing went wrong on the way: the store was restored from a backup, and the ticket may have been made after the copy.
    Restored,
}

/// Whether a create that failed may still have made a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Certainty {
    /// No ticket was made.
    Definite,
    /// A ticket may have been made.
    Ambiguous,
}

/// What a failure concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This ticket alone: others may pass.
    Ticket,
    /// The whole target: other deliveries would fail in the same way.
    Target,
}

/// One failure, with what its reader can do about it. It never holds a secret, a header or a body of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub kind: FaultKind,
    /// The HTTP status, where there was one.
    pub status: Option<u16>,
    /// What happened, with the vendor's own words; at most 500 characters.
    pub message: String,
    /// What to mend, in one sentence of at most 1,000 characters; empty where nothing can be done but wait.
    pub hint: String,
    /// The least time the vendor asked us to stay away.
    pub retry_after: Option<Duration>,
}

// === impl FaultKind ===

impl FaultKind {
    /// Every kind, for tables and tests.
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

    /// The kind of an HTTP status that is not the success the vendor documents. A status that no vendor documents as a
    /// refusal counts as an unknown outcome: a look-up is cheaper than a second ticket.
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
            | Self::Dropped => Scope::Target,
        }
    }

    /// Whether the vendor counts it among the refused logins of an account.
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

    /// Whether other deliveries may fail in the same way: the failure is of the target, or a refusal of one ticket with a status that a target in
    /// trouble answers, too (401, 403, 404).
    #[must_use]
    pub fn may_be_of_target(&self) -> bool {
        self.kind.scope() == Scope::Target || matches!(self.status, Some(401 | 403 | 404))
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

    /// The statuses whose refusal can be believed. All others leave an unknown outcome.
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
    fn every_kind_has_a_name_of_its_own() {
        let names: std::collections::HashSet<_> = FaultKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), FaultKind::ALL.len());
    }
}
