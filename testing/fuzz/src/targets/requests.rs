//! Requests of callers.

use prost::Message;
use rhythmx_ticketing::Method;
use ticketing_server::fuzzing::{RequestOutcome, check_request};

use crate::contract;

/// Maximum number of violations of a request: an incident with the longest lists and every entry invalid in
/// every way. More would amplify few bytes into much memory.
const MAX_VIOLATIONS: usize = 4_000;

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
    let RequestOutcome::Refused(violations) = check_request(contract::method(*choice), request) else {
        return;
    };
    assert!(!violations.is_empty(), "a refusal says why");
    let count = violations.iter().count();
    assert!(count <= MAX_VIOLATIONS, "{count} violations");
    for violation in violations.iter() {
        assert!(!violation.field.is_empty() && !violation.description.is_empty(), "{violation:?}");
        assert!(violation.field.len() + violation.description.len() <= 1_024, "{violation:?}");
    }
}
