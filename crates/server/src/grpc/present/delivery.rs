//! Deliveries and their attempts.

use rhythmx_ticketing::v1;
use ticketing_core::delivery::{Delivery, LastError, State, Trigger};

use super::{field, ticket};
use crate::app::DeliveryWithAttempts;
use crate::store::{Attempt, AttemptKind, AttemptOutcome};

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
        requested_by: delivery.requested_by,
        namespace: delivery.namespace.into(),
    }
}

/// A delivery with its attempts.
pub(crate) fn with_attempts(told: DeliveryWithAttempts, max_attempts: u32) -> v1::Delivery {
    let attempts = told.attempts.into_iter().map(attempt).collect();
    v1::Delivery { attempts, ..delivery(told.delivery, max_attempts) }
}

fn attempt(attempt: Attempt) -> v1::Attempt {
    let (ambiguous, at) = (attempt.outcome == AttemptOutcome::Ambiguous, attempt.times.finished_at);
    let fault = attempt.fault.map(|fault| ticket::last_error(LastError { fault, ambiguous, at }));
    v1::Attempt {
        number: attempt.number,
        kind: attempt_kind(attempt.kind).into(),
        started_at: Some(field::timestamp(attempt.times.started_at)),
        finished_at: Some(field::timestamp(at)),
        outcome: attempt_outcome(attempt.outcome).into(),
        fault,
    }
}

fn attempt_kind(kind: AttemptKind) -> v1::AttemptKind {
    match kind {
        AttemptKind::Create => v1::AttemptKind::Create,
        AttemptKind::LookUp => v1::AttemptKind::LookUp,
        AttemptKind::Sweep => v1::AttemptKind::Sweep,
    }
}

fn attempt_outcome(outcome: AttemptOutcome) -> v1::AttemptOutcome {
    match outcome {
        AttemptOutcome::Created => v1::AttemptOutcome::Created,
        AttemptOutcome::Found => v1::AttemptOutcome::Found,
        AttemptOutcome::Failed => v1::AttemptOutcome::Failed,
        AttemptOutcome::Ambiguous => v1::AttemptOutcome::Ambiguous,
        AttemptOutcome::Absent => v1::AttemptOutcome::Absent,
        AttemptOutcome::Unproven => v1::AttemptOutcome::Unproven,
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
    use ticketing_core::delivery::operate::NewDelivery;
    use ticketing_core::fault::{Fault, FaultKind};
    use ticketing_core::marker::{InstallationKey, Marker};
    use ticketing_core::namespace::Namespace;
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
            requested_by: "local".to_owned(),
            namespace: Namespace::default(),
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
