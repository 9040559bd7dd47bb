//! Requests about deliveries, from the contract to the domain.

use ticketing_contract::v1;
use ticketing_core::delivery::State;
use ticketing_core::fault::FaultKind;
use ticketing_core::violation::Violations;
use ticketing_store::DeliveryFilter;

use super::field;

const MAX_ID: usize = 64;
const MAX_NOTE: usize = 500;
const MAX_KEY: usize = 255;
const MAX_LINK: usize = 2_048;
const MAX_CONNECTION_NAME: usize = 63;
const MAX_CHOICES: usize = 100;
const DEFAULT_PAGE: u32 = 50;
const MAX_PAGE: u32 = 500;
/// Lower, because attempts make a delivery many times larger.
const MAX_PAGE_WITH_ATTEMPTS: u32 = 100;
const DEFAULT_RETRIES: u32 = 100;

/// A list query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    pub deliveries: DeliveryFilter,
    pub include_attempts: bool,
    /// 1 to 500.
    pub page_size: u32,
    /// Empty for the first page.
    pub page_token: String,
}

/// A bulk retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    pub filter: DeliveryFilter,
    /// 1 to 500.
    pub page_size: u32,
    /// Empty for the first page.
    pub page_token: String,
    pub note: String,
}

/// A cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancellation {
    pub delivery_id: String,
    pub note: String,
}

/// The ticket of a delivery. ID and URL may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    pub delivery_id: String,
    pub key: String,
    pub id: String,
    pub url: String,
    pub note: String,
    pub allow_unverified: bool,
}

/// A delivery ID.
///
/// # Errors
/// Every violation.
pub fn delivery_id(id: String) -> Result<String, Violations> {
    let mut violations = Violations::default();
    check_delivery_id(&id, &mut violations);
    violations.into_result(id)
}

/// A CancelDelivery request.
///
/// # Errors
/// Every violation.
pub fn cancel_delivery(request: v1::CancelDeliveryRequest) -> Result<Cancellation, Violations> {
    let mut violations = Violations::default();
    check_delivery_id(&request.delivery_id, &mut violations);
    violations.limit_text("note", &request.note, MAX_NOTE);
    violations.into_result(Cancellation { delivery_id: request.delivery_id, note: request.note })
}

/// A ResolveDelivery request.
///
/// # Errors
/// Every violation.
pub fn resolve_delivery(request: v1::ResolveDeliveryRequest) -> Result<Resolution, Violations> {
    let mut violations = Violations::default();
    check_delivery_id(&request.delivery_id, &mut violations);
    check_word("ticket_key", &request.ticket_key, &mut violations);
    if !request.ticket_id.is_empty() {
        check_word("ticket_id", &request.ticket_id, &mut violations);
    }
    violations.limit_text("ticket_url", &request.ticket_url, MAX_LINK);
    let link = field::link("ticket_url", &request.ticket_url, &mut violations);
    if let Some(url) = &link {
        let web = matches!(url.scheme(), "http" | "https") && url.has_host();
        violations.require(web, "ticket_url", "must be an http or https address with a host");
        let bare = url.username().is_empty() && url.password().is_none();
        violations.require(bare, "ticket_url", "must not carry a user name or password");
    }
    violations.limit_text("note", &request.note, MAX_NOTE);
    violations.into_result(Resolution {
        delivery_id: request.delivery_id,
        key: request.ticket_key,
        id: request.ticket_id,
        url: link.map(String::from).unwrap_or_default(),
        note: request.note,
        allow_unverified: request.allow_unverified,
    })
}

/// A ListDeliveries request.
///
/// # Errors
/// Every violation.
pub fn list_deliveries(request: v1::ListDeliveriesRequest) -> Result<ListFilter, Violations> {
    let mut violations = Violations::default();
    let systems = field::systems("systems", &request.systems, &mut violations);
    let page_size = checked_page_size(request.page_size, DEFAULT_PAGE, &mut violations);
    let filter = filter(request.filter.unwrap_or_default(), &mut violations);
    let deliveries = DeliveryFilter { systems, ..filter };
    let largest = if request.include_attempts { MAX_PAGE_WITH_ATTEMPTS } else { MAX_PAGE };
    violations.into_result(ListFilter {
        deliveries,
        include_attempts: request.include_attempts,
        page_size: page_size.min(largest),
        page_token: request.page_token,
    })
}

