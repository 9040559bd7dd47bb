//! The state of a push in a sentence.

use jiff::Timestamp;
use ticketing_core::delivery::{Delivery, EventKind, Resolution, State};
use ticketing_core::fault::FaultKind;
use ticketing_core::limits;

/// Maximum length of a sentence in characters.
const MAX_MESSAGE: usize = 2_000;

/// The message of CreateTicket.
pub(crate) fn push_message(delivery: &Delivery, already_existed: bool) -> String {
    limits::cut(&state_sentence(delivery, already_existed), MAX_MESSAGE)
}

fn state_sentence(delivery: &Delivery, already_existed: bool) -> String {
    let system = delivery.system.title();
    let fault = delivery.last_error.as_ref().map(|error| &error.fault);
    let why = fault
        .map_or_else(|| format!("{system} accepts no request at present"), |fault| sentence(&fault.message));
    let hint = match fault.map(|fault| fault.hint.as_str()) {
        Some("") | None => String::new(),
        Some(hint) => format!(" To fix it: {}.", sentence(hint)),
    };
    let due = due(delivery.due_at);
    match delivery.state {
        State::Delivered => {
            let key = delivery.ticket.as_ref().map_or("the ticket", |ticket| ticket.key.as_str());
            let verb = if already_existed { "already exists" } else { "was created" };
            format!("{key} {verb} in {system}.")
        }
        State::Pending | State::Attempting => {
            "The push is accepted; its attempt is still in progress.".to_owned()
        }
        State::Waiting if fault.is_some_and(|fault| fault.kind == FaultKind::LockedOut) => {
            format!(
                "No ticket yet: {why}. Nothing is sent until settings change or a connection test passes.{hint}"
            )
        }
        State::Waiting => format!("No ticket yet: {why}. It will be tried again{due}.{hint}"),
        State::Reconciling => {
            format!(
                "The ticket may or may not exist: {why}. It is looked for{due} before anything is sent again.{hint}"
            )
        }
        State::Failed => {
            format!("No ticket, and all retries are spent: {why}.{hint} RetryDelivery tries it again.")
        }
        State::Cancelled => "An operator cancelled this delivery.".to_owned(),
    }
}

/// The message of a delivery's event; `note` is an operator's, or empty.
pub(crate) fn event_note(kind: EventKind, delivery: &Delivery, note: &str) -> String {
    let system = delivery.system.title();
    let story = match kind {
        EventKind::Accepted => format!("A ticket in {system} was requested."),
        EventKind::SnapshotUpdated => "The next attempt sends the incident's newer content.".to_owned(),
        EventKind::AttemptStarted => "An attempt was started.".to_owned(),
        EventKind::Rearmed => "It will be tried again now.".to_owned(),
        EventKind::Resolved if delivery.resolution == Some(Resolution::Unverified) => {
            "An operator named the ticket, which was not verified.".to_owned()
        }
        EventKind::Resolved => "An operator named the ticket.".to_owned(),
        EventKind::DuplicateFound => {
            let keys: Vec<_> = delivery.duplicates.iter().map(|ticket| ticket.key.as_str()).collect();
            let text = format!("Further tickets have the same marker: {}.", keys.join(", "));
            limits::cut(&text, MAX_MESSAGE)
        }
        EventKind::Delivered
        | EventKind::Waiting
        | EventKind::Reconciling
        | EventKind::Failed
        | EventKind::Cancelled
        | EventKind::ConnectionThrottled
        | EventKind::ConnectionLoginRefused
        | EventKind::ConnectionSuspended
        | EventKind::ConnectionCircuitOpened
        | EventKind::ConnectionRecovered => push_message(delivery, false),
    };
    if note.is_empty() { story } else { format!("{story} Note: {note}") }
}

/// Without a full stop at the end.
fn sentence(text: &str) -> String {
    text.trim_end_matches(['.', ' ']).to_owned()
}

fn due(due_at: Option<Timestamp>) -> String {
    due_at.map(|due_at| format!(" at {due_at:.0}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use ticketing_core::delivery::operate::NewDelivery;
    use ticketing_core::delivery::{LastError, Trigger};
    use ticketing_core::fault::Fault;
    use ticketing_core::marker::{InstallationKey, Marker};
    use ticketing_core::namespace::Namespace;
    use ticketing_core::system::{System, TicketRef};

    use super::*;

    fn delivery(state: State) -> Delivery {
        let new = NewDelivery {
            id: "0197".to_owned(),
            incident_id: "INC-1".to_owned(),
            incident_revision: 1,
            connection: "jira".to_owned(),
            system: System::Jira,
            trigger: Trigger::Manual,
            marker: Marker::derive(&InstallationKey::new([1; 32]), "INC-1", "jira"),
            requested_by: String::new(),
            namespace: Namespace::default(),
        };
        let fault =
            Fault::new(FaultKind::Unauthorized, "Jira refused the login").with_hint("renew the API token");
        Delivery {
            state,
            last_error: Some(LastError { fault, ambiguous: false, at: Timestamp::UNIX_EPOCH }),
            ..Delivery::accept(new, Timestamp::UNIX_EPOCH).delivery
        }
    }

    #[test]
    fn names_ticket_by_key() {
        let ticket = TicketRef { id: "1".to_owned(), key: "SEC-24".to_owned(), url: String::new() };
        let delivered = Delivery { ticket: Some(ticket), ..delivery(State::Delivered) };
        assert_eq!(push_message(&delivered, false), "SEC-24 was created in Jira.");
        assert_eq!(push_message(&delivered, true), "SEC-24 already exists in Jira.");
    }

    #[test]
    fn message_of_waiting_delivery_names_cause_and_time() {
        let expected = "No ticket yet: Jira refused the login. It will be tried again at 1970-01-01T00:00:00Z. \
                        To fix it: renew the API token.";
        assert_eq!(push_message(&delivery(State::Waiting), false), expected);
    }

    #[test]
    fn message_of_failed_delivery_names_next_step() {
        assert!(push_message(&delivery(State::Failed), false).ends_with("RetryDelivery tries it again."));
    }
}
