//! Refusals as gRPC errors: a canonical code, a message, and `google.rpc` details.

use std::collections::HashMap;
use std::time::Duration;

use ticketing_contract::ERROR_DOMAIN;
use ticketing_contract::v1::ErrorReason;
use ticketing_core::error_chain::ErrorChain;
use ticketing_core::role::Role;
use ticketing_core::violation::Violations;
use ticketing_engine::app::{AppError, TicketRefused};
use ticketing_store::{StoreError, StoreErrorKind};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::access::RateLimited;

/// Maximum size of field violations in bytes. Details travel in a header, and the strictest common client accepts 8
/// KiB of headers in total; base64 adds a third.
const VIOLATIONS_BUDGET: usize = 4_500;

/// Details travel in a header.
const MAX_LISTED_CONNECTIONS: usize = 20;

/// RetryInfo delay for temporary refusals.
const DEFAULT_RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The incident, or its system, is invalid.
    IncidentInvalid(Violations),
    /// The settings are invalid.
    SettingsInvalid(Violations),
    /// Another part of the request is invalid.
    RequestInvalid(Violations),
    /// An address was changed without repeating its secret.
    SecretRequired(String, Violations),
    /// No connection has this name; the names that exist.
    ConnectionNotFound { name: String, known: Vec<String> },
    /// Settings required for a ticket are missing.
    ConnectionNotConfigured(String),
    /// The connection is disabled.
    ConnectionNotEnabled(String),
    /// The connection has deliveries that have not ended.
    ConnectionInUse { connection: String, deliveries: u64 },
    /// The settings were changed since they were read.
    SettingsChanged { etag: String },
    /// The incident with this ID belongs to another namespace.
    IncidentOwnedByOther(String),
    /// No delivery has this ID.
    DeliveryNotFound(String),
    /// The delivery's state does not allow the operation.
    DeliveryState { delivery_id: String, state: &'static str, operation: &'static str },
    /// Retention removed the content of the incident of the delivery with this ID.
    ContentRemoved(String),
    /// The ticket does not exist in the ticket system.
    TicketNotFound(TicketRefused),
    /// The ticket belongs to another incident.
    TicketInUse(TicketRefused),
    /// The ticket system could not be queried.
    TicketUnverified(TicketRefused),
    /// The page token is invalid, or belongs to other filters.
    PageTokenInvalid,
    /// The resume token is invalid.
    ResumeTokenInvalid,
    /// Events after the resume token were trimmed, or lost with the database; the oldest valid token.
    ResumeTokenExpired { oldest_token: String },
    /// A subscriber received nothing for too long; its last token, if any.
    SubscriberTooSlow { resume_token: String },
    /// The store cannot be read or written.
    StoreUnavailable,
    /// The server is stopping; the last token of a stream, else empty.
    ShuttingDown { resume_token: String },
    /// The connection of a stream reached its maximum age; the stream's last token.
    ConnectionEnding { resume_token: String },
    /// The memory budget for requests is exhausted.
    Busy,
    /// The requested service, method or encoding is not supported, and why.
    Unimplemented(String),
    /// The request cannot be decoded, and why.
    RequestMalformed(String),
    /// The request, or its decoded form, exceeds `limit` bytes.
    RequestTooLarge { limit: usize },
    /// Authentication is required, and the call has no credential.
    CredentialMissing,
    /// The credential is wrong, expired or revoked.
    CredentialInvalid,
    /// The caller's role does not permit this call.
    RoleInsufficient { role: Role, needed: &'static [Role] },
    /// The caller exceeded its call rate.
    RateLimited { retry_after: Duration },
    /// The peer exceeded its rate of unauthenticated calls.
    UnauthenticatedLimitExceeded { retry_after: Duration },
    /// The caller has its maximum number of streams.
    TooManyStreams { max: u32 },
    /// An internal error.
    Internal,
}

// === impl Refusal ===

