//! Converts a mapped value to what Jira's API takes for the type of a field.
//!
//! Text is read as a person would write it: a choice by its label or ID, a list by commas or lines, a person by email.
//! JSON is sent as it is where its form fits the type; a text in it is converted like any other.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Number, Value, json};
use ticketing_core::clean::clean;
use ticketing_core::content_settings::GivenValue;
use ticketing_core::text::{Limit, single_line};
use url::Url;

use super::{Allowed, Field, FieldKind, MAX_NEAREST};
use crate::client::Api;
use crate::render;

/// Maximum length of a text field in Jira.
const MAX_TEXT: Limit = Limit::utf16(255);
const MAX_LABEL: Limit = Limit::utf16(255);

/// What a conversion knows beside the field.
pub(super) struct Known<'a> {
    pub(super) api: Api,
    /// The ID of the person with an email, if known.
    pub(super) user: &'a dyn Fn(&str) -> UserId,
}

/// What is known of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UserId {
    Found(String),
    /// There is no such person, or it could not be found out, with the reason.
    Absent(String),
    /// Not asked yet.
    Unknown,
}

/// Why a value was not converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// What is wrong, after the name of the field.
    Wrong(String),
    /// The person with this email must be looked up first.
    UnknownUser(String),
}

type Converted = Result<Value, Refusal>;

/// The value for the API.
pub(super) fn convert(field: &Field, given: &GivenValue, known: &Known<'_>) -> Converted {
    match given {
        GivenValue::Text(text) if field.is_list => of_list(field, text, known),
        GivenValue::Text(text) => of_text(field, text, known),
        GivenValue::Json(Value::Null) => Ok(Value::Null),
        GivenValue::Json(Value::String(text)) if field.is_list => of_list(field, text, known),
        GivenValue::Json(Value::String(text)) => of_text(field, text, known),
        GivenValue::Json(Value::Array(items)) if field.is_list => {
            items.iter().map(|item| of_item(field, item, known)).collect::<Result<_, _>>().map(Value::Array)
        }
        GivenValue::Json(json) if field.is_list => wrong(format!("takes a list, not {}", kind_of(json))),
        GivenValue::Json(json) => of_json(field, json),
    }
}

fn of_item(field: &Field, item: &Value, known: &Known<'_>) -> Converted {
    match item {
        Value::String(text) => of_text(field, text, known),
        json => of_json(field, json),
    }
}

/// A list: one item a line if there are several lines, else separated by commas. A text that is a choice as a whole is
/// one item.
fn of_list(field: &Field, text: &str, known: &Known<'_>) -> Converted {
    let is_whole = field.allowed.iter().flatten().any(|allowed| allowed.is(text));
    let parts: Vec<&str> = match text {
        whole if is_whole => vec![whole],
        lines if lines.contains('\n') => lines.lines().collect(),
        line if field.kind == FieldKind::Label => line.split([',', ' ']).collect(),
        line => line.split(',').collect(),
    };
    let items = parts.into_iter().map(str::trim).filter(|part| !part.is_empty());
    items.map(|item| of_text(field, item, known)).collect::<Result<Vec<_>, _>>().map(Value::Array)
}

fn of_text(field: &Field, text: &str, known: &Known<'_>) -> Converted {
    let line = single_line(text);
    match field.kind {
        FieldKind::Text => Ok(Value::from(MAX_TEXT.shorten(&line))),
        FieldKind::RichText => Ok(render::prose(&clean(text).text, known.api)),
        FieldKind::Url => url(&line),
        FieldKind::Number => number(&line),
        FieldKind::Date => date(&line),
        FieldKind::DateTime => date_time(&line),
        FieldKind::Option => choice(field, &line, "value"),
        FieldKind::Named => choice(field, &line, "name"),
        FieldKind::Cascading => cascading(field, &line),
        FieldKind::User => user(&line, known),
        FieldKind::Group => Ok(json!({ "name": line })),
        FieldKind::Label => label(&line),
        FieldKind::Sprint => sprint(&line),
        FieldKind::EpicLink | FieldKind::Team => Ok(Value::from(line)),
        FieldKind::Issue if line.bytes().all(|b| b.is_ascii_digit()) => Ok(json!({ "id": line })),
        FieldKind::Issue => Ok(json!({ "key": line })),
        // An app defines what it takes: a template may write its JSON.
        FieldKind::Any => Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::from(line))),
    }
}

