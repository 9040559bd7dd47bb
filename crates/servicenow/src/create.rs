//! Creates a ticket, and compares the stored record with what was sent.

use serde_json::json;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::marker::Marker;
use ticketing_core::system::{Adjustment, Created, Destination, Dialing, Rendered, TicketRef};

use crate::client::{Client, Deadline};
use crate::evidence;
use crate::priority::{self, ImpactUrgency};
use crate::read_back::{Made, read_back};
use crate::ticket::Body;
use crate::wire::Record;

/// Maximum length of a number, in bytes: the platform's own limit of the field.
pub(crate) const MAX_NUMBER: usize = 40;

/// Fields that identify a ticket.
pub(crate) const FIELDS: &str = "sys_id,number,priority,assignment_group,correlation_id,sys_created_on";
/// Fields that are compared with what was sent.
const ALL_FIELDS: &str = "sys_id,number,priority,assignment_group,correlation_id,sys_created_on,short_description,\
                          description,work_notes";

/// The ticket to insert, and where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Insert<'a> {
    pub(crate) destination: &'a Destination,
    pub(crate) marker: &'a Marker,
    pub(crate) rendered: &'a Rendered,
}

/// Inserts the ticket, in one request. If that is refused because an earlier insert of ours succeeded,
/// returns that ticket.
pub(crate) async fn create(
    client: &Client,
    insert: Insert<'_>,
    dialing: Dialing,
    deadline: Deadline,
) -> Result<Created, Fault> {
    let Insert { destination, marker, rendered } = insert;
    let table = &destination.place;
    let fields = all_fields(rendered);
    let query = [
        ("sysparm_display_value", "all"),
        ("sysparm_exclude_reference_link", "true"),
        ("sysparm_fields", fields.as_str()),
    ];
    let inserted = match client.insert(table, &query, &rendered.body, dialing, deadline).await {
        Err((fault, Some(reply))) => Err(evidence::check_scope(client, table, &reply, fault, deadline).await),
        Err((fault, None)) => Err(fault),
        Ok(record) => Ok(record),
    };
    let (record, is_new): (Record, bool) = match inserted {
        Ok(record) => (record, true),
        Err(refusal) => (earlier(client, table, marker, refusal, deadline).await?, false),
    };
    let unreadable =
        |what: &str| Fault::new(FaultKind::UnreadableReply, format!("HTTP 201: {what}")).with_status(201);
    let ticket = ticket_of(&record, destination).ok_or_else(|| unreadable("a result without a sys_id"))?;
    if record.display("number").is_some_and(|number| number.len() > MAX_NUMBER) {
        return Err(unreadable("a number longer than the platform gives"));
    }
    let mut adjustments = differences(&record, rendered);
    if !bears(&record, marker) {
        adjustments.push(mark(client, table, &ticket.id, marker, deadline).await);
    }
    if let Ok(sent) = serde_json::from_str::<Body>(&rendered.body) {
        let made = Made { table, sys_id: &ticket.id, record: &record, is_new };
        adjustments.extend(read_back(client, made, &sent, deadline).await);
    }
    Ok(Created { ticket, adjustments })
}

/// Fields that are compared with what was sent, with the mapped ones.
fn all_fields(rendered: &Rendered) -> String {
    let sent = serde_json::from_str::<Body>(&rendered.body).ok();
    let mapped = sent.into_iter().flat_map(|sent| sent.mapped.into_keys());
    [ALL_FIELDS.to_owned()].into_iter().chain(mapped).collect::<Vec<_>>().join(",")
}

/// The ticket of a record, with its URL for people; `None` if the record has no `sys_id`. Without a valid
/// number the `sys_id` serves as key.
pub(crate) fn ticket_of(record: &Record, destination: &Destination) -> Option<TicketRef> {
    let id = record.sys_id()?;
    let number = record.display("number").filter(|number| is_number(number));
    let base = &destination.base_url;
    let table = &destination.place;
    let url = format!("{base}/nav_to.do?uri={table}.do%3Fsys_id%3D{id}");
    Some(TicketRef { key: number.unwrap_or_else(|| id.clone()), id, url })
}

fn is_number(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= MAX_NUMBER && !text.chars().any(char::is_control)
}

/// Whether a record is our ticket: it has the marker, or the `sys_id` derived from it.
pub(crate) fn bears(record: &Record, marker: &Marker) -> bool {
    record.value("correlation_id").as_deref() == Some(marker.as_str())
        || record.sys_id().as_deref() == Some(marker.hex())
}

