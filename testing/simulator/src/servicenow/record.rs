//! Incident records: fields, computed priority, and JSON.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::profile::Profile;
use crate::site_request::{self, SiteRequest};
use crate::state::State;
use crate::ticket::Ticket;

/// The fields of the table that a client can write; others are ignored.
pub(super) const WRITABLE: [&str; 18] = [
    "short_description",
    "description",
    "impact",
    "urgency",
    "state",
    "assignment_group",
    "assigned_to",
    "caller_id",
    "category",
    "subcategory",
    "contact_type",
    "cmdb_ci",
    "correlation_id",
    "correlation_display",
    "close_code",
    "close_notes",
    "priority",
    "severity",
];

/// The fields of the table that only the platform writes.
const SYSTEM: [&str; 8] = [
    "sys_id",
    "number",
    "sys_created_on",
    "sys_updated_on",
    "sys_created_by",
    "active",
    "opened_at",
    "sys_class_name",
];

/// Append-only fields: writes are kept in the history, and read back as an empty string.
pub(super) const JOURNALS: [&str; 2] = ["work_notes", "comments"];

pub(super) fn is_field(name: &str) -> bool {
    WRITABLE.contains(&name) || SYSTEM.contains(&name) || JOURNALS.contains(&name)
}

pub(super) fn initial_fields(now: Timestamp) -> Map<String, Value> {
    let stamp = servicenow_time(now);
    let mut fields: Map<String, Value> =
        WRITABLE.iter().map(|name| ((*name).to_owned(), Value::from(""))).collect();
    let given = [
        ("impact", "3"),
        ("urgency", "3"),
        ("priority", "5"),
        ("severity", "3"),
        ("state", "1"),
        ("active", "true"),
        ("sys_class_name", "incident"),
        ("sys_created_by", "rhythmx.integration"),
        ("sys_created_on", &stamp),
        ("sys_updated_on", &stamp),
        ("opened_at", &stamp),
    ];
    fields.extend(given.map(|(name, value)| (name.to_owned(), Value::from(value))));
    fields
}

/// Writes known fields as strings, appends to journals, and ignores other fields.
pub(super) fn write(
    fields: &mut Map<String, Value>,
    body: &Map<String, Value>,
    profile: &Profile,
    by_label: bool,
) {
    for (name, value) in body {
        let text = as_text(value);
        if JOURNALS.contains(&name.as_str()) {
            let dropped = name == "work_notes" && profile.drops_work_notes;
            if !text.is_empty() && !dropped {
                let notes = fields.entry(name.clone()).or_insert_with(|| json!([]));
                if let Some(notes) = notes.as_array_mut() {
                    notes.push(text.into());
                }
            }
            continue;
        }
        let ignored = name == "correlation_id" && profile.ignores_correlation_id;
        let column = profile.columns.iter().rfind(|column| column.name == *name);
        if (!WRITABLE.contains(&name.as_str()) && column.is_none()) || ignored {
            continue;
        }
        let value = match name.as_str() {
            "assignment_group" => group_reference(profile, &text, by_label),
            "short_description" => text.chars().take(160).collect(),
            "description" => text.chars().take(profile.description_limit.unwrap_or(usize::MAX)).collect(),
            "correlation_id" | "correlation_display" => text.chars().take(100).collect(),
            _ => match column {
                // A choice that is not offered is stored as it is.
                Some(column) if column.kind == "reference" && !is_sys_id(&text) => String::new(),
                Some(column) => text.chars().take(column.max_length).collect(),
                None => text,
            },
        };
        fields.insert(name.clone(), value.into());
    }
    compute_priority(fields);
}

pub(super) fn store(
    state: &mut State,
    mut fields: Map<String, Value>,
    sys_id: Option<String>,
    now: Timestamp,
    foreign: bool,
) -> &Ticket {
    let count = state.next_number();
    // Unique and spread over the hexadecimal digits, like the platform's own.
    let sys_id =
        sys_id.unwrap_or_else(|| format!("{:016x}{count:016x}", count.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
    let number = format!("INC{:07}", 10_000 + count);
    fields.insert("sys_id".to_owned(), sys_id.clone().into());
    fields.insert("number".to_owned(), number.clone().into());
    let ticket = Ticket {
        id: sys_id,
        key: number,
        previous_keys: Vec::new(),
        container: "incident".to_owned(),
        fields,
        properties: BTreeMap::new(),
        created_at: now,
        foreign,
        plain: String::new(),
        deleted: false,
    };
    state.tickets.add(ticket)
}

/// The stored and displayed values of a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub(super) fields: BTreeMap<String, String>,
    /// Displayed values of journals: their entries, newest first. Their stored values are empty.
    pub(super) journals: BTreeMap<String, String>,
}

pub(super) fn incident_row(ticket: &Ticket) -> Row {
    let mut fields: BTreeMap<String, String> =
        ticket.fields.iter().map(|(name, value)| (name.clone(), as_text(value))).collect();
    for journal in JOURNALS {
        fields.insert(journal.to_owned(), String::new());
    }
    let shown = |journal: &str| {
        let heading = format!("{} - System ({journal})", servicenow_time(ticket.created_at));
        let entries = entries(ticket, journal).rev().map(|entry| format!("{heading}\n{entry}\n\n"));
        (journal.to_owned(), entries.collect())
    };
    Row { fields, journals: JOURNALS.into_iter().map(shown).collect() }
}

/// The rows of a ticket in `sys_journal_field`.
pub(super) fn journal_rows(ticket: &Ticket) -> Vec<Row> {
    let row = |journal: &str, entry: &str| {
        let values = [
            ("element_id", ticket.id.as_str()),
            ("element", journal),
            ("name", "incident"),
            ("value", entry),
            ("sys_created_on", &servicenow_time(ticket.created_at)),
        ];
        let fields = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Row { fields: fields.into_iter().collect(), ..Row::default() }
    };
    JOURNALS.iter().flat_map(|journal| entries(ticket, journal).map(|entry| row(journal, entry))).collect()
}

fn entries<'a>(ticket: &'a Ticket, journal: &str) -> impl DoubleEndedIterator<Item = &'a str> {
    let entries = ticket.fields.get(journal).and_then(Value::as_array);
    entries.into_iter().flatten().filter_map(Value::as_str)
}