/// JSON that is not a text: its form must fit the type.
fn of_json(field: &Field, json: &Value) -> Converted {
    let fits = match field.kind {
        FieldKind::Any => true,
        FieldKind::Number | FieldKind::Sprint => json.is_number(),
        FieldKind::RichText => json.get("type").and_then(Value::as_str) == Some("doc"),
        FieldKind::Option | FieldKind::Cascading => has_one_of(json, &["id", "value"]),
        FieldKind::Named => has_one_of(json, &["id", "name"]),
        FieldKind::User => has_one_of(json, &["accountId", "id", "name", "key"]),
        FieldKind::Group => has_one_of(json, &["name", "groupId"]),
        FieldKind::Issue => has_one_of(json, &["key", "id"]),
        FieldKind::Text
        | FieldKind::Url
        | FieldKind::Date
        | FieldKind::DateTime
        | FieldKind::Label
        | FieldKind::EpicLink
        | FieldKind::Team => false,
    };
    if !fits {
        return wrong(format!("takes a {}, not {}", form_of(field.kind), kind_of(json)));
    }
    let is_choice = matches!(field.kind, FieldKind::Option | FieldKind::Cascading | FieldKind::Named);
    match is_choice.then_some(field.allowed.as_ref()).flatten() {
        Some(allowed) => among(field, allowed, json),
        None => Ok(json.clone()),
    }
}

/// Whether a chosen value of JSON is offered.
fn among(field: &Field, allowed: &[Allowed], json: &Value) -> Converted {
    let given =
        ["id", "value", "name"].into_iter().find_map(|member| json.get(member).map(|text| (member, text)));
    let (member, given) = given.map_or(("", Value::Null), |(member, text)| (member, text.clone()));
    let text = given.as_str().map_or_else(|| given.to_string(), str::to_owned);
    let is_offered = |offered: &&Allowed| if member == "id" { offered.id == text } else { offered.is(&text) };
    match allowed.iter().find(is_offered) {
        Some(offered) if offered.is_disabled => disabled(&text),
        Some(_) => Ok(json.clone()),
        None => not_offered(field, &text),
    }
}

fn has_one_of(json: &Value, members: &[&str]) -> bool {
    members.iter().any(|member| json.get(member).is_some_and(|value| value.is_string() || value.is_number()))
}

fn form_of(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Option | FieldKind::Cascading => "choice, {\"value\": …} or {\"id\": …}",
        FieldKind::Named => "choice, {\"name\": …} or {\"id\": …}",
        FieldKind::RichText => "text, or an ADF document on Jira Cloud",
        FieldKind::User => "user, by email or {\"accountId\": …}",
        FieldKind::Group => "group, {\"name\": …}",
        FieldKind::Issue => "issue, {\"key\": …}",
        FieldKind::Sprint => "sprint, by its number",
        other => other.describe(),
    }
}

fn url(text: &str) -> Converted {
    match Url::parse(text) {
        Ok(url) if url.has_host() && matches!(url.scheme(), "http" | "https" | "ftp") => {
            Ok(Value::from(text))
        }
        _ => wrong(format!("takes an absolute URL, not \"{text}\"")),
    }
}

fn number(text: &str) -> Converted {
    let whole = text.parse::<i64>().ok().map(Number::from);
    let number = whole.or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64));
    number.map(Value::Number).ok_or_else(|| Refusal::Wrong(format!("takes a number, not \"{text}\"")))
}

/// A date, or the date in UTC of a time.
fn date(text: &str) -> Converted {
    let date = text.parse::<Date>().ok().filter(|_| text.len() == 10);
    let date = date
        .map(|date| date.to_string())
        .or_else(|| text.parse::<Timestamp>().ok().map(|time| time.strftime("%Y-%m-%d").to_string()));
    date.map(Value::from)
        .ok_or_else(|| Refusal::Wrong(format!("takes a date such as 2026-11-29, not \"{text}\"")))
}

