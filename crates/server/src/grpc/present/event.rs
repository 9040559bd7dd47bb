//! Events.

use ticketing_contract::v1;
use ticketing_core::connection::name_of;
use ticketing_core::delivery::EventKind;
use ticketing_store::{Event, Subject};

use super::{delivery, field, message};
use crate::grpc::token;

/// An event of the stream `stream_id`; `max_retry_attempts` is from the retry settings.
pub(crate) fn event(event: &Event, stream_id: &str, max_retry_attempts: u32) -> v1::TicketEvent {
    let (delivery, note) = match &event.subject {
        Subject::Delivery(delivery) => {
            let note = message::event_note(event.kind, delivery, &event.note);
            (Some(delivery::delivery((**delivery).clone(), max_retry_attempts)), note)
        }
        Subject::Connection(health) => {
            let trouble = health.cause.as_ref().map(ToString::to_string);
            (None, trouble.unwrap_or_else(|| event.note.clone()))
        }
    };
    v1::TicketEvent {
        resume_token: token::resume_token(stream_id, event.seq),
        sequence: event.seq,
        time: Some(field::timestamp(event.at)),
        kind: event_kind(event.kind).into(),
        incident_id: event.incident_id().unwrap_or_default().to_owned(),
        connection: name_of(&event.connection).to_owned(),
        system: field::system(event.system).into(),
        delivery,
        note,
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
        EventKind::ConnectionThrottled => v1::TicketEventKind::ConnectionThrottled,
        EventKind::ConnectionLoginRefused => v1::TicketEventKind::ConnectionLoginRefused,
        EventKind::ConnectionSuspended => v1::TicketEventKind::ConnectionSuspended,
        EventKind::ConnectionCircuitOpened => v1::TicketEventKind::ConnectionCircuitOpened,
        EventKind::ConnectionRecovered => v1::TicketEventKind::ConnectionRecovered,
    }
}