impl Refusal {
    /// Maps a store failure, and logs it; callers do not see the cause.
    pub(crate) fn of_store(error: &StoreError) -> Self {
        match error.kind() {
            StoreErrorKind::Closed => Self::ShuttingDown { resume_token: String::new() },
            StoreErrorKind::Full | StoreErrorKind::Locked | StoreErrorKind::Other => {
                tracing::error!(error = %ErrorChain(error), "the store is not available");
                Self::StoreUnavailable
            }
            StoreErrorKind::Corrupt
            | StoreErrorKind::BadRow
            | StoreErrorKind::Refused
            | StoreErrorKind::Panicked => {
                tracing::error!(error = %ErrorChain(error), "the store failed");
                Self::Internal
            }
        }
    }
}

impl From<RateLimited> for Refusal {
    fn from(limited: RateLimited) -> Self {
        match limited {
            RateLimited::Calls { retry_after } => Self::RateLimited { retry_after },
            RateLimited::Streams { max } => Self::TooManyStreams { max },
        }
    }
}

impl From<AppError> for Refusal {
    fn from(error: AppError) -> Self {
        match error {
            AppError::SettingsInvalid(violations) => Self::SettingsInvalid(violations),
            AppError::SecretRequired(connection, violations) => Self::SecretRequired(connection, violations),
            AppError::ConnectionNotFound { name, known } => Self::ConnectionNotFound { name, known },
            AppError::NotConfigured(connection) => Self::ConnectionNotConfigured(connection),
            AppError::NotEnabled(connection) => Self::ConnectionNotEnabled(connection),
            AppError::ConnectionInUse { connection, deliveries } => {
                Self::ConnectionInUse { connection, deliveries }
            }
            AppError::SettingsChanged { etag } => Self::SettingsChanged { etag },
            AppError::OwnedByOther(incident_id) => Self::IncidentOwnedByOther(incident_id),
            AppError::DeliveryNotFound(id) => Self::DeliveryNotFound(id),
            AppError::DeliveryState { delivery_id, state, operation } => {
                Self::DeliveryState { delivery_id, state, operation }
            }
            AppError::ContentRemoved(id) => Self::ContentRemoved(id),
            AppError::TicketNotFound(refused) => Self::TicketNotFound(refused),
            AppError::TicketInUse(refused) => Self::TicketInUse(refused),
            AppError::TicketUnverified(refused) => Self::TicketUnverified(refused),
            AppError::TooManyCalls { retry_after } => Self::RateLimited { retry_after },
            AppError::Interrupted(_) => Self::Internal,
            AppError::Store(error) => Self::of_store(&error),
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let ((code, _), name) = (refusal.verdict(), refusal.reason());
        let mut details = ErrorDetails::new();
        details.set_error_info(name, ERROR_DOMAIN, refusal.metadata());
        let message = refusal.message();
        refusal.explain(name, &message, &mut details);
        Status::with_error_details(code, message, details)
    }
}

impl Refusal {
    fn verdict(&self) -> (Code, ErrorReason) {
        match self {
            Self::IncidentInvalid(_) => (Code::InvalidArgument, ErrorReason::IncidentInvalid),
            Self::SettingsInvalid(_) => (Code::InvalidArgument, ErrorReason::SettingsInvalid),
            Self::RequestInvalid(_) => (Code::InvalidArgument, ErrorReason::RequestInvalid),
            Self::SecretRequired(..) => (Code::InvalidArgument, ErrorReason::SecretRequired),
            Self::ConnectionNotFound { .. } => (Code::NotFound, ErrorReason::ConnectionNotFound),
            Self::ConnectionInUse { .. } => (Code::FailedPrecondition, ErrorReason::ConnectionInUse),
            Self::SettingsChanged { .. } => (Code::Aborted, ErrorReason::SettingsChanged),
            Self::ConnectionNotConfigured(_) => {
                (Code::FailedPrecondition, ErrorReason::ConnectionNotConfigured)
            }
            Self::ConnectionNotEnabled(_) => (Code::FailedPrecondition, ErrorReason::ConnectionNotEnabled),
            Self::IncidentOwnedByOther(_) => (Code::PermissionDenied, ErrorReason::IncidentOwnedByOther),
            Self::DeliveryNotFound(_) => (Code::NotFound, ErrorReason::DeliveryNotFound),
            Self::DeliveryState { .. } => (Code::FailedPrecondition, ErrorReason::DeliveryState),
            Self::ContentRemoved(_) => (Code::FailedPrecondition, ErrorReason::ContentRemoved),
            Self::TicketNotFound(_) => (Code::FailedPrecondition, ErrorReason::TicketNotFound),
            Self::TicketInUse(_) => (Code::FailedPrecondition, ErrorReason::TicketInUse),
            Self::TicketUnverified(_) => (Code::FailedPrecondition, ErrorReason::TicketUnverified),
            Self::PageTokenInvalid => (Code::InvalidArgument, ErrorReason::PageTokenInvalid),
            Self::ResumeTokenInvalid => (Code::InvalidArgument, ErrorReason::ResumeTokenInvalid),
            Self::ResumeTokenExpired { .. } => (Code::OutOfRange, ErrorReason::ResumeTokenExpired),
            Self::SubscriberTooSlow { .. } => (Code::ResourceExhausted, ErrorReason::SubscriberTooSlow),
            Self::StoreUnavailable => (Code::Unavailable, ErrorReason::StoreUnavailable),
            Self::ShuttingDown { .. } => (Code::Unavailable, ErrorReason::ShuttingDown),
            Self::ConnectionEnding { .. } => (Code::Unavailable, ErrorReason::ConnectionEnding),
            Self::Busy => (Code::ResourceExhausted, ErrorReason::Busy),
            Self::Unimplemented(_) => (Code::Unimplemented, ErrorReason::RequestMalformed),
            Self::RequestMalformed(_) => (Code::InvalidArgument, ErrorReason::RequestMalformed),
            Self::RequestTooLarge { .. } => (Code::OutOfRange, ErrorReason::RequestTooLarge),
            Self::CredentialMissing => (Code::Unauthenticated, ErrorReason::CredentialMissing),
            Self::CredentialInvalid => (Code::Unauthenticated, ErrorReason::CredentialInvalid),
            Self::RoleInsufficient { .. } => (Code::PermissionDenied, ErrorReason::RoleInsufficient),
            Self::RateLimited { .. } | Self::UnauthenticatedLimitExceeded { .. } => {
                (Code::ResourceExhausted, ErrorReason::RateLimited)
            }
            Self::TooManyStreams { .. } => (Code::ResourceExhausted, ErrorReason::TooManyStreams),
            Self::Internal => (Code::Internal, ErrorReason::Internal),
        }
    }

