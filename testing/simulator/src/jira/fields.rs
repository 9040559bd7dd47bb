//! Fields of every type on the create screen: their metadata, and the values that Jira takes and refuses.

use jiff::civil::Date;
use serde_json::{Value, json};

use super::values::{self, Limits, Objection};
use super::{Flavour, Visit};
use crate::message::Answer;
use crate::profile::{Person, ScreenField};

/// What a value is checked against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked<'a> {
    pub(super) flavour: Flavour,
    pub(super) limits: Limits,
    pub(super) people: &'a [Person],
}

pub(super) fn describe(field: &ScreenField) -> Value {
    let is_list = field.schema["type"] == "array";
    let operations = match (field.is_settable, is_list) {
        (false, _) => json!([]),
        (true, true) => json!(["add", "set", "remove"]),
        (true, false) => json!(["set"]),
    };
    let mut body = json!({
        "fieldId": field.id, "key": field.id, "name": field.name, "required": field.required,
        "hasDefaultValue": field.has_default, "operations": operations, "schema": field.schema,
    });
    if let Some(allowed) = &field.allowed {
        body["allowedValues"] = json!(allowed);
    }
    body
}

/// The stored form of a value.
pub(super) fn read(field: &ScreenField, value: &Value, checked: Checked<'_>) -> Result<Value, Objection> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let schema = |name: &str| field.schema[name].as_str().unwrap_or_default();
    let custom = schema("custom").rsplit(':').next().unwrap_or_default();
    match (schema("type"), custom) {
        _ if custom == "textarea" || schema("system") == "environment" => {
            values::long_text(&field.id, value, checked.limits)
        }
        (_, "gh-sprint") => match value.is_number() {
            true => Ok(value.clone()),
            false => Err(Objection::Whole("Number value expected as the Sprint id.".to_owned())),
        },
        (_, "atlassian-team" | "rm-teams-custom-field-team") if !value.is_string() => {
            let shown = value.to_string().replace('"', "").replace(':', "=");
            refused(format!("Team Id 'JsonData{{data={shown}}}' is not valid"))
        }
        (_, "url") => url(value),
        ("array", _) => match (value.as_array(), schema("items")) {
            (None, "string") => {
                refused(format!("Specify the value for {} in an array of strings", field.name))
            }
            (None, _) => refused("data was not an array".to_owned()),
            (Some(items), kind) => {
                let items = items.iter().map(|item| one(field, kind, item, checked));
                items.collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
        },
        (kind, _) => one(field, kind, value, checked),
    }
}

pub(super) fn required(field: &ScreenField) -> String {
    format!("{} is required.", field.name)
}

/// People whose email or name begins with the query. Without the permission to browse users the list is empty.
pub(super) fn search_users(visit: &Visit<'_, '_>, assignable: bool) -> Answer {
    let request = visit.turn.request;
    let parameter = if visit.flavour == Flavour::Cloud { "query" } else { "username" };
    let Some(query) = request.query(parameter).filter(|query| !query.is_empty()) else {
        return Answer::jira_messages(400, &[&format!("The {parameter} query parameter is required.")]);
    };
    if assignable
        && request.query("project").is_none_or(|project| visit.turn.state.profile.project(&project).is_none())
    {
        return Answer::jira_messages(404, &["No project could be found with that key."]);
    }
    let profile = &visit.turn.state.profile;
    if !visit.logged_in() || (!assignable && !profile.allows("USER_PICKER")) {
        return Answer::json(200, &json!([]));
    }
    let query = query.to_lowercase();
    let fits = |person: &&Person| {
        (person.email.to_lowercase().starts_with(&query) || person.name.to_lowercase().starts_with(&query))
            && (!assignable || person.is_assignable)
    };
    let shown: Vec<Value> = profile.people.iter().filter(fits).map(|person| user(visit, person)).collect();
    Answer::json(200, &Value::from(shown))
}

fn user(visit: &Visit<'_, '_>, person: &Person) -> Value {
    let email = if visit.turn.state.profile.hides_emails { None } else { Some(person.email.as_str()) };
    match visit.flavour {
        Flavour::Cloud => {
            let mut body = json!({
                "self": visit.api(&format!("user?accountId={}", person.id)), "accountId": person.id,
                "accountType": "atlassian", "displayName": person.name, "active": true,
            });
            if let Some(email) = email {
                body["emailAddress"] = email.into();
            }
            body
        }
        Flavour::DataCenter => json!({
            "self": visit.api(&format!("user?username={}", person.id)), "key": person.id, "name": person.id,
            "emailAddress": email.unwrap_or_default(), "displayName": person.name, "active": true,
        }),
    }
}

fn one(field: &ScreenField, kind: &str, value: &Value, checked: Checked<'_>) -> Result<Value, Objection> {
    match kind {
        "string" => text(value),
        "number" if !value.is_number() => refused("Operation value must be a number".to_owned()),
        "date" => date(value),
        "datetime" => date_time(value),
        "option" => option(field, value),
        "option-with-child" => cascading(field, value),
        "user" => person(field, value, checked),
        "group" => named_group(value),
        "version" => among(field, value, "Version"),
        "component" => among(field, value, "Component"),
        "securitylevel" => among(field, value, "Security level"),
        "issuelink" if ["key", "id"].iter().all(|member| !value[member].is_string()) => {
            refused("Could not find issue by id or key.".to_owned())
        }
        _ => Ok(value.clone()),
    }
}

fn text(value: &Value) -> Result<Value, Objection> {
    let Some(text) = value.as_str() else { return refused("Operation value must be a string".to_owned()) };
    match text.encode_utf16().count() > 255 {
        true => refused(
            "The entered text is too long. It exceeds the allowed limit of 255 characters.".to_owned(),
        ),
        false => Ok(value.clone()),
    }
}

fn url(value: &Value) -> Result<Value, Objection> {
    let Some(text) = value.as_str() else { return refused("Operation value must be a string".to_owned()) };
    match ["http://", "https://", "ftp://"].iter().any(|scheme| text.starts_with(scheme)) {
        true => Ok(value.clone()),
        false => refused("Not a valid URL".to_owned()),
    }
}

fn date(value: &Value) -> Result<Value, Objection> {
    let Some(text) = value.as_str() else { return refused("Operation value must be a string".to_owned()) };
    match text.len() == 10 && text.parse::<Date>().is_ok() {
        true => Ok(value.clone()),
        false => refused(format!("Error parsing date string: {text}")),
    }
}

/// Milliseconds, and an offset without a colon: `2026-11-29T14:39:00.000+1100`.
fn date_time(value: &Value) -> Result<Value, Objection> {
    let Some(text) = value.as_str() else { return refused("Operation value must be a string".to_owned()) };
    let bytes = text.as_bytes();
    let fits = text.is_ascii() && text.len() == 28 && bytes[19] == b'.' && matches!(bytes[23], b'+' | b'-');
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    match fits && digits(&bytes[20..23]) && digits(&bytes[24..]) && text[..10].parse::<Date>().is_ok() {
        true => Ok(value.clone()),
        false => refused(format!("Error parsing date string: {text}")),
    }
}

fn option(field: &ScreenField, value: &Value) -> Result<Value, Objection> {
    let allowed = field.allowed.as_deref().unwrap_or_default();
    let by = |member: &str| value.get(member).and_then(Value::as_str);
    let found =
        |member: &str, wanted: &str| allowed.iter().find(|offered| offered[member] == wanted).cloned();
    match (by("id"), by("value")) {
        (Some(id), _) => found("id", id).ok_or(format!("Option id '{id}' is not valid")),
        (None, Some(text)) => found("value", text).ok_or(format!("Option value '{text}' is not valid")),
        (None, None) => Err("Could not find valid 'id' or 'value' in the Parent Option object.".to_owned()),
    }
    .map_err(Objection::Field)
}

fn cascading(field: &ScreenField, value: &Value) -> Result<Value, Objection> {
    let parent = option(field, value)?;
    let Some(child) = value.get("child") else { return Ok(parent) };
    let children = parent["children"].as_array().cloned().unwrap_or_default();
    let is_child = |offered: &&Value| {
        ["id", "value"].iter().any(|member| child[member].is_string() && offered[member] == child[member])
    };
    match children.iter().find(is_child) {
        Some(child) => Ok(json!({ "id": parent["id"], "value": parent["value"], "child": child })),
        None => refused(format!("Specify a valid value for {}", field.name)),
    }
}

fn person(field: &ScreenField, value: &Value, checked: Checked<'_>) -> Result<Value, Objection> {
    let members: &[&str] = match checked.flavour {
        Flavour::Cloud => &["accountId", "id"],
        Flavour::DataCenter => &["name"],
    };
    let Some(id) = members.iter().find_map(|member| value[member].as_str()) else {
        return refused("expected Object containing a 'name' property".to_owned());
    };
    let is_assignee = field.id == "assignee";
    match checked.people.iter().find(|person| person.id == id && (person.is_assignable || !is_assignee)) {
        Some(found) => Ok(json!({ members[0]: found.id, "displayName": found.name })),
        None if is_assignee => refused(format!("User '{id}' cannot be assigned issues.")),
        None => refused(format!("User '{id}' does not exist.")),
    }
}

/// The form that Cloud takes is undocumented: an object, or its name alone.
fn named_group(value: &Value) -> Result<Value, Objection> {
    match value["name"].is_string() || value["groupId"].is_string() || value.is_string() {
        true => Ok(value.clone()),
        false => refused("data was not an object".to_owned()),
    }
}

fn among(field: &ScreenField, value: &Value, kind: &str) -> Result<Value, Objection> {
    let allowed = field.allowed.as_deref().unwrap_or_default();
    for member in ["id", "name"] {
        if let Some(wanted) = value[member].as_str() {
            let found = allowed.iter().find(|offered| offered[member] == wanted).cloned();
            return found.ok_or_else(|| Objection::Field(format!("{kind} {member} '{wanted}' is not valid")));
        }
    }
    refused(format!("Could not find valid 'id' or 'name' in {} object.", kind.to_lowercase()))
}

fn refused<T>(message: String) -> Result<T, Objection> {
    Err(Objection::Field(message))
}