/// A refusal may be caused by our own earlier insert. The reply to an existing `sys_id` is not documented, so
/// after every refusal of the record itself the `sys_id` is looked up.
async fn earlier(
    client: &Client,
    table: &str,
    marker: &Marker,
    refusal: Fault,
    deadline: Deadline,
) -> Result<Record, Fault> {
    if !matches!(refusal.kind, FaultKind::Rejected | FaultKind::Conflict) {
        return Err(refusal);
    }
    let Ok(timeout) = client.time_left(deadline) else { return Err(refusal) };
    let found = client.record::<Record>(table, marker.hex(), ALL_FIELDS, timeout).await.ok().flatten();
    found.filter(|record| record.sys_id().as_deref() == Some(marker.hex())).ok_or(refusal)
}

/// Writes the marker again, so that a look-up can find the ticket: ServiceNow stored neither marker nor `sys_id`.
async fn mark(client: &Client, table: &str, sys_id: &str, marker: &Marker, deadline: Deadline) -> Adjustment {
    let body = json!({ "correlation_id": marker.as_str() }).to_string();
    let reason = match client.update::<Record>(table, sys_id, body, deadline).await {
        Ok(record) if bears(&record, marker) => "was not stored by the insert and was written afterwards",
        _ => {
            "is not on the ticket, which can therefore not be found again: let the account of servicenow.username \
             write correlation_id"
        }
    };
    Adjustment::new("correlation_id", reason)
}

/// Differences between the record and what was sent. Fields that it does not show are ignored.
pub(crate) fn differences(record: &Record, rendered: &Rendered) -> Vec<Adjustment> {
    let Ok(sent) = serde_json::from_str::<Body>(&rendered.body) else { return Vec::new() };
    let differs = |field: &str, sent: &str| record.value(field).filter(|value| value != sent);
    let group =
        differs("assignment_group", &sent.assignment_group).filter(|_| !sent.assignment_group.is_empty());
    let found = [
        differs("priority", &sent.priority()).filter(|_| !sent.priority().is_empty()).map(|_| {
            let became = record.display("priority").unwrap_or_default();
            let meant = sent.priority_label();
            let impact = &sent.impact;
            let urgency = &sent.urgency;
            let made = format!("impact {impact} and urgency {urgency} made it \"{became}\", not \"{meant}\"");
            Adjustment::new("priority", made)
        }),
        group.map(|_| {
            let became = record.display("assignment_group").unwrap_or_default();
            let became = if became.is_empty() { "empty".to_owned() } else { format!("\"{became}\"") };
            Adjustment::new("assignment_group", format!("is {became}, not the group that was sent"))
        }),
        differs("correlation_id", &sent.correlation_id)
            .filter(|_| record.sys_id().as_deref() == Some(&sent.sys_id))
            .map(|_| Adjustment::new("correlation_id", "was not stored; the sys_id identifies the ticket")),
        differs("sys_id", &sent.sys_id).map(|_| {
            Adjustment::new("sys_id", "the instance assigned its own; correlation_id identifies the ticket")
        }),
    ];
    let mapped = sent.mapped.iter().filter_map(|(field, sent)| {
        let became = record.value(field).filter(|value| !is_same(value, sent))?;
        let became = if became.is_empty() { "empty".to_owned() } else { format!("\"{became}\"") };
        Some(Adjustment::new(field, format!("is {became}, not the value that was sent")))
    });
    found.into_iter().flatten().chain(mapped).collect()
}

/// Whether a stored value is the one that was sent, however its lines end, or a number is written.
fn is_same(stored: &str, sent: &str) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    stored.split_whitespace().eq(sent.split_whitespace())
        || number(stored).is_some_and(|stored| number(sent) == Some(stored))
}

// === impl Body ===

impl Body {
    fn priority(&self) -> String {
        self.weight()
            .and_then(ImpactUrgency::priority)
            .map(|priority| priority.to_string())
            .unwrap_or_default()
    }

    fn priority_label(&self) -> &'static str {
        self.weight().and_then(ImpactUrgency::priority).map_or("", priority::label)
    }

    fn weight(&self) -> Option<ImpactUrgency> {
        Some(ImpactUrgency::new(self.impact.parse().ok()?, self.urgency.parse().ok()?))
    }
}