    /// The reason as in ErrorInfo, for example `SETTINGS_INVALID`.
    pub(crate) fn reason(&self) -> &'static str {
        let name = self.verdict().1.as_str_name();
        name.strip_prefix("ERROR_REASON_").unwrap_or(name)
    }

    fn message(&self) -> String {
        match self {
            Self::IncidentInvalid(violations)
            | Self::SettingsInvalid(violations)
            | Self::RequestInvalid(violations) => summary(violations),
            Self::SecretRequired(connection, _) => {
                format!(
                    "the address of the connection {connection}, or the route to it, was changed: give its secret again in the \
                     same request"
                )
            }
            Self::ConnectionNotFound { name, known } => no_connection(name, known),
            Self::ConnectionNotConfigured(connection) => {
                format!("the connection {connection} is not configured: send its settings with Configure")
            }
            Self::ConnectionNotEnabled(connection) => {
                format!("the connection {connection} is not enabled: set its enabled to true with Configure")
            }
            Self::ConnectionInUse { connection, deliveries } => {
                format!(
                    "the connection {connection} has {deliveries} deliveries that have not ended: wait for them, or end them \
                     with CancelDelivery or ResolveDelivery"
                )
            }
            Self::SettingsChanged { .. } => {
                "the settings were changed since etag was read: read them again with GetStatus".to_owned()
            }
            Self::IncidentOwnedByOther(_) => {
                "the incident belongs to another namespace: hand it over with a credential of that namespace, or under \
                 another ID"
                    .to_owned()
            }
            Self::DeliveryNotFound(_) => "there is no delivery with this ID".to_owned(),
            Self::DeliveryState { state, operation, .. } => {
                format!("a delivery that is {state} cannot be {operation}")
            }
            Self::ContentRemoved(_) => {
                "the content of the incident was removed by retention: submit the incident again, with CreateTicket or \
                 SubmitIncident"
                    .to_owned()
            }
            Self::TicketNotFound(refused) | Self::TicketInUse(refused) | Self::TicketUnverified(refused) => {
                refused.why.clone()
            }
            Self::PageTokenInvalid => {
                "page_token is not a token of this list: send next_page_token with the same filters".to_owned()
            }
            Self::ResumeTokenInvalid => "resume_token is not a token of this service".to_owned(),
            Self::ResumeTokenExpired { .. } => {
                "events after resume_token were dropped, or lost with the database: resume from oldest_token in the details, and read with \
                 ListDeliveries what was missed"
                    .to_owned()
            }
            Self::SubscriberTooSlow { .. } => {
                "the subscriber received nothing for too long: reconnect with the last token".to_owned()
            }
            Self::StoreUnavailable => "the store is not available: nothing was accepted, try again".to_owned(),
            Self::ShuttingDown { .. } => "the server is stopping: connect again".to_owned(),
            Self::ConnectionEnding { .. } => "the connection reached its maximum age: connect again".to_owned(),
            Self::Busy => "the memory budget for requests is exhausted: try again".to_owned(),
            Self::Unimplemented(why) => why.clone(),
            Self::RequestMalformed(why) => {
                format!("the request cannot be decoded: {why}; check that the client was built from this contract")
            }
            Self::RequestTooLarge { limit } => {
                format!("the request has more than {limit} bytes, or takes too much memory when it is decoded")
            }
            Self::CredentialMissing => {
                "a credential is needed: a bearer token in the metadata `authorization`, or a client certificate".to_owned()
            }
            Self::CredentialInvalid => {
                "the credential is invalid: it is wrong, has expired or was revoked".to_owned()
            }
            Self::RoleInsufficient { role, needed } => {
                format!("the role {role} is not permitted to do this: it requires {}", names(needed, " or "))
            }
            Self::RateLimited { .. } => "too many calls: slow down, and try again".to_owned(),
            Self::UnauthenticatedLimitExceeded { .. } => {
                "too many calls without a valid credential from this address: try again with one".to_owned()
            }
            Self::TooManyStreams { max } => {
                format!("this caller has {max} streams open already: close one first")
            }
            Self::Internal => "the server failed; its log has the details".to_owned(),
        }
    }

