//! The operations of the Table API.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::dictionary;
use super::query::{self, Query};
use super::record::{self, Row};
use crate::message::Answer;
use crate::site_request::{SearchFault, SiteRequest};
use crate::ticket::Ticket;

const GROUP_FIELDS: [&str; 4] = ["sys_id", "name", "active", "description"];
const JOURNAL_FIELDS: [&str; 5] = ["element_id", "element", "name", "value", "sys_created_on"];

pub(super) fn insert(turn: &mut SiteRequest<'_>) -> Answer {
    if !turn.state.profile.allows("create") {
        let detail = "ACL Exception Insert Failed due to security constraints";
        return Answer::servicenow_error(403, "Operation Failed", Some(detail));
    }
    let body = match body(turn) {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    if let Some(refusal) = policy_refusal(turn, &body) {
        return refusal;
    }
    let sys_id = body.get("sys_id").map(record::as_text).filter(|id| record::is_sys_id(id));
    let sys_id = sys_id.filter(|_| !turn.state.profile.ignores_sys_id);
    if let Some(id) = &sys_id
        && is_record(turn, id)
    {
        return duplicate(turn, id);
    }
    let mut fields = record::initial_fields(turn.now);
    record::write(&mut fields, &body, &turn.state.profile, by_label(turn));
    let without_group = fields.get("assignment_group").is_none_or(|group| group == "");
    let profile = &turn.state.profile;
    let default = profile.default_group.clone().filter(|_| without_group);
    if let Some(group) = profile.assigns_group.clone().or(default) {
        fields.insert("assignment_group".to_owned(), group.into());
    }
    let ticket = record::store(turn.state, fields, sys_id, turn.now, false).clone();
    created(turn, &ticket)
}

pub(super) fn list_incidents(turn: &SiteRequest<'_>) -> Answer {
    if !turn.state.profile.allows("read") {
        let detail = "Failed API level ACL Validation";
        return Answer::servicenow_error(403, "User Not Authorized", Some(detail));
    }
    let tickets = &turn.state.tickets;
    let is_shown = |ticket: &&Ticket| turn.state.shows(ticket);
    let rows = |query: &Query| match query.places(tickets) {
        Some(places) => tickets.at(places).filter(is_shown).map(record::incident_row).collect(),
        None => tickets.existing().filter(is_shown).map(record::incident_row).collect(),
    };
    list(turn, rows, record::is_field)
}

pub(super) fn one_incident(turn: &SiteRequest<'_>, sys_id: &str) -> Answer {
    let readable = turn.state.profile.allows("read");
    let found = turn.state.tickets.find(sys_id).filter(|ticket| turn.state.shows(ticket));
    match found.filter(|ticket| readable && ticket.id == sys_id) {
        Some(ticket) => {
            Answer::json(200, &json!({ "result": record::shown(turn, &record::incident_row(ticket)) }))
        }
        None => no_record(),
    }
}

pub(super) fn update(turn: &mut SiteRequest<'_>, sys_id: &str) -> Answer {
    let body = match body(turn) {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let by_label = by_label(turn);
    let stamp = record::servicenow_time(turn.now);
    let profile = turn.state.profile.clone();
    if !profile.allows("write") {
        let detail = "ACL Exception Update Failed due to security constraints";
        return Answer::servicenow_error(403, "Operation Failed", Some(detail));
    }
    if !is_record(turn, sys_id) {
        return no_record();
    }
    let row = turn.state.tickets.change(sys_id, |ticket| {
        record::write(&mut ticket.fields, &body, &profile, by_label);
        ticket.fields.insert("sys_updated_on".to_owned(), stamp.into());
        record::incident_row(ticket)
    });
    let Some(row) = row else { return no_record() };
    Answer::json(200, &json!({ "result": record::shown(turn, &row) })).applied()
}

pub(super) fn delete(turn: &mut SiteRequest<'_>, sys_id: &str) -> Answer {
    if !is_record(turn, sys_id) {
        return no_record();
    }
    turn.state.tickets.change(sys_id, |ticket| ticket.deleted = true);
    Answer::empty(204).applied()
}

/// Whether the incident exists; does not accept its number.
fn is_record(turn: &SiteRequest<'_>, sys_id: &str) -> bool {
    turn.state.tickets.find(sys_id).is_some_and(|ticket| ticket.id == sys_id)
}

pub(super) fn list_groups(turn: &SiteRequest<'_>) -> Answer {
    if !turn.state.profile.allows("read_groups") {
        let detail = "Failed API level ACL Validation";
        return Answer::servicenow_error(403, "User Not Authorized", Some(detail));
    }
    list(turn, |_| group_rows(turn), |name| GROUP_FIELDS.contains(&name))
}

/// Without a read ACL the list is empty, with status 200.
pub(super) fn list_journals(turn: &SiteRequest<'_>) -> Answer {
    let rows = |_: &Query| match turn.state.profile.hides_journals {
        true => Vec::new(),
        false => turn.state.tickets.existing().flat_map(record::journal_rows).collect(),
    };
    list(turn, rows, |name| JOURNAL_FIELDS.contains(&name))
}

pub(super) fn list_described(turn: &SiteRequest<'_>, table: &str) -> Answer {
    if let Some(refusal) = dictionary::refusal(turn, table) {
        return refusal;
    }
    let rows = dictionary::rows(&turn.state.profile, table).unwrap_or_default();
    let names: BTreeSet<String> = rows.iter().flat_map(|row| row.fields.keys().cloned()).collect();
    list(turn, |_| rows.clone(), |name| names.contains(name))
}

pub(super) fn one_group(turn: &SiteRequest<'_>, sys_id: &str) -> Answer {
    let rows = group_rows(turn);
    match rows.iter().find(|row| row.fields.get("sys_id").is_some_and(|id| id == sys_id)) {
        Some(row) => Answer::json(200, &json!({ "result": record::shown(turn, row) })),
        None => no_record(),
    }
}

fn group_rows(turn: &SiteRequest<'_>) -> Vec<Row> {
    let row = |id: &str, name: &str| {
        let values = [id, name, "true", ""];
        let fields =
            GROUP_FIELDS.into_iter().zip(values).map(|(key, value)| (key.to_owned(), value.to_owned()));
        Row { fields: fields.collect::<BTreeMap<_, _>>(), ..Row::default() }
    };
    turn.state.profile.groups.iter().map(|group| row(&group.id, &group.name)).collect()
}

/// The platform skips the parts of a query that it does not understand, and then returns more rows.
fn list(
    turn: &SiteRequest<'_>,
    rows: impl Fn(&Query) -> Vec<Row>,
    is_field: impl Fn(&str) -> bool,
) -> Answer {
    let request = turn.request;
    let query = query::parse(&request.query("sysparm_query").unwrap_or_default(), is_field);
    let refuses = query.invalid && !turn.state.profile.invalid_query_returns_all;
    let matching = || if refuses { Vec::new() } else { query.select(rows(&query)) };
    let found = match turn.search_fault {
        SearchFault::None | SearchFault::Endless => matching(),
        SearchFault::Twice => matching().into_iter().flat_map(|row| [row.clone(), row]).collect(),
        SearchFault::Everything => rows(&Query::default()),
        SearchFault::Nothing => Vec::new(),
        SearchFault::Foreign => record::lookalikes(turn, &query.markers()),
    };
    let number = |name: &str| request.query(name).and_then(|text| text.parse::<usize>().ok());
    let offset = number("sysparm_offset").filter(|_| turn.search_fault != SearchFault::Endless).unwrap_or(0);
    let limit = number("sysparm_limit").unwrap_or(10_000);
    let page: Vec<Value> =
        found.iter().skip(offset).take(limit).map(|row| record::shown(turn, row)).collect();
    let total = if turn.search_fault == SearchFault::Endless {
        u32::MAX.to_string()
    } else {
        found.len().to_string()
    };
    Answer::json(200, &json!({ "result": page })).with_header("x-total-count", total)
}

fn created(turn: &SiteRequest<'_>, ticket: &Ticket) -> Answer {
    let location = format!("{}/api/now/table/incident/{}", turn.origin, ticket.id);
    let silent = turn.request.header("x-no-response-body").is_some_and(|value| value == "true");
    let answer = match silent {
        true => Answer::empty(201),
        // Journals are written after the reply was generated.
        false => {
            let row = Row { journals: BTreeMap::new(), ..record::incident_row(ticket) };
            Answer::json(201, &json!({ "result": record::shown(turn, &row) }))
        }
    };
    answer.with_header("location", location).created(ticket)
}

fn body(turn: &SiteRequest<'_>) -> Result<Map<String, Value>, Answer> {
    match turn.request.json() {
        Some(Value::Object(body)) => Ok(body),
        _ => Err(Answer::servicenow_error(
            400,
            "Exception while reading request",
            Some("The payload is not valid JSON."),
        )),
    }
}

/// A violation of a data policy or of the database in a body.
fn policy_refusal(turn: &SiteRequest<'_>, body: &Map<String, Value>) -> Option<Answer> {
    let profile = &turn.state.profile;
    let text = |name: &str| body.get(name).map(record::as_text).unwrap_or_default();
    if let Some(field) = profile.mandatory.iter().find(|field| text(field).is_empty()) {
        let detail = format!("Data Policy Exception: The following fields are mandatory: {field}");
        return Some(Answer::servicenow_error(403, "Operation Failed", Some(&detail)));
    }
    let long = text("short_description").chars().count() > 160;
    (long && profile.refuses_long_short_description).then(|| {
        let detail = "Data too long for column 'short_description'";
        Answer::servicenow_error(403, "Operation Failed", Some(detail))
    })
}

fn duplicate(turn: &SiteRequest<'_>, sys_id: &str) -> Answer {
    let detail = format!(
        "Operation against file 'incident' was aborted by Business Rule 'Unique Key violation detected by database \
         (Duplicate entry '{sys_id}' for key 'PRIMARY')^{sys_id}'. Business Rule Stack:Unique Key violation \
         detected by database (Duplicate entry '{sys_id}' for key 'PRIMARY')"
    );
    Answer::servicenow_error(turn.state.profile.duplicate_status, "Operation Failed", Some(&detail))
}

fn by_label(turn: &SiteRequest<'_>) -> bool {
    turn.request.query("sysparm_input_display_value").is_some_and(|value| value == "true")
}

fn no_record() -> Answer {
    let detail = "Record doesn't exist or ACL restricts the record retrieval";
    Answer::servicenow_error(404, "No Record found", Some(detail))
}
