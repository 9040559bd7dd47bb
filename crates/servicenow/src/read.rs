//! Reads one record.

use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::marker::Marker;
use ticketing_core::system::{Destination, ReadTicket};

use crate::client::{Client, READ_TIMEOUT};
use crate::create::{FIELDS, MAX_NUMBER, ticket_of};
use crate::faults;
use crate::look_up::{check_destination, hides_rows, uncertain};
use crate::wire::Record;

/// Reads a record by `sys_id` or number. `None` if the instance reports that the account sees no such record.
pub(crate) async fn read(
    client: &Client,
    origin: &str,
    destination: &Destination,
    id_or_key: &str,
) -> Result<Option<ReadTicket>, Fault> {
    check_destination(destination, origin)?;
    if !is_name(id_or_key) {
        return Ok(None);
    }
    let record = match is_sys_id(id_or_key) {
        true => by_sys_id(client, &destination.place, id_or_key).await?,
        false => by_number(client, &destination.place, id_or_key).await?,
    };
    record.map(|record| understood(&record, destination)).transpose()
}

fn understood(record: &Record, destination: &Destination) -> Result<ReadTicket, Fault> {
    let unreadable = || Fault::new(FaultKind::UnreadableReply, "HTTP 200: a record without a sys_id");
    let ticket = ticket_of(record, destination).ok_or_else(unreadable)?;
    let marker = record.value("correlation_id").as_deref().and_then(Marker::parse);
    Ok(ReadTicket { ticket, place: destination.place.clone(), marker, created_at: record.created_at() })
}

async fn by_sys_id(client: &Client, table: &str, sys_id: &str) -> Result<Option<Record>, Fault> {
    let record = client.record::<Record>(table, sys_id, FIELDS, READ_TIMEOUT).await?;
    match record {
        Some(record) if !is_named(&record, "sys_id", sys_id) => Err(another_record()),
        record => Ok(record),
    }
}

/// An instance ignores invalid query terms and then returns other rows.
async fn by_number(client: &Client, table: &str, number: &str) -> Result<Option<Record>, Fault> {
    let encoded = format!("number={number}");
    let query = [
        ("sysparm_query", encoded.as_str()),
        ("sysparm_limit", "2"),
        ("sysparm_fields", FIELDS),
        ("sysparm_exclude_reference_link", "true"),
    ];
    let (mut rows, reply) = client.list::<Vec<Record>>(table, &query, READ_TIMEOUT).await?;
    if !rows.iter().all(|row| is_named(row, "number", number)) {
        return Err(another_record());
    }
    if faults::is_from_instance(&reply) {
        return Err(uncertain("the instance aborted the search by number", ""));
    }
    if hides_rows(&reply, rows.len()) {
        return Err(uncertain(
            "the instance has a record of this number that the account may not read",
            "let the account of servicenow.username read servicenow.table",
        ));
    }
    rows.dedup_by_key(|row| row.sys_id());
    match rows.len() {
        0 | 1 => Ok(rows.pop()),
        _ => Err(uncertain("more than one record bears this number", "name the record by its sys_id")),
    }
}

fn another_record() -> Fault {
    uncertain("the instance returned another record than requested", "")
}

fn is_named(record: &Record, field: &str, name: &str) -> bool {
    record.value(field).is_some_and(|value| value.eq_ignore_ascii_case(name))
}

fn is_sys_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether a text can identify a record, both in a URL and in a query.
fn is_name(text: &str) -> bool {
    (1..=MAX_NUMBER).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}