    fn metadata(&self) -> HashMap<String, String> {
        let (needed, most, names_of_known, open);
        let pairs = match self {
            Self::RequestTooLarge { limit } => {
                most = limit.to_string();
                vec![("limit", most.as_str())]
            }
            Self::RoleInsufficient { role, needed: roles } => {
                needed = names(roles, ", ");
                vec![("role", role.as_str()), ("needed", needed.as_str())]
            }
            Self::TooManyStreams { max: streams } => {
                most = streams.to_string();
                vec![("limit", most.as_str())]
            }
            Self::SecretRequired(connection, _)
            | Self::ConnectionNotConfigured(connection)
            | Self::ConnectionNotEnabled(connection) => vec![("connection", connection.as_str())],
            Self::ConnectionNotFound { name, known } => {
                names_of_known = connection_names(known, ", ");
                vec![("connection", name.as_str()), ("connections", names_of_known.as_str())]
            }
            Self::ConnectionInUse { connection, deliveries } => {
                open = deliveries.to_string();
                vec![("connection", connection.as_str()), ("deliveries", open.as_str())]
            }
            Self::SettingsChanged { etag } => vec![("etag", etag.as_str())],
            Self::IncidentOwnedByOther(id) => vec![("incident_id", id.as_str())],
            Self::DeliveryNotFound(id) | Self::ContentRemoved(id) => vec![("delivery_id", id.as_str())],
            Self::DeliveryState { delivery_id, state, .. } => {
                vec![("delivery_id", delivery_id.as_str()), ("state", state)]
            }
            Self::TicketNotFound(refused) | Self::TicketInUse(refused) | Self::TicketUnverified(refused) => {
                vec![
                    ("delivery_id", refused.delivery_id.as_str()),
                    ("ticket_key", refused.ticket_key.as_str()),
                ]
            }
            Self::ResumeTokenExpired { oldest_token } => vec![("oldest_token", oldest_token.as_str())],
            Self::SubscriberTooSlow { resume_token }
            | Self::ShuttingDown { resume_token }
            | Self::ConnectionEnding { resume_token } => {
                vec![("resume_token", resume_token.as_str())]
            }
            _ => vec![],
        };
        let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        given.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    // The details beyond ErrorInfo.
    fn explain(&self, reason: &str, message: &str, details: &mut ErrorDetails) {
        match self {
            Self::IncidentInvalid(violations)
            | Self::SettingsInvalid(violations)
            | Self::RequestInvalid(violations)
            | Self::SecretRequired(_, violations) => {
                details.set_bad_request(within_budget(violations));
            }
            Self::SettingsChanged { .. } => {
                details.add_bad_request_violation("etag", message);
            }
            Self::ConnectionNotFound { .. } => {
                details.add_bad_request_violation("connection", message);
            }
            Self::PageTokenInvalid => {
                details.add_bad_request_violation("page_token", message);
            }
            Self::ResumeTokenInvalid | Self::ResumeTokenExpired { .. } => {
                details.add_bad_request_violation("resume_token", message);
            }
            Self::ConnectionNotConfigured(connection)
            | Self::ConnectionNotEnabled(connection)
            | Self::ConnectionInUse { connection, .. } => {
                details.add_precondition_failure_violation(reason, connection.as_str(), message);
            }
            Self::DeliveryState { delivery_id, .. } | Self::ContentRemoved(delivery_id) => {
                details.add_precondition_failure_violation(reason, delivery_id.as_str(), message);
            }
            Self::TicketNotFound(refused) | Self::TicketInUse(refused) | Self::TicketUnverified(refused) => {
                details.add_bad_request_violation(refused.field, message);
                details.add_precondition_failure_violation(reason, refused.delivery_id.as_str(), message);
            }
            Self::StoreUnavailable
            | Self::ShuttingDown { .. }
            | Self::ConnectionEnding { .. }
            | Self::Busy
            | Self::TooManyStreams { .. } => {
                details.set_retry_info(Some(DEFAULT_RETRY_DELAY));
            }
            Self::RateLimited { retry_after } | Self::UnauthenticatedLimitExceeded { retry_after } => {
                details.set_retry_info(Some(*retry_after));
            }
            Self::IncidentOwnedByOther(_)
            | Self::DeliveryNotFound(_)
            | Self::SubscriberTooSlow { .. }
            | Self::CredentialMissing
            | Self::CredentialInvalid
            | Self::RoleInsufficient { .. }
            | Self::Unimplemented(_)
            | Self::RequestMalformed(_)
            | Self::RequestTooLarge { .. }
            | Self::Internal => {}
        }
    }
}

/// What is wrong with a name that no connection has.
pub(super) fn no_connection(name: &str, known: &[String]) -> String {
    format!("no connection is named {name:?}: set it to {}", connection_names(known, " or "))
}

/// The names of connections; of many, the first ones.
fn connection_names(known: &[String], between: &str) -> String {
    let listed =
        known.iter().take(MAX_LISTED_CONNECTIONS).map(String::as_str).collect::<Vec<_>>().join(between);
    match known.len().saturating_sub(MAX_LISTED_CONNECTIONS) {
        0 => listed,
        more => format!("{listed}{between}{more} more, see GetStatus"),
    }
}

fn names(roles: &[Role], between: &str) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(between)
}

