use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Status, TimeoutExpired};
use tonic_types::StatusExt;

use super::ConnectError;
use crate::{ERROR_DOMAIN, v1};

/// Why a call failed: a [`Status`] with decoded details.
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
    /// The server's message, for people.
    pub message: String,
    /// The reason in the contract, which documents each value. `None` if the response has none, or one that this version of
    /// the crate does not know.
    pub reason: Option<v1::ErrorReason>,
    /// Details by name, for example `delivery_id`. The contract documents the names for each reason.
    pub metadata: BTreeMap<String, String>,
    /// Every rule that the request violates.
    pub violations: Vec<Violation>,
    /// Delay before a retry, if the server sent one.
    pub retry_after: Option<Duration>,
    /// The server's address, if no server responded and the client opened the connection itself.
    pub address: Option<Arc<str>>,
    status: Status,
}

/// A rule that a field of the request violates.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// A path, for example `incident.firing_rules[3].name`. Indices count from 0.
    pub field: String,
    /// What is wrong, for people.
    pub description: String,
}

/// The source of the status of a call to which no server responded.
#[derive(Debug)]
struct NoResponse {
    address: Arc<str>,
    cause: Status,
}

// === impl Error ===

impl Error {
    /// The status as received.
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
            address: find_source::<NoResponse>(&status).map(|unanswered| unanswered.address.clone()),
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
        self.violations
            .iter()
            .try_for_each(|violation| write!(f, "; {} {}", violation.field, violation.description))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.status.source()
    }
}

// === impl NoResponse ===

impl fmt::Display for NoResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the ticketing service at {} did not respond", self.address)
    }
}

impl std::error::Error for NoResponse {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.source()
    }
}

// === Normalized statuses ===

pub(super) fn expired() -> Status {
    Status::from_error(Box::new(TimeoutExpired(())))
}

/// The status for the caller. A deadline that expires in the client is CANCELLED in tonic and becomes DEADLINE_EXCEEDED. If no
/// server responded, the message names the address, and the code is UNAVAILABLE: tonic's own code for a broken connection
/// varies.
pub(super) fn normalize(status: Status, address: Option<&Arc<str>>) -> Status {
    let expired = find_source::<TimeoutExpired>(&status).is_some();
    let is_new = is_from_client(&status) && find_source::<NoResponse>(&status).is_none();
    let Some(address) = address.filter(|_| is_new) else {
        return if expired { Status::deadline_exceeded("the deadline expired") } else { status };
    };
    let mut normalized = if expired {
        Status::deadline_exceeded(format!("the deadline expired before {address} responded"))
    } else {
        Status::unavailable(format!(
            "the ticketing service at {address} did not respond: {}",
            root_cause(&status)
        ))
    };
    normalized.set_source(Arc::new(NoResponse { address: address.clone(), cause: status }));
    normalized
}

/// Whether the client created this status. One that a server sent has no source.
pub(super) fn is_from_client(status: &Status) -> bool {
    use std::error::Error as _;
    status.source().is_some()
}

fn find_source<T: std::error::Error + 'static>(status: &Status) -> Option<&T> {
    sources(status).find_map(|error| error.downcast_ref::<T>())
}

fn root_cause(status: &Status) -> String {
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
    fn expired_deadline_is_deadline_exceeded() {
        assert_eq!(normalize(expired(), None).code(), Code::DeadlineExceeded);
        assert_eq!(normalize(expired(), Some(&"localhost:1".into())).code(), Code::DeadlineExceeded);
        let cancelled = Status::cancelled("by the peer");
        assert_eq!(normalize(cancelled, Some(&"localhost:1".into())).code(), Code::Cancelled);
    }

    #[test]
    fn missing_response_is_unavailable_and_names_address() {
        let broken = Status::from_error(Box::new(std::io::Error::other("cut")));
        let error = Error::from(normalize(broken, Some(&"localhost:1".into())));
        assert_eq!((error.code, error.address.as_deref()), (Code::Unavailable, Some("localhost:1")));
        assert!(error.to_string().contains("localhost:1") && error.to_string().contains("cut"), "{error}");
    }

    #[test]
    fn decodes_details_and_ignores_other_domains() {
        let mut details = ErrorDetails::new();
        details.set_error_info("INCIDENT_INVALID", ERROR_DOMAIN, [("a".to_owned(), "b".to_owned())]);
        details.add_bad_request_violation("incident.id", "is empty");
        details.set_retry_info(Some(Duration::from_secs(3)));
        let error = Error::from(Status::with_error_details(Code::InvalidArgument, "no", details.clone()));
        assert_eq!(error.reason, Some(v1::ErrorReason::IncidentInvalid));
        assert_eq!((error.metadata["a"].as_str(), error.retry_after), ("b", Some(Duration::from_secs(3))));
        assert_eq!(error.to_string(), "InvalidArgument (INCIDENT_INVALID): no; incident.id is empty");
        details.set_error_info("INCIDENT_INVALID", "other.domain", [("a".to_owned(), "b".to_owned())]);
        let error = Error::from(Status::with_error_details(Code::InvalidArgument, "no", details));
        assert_eq!((error.reason, error.metadata.len()), (None, 0));
    }
}
