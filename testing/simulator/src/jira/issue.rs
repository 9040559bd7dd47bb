//! The JSON of an issue.

use serde_json::{Map, Value, json};

use super::Visit;
use crate::ticket::Ticket;

/// Returns an issue with the requested fields; `None` requests all.
pub(super) fn shown(visit: &Visit<'_, '_>, ticket: &Ticket, asked: Option<&[String]>) -> Value {
    let link = visit.api(&format!("issue/{}", ticket.id));
    let only_id = asked.is_some_and(|fields| fields.iter().all(|field| field == "id"));
    if only_id {
        return json!({ "id": ticket.id, "self": link });
    }
    let mut issue = json!({
        "expand": "renderedFields,names,schema,operations,editmeta,changelog,versionedRepresentations",
        "id": ticket.id, "self": link, "key": ticket.key,
    });
    let fields: Map<String, Value> = ticket
        .fields
        .iter()
        .filter(|(name, _)| asked.is_none_or(|asked| wants(asked, name)))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if !fields.is_empty() || asked.is_none() {
        issue["fields"] = Value::Object(fields);
    }
    issue
}

/// Parses a `fields` list: names separated by commas.
pub(super) fn asked_fields(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|field| !field.is_empty()).map(str::to_owned).collect()
}

fn wants(asked: &[String], name: &str) -> bool {
    let excluded = asked.iter().any(|field| field.strip_prefix('-') == Some(name));
    let all = asked.iter().any(|field| field == "*all" || field == "*navigable" || field.starts_with('-'));
    !excluded && (all || asked.iter().any(|field| field == name))
}