/// A time, or the beginning of a day in UTC. Jira takes milliseconds, and an offset without a colon.
fn date_time(text: &str) -> Converted {
    let day = text.parse::<Date>().ok().filter(|_| text.len() == 10);
    let time = text.parse::<Timestamp>().ok();
    let time = time.or_else(|| format!("{}T00:00:00Z", day?).parse().ok());
    time.map(|time| Value::from(time.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string()))
        .ok_or_else(|| Refusal::Wrong(format!("takes a time such as 2026-11-29T14:39:00Z, not \"{text}\"")))
}

/// A choice by its label or ID; by its label in `member` if Jira does not list the choices.
fn choice(field: &Field, text: &str, member: &str) -> Converted {
    let Some(allowed) = &field.allowed else { return Ok(json!({ member: text })) };
    Ok(json!({ "id": chosen(field, allowed, text)?.id }))
}

fn chosen<'f>(field: &Field, allowed: &'f [Allowed], text: &str) -> Result<&'f Allowed, Refusal> {
    let by_label = allowed.iter().find(|offered| offered.has_label(text));
    match by_label.or_else(|| allowed.iter().find(|offered| offered.id == text)) {
        Some(found) if found.is_disabled => disabled(text),
        Some(found) => Ok(found),
        None => not_offered(field, text),
    }
}

/// `Parent > Child`, or a parent alone.
fn cascading(field: &Field, text: &str) -> Converted {
    let (parent, child) = match text.split_once('>') {
        Some((parent, child)) => (parent.trim(), Some(child.trim())),
        None => (text, None),
    };
    let Some(allowed) = &field.allowed else {
        return Ok(match child {
            Some(child) => json!({ "value": parent, "child": { "value": child } }),
            None => json!({ "value": parent }),
        });
    };
    let parent = chosen(field, allowed, parent)?;
    let Some(child) = child else { return Ok(json!({ "id": parent.id })) };
    let below = Field { allowed: Some(parent.children.clone()), ..field.clone() };
    let child = chosen(&below, &parent.children, child)?;
    Ok(json!({ "id": parent.id, "child": { "id": child.id } }))
}

/// A person by email; otherwise by account ID on Cloud, by name on Data Center.
fn user(text: &str, known: &Known<'_>) -> Converted {
    let id = match text.contains('@') {
        false => text.to_owned(),
        true => match (known.user)(text) {
            UserId::Found(id) => id,
            UserId::Unknown => return Err(Refusal::UnknownUser(text.to_owned())),
            UserId::Absent(reason) => return wrong(format!("names \"{text}\", {reason}")),
        },
    };
    let member = if known.api == Api::V3 { "accountId" } else { "name" };
    Ok(json!({ member: id }))
}

/// Jira's labels have no spaces.
fn label(text: &str) -> Converted {
    let joined = text.split_whitespace().collect::<Vec<_>>().join("_");
    Ok(Value::from(MAX_LABEL.shorten(&joined)))
}

fn sprint(text: &str) -> Converted {
    let number = text.parse::<u64>().ok().map(Value::from);
    number.ok_or_else(|| Refusal::Wrong(format!("takes the number of a sprint, not \"{text}\"")))
}

fn not_offered<T>(field: &Field, text: &str) -> Result<T, Refusal> {
    let offered = field.nearest(text, MAX_NEAREST);
    let text = Limit::characters(100).shorten(text);
    match offered.as_slice() {
        [] => wrong(format!("takes no value \"{text}\", and Jira offers none")),
        offered => wrong(format!("takes no value \"{text}\"; nearest: {}", offered.join(", "))),
    }
}

fn disabled<T>(text: &str) -> Result<T, Refusal> {
    wrong(format!("takes \"{text}\" no longer: it is disabled"))
}

fn wrong<T>(what: String) -> Result<T, Refusal> {
    Err(Refusal::Wrong(what))
}

fn kind_of(json: &Value) -> &'static str {
    match json {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "this object",
    }
}

// === impl Allowed ===

impl Allowed {
    fn is(&self, text: &str) -> bool {
        self.id == text.trim() || self.has_label(text)
    }

    fn has_label(&self, text: &str) -> bool {
        self.label.trim().to_lowercase() == text.trim().to_lowercase()
    }
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
