//! Deliveries and their attempts.

use prost::Message;
use ticketing_contract::v1;
use ticketing_core::connection::name_of;
use ticketing_core::delivery::{Delivery, LastError, Resolution, State, Trigger};
use ticketing_core::limits::MAX_DUPLICATES;
use ticketing_engine::app::DeliveryWithAttempts;
use ticketing_store::{Attempt, AttemptKind, AttemptOutcome};

use super::{field, ticket};

/// Maximum size of the attempts of a single delivery, in bytes, so that the response fits in a message.
const ATTEMPTS_OF_ONE: usize = 512 * 1024;
/// Maximum size of the attempts of each delivery in a list, in bytes.
const ATTEMPTS_IN_LIST: usize = 32 * 1024;

/// A delivery without its attempts; `max_retry_attempts` is from the retry settings.
pub(crate) fn delivery(delivery: Delivery, max_retry_attempts: u32) -> v1::Delivery {
    v1::Delivery {
        id: delivery.id,
        incident_id: delivery.incident_id,
        connection: name_of(&delivery.connection).to_owned(),
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
        max_retry_attempts,
        last_error: delivery.last_error.map(ticket::last_error),
        adjustments: ticket::adjustments(delivery.adjustments),
        duplicates: delivery.duplicates.into_iter().take(MAX_DUPLICATES).map(ticket::ticket).collect(),
        attempts: vec![],
        requested_by: delivery.requested_by,
        ticket_unverified: delivery.resolution == Some(Resolution::Unverified),
        attempts_omitted: 0,
        namespace: delivery.namespace.into(),
        content_removed_at: delivery.content_removed_at.map(field::timestamp),
    }
}

/// A delivery with its newest attempts, as many as fit in a response about it alone.
pub(crate) fn with_attempts(presented: DeliveryWithAttempts, max_retry_attempts: u32) -> v1::Delivery {
    with_some_attempts(presented, max_retry_attempts, ATTEMPTS_OF_ONE)
}

/// The same in a list.
pub(crate) fn listed(presented: DeliveryWithAttempts, max_retry_attempts: u32) -> v1::Delivery {
    with_some_attempts(presented, max_retry_attempts, ATTEMPTS_IN_LIST)
}

fn with_some_attempts(
    presented: DeliveryWithAttempts,
    max_retry_attempts: u32,
    mut room: usize,
) -> v1::Delivery {
    let mut attempts = vec![];
    for presented in presented.attempts.into_iter().rev().map(attempt) {
        let Some(left) = room.checked_sub(presented.encoded_len()) else { break };
        room = left;
        attempts.push(presented);
    }
    attempts.reverse();
    // Attempts are numbered from 1 without gaps.
    let attempts_omitted = attempts.first().map_or(0, |first| first.number.saturating_sub(1));
    v1::Delivery { attempts, attempts_omitted, ..delivery(presented.delivery, max_retry_attempts) }
}

fn attempt(attempt: Attempt) -> v1::Attempt {
    let ambiguous = attempt.outcome == AttemptOutcome::Ambiguous;
    let at = attempt.times.finished_at;
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
        AttemptKind::Create => v1::AttemptKind::Send,
        AttemptKind::LookUp => v1::AttemptKind::LookUp,
        AttemptKind::DuplicateScan => v1::AttemptKind::DuplicateScan,
    }
}

fn attempt_outcome(outcome: AttemptOutcome) -> v1::AttemptOutcome {
    match outcome {
        AttemptOutcome::Created => v1::AttemptOutcome::Applied,
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
    use ticketing_core::system::{Adjustment, System, TicketRef};

    use super::*;
    use crate::grpc::size::MAX_MESSAGE;
    use ticketing_store::AttemptTimes;

    fn accepted() -> Delivery {
        let marker = Marker::derive(&InstallationKey::new([1; 32]), "INC-1", "jira");
        let new = NewDelivery {
            id: "0197".to_owned(),
            incident_id: "INC-1".to_owned(),
            incident_revision: 1,
            connection: "jira".to_owned(),
            system: System::Jira,
            trigger: Trigger::Manual,
            marker,
            requested_by: "local".to_owned(),
            namespace: Namespace::default(),
        };
        Delivery::accept(new, Timestamp::UNIX_EPOCH).delivery
    }

    #[test]
    fn states_match_domain() {
        for each in State::ALL {
            assert_eq!(state(each).as_str_name(), format!("DELIVERY_STATE_{}", each.as_str()));
        }
    }

    #[test]
    fn presents_new_delivery_as_pending() {
        let presented = delivery(accepted(), 5);
        assert_eq!(presented.state(), v1::DeliveryState::Pending);
        assert_eq!((presented.ticket, presented.last_error, presented.max_retry_attempts), (None, None, 5));
        assert_eq!(presented.next_attempt_at, Some(prost_types::Timestamp::default()));
    }

    fn attempts(count: u32) -> Vec<Attempt> {
        let times = AttemptTimes { started_at: Timestamp::UNIX_EPOCH, finished_at: Timestamp::UNIX_EPOCH };
        let fault = Fault::new(FaultKind::Rejected, "é".repeat(500)).with_hint("é".repeat(1_000));
        let attempt = |number| Attempt {
            delivery_id: "0197".to_owned(),
            number,
            kind: AttemptKind::Create,
            epoch: 1,
            times,
            outcome: AttemptOutcome::Failed,
            fault: Some(fault.clone()),
        };
        (1..=count).map(attempt).collect()
    }

    #[test]
    fn limits_response_to_newest_attempts() {
        let huge = || "x".repeat(1_000_000);
        let reference = TicketRef { id: huge(), key: huge(), url: huge() };
        let mut poisoned = accepted();
        poisoned.ticket = Some(reference.clone());
        poisoned.duplicates = vec![reference; 60];
        // As a row from before there were limits.
        poisoned.adjustments = vec![Adjustment { field: huge(), reason: huge() }; 60];
        let presented = DeliveryWithAttempts { delivery: poisoned, attempts: attempts(200) };
        let alone = with_attempts(presented.clone(), 5);
        assert!(alone.encoded_len() < MAX_MESSAGE, "{}", alone.encoded_len());
        let first = alone.attempts.first().unwrap();
        let last = alone.attempts.last().unwrap();
        assert_eq!((last.number, alone.attempts_omitted), (200, first.number - 1));
        assert!(alone.attempts_omitted > 0);
        assert!(listed(presented, 5).attempts.len() < alone.attempts.len());
    }

    #[test]
    fn failure_before_send_is_not_ambiguous() {
        let mut before = accepted();
        let fault = Fault::new(FaultKind::ServerError, "Bad gateway").with_status(502);
        before.last_error = Some(LastError { fault, ambiguous: false, at: Timestamp::UNIX_EPOCH });
        let error = delivery(before, 5).last_error.unwrap();
        assert_eq!((error.http_status, error.ambiguous), (502, false));
    }
}