/// A RetryDeliveries request.
///
/// # Errors
/// Every violation.
pub fn retry_deliveries(request: v1::RetryDeliveriesRequest) -> Result<Retries, Violations> {
    let mut violations = Violations::default();
    let filter = filter(request.filter.unwrap_or_default(), &mut violations);
    let page_size = checked_page_size(request.page_size, DEFAULT_RETRIES, &mut violations);
    violations.limit_text("note", &request.note, MAX_NOTE);
    let page_token = request.page_token;
    let note = request.note;
    violations.into_result(Retries { filter, page_size, page_token, note })
}

/// Empty and absent fields do not filter.
fn filter(filter: v1::DeliveryFilter, violations: &mut Violations) -> DeliveryFilter {
    let states = states("filter.states", &filter.states, violations);
    let connections = connections("filter.connections", filter.connections, violations);
    let incident_id = field::incident_filter("filter.incident_id", filter.incident_id, violations);
    violations.limit_text("filter.ticket_key", &filter.ticket_key, MAX_KEY);
    let ticket_key = Some(filter.ticket_key).filter(|key| !key.is_empty());
    let fault_kinds = fault_kinds("filter.fault_kinds", &filter.fault_kinds, violations);
    let mut time = |path: &str, time| field::timestamp(path, Some(time), violations);
    let created_from = filter.created_from.and_then(|from| time("filter.created_from", from));
    let created_until = filter.created_until.and_then(|until| time("filter.created_until", until));
    let is_range = created_from.zip(created_until).is_none_or(|(from, until)| from < until);
    violations.require(is_range, "filter.created_until", "must be later than filter.created_from");
    let systems = vec![];
    DeliveryFilter {
        states,
        systems,
        connections,
        incident_id,
        ticket_key,
        fault_kinds,
        created_from,
        created_until,
    }
}

fn connections(path: &str, names: Vec<String>, violations: &mut Violations) -> Vec<String> {
    violations.limit_list(path, &names, MAX_CHOICES);
    for (index, name) in names.iter().take(MAX_CHOICES).enumerate() {
        violations.require_text(&format!("{path}[{index}]"), name, MAX_CONNECTION_NAME);
    }
    names
}

fn fault_kinds(path: &str, values: &[i32], violations: &mut Violations) -> Vec<FaultKind> {
    let mut kinds = Vec::new();
    for (index, value) in field::choices(path, values, violations).iter().enumerate() {
        let name = v1::FaultKind::try_from(*value).map_or("", |kind| kind.as_str_name());
        let name = name.strip_prefix("FAULT_KIND_").unwrap_or_default();
        match FaultKind::ALL.into_iter().find(|kind| kind.as_str() == name) {
            Some(kind) => kinds.push(kind),
            None => violations
                .add(format!("{path}[{index}]"), "must be a kind of fault, for example FAULT_KIND_FORBIDDEN"),
        }
    }
    kinds
}

/// The page size of a list; 0 is the default.
///
/// # Errors
/// Every violation.
pub fn page_size(given: i32) -> Result<u32, Violations> {
    let mut violations = Violations::default();
    let page_size = checked_page_size(given, DEFAULT_PAGE, &mut violations);
    violations.into_result(page_size)
}

fn checked_page_size(given: i32, default: u32, violations: &mut Violations) -> u32 {
    violations.require(given >= 0, "page_size", "must not be negative");
    match given.unsigned_abs() {
        0 => default,
        size => size.min(MAX_PAGE),
    }
}

fn check_delivery_id(id: &str, violations: &mut Violations) {
    violations.require_text("delivery_id", id, MAX_ID);
}