/// Fabricated rows whose values resemble these markers.
pub(super) fn lookalikes(turn: &SiteRequest<'_>, markers: &[String]) -> Vec<Row> {
    let invented = |(count, marker): (usize, String)| {
        let mut fields = initial_fields(turn.now);
        fields.insert("sys_id".to_owned(), format!("{:032x}", 0xf0_0000 + count).into());
        fields.insert("number".to_owned(), format!("INC{:07}", 9_000_000 + count).into());
        fields.insert("correlation_id".to_owned(), marker.into());
        let fields = fields.iter().map(|(name, value)| (name.clone(), as_text(value))).collect();
        Row { fields, ..Row::default() }
    };
    site_request::lookalikes(markers).into_iter().enumerate().map(invented).collect()
}

/// Returns the JSON of a row according to the query parameters.
pub(super) fn shown(turn: &SiteRequest<'_>, row: &Row) -> Value {
    let request = turn.request;
    let display = request.query("sysparm_display_value").unwrap_or_default();
    let no_link = request.query("sysparm_exclude_reference_link").is_some_and(|value| value == "true");
    let asked = request.query("sysparm_fields").filter(|fields| !fields.is_empty());
    let value = |name: &str| -> Option<Value> {
        let raw = row.fields.get(name)?;
        let text = match row.journals.get(name) {
            Some(_) if turn.state.profile.hides_journals => String::new(),
            Some(entries) => entries.clone(),
            None => displayed(&turn.state.profile, name, raw),
        };
        Some(shown_value(turn, name, raw, text, &display, no_link))
    };
    let fields: Map<String, Value> = match asked {
        Some(asked) => asked
            .split(',')
            .map(str::trim)
            .filter_map(|name| match name {
                "assignment_group.name" => {
                    let group = row.fields.get("assignment_group")?;
                    Some((name.to_owned(), displayed(&turn.state.profile, "assignment_group", group).into()))
                }
                _ => Some((name.to_owned(), value(name)?)),
            })
            .collect(),
        None => row.fields.keys().filter_map(|name| Some((name.clone(), value(name)?))).collect(),
    };
    Value::Object(fields)
}

pub(super) fn servicenow_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn shown_value(
    turn: &SiteRequest<'_>,
    name: &str,
    raw: &str,
    text: String,
    display: &str,
    no_link: bool,
) -> Value {
    let reference = (name == "assignment_group" && !raw.is_empty())
        .then(|| format!("{}/api/now/table/sys_user_group/{raw}", turn.origin));
    match (display, reference) {
        ("all", Some(link)) if !no_link => json!({ "display_value": text, "value": raw, "link": link }),
        ("all", _) => json!({ "display_value": text, "value": raw }),
        ("true", Some(link)) if !no_link => json!({ "display_value": text, "link": link }),
        ("true", _) => Value::from(text),
        (_, Some(link)) if !no_link => json!({ "link": link, "value": raw }),
        _ => Value::from(raw),
    }
}

fn displayed(profile: &Profile, name: &str, raw: &str) -> String {
    let label = match (name, raw) {
        ("priority", "1") => "1 - Critical",
        ("priority", "2") => "2 - High",
        ("priority", "3") => "3 - Moderate",
        ("priority", "4") => "4 - Low",
        ("priority", "5") => "5 - Planning",
        ("impact" | "urgency" | "severity", "1") => "1 - High",
        ("impact" | "urgency" | "severity", "2") => "2 - Medium",
        ("impact" | "urgency" | "severity", "3") => "3 - Low",
        ("state", "1") => "New",
        ("state", "2") => "In Progress",
        ("state", "3") => "On Hold",
        ("state", "6") => "Resolved",
        ("state", "7") => "Closed",
        ("assignment_group", id) => {
            return profile
                .groups
                .iter()
                .find(|group| group.id == id)
                .map(|group| group.name.clone())
                .unwrap_or_default();
        }
        _ => raw,
    };
    label.to_owned()
}

/// The `sys_id` of a group. A name is accepted only with `by_label`; otherwise the reference stays empty.
fn group_reference(profile: &Profile, given: &str, by_label: bool) -> String {
    if is_sys_id(given) {
        return given.to_owned();
    }
    let named = profile.groups.iter().find(|group| by_label && group.name == given);
    named.map(|group| group.id.clone()).unwrap_or_default()
}

pub(super) fn is_sys_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(reference) => reference.get("value").map(as_text).unwrap_or_default(),
        other => other.to_string(),
    }
}

/// Computes the priority from impact and urgency, whatever priority was sent.
fn compute_priority(fields: &mut Map<String, Value>) {
    let level =
        |name: &str| fields.get(name).and_then(Value::as_str).and_then(|text| text.parse::<u8>().ok());
    let priority = match (level("impact"), level("urgency")) {
        (Some(impact @ 1..=3), Some(urgency @ 1..=3)) => (impact + urgency - 1).to_string(),
        _ => "4".to_owned(),
    };
    fields.insert("priority".to_owned(), priority.into());
}
