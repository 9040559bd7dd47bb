//! Entry points for `ticketing-fuzz`: rendering and parsing without a connection.
//!
//! Always compiled but hidden from the documentation: a feature would be enabled by every build of the whole
//! workspace. A program that does not call this does not contain it.

use jiff::Timestamp;
use ticketing_core::fault::Fault;
use ticketing_core::marker::Marker;
use ticketing_core::system::{Adjustment, Destination, Rendered, TicketDraft, TicketRef};
use ticketing_egress::Reply;

use crate::create::{bears, differences, ticket_of};
use crate::group::group_of;
use crate::wire::{Answer, Record};
use crate::{ImpactUrgency, faults, ticket};

/// A record in a reply, as parsed.
#[derive(Debug)]
pub struct Read {
    pub ticket: Option<TicketRef>,
    /// Whether it is one of our tickets.
    pub bears: bool,
    /// Differences from what was sent.
    pub differences: Vec<Adjustment>,
    pub created_at: Option<Timestamp>,
}

/// The ticket of a draft.
#[must_use]
pub fn render(ticket_draft: &TicketDraft) -> Rendered {
    ticket::render(ticket_draft, ImpactUrgency::new(1, 1), "")
}

/// The fault of an unsuccessful reply.
#[must_use]
pub fn judged(reply: &Reply) -> Fault {
    faults::of(reply, str::to_owned)
}

/// The record of a create or of a look-up by `sys_id`; `None` if the body has none.
#[must_use]
pub fn record(body: &str, place: &Destination, marker: &Marker, sent: &Rendered) -> Option<Read> {
    let record = serde_json::from_str::<Answer<Record>>(body).ok()?.result;
    Some(read(&record, place, marker, sent))
}

/// The rows of a search; `None` if the body has none.
#[must_use]
pub fn rows(body: &str, place: &Destination, marker: &Marker, sent: &Rendered) -> Option<Vec<Read>> {
    let rows = serde_json::from_str::<Answer<Vec<Record>>>(body).ok()?.result;
    Some(rows.iter().map(|record| read(record, place, marker, sent)).collect())
}

fn read(record: &Record, place: &Destination, marker: &Marker, sent: &Rendered) -> Read {
    let _ = group_of(record);
    Read {
        ticket: ticket_of(record, place),
        bears: bears(record, marker),
        differences: differences(record, sent),
        created_at: record.created_at(),
    }
}
