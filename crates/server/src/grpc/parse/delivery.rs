//! Requests about deliveries, from the contract to the domain.

use rhythmx_ticketing::v1;
use ticketing_core::delivery::State;
use ticketing_core::system::System;
use ticketing_core::violation::Violations;

use super::field;

const LONGEST_ID: usize = 64;
const LONGEST_NOTE: usize = 500;
const LONGEST_KEY: usize = 255;
const LONGEST_LINK: usize = 2_048;
const DEFAULT_PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 500;

/// Which deliveries to list. What is empty or absent filters nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ListFilter {
    pub states: Vec<State>,
    pub systems: Vec<System>,
    pub incident_id: Option<String>,
    pub include_attempts: bool,
    /// 1 to 500.
    pub page_size: u32,
    /// Empty for the first page.
    pub page_token: String,
}

/// Which delivery to give up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cancellation {
    pub delivery_id: String,
    pub note: String,
}

/// Which ticket a delivery has. ID and URL may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolution {
    pub delivery_id: String,
    pub key: String,
    pub id: String,
    pub url: String,
    pub note: String,
}

/// The ID of one delivery.
pub(crate) fn delivery_id(id: String) -> Result<String, Violations> {
    let mut violations = Violations::default();
    check_delivery_id(&id, &mut violations);
    violations.into_result(id)
}

pub(crate) fn cancel_delivery(request: v1::CancelDeliveryRequest) -> Result<Cancellation, Violations> {
    let mut violations = Violations::default();
    check_delivery_id(&request.delivery_id, &mut violations);
    violations.limit_text("note", &request.note, LONGEST_NOTE);
    violations.into_result(Cancellation { delivery_id: request.delivery_id, note: request.note })
}

pub(crate) fn resolve_delivery(request: v1::ResolveDeliveryRequest) -> Result<Resolution, Violations> {
    let mut violations = Violations::default();
    check_delivery_id(&request.delivery_id, &mut violations);
    check_word("ticket_key", &request.ticket_key, &mut violations);
    if !request.ticket_id.is_empty() {
        check_word("ticket_id", &request.ticket_id, &mut violations);
    }
    violations.limit_text("ticket_url", &request.ticket_url, LONGEST_LINK);
    if let Some(url) = field::link("ticket_url", &request.ticket_url, &mut violations) {
        let web = matches!(url.scheme(), "http" | "https");
        violations.require(web, "ticket_url", "must be an http or https address");
    }
    violations.limit_text("note", &request.note, LONGEST_NOTE);
    violations.into_result(Resolution {
        delivery_id: request.delivery_id,
        key: request.ticket_key,
        id: request.ticket_id,
        url: request.ticket_url,
        note: request.note,
    })
}

pub(crate) fn list_deliveries(request: v1::ListDeliveriesRequest) -> Result<ListFilter, Violations> {
    let mut violations = Violations::default();
    let states = states("states", &request.states, &mut violations);
    let systems = field::systems("systems", &request.systems, &mut violations);
    let incident_id = field::incident_filter(request.incident_id, &mut violations);
    let page_size = checked_page_size(request.page_size, &mut violations);
    violations.into_result(ListFilter {
        states,
        systems,
        incident_id,
        include_attempts: request.include_attempts,
        page_size,
        page_token: request.page_token,
    })
}

pub(crate) fn page_size(given: i32) -> Result<u32, Violations> {
    let mut violations = Violations::default();
    let page_size = checked_page_size(given, &mut violations);
    violations.into_result(page_size)
}

fn checked_page_size(given: i32, violations: &mut Violations) -> u32 {
    violations.require(given >= 0, "page_size", "must not be negative");
    match given.unsigned_abs() {
        0 => DEFAULT_PAGE,
        size => size.min(LARGEST_PAGE),
    }
}

fn check_delivery_id(id: &str, violations: &mut Violations) {
    violations.require_text("delivery_id", id, LONGEST_ID);
}

