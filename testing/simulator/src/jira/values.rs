//! Parses the values of fields like Jira.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::adf;
use crate::profile::{Named, Project};

pub(super) const NO_SUMMARY: &str = "You must specify a summary of the issue.";

/// Limits of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Whether long text is an Atlassian Document rather than a string.
    pub(super) adf: bool,
    /// Maximum length of a long text.
    pub(super) text: usize,
}

/// Reason for which a value is rejected.
#[derive(Debug)]
pub(super) enum Objection {
    /// Reported under the field's name.
    Field(String),
    /// Reported as a general message without a field.
    Whole(String),
}

pub(super) fn read(
    project: &Project,
    field: &str,
    value: &Value,
    limits: Limits,
) -> Result<Value, Objection> {
    match field {
        "summary" => summary(value).map_err(Objection::Field),
        "description" | "environment" => long_text(field, value, limits),
        "priority" => priority(project, value).map_err(Objection::Field),
        "labels" => labels(value).map_err(Objection::Field),
        _ => Ok(value.clone()),
    }
}

/// Finds the choice with this `{"id"}` or `{"name"}`. The error states what the object lacks.
pub(super) fn choice<'c>(choices: &'c [Named], value: &Value) -> Result<&'c Named, &'static str> {
    let by = |member: &str| value.get(member).and_then(Value::as_str);
    if let Some(id) = by("id") {
        return choices.iter().find(|choice| choice.id == id).ok_or("unknown");
    }
    let name = by("name").ok_or("neither")?;
    choices.iter().find(|choice| choice.name.eq_ignore_ascii_case(name)).ok_or("unknown")
}

pub(super) fn long_text(field: &str, value: &Value, limits: Limits) -> Result<Value, Objection> {
    let too_long = || {
        let limit = thousands(limits.text);
        Objection::Field(format!(
            "The entered text is too long. It exceeds the allowed limit of {limit} characters."
        ))
    };
    match value {
        Value::Null => Ok(Value::Null),
        Value::String(text) if !limits.adf => {
            if units(text) > limits.text {
                Err(too_long())
            } else {
                Ok(value.clone())
            }
        }
        Value::Object(_) if limits.adf => {
            // Jira does not report the violated rule, so neither does the simulator.
            adf::check(value).map_err(|_| Objection::Whole("INVALID_INPUT".to_owned()))?;
            // Whether Jira measures the text or its JSON is undocumented, so both must be within the limit.
            let longest = units(&adf::plain_text(value)).max(units(&value.to_string()));
            if longest > limits.text { Err(too_long()) } else { Ok(value.clone()) }
        }
        _ if limits.adf => Err(Objection::Field(
            "Operation value must be an Atlassian Document (see the Atlassian Document Format)".to_owned(),
        )),
        _ => Err(Objection::Field(format!("Operation value must be a string ({field})"))),
    }
}

/// Jira is written in Java, which measures lengths in UTF-16 code units.
fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

pub(super) fn properties(given: Option<&Value>) -> Result<BTreeMap<String, Value>, String> {
    let mut properties = BTreeMap::new();
    for property in given.and_then(Value::as_array).into_iter().flatten() {
        let key = property.get("key").and_then(Value::as_str).unwrap_or_default();
        let value = property.get("value").cloned().unwrap_or_default();
        check_property(key, &value)?;
        properties.insert(key.to_owned(), value);
    }
    Ok(properties)
}

pub(super) fn check_property(key: &str, value: &Value) -> Result<(), String> {
    if key.is_empty() || key.chars().count() > 255 {
        return Err("The property key must be between 1 and 255 characters long.".to_owned());
    }
    if value.to_string().len() > 32_768 {
        return Err("The property value is too long. It must be at most 32768 characters.".to_owned());
    }
    Ok(())
}

fn summary(value: &Value) -> Result<Value, String> {
    let text = value.as_str().ok_or("Operation value must be a string")?;
    if text.trim().is_empty() {
        return Err(NO_SUMMARY.to_owned());
    }
    if text.contains(['\n', '\r']) {
        return Err("The summary is invalid because it contains newline characters.".to_owned());
    }
    if units(text) > 255 {
        return Err("Summary must be less than 255 characters.".to_owned());
    }
    Ok(Value::from(text.trim()))
}

fn priority(project: &Project, value: &Value) -> Result<Value, String> {
    match choice(&project.priorities, value) {
        Ok(found) => Ok(json!({ "id": found.id, "name": found.name })),
        Err("neither") => Err("Could not find valid 'id' or 'name' in priority object.".to_owned()),
        Err(_) => Err("The priority selected is invalid.".to_owned()),
    }
}

fn labels(value: &Value) -> Result<Value, String> {
    let list = value.as_array().ok_or("data was not an array")?;
    let mut labels = BTreeSet::new();
    for label in list {
        let label = label.as_str().ok_or("Operation value must be a string")?;
        if label.contains(char::is_whitespace) {
            return Err(format!("The label '{label}' contains spaces which is invalid."));
        }
        if label.is_empty() || units(label) > 255 {
            return Err(format!(
                "The label '{label}' exceeds the maximum length of 255 characters or is empty."
            ));
        }
        labels.insert(label);
    }
    Ok(json!(labels))
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut text = digits[..first].to_owned();
    for (index, digit) in digits[first..].chars().enumerate() {
        if index % 3 == 0 && !text.is_empty() {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
