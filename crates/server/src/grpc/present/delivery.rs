//! Deliveries and events.

use rhythmx_ticketing::v1;
use ticketing_core::delivery::{Delivery, EventKind, State, Trigger};

use super::{field, ticket};

/// A delivery without its attempts; `max_attempts` is what the retry settings allow.
pub(crate) fn delivery(delivery: Delivery, max_attempts: u32) -> v1::Delivery {
    v1::Delivery {
        id: delivery.id,
        incident_id: delivery.incident_id,
        target: delivery.target,
        system: field::system(delivery.system).into(),
        trigger: trigger(delivery.trigger).into(),
        state: state(delivery.state).into(),
        ticket: delivery.ticket.map(ticket::ticket),
        marker: delivery.marker.to_string(),
        incident_revision: delivery.incident_revision,
        created_at: Some(field::timestamp(delivery.created_at)),
        updated_at: Some(field::timestamp(delivery.updated_at)),
        next_attempt_at: delivery.due_at.map(field::timestamp),
        failures: delivery.failures,
        max_attempts,
        last_error: delivery.last_error.map(ticket::last_error),
        adjustments: delivery.adjustments.into_iter().map(ticket::adjustment).collect(),
        duplicates: delivery.duplicates.into_iter().map(ticket::ticket).collect(),
        attempts: vec![],
    }
}

pub(crate) fn event_kind(kind: EventKind) -> v1::TicketEventKind {
    match kind {
        EventKind::Accepted => v1::TicketEventKind::Accepted,
        EventKind::SnapshotUpdated => v1::TicketEventKind::SnapshotUpdated,
        EventKind::AttemptStarted => v1::TicketEventKind::AttemptStarted,
        EventKind::Delivered => v1::TicketEventKind::Delivered,
        EventKind::Waiting => v1::TicketEventKind::Waiting,
        EventKind::Reconciling => v1::TicketEventKind::Reconciling,
        EventKind::Failed => v1::TicketEventKind::Failed,
        EventKind::Rearmed => v1::TicketEventKind::Rearmed,
        EventKind::Resolved => v1::TicketEventKind::Resolved,
        EventKind::Cancelled => v1::TicketEventKind::Cancelled,
        EventKind::DuplicateFound => v1::TicketEventKind::DuplicateFound,
        EventKind::TargetThrottled => v1::TicketEventKind::TargetThrottled,
        EventKind::TargetLoginRefused => v1::TicketEventKind::TargetLoginRefused,
        EventKind::TargetSuspended => v1::TicketEventKind::TargetSuspended,
        EventKind::TargetCircuitOpened => v1::TicketEventKind::TargetCircuitOpened,
        EventKind::TargetRecovered => v1::TicketEventKind::TargetRecovered,
    }
}

fn state(state: State) -> v1::DeliveryState {
    match state {
        State::Pending => v1::DeliveryState::Pending,
        State::Attempting => v1::DeliveryState::Attempting,
        State::Delivered => v1::DeliveryState::Delivered,
        State::Waiting => v1::DeliveryState::Waiting,
        State::Reconciling => v1::DeliveryState::Reconciling,
        State::Failed => v1::DeliveryState::Failed,
        State::Cancelled => v1::DeliveryState::Cancelled,
    }
}

fn trigger(trigger: Trigger) -> v1::DeliveryTrigger {
    match trigger {
        Trigger::Manual => v1::DeliveryTrigger::Manual,
        Trigger::AutoPush => v1::DeliveryTrigger::AutoPush,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use ticketing_core::delivery::LastError;
    use ticketing_core::delivery::operate::NewDelivery;
    use ticketing_core::fault::{Fault, FaultKind};
    use ticketing_core::marker::{InstallationKey, Marker};
    use ticketing_core::system::System;

    use super::*;

    fn accepted() -> Delivery {
        let marker = Marker::derive(&InstallationKey::new([1; 32]), "INC-1", "jira");
        let new = NewDelivery {
            id: "0197".to_owned(),
            incident_id: "INC-1".to_owned(),
            incident_revision: 1,
            target: "jira".to_owned(),
            system: System::Jira,
            trigger: Trigger::Manual,
            marker,
        };
        Delivery::accept(new, Timestamp::UNIX_EPOCH).delivery
    }

    #[test]
    fn every_state_bears_the_name_that_the_domain_gives_it() {
        for each in State::ALL {
            assert_eq!(state(each).as_str_name(), format!("DELIVERY_STATE_{}", each.as_str()));
        }
    }

    #[test]
    fn a_new_delivery_is_pending_and_due_and_has_no_ticket() {
        let told = delivery(accepted(), 5);
        assert_eq!(told.state(), v1::DeliveryState::Pending);
        assert_eq!((told.ticket, told.last_error, told.max_attempts), (None, None, 5));
        assert_eq!(told.next_attempt_at, Some(prost_types::Timestamp::default()));
    }

    #[test]
    fn a_failure_before_the_send_leaves_no_doubt_whatever_its_kind() {
        let mut before = accepted();
        let fault = Fault::new(FaultKind::ServerError, "Bad gateway").with_status(502);
        before.last_error = Some(LastError { fault, ambiguous: false, at: Timestamp::UNIX_EPOCH });
        let error = delivery(before, 5).last_error.unwrap();
        assert_eq!((error.http_status, error.ambiguous), (502, false));
    }
}
