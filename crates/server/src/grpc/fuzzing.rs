//! Entry points of request parsing for fuzzing. See [`crate::fuzzing`].

use std::sync::OnceLock;

use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use prost::Message;
use ticketing_contract::{FILE_DESCRIPTOR_SET, Method, v1};
use ticketing_core::incident::Incident;
use ticketing_core::violation::Violations;
use ticketing_engine::settings::Rules;
use ticketing_store::{DeliveryFilter, PageKey, StreamName};

use super::errors::no_connection;
use super::parse::{self, ListFilter, Rejection};
use super::wire::Schema;
use super::{deadline, token};

const HERE: &str = "here";

/// The outcome of parsing a request.
#[derive(Debug)]
pub enum RequestOutcome {
    /// Not a message of this type.
    Malformed,
    Refused(Violations),
    Taken,
}

/// Measures, decodes and validates the request of a method.
///
/// # Panics
/// If measuring and decoding disagree about whether the message is valid.
#[must_use]
pub fn check_request(method: Method, request: &[u8]) -> RequestOutcome {
    static SCHEMA: OnceLock<Option<Schema>> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| Schema::of(&[FILE_DESCRIPTOR_SET]).ok());
    let heard = decode(method, request);
    if let Some((schema, method)) =
        schema.as_ref().and_then(|schema| Some((schema, schema.method(method.path())?)))
    {
        let measured = schema.measure(method, request, usize::MAX);
        let is_malformed = matches!(heard, RequestOutcome::Malformed);
        assert_eq!(is_malformed, measured.is_err(), "{measured:?}");
    }
    heard
}

fn decode(method: Method, request: &[u8]) -> RequestOutcome {
    match method {
        Method::Configure => take(request, |request| {
            let mut violations = Violations::default();
            let change = parse::change(
                request,
                &crate::vendors::VendorFlags::default().vendors(),
                &Rules::default(),
                &mut violations,
            );
            violations.into_result(change)
        }),
        Method::TestConnection => take(request, |request| {
            let (_, change, violations) =
                parse::tested_connection(request, &crate::vendors::VendorFlags::default().vendors())
                    .map_err(violations_of)?;
            violations.into_result(change)
        }),
        Method::GetStatus => take(request, |_: v1::GetStatusRequest| Ok(())),
        Method::PreviewTicket => take(request, |request: v1::PreviewTicketRequest| {
            parse::pushed_incident(request.incident, request.destination).map_err(violations_of)
        }),
        Method::CreateTicket => take(request, |request: v1::CreateTicketRequest| {
            parse::pushed_incident(request.incident, request.destination).map_err(violations_of)
        }),
        Method::SubmitIncident => {
            take(request, |request: v1::SubmitIncidentRequest| parse::submitted_incident(request.incident))
        }
        Method::StreamTicketEvents => take(request, parse::subscription),
        Method::GetDelivery => {
            take(request, |request: v1::GetDeliveryRequest| parse::delivery_id(request.delivery_id))
        }
        Method::ListDeliveries => take(request, |request| {
            let list = parse::list_deliveries(request)?;
            let _ = token::read_page_token(HERE, &list.page_token, &list);
            Ok(list)
        }),
        Method::RetryDelivery => {
            take(request, |request: v1::RetryDeliveryRequest| parse::delivery_id(request.delivery_id))
        }
        Method::RetryDeliveries => take(request, |request| {
            let retries = parse::retry_deliveries(request)?;
            let _ = token::read_retry_token(HERE, &retries.page_token, &retries.filter);
            Ok(retries)
        }),
        Method::CancelDelivery => take(request, parse::cancel_delivery),
        Method::ResolveDelivery => take(request, parse::resolve_delivery),
        Method::ListAuditEntries => take(request, |request: v1::ListAuditEntriesRequest| {
            let _ = token::read_audit_token(HERE, &request.page_token);
            parse::page_size(request.page_size)
        }),
    }
}

fn violations_of(rejection: Rejection) -> Violations {
    let mut violations = Violations::default();
    match rejection {
        Rejection::Invalid(invalid) => return invalid,
        Rejection::ConnectionNotFound(name) => violations.add("connection", no_connection(&name)),
    }
    violations
}

fn take<M: Message + Default, T>(
    bytes: &[u8],
    check: impl FnOnce(M) -> Result<T, Violations>,
) -> RequestOutcome {
    let Ok(message) = M::decode(bytes) else { return RequestOutcome::Malformed };
    match check(message) {
        Ok(_) => RequestOutcome::Taken,
        Err(violations) => RequestOutcome::Refused(violations),
    }
}

/// The incident in a message, if valid.
#[must_use]
pub fn incident(message: &[u8]) -> Option<Incident> {
    parse::submitted_incident(Some(v1::Incident::decode(message).ok()?)).ok()
}

/// A token of each kind.
#[must_use]
pub fn tokens() -> Vec<String> {
    let key = PageKey { created_at: Timestamp::UNIX_EPOCH, id: "0197".to_owned() };
    vec![
        token::resume_token(HERE, 41),
        token::resume_token("before", 40),
        token::page_token(HERE, &key, &ListFilter::default()),
        token::retry_token(HERE, &key, &DeliveryFilter::default()),
        token::audit_token(HERE, 7),
    ]
}

/// Whether a text is accepted as a token of any kind.
#[must_use]
pub fn is_token(text: &str) -> bool {
    let stream = StreamName { current: HERE.to_owned(), former: vec![("before".to_owned(), 40)] };
    token::read_resume_token(&stream, text).is_some()
        || token::read_page_token(HERE, text, &ListFilter::default()).is_some()
        || token::read_retry_token(HERE, text, &DeliveryFilter::default()).is_some()
        || token::read_audit_token(HERE, text).is_some()
}

/// The time-out in a `grpc-timeout` header.
#[must_use]
pub fn deadline(header: &[u8]) -> Option<std::time::Duration> {
    let mut headers = HeaderMap::new();
    headers.insert("grpc-timeout", HeaderValue::from_bytes(header).ok()?);
    deadline::of_headers(&headers)
}
