//! Creating an issue.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::fields::{self, Checked};
use super::values::{self, Limits};
use super::{Flavour, Visit, auth, jira_time};
use crate::message::Answer;
use crate::profile::{Named, Project, ScreenField};
use crate::state::State;
use crate::ticket::Ticket;

const TOP_LEVEL: [&str; 5] = ["fields", "update", "properties", "transition", "historyMetadata"];

pub(super) fn create(visit: &mut Visit<'_, '_>) -> Answer {
    if !visit.logged_in() {
        return auth::not_authenticated(&visit.caller);
    }
    let body = match body(visit) {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let empty = Map::new();
    let given = body.get("fields").and_then(Value::as_object).unwrap_or(&empty);
    let update = body.get("update").and_then(Value::as_object).unwrap_or(&empty);
    if let Some(field) = given.keys().find(|field| update.contains_key(*field)) {
        let message = format!("Field '{field}' cannot appear in both 'fields' and 'update'");
        return Answer::jira_fields(400, &single(field, &message));
    }
    let mut given = given.clone();
    if let Err(errors) = merge_updates(&mut given, update) {
        return Answer::jira_fields(400, &errors);
    }
    let project = match chosen_project(visit, &given) {
        Ok(project) => project,
        Err(refusal) => return refusal,
    };
    match validated(visit, &project, &given) {
        Ok(fields) => finish(visit, &project, fields, &body),
        Err(refusal) => refusal,
    }
}

/// The default fields of an issue.
pub(super) fn initial_fields(project: &Project, now: Timestamp) -> Map<String, Value> {
    let named = |choice: &Named| json!({ "id": choice.id, "name": choice.name });
    let middle = project.priorities.get(project.priorities.len() / 2);
    let fields = json!({
        "project": { "id": project.id, "key": project.key, "name": project.name },
        "issuetype": project.issue_types.first().map(named),
        "priority": middle.map(named),
        "status": { "id": "10000", "name": "To Do", "statusCategory": { "id": 2, "key": "new" } },
        "summary": "",
        "description": null,
        "labels": [],
        "created": jira_time(now),
        "updated": jira_time(now),
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

pub(super) fn store<'s>(
    state: &'s mut State,
    project_key: &str,
    fields: Map<String, Value>,
    now: Timestamp,
    foreign: bool,
) -> &'s Ticket {
    let id = 9_999 + state.next_number();
    let number = state.tickets.last_number(project_key) + 1;
    let ticket = Ticket {
        id: id.to_string(),
        key: format!("{project_key}-{number}"),
        previous_keys: Vec::new(),
        container: project_key.to_owned(),
        fields,
        properties: BTreeMap::new(),
        created_at: now,
        foreign,
        plain: String::new(),
        deleted: false,
    };
    state.tickets.add(ticket)
}

pub(super) fn single(field: &str, message: &str) -> Map<String, Value> {
    Map::from_iter([(field.to_owned(), Value::from(message))])
}

/// Parses a JSON object that has known members only; otherwise the error reply.
fn body(visit: &Visit<'_, '_>) -> Result<Map<String, Value>, Answer> {
    let Some(Value::Object(body)) = visit.turn.request.json() else {
        return Err(unreadable(visit));
    };
    if let Some(unknown) = body.keys().find(|key| !TOP_LEVEL.contains(&key.as_str())) {
        return Err(unrecognized(visit.flavour, unknown));
    }
    for name in ["fields", "update"] {
        if body.get(name).is_some_and(|value| !value.is_object()) {
            return Err(unreadable(visit));
        }
    }
    Ok(body)
}

pub(super) fn unreadable(visit: &Visit<'_, '_>) -> Answer {
    match visit.flavour {
        Flavour::Cloud => Answer::jira_messages(400, &[CLOUD_PAYLOAD]),
        Flavour::DataCenter => Answer::jira_messages(
            400,
            &["Can not deserialize instance of the request body: not a JSON object"],
        ),
    }
}

pub(super) fn unrecognized(flavour: Flavour, member: &str) -> Answer {
    match flavour {
        Flavour::Cloud => Answer::jira_messages(400, &[CLOUD_PAYLOAD]),
        Flavour::DataCenter => Answer::jira_messages(
            400,
            &[&format!("Unrecognized field \"{member}\", not marked as ignorable")],
        ),
    }
}

const CLOUD_PAYLOAD: &str = "Invalid request payload. Refer to the REST API documentation and try again.";

/// Merges `update` operations into the fields; supports those of a create only.
fn merge_updates(
    given: &mut Map<String, Value>,
    update: &Map<String, Value>,
) -> Result<(), Map<String, Value>> {
    for (field, operations) in update {
        let operations = operations.as_array().ok_or_else(|| single(field, "data was not an array"))?;
        for operation in operations {
            if let Some(value) = operation.get("set") {
                given.insert(field.clone(), value.clone());
            } else if let (Some(value), "labels") = (operation.get("add"), field.as_str()) {
                let labels = given.entry("labels").or_insert_with(|| json!([]));
                if let Some(labels) = labels.as_array_mut() {
                    labels.push(value.clone());
                }
            } else {
                return Err(single(field, &format!("Field '{field}' does not support this operation")));
            }
        }
    }
    Ok(())
}

fn chosen_project(visit: &Visit<'_, '_>, given: &Map<String, Value>) -> Result<Project, Answer> {
    let message = match visit.flavour {
        Flavour::Cloud => "Specify a valid project ID or key",
        Flavour::DataCenter => "project is required",
    };
    let profile = &visit.turn.state.profile;
    let name = given.get("project").and_then(|project| {
        ["key", "id"].iter().find_map(|member| project.get(member)).and_then(Value::as_str)
    });
    let project = name.filter(|_| visit.may("BROWSE_PROJECTS")).and_then(|name| profile.project(name));
    let project = project.ok_or_else(|| Answer::jira_fields(400, &single("project", message)))?;
    if visit.may("CREATE_ISSUES") {
        return Ok(project.clone());
    }
    let refusal = "You do not have permission to create issues in this project.";
    Err(match visit.flavour {
        Flavour::Cloud => Answer::jira_messages(403, &[refusal]),
        Flavour::DataCenter => Answer::jira_messages(400, &[refusal]),
    })
}

/// Returns the fields of the issue, or all validation errors at once like Jira.
fn validated(
    visit: &Visit<'_, '_>,
    project: &Project,
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, Answer> {
    let limits = Limits { adf: visit.version == 3, text: visit.turn.state.profile.text_limit };
    let mut created = initial_fields(project, visit.turn.now);
    let mut errors = Map::new();
    let mut whole = Vec::new();
    let issue_type =
        given.get("issuetype").and_then(|value| values::choice(&project.issue_types, value).ok());
    match issue_type {
        Some(found) => {
            drop(created.insert("issuetype".into(), json!({ "id": found.id, "name": found.name })));
        }
        None if given.contains_key("issuetype") => {
            errors.insert("issuetype".into(), "The issue type selected is invalid.".into());
        }
        None => drop(errors.insert("issuetype".into(), "issue type is required".into())),
    }
    for (field, value) in given.iter().filter(|(field, _)| !matches!(field.as_str(), "project" | "issuetype"))
    {
        if let Some(known) = project.fields.iter().find(|known| known.id == *field && known.is_settable) {
            let checked =
                Checked { flavour: visit.flavour, limits, people: &visit.turn.state.profile.people };
            match fields::read(known, value, checked) {
                Ok(value) => drop(created.insert(field.clone(), value)),
                Err(values::Objection::Field(message)) => drop(errors.insert(field.clone(), message.into())),
                Err(values::Objection::Whole(message)) => whole.push(message),
            }
            continue;
        }
        if !project.screen.contains(field) {
            let message =
                format!("Field '{field}' cannot be set. It is not on the appropriate screen, or unknown.");
            errors.insert(field.clone(), message.into());
            continue;
        }
        if field == "labels" && visit.turn.state.profile.drops_labels {
            continue;
        }
        match values::read(project, field, value, limits) {
            Ok(value) => drop(created.insert(field.clone(), value)),
            Err(values::Objection::Field(message)) => drop(errors.insert(field.clone(), message.into())),
            Err(values::Objection::Whole(message)) => return Err(Answer::jira_messages(400, &[&message])),
        }
    }
    if !given.contains_key("summary") {
        errors.insert("summary".into(), values::NO_SUMMARY.into());
    }
    let is_missing = |field: &&ScreenField| {
        field.required && !field.has_default && given.get(&field.id).is_none_or(Value::is_null)
    };
    for field in project.fields.iter().filter(is_missing) {
        errors.insert(field.id.clone(), fields::required(field).into());
    }
    if !whole.is_empty() {
        return Err(Answer::jira_errors(400, &whole, &errors));
    }
    let missing = project.required.iter().find(|field| given.get(*field).is_none_or(Value::is_null));
    match (errors.is_empty(), missing) {
        (true, None) => Ok(created),
        (true, Some(field)) => Err(Answer::jira_messages(400, &[&format!("Field '{field}' is required")])),
        (false, _) => Err(Answer::jira_fields(400, &errors)),
    }
}

fn finish(
    visit: &mut Visit<'_, '_>,
    project: &Project,
    fields: Map<String, Value>,
    body: &Map<String, Value>,
) -> Answer {
    let properties = match values::properties(body.get("properties")) {
        Ok(properties) => properties,
        Err(message) => return Answer::jira_messages(400, &[&message]),
    };
    let ticket = store(visit.turn.state, &project.key, fields, visit.turn.now, false).clone();
    visit.turn.state.tickets.change(&ticket.id, |stored| stored.properties = properties);
    let link = visit.api(&format!("issue/{}", ticket.id));
    Answer::json(201, &json!({ "id": ticket.id, "key": ticket.key, "self": link })).created(&ticket)
}
