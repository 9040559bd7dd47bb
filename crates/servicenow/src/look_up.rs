//! Finds tickets by their marker. Returns an empty result only if it proves absence.

use jiff::Timestamp;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::marker::Marker;
use ticketing_core::system::{Destination, FoundTicket, Search, SearchResult};
use ticketing_egress::Reply;

use crate::client::{Client, READ_TIMEOUT};
use crate::create::{FIELDS, bears, ticket_of};
use crate::faults;
use crate::settings::is_table;
use crate::wire::Record;

/// Searches by marker and by `sys_id`, each of which an instance may have ignored.
pub(crate) async fn look_up(client: &Client, origin: &str, search: &Search) -> Result<SearchResult, Fault> {
    let place = &search.destination;
    let marker = &search.marker;
    check_destination(place, origin)?;
    let by_marker = by_marker(client, &place.place, marker).await;
    if let Err(fault) = &by_marker
        && !concerns_the_query(fault)
    {
        return Err(fault.clone());
    }
    let by_sys_id = client.record::<Record>(&place.place, marker.hex(), FIELDS, READ_TIMEOUT).await;
    let (rows, unknown_outcome) = match by_marker {
        Ok(found) => (found.rows, found.unknown_outcome),
        Err(fault) => (Vec::new(), Some(fault)),
    };
    let (record, fault) = match by_sys_id {
        Ok(Some(record)) if !bears(&record, marker) => {
            (None, Some(uncertain("the instance returned another record than requested", "")))
        }
        Ok(record) => (record, None),
        Err(fault) => (None, Some(fault)),
    };
    let tickets = oldest_first(rows.into_iter().chain(record), place);
    match unknown_outcome.or(fault) {
        Some(fault) if tickets.is_empty() => Err(fault),
        _ => Ok(SearchResult { tickets, canary_seen: false }),
    }
}

/// The result of a search by marker.
pub(crate) struct Rows {
    /// Rows with the marker.
    pub(crate) rows: Vec<Record>,
    /// Why an empty result would prove nothing.
    pub(crate) unknown_outcome: Option<Fault>,
}

/// Searches a table by marker, and reports whether the search proves absence.
pub(crate) async fn by_marker(client: &Client, table: &str, marker: &Marker) -> Result<Rows, Fault> {
    let encoded = format!("correlation_id={marker}^ORDERBYsys_created_on");
    let query = [
        ("sysparm_query", encoded.as_str()),
        ("sysparm_limit", "10"),
        ("sysparm_fields", FIELDS),
        ("sysparm_exclude_reference_link", "true"),
    ];
    let (rows, reply) = client.list::<Vec<Record>>(table, &query, READ_TIMEOUT).await?;
    let (ours, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|record| bears(record, marker));
    let unknown_outcome = if ours.iter().any(|record| record.sys_id().is_none()) {
        Some(uncertain("the instance has the ticket but returned no valid sys_id", ""))
    } else if !others.is_empty() {
        Some(uncertain(
            "the search by correlation_id also returned other tickets: the instance ignored the query",
            "let the account of servicenow.username query correlation_id on servicenow.table",
        ))
    } else if faults::is_from_instance(&reply) {
        Some(uncertain(
            "the instance aborted the search by correlation_id after some rows",
            "correlation_id should be indexed on servicenow.table, or the search takes too long",
        ))
    } else if hides_rows(&reply, ours.len()) {
        Some(uncertain(
            "the search by correlation_id found tickets that the account may not read",
            "let the account of servicenow.username read every ticket that it creates in servicenow.table",
        ))
    } else {
        None
    };
    Ok(Rows { rows: ours, unknown_outcome })
}

/// `X-Total-Count` counts the rows before the ACLs of the account were applied.
pub(crate) fn hides_rows(reply: &Reply, shown: usize) -> bool {
    shown == 0 && reply.header("x-total-count").trim().parse::<u64>().is_ok_and(|total| total > 0)
}

pub(crate) fn uncertain(message: &str, hint: &str) -> Fault {
    Fault::new(FaultKind::UnreadableReply, message).with_hint(hint)
}

/// The account's password must not be sent to another instance.
pub(crate) fn check_destination(destination: &Destination, origin: &str) -> Result<(), Fault> {
    if destination.base_url != origin {
        let message = format!(
            "the ticket went to {}, but the settings now name {origin}: it cannot be searched there",
            destination.base_url
        );
        return Err(Fault::new(FaultKind::Misconfigured, message).with_hint(
            "set servicenow.instance back until the delivery is resolved, or resolve it by hand",
        ));
    }
    if !is_table(&destination.place) {
        let message = format!("\"{}\" is no table to search", destination.place);
        return Err(Fault::new(FaultKind::Misconfigured, message).with_hint("resolve the delivery by hand"));
    }
    Ok(())
}

/// Whether a ticket may still be found by its `sys_id` after the query failed in this way.
fn concerns_the_query(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::UnreadableReply | FaultKind::Forbidden | FaultKind::Rejected)
}

fn oldest_first(records: impl Iterator<Item = Record>, place: &Destination) -> Vec<FoundTicket> {
    let mut tickets: Vec<FoundTicket> = Vec::new();
    for record in records {
        let Some(ticket) = ticket_of(&record, place) else { continue };
        if tickets.iter().all(|known| known.ticket.id != ticket.id) {
            tickets.push(FoundTicket { ticket, created_at: record.created_at() });
        }
    }
    tickets.sort_by(|a, b| age(a).cmp(&age(b)));
    tickets
}

/// Sort key by age, oldest first. Times have whole seconds; numbers are sequential, and get longer.
fn age(found: &FoundTicket) -> (Option<Timestamp>, usize, &str) {
    (found.created_at, found.ticket.key.len(), &found.ticket.key)
}