fn summary(violations: &Violations) -> String {
    let Some(first) = violations.iter().next() else { return "the request is invalid".to_owned() };
    match violations.iter().count() - 1 {
        0 => format!("{}: {}", first.field, first.description),
        more => format!("{}: {} (and {more} more, see the details)", first.field, first.description),
    }
}

// As many violations as fit, and the number of the others.
fn within_budget(violations: &Violations) -> Vec<FieldViolation> {
    let mut room = VIOLATIONS_BUDGET;
    let mut listed = Vec::new();
    for violation in violations.iter() {
        let size = violation.field.len() + violation.description.len() + 10;
        let Some(left) = room.checked_sub(size) else { break };
        room = left;
        listed.push(FieldViolation::new(&violation.field, &violation.description));
    }
    let more = violations.iter().count() - listed.len();
    if let Some(next) = violations.iter().nth(listed.len()) {
        listed.push(FieldViolation::new(
            &next.field,
            format!("and {more} violations from here on, too many for one answer"),
        ));
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(count: usize) -> Violations {
        let mut violations = Violations::default();
        for index in 0..count {
            violations.add(format!("incident.firing_rules[{index}].name"), "must not be empty");
        }
        violations
    }

    #[test]
    fn reports_violations_by_field_path() {
        let status = Status::from(Refusal::IncidentInvalid(violations(3)));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(
            status.message(),
            "incident.firing_rules[0].name: must not be empty (and 2 more, see the details)"
        );
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INCIDENT_INVALID", "ticketing.rhythmx"));
        let listed = &details.bad_request().unwrap().field_violations;
        assert_eq!(listed.len(), 3);
        assert_eq!(listed[2].field, "incident.firing_rules[2].name");
    }

    #[test]
    fn limits_size_of_violations() {
        let status = Status::from(Refusal::IncidentInvalid(violations(2_000)));
        assert!(status.details().len() * 4 / 3 < 7_000, "{} bytes", status.details().len());
        let listed = status.get_details_bad_request().unwrap().field_violations;
        let last = listed.last().unwrap();
        assert_eq!(last.field, format!("incident.firing_rules[{}].name", listed.len() - 1));
        assert!(last.description.starts_with(&format!("and {} violations", 2_001 - listed.len())));
    }

    #[test]
    fn disabled_connection_is_failed_precondition() {
        let status = Status::from(Refusal::ConnectionNotEnabled("servicenow".to_owned()));
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(
            status.message(),
            "the connection servicenow is not enabled: set its enabled to true with Configure"
        );
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().metadata["connection"], "servicenow");
        assert_eq!(details.precondition_failure().unwrap().violations[0].r#type, "CONNECTION_NOT_ENABLED");
    }

    #[test]
    fn unknown_connection_is_not_found() {
        let status = Status::from(Refusal::ConnectionNotFound {
            name: "jira-eu".to_owned(),
            known: vec!["jira".to_owned(), "servicenow".to_owned()],
        });
        let message = r#"no connection is named "jira-eu": set it to jira or servicenow"#;
        assert_eq!((status.code(), status.message()), (Code::NotFound, message));
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().metadata["connections"], "jira, servicenow");
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "connection");
    }

    #[test]
    fn expired_resume_token_is_out_of_range() {
        let status = Status::from(Refusal::ResumeTokenExpired { oldest_token: "abc".to_owned() });
        assert_eq!(status.code(), Code::OutOfRange);
        assert_eq!(status.get_details_error_info().unwrap().metadata["oldest_token"], "abc");
    }

    #[test]
    fn temporary_refusals_have_retry_info() {
        let resume_token = String::new;
        let passing = [
            Refusal::StoreUnavailable,
            Refusal::Busy,
            Refusal::ShuttingDown { resume_token: resume_token() },
            Refusal::ConnectionEnding { resume_token: resume_token() },
        ];
        for refusal in passing {
            let status = Status::from(refusal.clone());
            assert_eq!(
                status.get_details_retry_info().unwrap().retry_delay,
                Some(DEFAULT_RETRY_DELAY),
                "{refusal:?}"
            );
            assert!(status.get_details_error_info().unwrap().metadata.is_empty());
        }
    }
}