fn check_word(path: &str, word: &str, violations: &mut Violations) {
    violations.require_text(path, word, LONGEST_KEY);
    let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    violations.require(plain, path, "must be of A-Z a-z 0-9 - _ . alone");
}

fn states(path: &str, values: &[i32], violations: &mut Violations) -> Vec<State> {
    let mut states = Vec::new();
    for (index, value) in field::choices(path, values, violations).iter().enumerate() {
        match v1::DeliveryState::try_from(*value) {
            Ok(v1::DeliveryState::Pending) => states.push(State::Pending),
            Ok(v1::DeliveryState::Attempting) => states.push(State::Attempting),
            Ok(v1::DeliveryState::Delivered) => states.push(State::Delivered),
            Ok(v1::DeliveryState::Waiting) => states.push(State::Waiting),
            Ok(v1::DeliveryState::Reconciling) => states.push(State::Reconciling),
            Ok(v1::DeliveryState::Failed) => states.push(State::Failed),
            Ok(v1::DeliveryState::Cancelled) => states.push(State::Cancelled),
            Ok(v1::DeliveryState::Unspecified) | Err(_) => {
                violations
                    .add(format!("{path}[{index}]"), "must be a state, for example DELIVERY_STATE_FAILED");
            }
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<T: std::fmt::Debug>(refused: Result<T, Violations>) -> Vec<String> {
        refused.unwrap_err().iter().map(|violation| violation.field.clone()).collect()
    }

    #[test]
    fn a_list_without_filters_has_the_default_page() {
        let filter = list_deliveries(v1::ListDeliveriesRequest::default()).unwrap();
        assert_eq!((filter.page_size, filter.incident_id, filter.states), (50, None, vec![]));
    }

    #[test]
    fn a_page_is_never_larger_than_the_largest() {
        let request = v1::ListDeliveriesRequest { page_size: i32::MAX, ..Default::default() };
        assert_eq!(list_deliveries(request).unwrap().page_size, LARGEST_PAGE);
    }

    #[test]
    fn every_bad_filter_is_reported_at_once() {
        let request = v1::ListDeliveriesRequest {
            states: vec![v1::DeliveryState::Failed.into(), 0],
            systems: vec![42],
            incident_id: "no spaces".to_owned(),
            page_size: -1,
            ..Default::default()
        };
        assert_eq!(fields(list_deliveries(request)), ["states[1]", "systems[0]", "incident_id", "page_size"]);
    }

    #[test]
    fn a_long_list_of_nonsense_is_refused_in_few_words() {
        let request = v1::ListDeliveriesRequest {
            states: vec![-1; 1_000_000],
            systems: vec![-1; 1_000_000],
            ..Default::default()
        };
        let refused = fields(list_deliveries(request));
        assert_eq!(refused.len(), 2 * (1 + 100));
        assert_eq!((refused[0].as_str(), refused[101].as_str()), ("states", "systems"));
        let longest = v1::ListDeliveriesRequest { states: vec![1; 100], ..Default::default() };
        assert_eq!(list_deliveries(longest).unwrap().states.len(), 100);
    }

    #[test]
    fn a_resolution_needs_a_key_of_one_word_and_a_web_address() {
        let request = v1::ResolveDeliveryRequest {
            delivery_id: "0197".to_owned(),
            ticket_key: "SEC 24".to_owned(),
            ticket_url: "javascript:alert(1)".to_owned(),
            note: "x".repeat(501),
            ..Default::default()
        };
        assert_eq!(fields(resolve_delivery(request)), ["ticket_key", "ticket_url", "note"]);
        let request = v1::ResolveDeliveryRequest {
            delivery_id: "0197".to_owned(),
            ticket_key: "SEC-24".to_owned(),
            ..Default::default()
        };
        assert_eq!(resolve_delivery(request).unwrap().key, "SEC-24");
    }

    #[test]
    fn a_delivery_must_be_named() {
        assert_eq!(fields(delivery_id(String::new())), ["delivery_id"]);
        assert_eq!(fields(delivery_id("x".repeat(65))), ["delivery_id"]);
    }
}
