//! Requests of callers.

use std::sync::LazyLock;

use prost::Message;
use rhythmx_ticketing::{FILE_DESCRIPTOR_SET, Method, v1};
use ticketing_core::incident::Incident;
use ticketing_core::violation::Violations;
use ticketing_engine::settings::Rules;
use ticketing_server::grpc::parse::{self, Rejection};
use ticketing_server::grpc::wire::Schema;

use super::VENDORS;
use crate::contract;

/// Maximum number of violations of a request: an incident with the longest lists and every entry invalid in
/// every way. More would amplify few bytes into much memory.
const MAX_VIOLATIONS: usize = 4_000;
/// Maximum length of the name of a connection, in characters.
const MAX_CONNECTION_NAME: usize = 63;

static CONNECTIONS: LazyLock<Vec<String>> =
    LazyLock::new(|| ["jira", "jira-eu", "servicenow"].map(str::to_owned).into());

static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::of(&[FILE_DESCRIPTOR_SET]).expect("the contract has descriptors"));

/// What becomes of a request.
#[derive(Debug)]
enum Outcome {
    /// Not a message of this type.
    Malformed,
    Refused(Rejection),
    Accepted,
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    (0..)
        .zip(Method::ALL)
        .map(|(choice, method)| {
            let request = contract::filled(&contract::request(method));
            [vec![choice], request.encode_to_vec()].concat()
        })
        .collect()
}

pub(super) fn run(input: &[u8]) {
    let Some((choice, request)) = input.split_first() else { return };
    match check(contract::method(*choice), request) {
        Outcome::Malformed | Outcome::Accepted => {}
        Outcome::Refused(Rejection::Invalid(violations)) => check_violations(&violations),
        Outcome::Refused(Rejection::ConnectionNotFound { name, .. }) => {
            assert!((1..=MAX_CONNECTION_NAME).contains(&name.chars().count()), "{name}");
        }
    }
}

fn check_violations(violations: &Violations) {
    assert!(!violations.is_empty(), "a refusal says why");
    let count = violations.iter().count();
    assert!(count <= MAX_VIOLATIONS, "{count} violations");
    for violation in violations.iter() {
        assert!(!violation.field.is_empty() && !violation.description.is_empty(), "{violation:?}");
        assert!(violation.field.len() + violation.description.len() <= 1_024, "{violation:?}");
    }
}

/// The incident in a message, if valid.
pub(super) fn incident(message: &[u8]) -> Option<Incident> {
    parse::submitted_incident(Some(v1::Incident::decode(message).ok()?)).ok()
}

/// Measures, decodes and validates the request of a method. Measuring and decoding must agree on what is malformed.
fn check(method: Method, request: &[u8]) -> Outcome {
    let outcome = decode(method, request);
    let known = SCHEMA.method(method.path()).expect("the schema has every method");
    let measured = SCHEMA.measure(known, request, usize::MAX);
    let is_malformed = matches!(outcome, Outcome::Malformed);
    assert_eq!(is_malformed, measured.is_err(), "{measured:?}");
    outcome
}

fn decode(method: Method, request: &[u8]) -> Outcome {
    match method {
        Method::Configure => parsed(request, |request| {
            let mut violations = Violations::default();
            let change = parse::change(request, &VENDORS, &Rules::default(), &mut violations);
            violations.into_result(change).map_err(Rejection::Invalid)
        }),
        Method::TestConnection => parsed(request, |request| {
            let (_, change, violations) = parse::tested_connection(request, &VENDORS, &CONNECTIONS)?;
            violations.into_result(change).map_err(Rejection::Invalid)
        }),
        Method::GetStatus => parsed(request, |_: v1::GetStatusRequest| Ok(())),
        Method::PreviewTicket => parsed(request, |request: v1::PreviewTicketRequest| {
            parse::pushed_incident(request.incident, request.destination, &CONNECTIONS)
        }),
        Method::CreateTicket => parsed(request, |request: v1::CreateTicketRequest| {
            parse::pushed_incident(request.incident, request.destination, &CONNECTIONS)
        }),
        Method::SubmitIncident => {
            valid(request, |request: v1::SubmitIncidentRequest| parse::submitted_incident(request.incident))
        }
        Method::StreamTicketEvents => valid(request, parse::subscription),
        Method::GetDelivery => {
            valid(request, |request: v1::GetDeliveryRequest| parse::delivery_id(request.delivery_id))
        }
        Method::ListDeliveries => valid(request, parse::list_deliveries),
        Method::RetryDelivery => {
            valid(request, |request: v1::RetryDeliveryRequest| parse::delivery_id(request.delivery_id))
        }
        Method::RetryDeliveries => valid(request, parse::retry_deliveries),
        Method::CancelDelivery => valid(request, parse::cancel_delivery),
        Method::ResolveDelivery => valid(request, parse::resolve_delivery),
        Method::ListAuditEntries => {
            valid(request, |request: v1::ListAuditEntriesRequest| parse::page_size(request.page_size))
        }
    }
}

/// The outcome of a request without a destination.
fn valid<M: Message + Default, T>(bytes: &[u8], parse: impl FnOnce(M) -> Result<T, Violations>) -> Outcome {
    parsed(bytes, |message| parse(message).map_err(Rejection::Invalid))
}

fn parsed<M: Message + Default, T>(bytes: &[u8], parse: impl FnOnce(M) -> Result<T, Rejection>) -> Outcome {
    let Ok(message) = M::decode(bytes) else { return Outcome::Malformed };
    match parse(message) {
        Ok(_) => Outcome::Accepted,
        Err(rejection) => Outcome::Refused(rejection),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seed_decodes_completely() {
        for seed in seeds() {
            let method = contract::method(seed[0]);
            assert!(!matches!(check(method, &seed[1..]), Outcome::Malformed), "{method:?}");
        }
    }

    #[test]
    fn accepts_incidents_of_the_examples() {
        assert!(contract::incidents().iter().all(|message| incident(message).is_some()));
    }
}
