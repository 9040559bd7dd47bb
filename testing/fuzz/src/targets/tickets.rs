//! Drafts of tickets, and what holds for every text of a ticket.

use prost::Message;
use rhythmx_ticketing::v1;
use ticketing_core::clean::clean;
use ticketing_core::marker::{InstallationKey, Marker};
use ticketing_core::system::TicketDraft;

use super::replies::marker;
use super::requests;
use crate::contract;

/// The draft of an incident; `None` if the incident is invalid.
pub(super) fn ticket_draft(message: &[u8]) -> Option<TicketDraft> {
    let incident = requests::incident(message)?;
    let marker = Marker::derive(&InstallationKey::new([7; 32]), &incident.id, "jira");
    Some(TicketDraft { incident, marker })
}

/// The draft of the example.
pub(super) fn example_draft() -> TicketDraft {
    let draft = ticket_draft(&contract::incidents()[0]).expect("the example is valid");
    TicketDraft { marker: marker(), ..draft }
}

/// The draft of the example without its lists and notes, which takes little time to render.
pub(super) fn short_draft() -> TicketDraft {
    let message = v1::Incident::decode(contract::incidents()[0].as_slice()).expect("the example decodes");
    let short = v1::Incident {
        risk: message.risk.map(|risk| v1::Risk { factors: vec![], ..risk }),
        tactics: vec![],
        techniques: vec![],
        firing_rules: vec![],
        investigation_notes: String::new(),
        ..message
    };
    let draft = ticket_draft(&short.encode_to_vec()).expect("the rest is valid");
    TicketDraft { marker: marker(), ..draft }
}

pub(super) fn check_plain(text: &str) {
    assert_eq!(clean(text).text, text, "text that is not clean");
}
