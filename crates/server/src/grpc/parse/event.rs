//! Event subscriptions, from the contract to the domain.

use ticketing_contract::v1;
use ticketing_contract::v1::stream_ticket_events_request::Start as WireStart;
use ticketing_core::delivery::EventKind;
use ticketing_core::system::System;
use ticketing_core::violation::Violations;

use super::field;

/// The filter and start of a subscription. Empty and absent fields do not filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub incident_id: Option<String>,
    pub systems: Vec<System>,
    pub kinds: Vec<EventKind>,
    pub start: Start,
}

/// Where a stream begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// After the newest event.
    Now,
    /// At the oldest kept event.
    Oldest,
    /// After the event or bookmark with this token, which is not parsed yet.
    After(String),
}

/// A StreamTicketEvents request.
///
/// # Errors
/// Every violation.
pub fn subscription(request: v1::StreamTicketEventsRequest) -> Result<Subscription, Violations> {
    let mut violations = Violations::default();
    let incident_id = field::incident_filter("incident_id", request.incident_id, &mut violations);
    let systems = field::systems("systems", &request.systems, &mut violations);
    let kinds = kinds("kinds", &request.kinds, &mut violations);
    let start = match request.start {
        None => Start::Now,
        Some(WireStart::Oldest(())) => Start::Oldest,
        Some(WireStart::ResumeToken(token)) => Start::After(token),
    };
    violations.into_result(Subscription { incident_id, systems, kinds, start })
}

fn kinds(path: &str, values: &[i32], violations: &mut Violations) -> Vec<EventKind> {
    let mut kinds = Vec::new();
    for (index, value) in field::choices(path, values, violations).iter().enumerate() {
        match v1::TicketEventKind::try_from(*value).ok().and_then(kind) {
            Some(kind) => kinds.push(kind),
            None => violations.add(
                format!("{path}[{index}]"),
                "must be a kind of event, for example TICKET_EVENT_KIND_DELIVERED",
            ),
        }
    }
    kinds
}

fn kind(kind: v1::TicketEventKind) -> Option<EventKind> {
    use v1::TicketEventKind as Wire;
    Some(match kind {
        Wire::Unspecified => return None,
        Wire::Accepted => EventKind::Accepted,
        Wire::SnapshotUpdated => EventKind::SnapshotUpdated,
        Wire::AttemptStarted => EventKind::AttemptStarted,
        Wire::Waiting => EventKind::Waiting,
        Wire::Reconciling => EventKind::Reconciling,
        Wire::Delivered => EventKind::Delivered,
        Wire::Failed => EventKind::Failed,
        Wire::Rearmed => EventKind::Rearmed,
        Wire::Cancelled => EventKind::Cancelled,
        Wire::Resolved => EventKind::Resolved,
        Wire::DuplicateFound => EventKind::DuplicateFound,
        Wire::ConnectionThrottled => EventKind::ConnectionThrottled,
        Wire::ConnectionLoginRefused => EventKind::ConnectionLoginRefused,
        Wire::ConnectionSuspended => EventKind::ConnectionSuspended,
        Wire::ConnectionCircuitOpened => EventKind::ConnectionCircuitOpened,
        Wire::ConnectionRecovered => EventKind::ConnectionRecovered,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::present;

    #[test]
    fn subscription_without_filters_starts_now() {
        let subscription = subscription(v1::StreamTicketEventsRequest::default()).unwrap();
        assert_eq!((subscription.start, subscription.kinds), (Start::Now, vec![]));
    }

    #[test]
    fn every_bad_filter_is_reported_at_once() {
        let request = v1::StreamTicketEventsRequest {
            incident_id: "no spaces".to_owned(),
            systems: vec![0],
            kinds: vec![v1::TicketEventKind::Failed.into(), 0, 99],
            start: Some(WireStart::Oldest(())),
        };
        let violations = subscription(request).unwrap_err();
        let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(fields, ["incident_id", "systems[0]", "kinds[1]", "kinds[2]"]);
    }

    #[test]
    fn accepts_every_event_kind() {
        let wire = (1..).map_while(|value| v1::TicketEventKind::try_from(value).ok());
        for each in wire {
            assert_eq!(kind(each).map(present::event_kind), Some(each));
        }
    }
}
