//! The inside as a fuzzer needs it: what renders, and what reads replies, without a connection. For `ticketing-fuzz` alone.
//!
//! It is always compiled, and hidden from the documentation rather than behind a feature: a build of the whole workspace
//! would switch such a feature on everywhere, and a program that does not call this does not contain it.

use jiff::Timestamp;
use ticketing_core::fault::Fault;
use ticketing_core::marker::Marker;
use ticketing_core::system::{Adjustment, Destination, Rendered, TicketDraft, TicketRef};
use ticketing_egress::Reply;

use crate::create::{bears, differences, ticket_of};
use crate::group::group_of;
use crate::wire::{Answer, Record};
use crate::{ImpactUrgency, faults, ticket};

/// A record that a reply holds, as far as it is understood.
#[derive(Debug)]
pub struct Read {
    pub ticket: Option<TicketRef>,
    /// Whether it is of ours.
    pub bears: bool,
    /// Where it is not as it was sent.
    pub differences: Vec<Adjustment>,
    pub created_at: Option<Timestamp>,
}

/// The ticket of a draft.
#[must_use]
pub fn render(ticket_draft: &TicketDraft) -> Rendered {
    ticket::render(ticket_draft, ImpactUrgency::new(1, 1), "")
}

/// What a reply that is no success means.
#[must_use]
pub fn judged(reply: &Reply) -> Fault {
    faults::of(reply, str::to_owned)
}

/// The record of a create or of a look-up by `sys_id`; `None` if the body holds none.
#[must_use]
pub fn record(body: &str, place: &Destination, marker: &Marker, sent: &Rendered) -> Option<Read> {
    let record = serde_json::from_str::<Answer<Record>>(body).ok()?.result;
    Some(read(&record, place, marker, sent))
}

/// The rows of a search; `None` if the body holds none.
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