fn check_word(path: &str, word: &str, violations: &mut Violations) {
    violations.require_text(path, word, MAX_KEY);
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
    fn list_without_filters_has_default_page() {
        let filter = list_deliveries(v1::ListDeliveriesRequest::default()).unwrap();
        assert_eq!((filter.page_size, filter.deliveries), (50, DeliveryFilter::default()));
    }

    #[test]
    fn limits_page_size() {
        let request = v1::ListDeliveriesRequest { page_size: i32::MAX, ..Default::default() };
        assert_eq!(list_deliveries(request).unwrap().page_size, MAX_PAGE);
        let request =
            v1::ListDeliveriesRequest { page_size: 500, include_attempts: true, ..Default::default() };
        assert_eq!(list_deliveries(request).unwrap().page_size, MAX_PAGE_WITH_ATTEMPTS);
    }

    #[test]
    fn reports_each_field_of_a_filter() {
        let filter = v1::DeliveryFilter {
            states: vec![0],
            connections: vec![String::new()],
            incident_id: "no spaces".to_owned(),
            ticket_key: "x".repeat(256),
            fault_kinds: vec![v1::FaultKind::Forbidden.into(), 0, 999],
            created_from: Some(prost_types::Timestamp { seconds: 9, nanos: 0 }),
            created_until: Some(prost_types::Timestamp { seconds: 9, nanos: 0 }),
        };
        let paths = [
            "filter.states[0]",
            "filter.connections[0]",
            "filter.incident_id",
            "filter.ticket_key",
            "filter.fault_kinds[1]",
            "filter.fault_kinds[2]",
            "filter.created_until",
        ];
        let list = v1::ListDeliveriesRequest { filter: Some(filter.clone()), ..Default::default() };
        assert_eq!(fields(list_deliveries(list)), paths);
        let retry = v1::RetryDeliveriesRequest { filter: Some(filter), ..Default::default() };
        assert_eq!(fields(retry_deliveries(retry)), paths);
    }

    #[test]
    fn accepts_every_kind_of_fault_in_a_filter() {
        let kinds: Vec<i32> = (1..100).filter(|kind| v1::FaultKind::try_from(*kind).is_ok()).collect();
        let filter = v1::DeliveryFilter { fault_kinds: kinds.clone(), ..Default::default() };
        let list = v1::ListDeliveriesRequest { filter: Some(filter), ..Default::default() };
        assert_eq!(list_deliveries(list).unwrap().deliveries.fault_kinds.len(), kinds.len());
    }

    #[test]
    fn every_bad_filter_is_reported_at_once() {
        let request = v1::ListDeliveriesRequest {
            systems: vec![42],
            page_size: -1,
            filter: Some(v1::DeliveryFilter { states: vec![0], ..Default::default() }),
            ..Default::default()
        };
        assert_eq!(fields(list_deliveries(request)), ["systems[0]", "page_size", "filter.states[0]"]);
    }

    #[test]
    fn limits_violations_of_long_list() {
        let of_states = |states| Some(v1::DeliveryFilter { states, ..Default::default() });
        let request = v1::ListDeliveriesRequest {
            systems: vec![-1; 1_000_000],
            filter: of_states(vec![-1; 1_000_000]),
            ..Default::default()
        };
        let refused = fields(list_deliveries(request));
        assert_eq!(refused.len(), 2 * (1 + 100));
        assert_eq!((refused[0].as_str(), refused[101].as_str()), ("systems", "filter.states"));
        let longest = v1::ListDeliveriesRequest { filter: of_states(vec![1; 100]), ..Default::default() };
        assert_eq!(list_deliveries(longest).unwrap().deliveries.states.len(), 100);
    }

    #[test]
    fn validates_resolution() {
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
    fn refuses_invalid_ticket_url() {
        for url in ["ftp://a.example/", "http://", "https://u:p@a.example/", "/browse/SEC-1", "javascript:x"]
        {
            let request = v1::ResolveDeliveryRequest {
                delivery_id: "0197".to_owned(),
                ticket_key: "SEC-24".to_owned(),
                ticket_url: url.to_owned(),
                ..Default::default()
            };
            assert_eq!(fields(resolve_delivery(request)), ["ticket_url"], "{url}");
        }
    }

    #[test]
    fn requires_delivery_id() {
        assert_eq!(fields(delivery_id(String::new())), ["delivery_id"]);
        assert_eq!(fields(delivery_id("x".repeat(65))), ["delivery_id"]);
    }
}
