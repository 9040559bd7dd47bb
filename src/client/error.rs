use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt;

use super::ConnectError;
use crate::{ERROR_DOMAIN, v1};

/// Why a call failed: a [`Status`], read.
///
/// ```
/// use rhythmx_ticketing::{Error, v1};
///
/// # fn example(status: tonic::Status) {
/// let error = Error::from(status);
/// if error.reason == Some(v1::ErrorReason::IncidentInvalid) {
///     for violation in &error.violations {
///         println!("{}: {}", violation.field, violation.description);
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Error {
    pub code: Code,
    /// The server's, for people.
    pub message: String,
    /// The contract's: each of its values says by example when it is given. `None` when the answer has none, or one that is
    /// newer than this crate.
    pub reason: Option<v1::ErrorReason>,
    /// What the error is about, for example `delivery_id`. The contract's reasons tell which there are.
    pub metadata: BTreeMap<String, String>,
    /// All the rules that the request breaks.
    pub violations: Vec<Violation>,
    /// When to try again, if the server said so.
    pub retry_after: Option<Duration>,
    /// Where the call went, if no server answered it and the client was made by [`Client::connect`](crate::Client::connect).
    pub address: Option<Arc<str>>,
    status: Status,
}

/// Of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// A path, for example `incident.firing_rules[3].name`. Indices count from 0.
    pub field: String,
    /// What is wrong, for people.
    pub description: String,
}

/// The source of the status of a call that no server answered.
#[derive(Debug)]
struct Unanswered {
    address: Arc<str>,
    cause: Status,
}

// === impl Error ===

impl Error {
    /// As it was received.
    pub fn status(&self) -> &Status {
        &self.status
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == ERROR_DOMAIN);
        let reason =
            info.and_then(|info| v1::ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason)));
        let violations = details.bad_request().map(|bad| &bad.field_violations[..]).unwrap_or_default();
        let violations = violations.iter().map(|violation| Violation {
            field: violation.field.clone(),
            description: violation.description.clone(),
        });
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            reason,
            metadata: info.map(|info| info.metadata.clone().into_iter().collect()).unwrap_or_default(),
            violations: violations.collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            address: of::<Unanswered>(&status).map(|unanswered| unanswered.address.clone()),
            status,
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.status
    }
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        let mut status = Status::invalid_argument(error.to_string());
        status.set_source(Arc::new(error));
        Self::from(status)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.code)?;
        if let Some(reason) = self.reason {
            write!(f, " ({})", reason.as_str_name().trim_start_matches("ERROR_REASON_"))?;
        }
        write!(f, ": {}", self.message)?;
        self.violations.iter().try_for_each(|broken| write!(f, "; {} {}", broken.field, broken.description))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.status.source()
    }
}

// === impl Unanswered ===

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ticketing service at {} did not answer", self.address)
    }
}

impl std::error::Error for Unanswered {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.source()
    }
}

// === What happened to a call ===

pub(super) fn expired() -> Status {
    Status::from_error(Box::new(TimeoutExpired(())))
}

/// The status for the caller. A deadline that passes here surfaces as CANCELLED and becomes DEADLINE_EXCEEDED. The address is
/// named where no server answered; and as what a broken connection is called differs, it is UNAVAILABLE then.
pub(super) fn told(status: Status, address: Option<&Arc<str>>) -> Status {
    let expired = of::<TimeoutExpired>(&status).is_some();
    let is_new = is_unanswered(&status) && of::<Unanswered>(&status).is_none();
    let Some(address) = address.filter(|_| is_new) else {
        return if expired { Status::deadline_exceeded("the deadline passed") } else { status };
    };
    let mut told = if expired {
        Status::deadline_exceeded(format!("the deadline passed before {address} answered"))
    } else {
        Status::unavailable(format!("the ticketing service at {address} did not answer: {}", root(&status)))
    };
    told.set_source(Arc::new(Unanswered { address: address.clone(), cause: status }));
    told
}

/// Whether no server said this. What a server says has no source.
pub(super) fn is_unanswered(status: &Status) -> bool {
    use std::error::Error as _;
    status.source().is_some()
}

fn of<T: std::error::Error + 'static>(status: &Status) -> Option<&T> {
    sources(status).find_map(|error| error.downcast_ref::<T>())
}

fn root(status: &Status) -> String {
    sources(status).last().map_or_else(|| status.message().to_owned(), ToString::to_string)
}

fn sources(status: &Status) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    use std::error::Error as _;
    std::iter::successors(status.source(), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_deadline_that_passes_here_is_told_as_such_and_a_cancelled_call_is_not() {
        assert_eq!(told(expired(), None).code(), Code::DeadlineExceeded);
        assert_eq!(told(expired(), Some(&"here:1".into())).code(), Code::DeadlineExceeded);
        let cancelled = Status::cancelled("by the peer");
        assert_eq!(told(cancelled, Some(&"here:1".into())).code(), Code::Cancelled);
    }

    #[test]
    fn what_no_server_answered_is_unavailable_and_names_the_address() {
        let broken = Status::from_error(Box::new(std::io::Error::other("cut")));
        let error = Error::from(told(broken, Some(&"here:1".into())));
        assert_eq!((error.code, error.address.as_deref()), (Code::Unavailable, Some("here:1")));
        assert!(error.to_string().contains("here:1") && error.to_string().contains("cut"), "{error}");
    }

    #[test]
    fn what_a_server_says_is_read_whole_and_what_others_say_is_no_reason_of_it() {
        let mut details = ErrorDetails::new();
        details.set_error_info("INCIDENT_INVALID", ERROR_DOMAIN, [("a".to_owned(), "b".to_owned())]);
        details.add_bad_request_violation("incident.id", "is empty");
        details.set_retry_info(Some(Duration::from_secs(3)));
        let error = Error::from(Status::with_error_details(Code::InvalidArgument, "no", details.clone()));
        assert_eq!(error.reason, Some(v1::ErrorReason::IncidentInvalid));
        assert_eq!((error.metadata["a"].as_str(), error.retry_after), ("b", Some(Duration::from_secs(3))));
        assert_eq!(error.to_string(), "InvalidArgument (INCIDENT_INVALID): no; incident.id is empty");
        details.set_error_info("INCIDENT_INVALID", "elsewhere", [("a".to_owned(), "b".to_owned())]);
        let error = Error::from(Status::with_error_details(Code::InvalidArgument, "no", details));
        assert_eq!((error.reason, error.metadata.len()), (None, 0));
    }
}
