//! Applies a mapping to the columns of a table. The Table API takes texts: a choice by its value, a reference by its
//! `sys_id`, a time in UTC.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;
use ticketing_core::clean::clean;
use ticketing_core::content_settings::{FieldContent, GivenValue, MappedContent, setting_of};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::nearest::nearest;
use ticketing_core::system::Adjustment;
use ticketing_core::text::{Limit, single_line};

use super::dictionary::{Column, Dictionary};
use super::references::{Match, References};
use super::{is_name, own};
use crate::client::Client;
use crate::render;

/// Maximum number of records that are looked up for one ticket.
const MAX_LOOK_UPS: usize = 20;
const MAX_NEAREST: usize = 5;

/// Where a mapping is applied, and what is known there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) dictionary: &'a Dictionary,
    pub(crate) references: &'a References,
    pub(crate) now: Timestamp,
}

/// The values to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// By the name of the column.
    pub(crate) values: BTreeMap<String, String>,
    /// The names in the settings, by column.
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) adjustments: Vec<Adjustment>,
    /// What is wrong with the values that must be sent, each with its setting.
    pub(crate) faults: Vec<String>,
    is_of_settings: bool,
    /// Records that must be looked up first: table and display value.
    pub(crate) unknown: Vec<(String, String)>,
}

/// Why a value cannot be sent.
enum Problem {
    /// The settings are wrong for every ticket.
    Settings(String),
    /// The value is.
    Value(String),
    Unknown(String, String),
}

// === impl Applied ===

impl Applied {
    /// One fault for all that is wrong.
    pub(crate) fn fault(&self) -> Option<Fault> {
        let kind = if self.is_of_settings { FaultKind::Misconfigured } else { FaultKind::Rejected };
        let hint = "correct the named settings, or mark a field as droppable to create the ticket without it";
        (!self.faults.is_empty()).then(|| Fault::new(kind, self.faults.join("; ")).with_hint(hint))
    }

    /// Turns what is wrong into adjustments, for a rendering that is not sent.
    pub(crate) fn note_problems(&mut self) {
        let faults = self.faults.drain(..).map(|fault| Adjustment::new("", fault));
        let unknown = self.unknown.drain(..).map(|(table, shown)| {
            Adjustment::new("", format!("not checked whether {table} has one record \"{shown}\""))
        });
        self.adjustments.extend(faults.chain(unknown));
    }
}

/// Converts every mapped value, after looking up the records among them.
pub(crate) async fn apply_online(
    content: &MappedContent,
    place: Place<'_>,
    client: &Client,
) -> Result<Applied, Fault> {
    let mut missing = Vec::new();
    for _ in 0..MAX_LOOK_UPS {
        let applied = apply_with(content, place, &missing);
        let Some((table, shown)) = applied.unknown.first() else { return Ok(applied) };
        let reason = match place.references.find(client, table, shown).await {
            Ok(Match::One(_)) => continue,
            Ok(Match::None) => format!("names \"{shown}\", and {table} shows the account no such record"),
            Ok(Match::Several(count)) => {
                format!("names \"{shown}\", as {count} records of {table} do: give the sys_id")
            }
            Err(fault) if fault.kind.is_login_refused() => return Err(fault),
            Err(fault) => {
                format!("names \"{shown}\", which could not be looked up in {table}: {}", fault.message)
            }
        };
        missing.push((table.clone(), shown.clone(), reason));
    }
    let message = format!("the fields of a ticket name more than {MAX_LOOK_UPS} records by display value");
    Err(Fault::new(FaultKind::Rejected, message).with_hint("map sys_ids instead of display values"))
}

/// Converts every mapped value, by what is known.
pub(crate) fn apply(content: &MappedContent, place: Place<'_>) -> Applied {
    apply_with(content, place, &[])
}

fn apply_with(content: &MappedContent, place: Place<'_>, missing: &[(String, String, String)]) -> Applied {
    let mut applied = Applied::default();
    for mapped in &content.fields {
        let setting = setting_of(&mapped.name);
        let problem = match value_of(mapped, place, missing) {
            Ok((column, value)) => {
                if !place.dictionary.is_known() {
                    let reason = "sent as configured, not checked: the account may not read sys_dictionary";
                    applied.adjustments.push(Adjustment::new(&column, reason));
                }
                applied.settings.insert(column.clone(), mapped.name.clone());
                applied.values.insert(column, value);
                continue;
            }
            Err(problem) => problem,
        };
        let (what, is_of_settings) = match problem {
            Problem::Unknown(table, shown) => {
                applied.unknown.push((table, shown));
                continue;
            }
            Problem::Settings(what) => (what, true),
            Problem::Value(what) => (what, false),
        };
        if mapped.droppable {
            applied.adjustments.push(Adjustment::new(&mapped.name, format!("not sent: {setting}: {what}")));
        } else {
            applied.faults.push(format!("{setting}: {what}"));
            applied.is_of_settings |= is_of_settings;
        }
    }
    applied
}

fn value_of(
    mapped: &FieldContent,
    place: Place<'_>,
    missing: &[(String, String, String)],
) -> Result<(String, String), Problem> {
    let column = column_of(&mapped.name, place.dictionary).map_err(Problem::Settings)?;
    let given = mapped.value.as_ref().map_err(|error| Problem::Value(error.to_string()))?;
    let text = match given {
        GivenValue::Text(text) | GivenValue::Json(Value::String(text)) => clean(text).text.into_owned(),
        GivenValue::Json(Value::Null) => String::new(),
        GivenValue::Json(json @ (Value::Bool(_) | Value::Number(_))) => json.to_string(),
        GivenValue::Json(Value::Array(_) | Value::Object(_)) => {
            return Err(Problem::Settings("takes a text, not a list or an object".to_owned()));
        }
    };
    let reference = |shown: &str| reference(&column, shown, place, missing);
    let value = match column.kind.as_str() {
        _ if text.is_empty() => Ok(text),
        "reference" => reference(text.trim()),
        "glide_list" if !column.table.is_empty() => {
            let parts = text.split(['\n', ',']).map(str::trim).filter(|part| !part.is_empty());
            parts.map(reference).collect::<Result<Vec<_>, _>>().map(|ids| ids.join(","))
        }
        "boolean" => boolean(&text).map_err(Problem::Value),
        "glide_date" => date(&text).map_err(Problem::Value),
        "glide_date_time" | "due_date" => time(&text).map_err(Problem::Value),
        "integer" | "longint" => {
            parsed(&text, "a whole number", text.trim().parse::<i64>().is_ok()).map_err(Problem::Value)
        }
        "decimal" | "float" => {
            let number = text.trim().parse::<f64>();
            parsed(&text, "a number", number.is_ok_and(f64::is_finite)).map_err(Problem::Value)
        }
        _ if !column.choices.is_empty() => choice(&column, &text).map_err(Problem::Value),
        _ => {
            let limit = Limit::utf16(column.max_length.unwrap_or(4_000).max(1));
            Ok(limit.shorten(&render::harmless(&text)))
        }
    };
    Ok((column.name.clone(), value?))
}

fn column_of(name: &str, dictionary: &Dictionary) -> Result<Column, String> {
    let column = match dictionary.find(name).as_slice() {
        _ if !dictionary.is_known() && is_name(name) => Column::assumed(name),
        _ if !dictionary.is_known() => {
            return Err(
                "is a label, and the account may not read sys_dictionary: use the column's name".to_owned()
            );
        }
        [column] => (*column).clone(),
        [] => {
            let names = dictionary.columns.keys().map(String::as_str);
            let labels = dictionary.columns.values().map(|column| column.label.as_str());
            let near = if is_name(name) {
                nearest(name, names, MAX_NEAREST)
            } else {
                nearest(name, labels, MAX_NEAREST)
            };
            return Err(format!("is no column of the table; nearest: {}", near.join(", ")));
        }
        several => {
            let names: Vec<&str> = several.iter().map(|column| column.name.as_str()).collect();
            return Err(format!("is the label of several columns: use one of {}", names.join(", ")));
        }
    };
    if let Some(instead) = own(&column.name).and_then(|own| own.instead) {
        return Err(format!("cannot be mapped: {instead}"));
    }
    match column.is_read_only {
        true => Err("is read-only".to_owned()),
        false => Ok(column),
    }
}

/// A `sys_id`, or the record with this display value. `^` would end the term of the query.
fn reference(
    column: &Column,
    shown: &str,
    place: Place<'_>,
    missing: &[(String, String, String)],
) -> Result<String, Problem> {
    let is_sys_id = shown.len() == 32 && shown.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_sys_id || column.table.is_empty() {
        return Ok(single_line(shown));
    }
    if shown.contains('^') || shown.to_lowercase().contains("javascript:") {
        return Err(Problem::Value("names a record with ^ or javascript: give its sys_id".to_owned()));
    }
    let shown = single_line(shown);
    if let Some(sys_id) = place.references.known(&column.table, &shown, place.now) {
        return Ok(sys_id);
    }
    let reason = missing.iter().find(|(table, name, _)| *table == column.table && *name == shown);
    Err(match reason {
        Some((_, _, reason)) => Problem::Value(reason.clone()),
        None => Problem::Unknown(column.table.clone(), shown),
    })
}

fn choice(column: &Column, text: &str) -> Result<String, String> {
    let wanted = text.trim().to_lowercase();
    let by_value = column.choices.iter().find(|(value, _)| value.to_lowercase() == wanted);
    let by_label = || column.choices.iter().find(|(_, label)| label.trim().to_lowercase() == wanted);
    match by_value.or_else(by_label) {
        Some((value, _)) => Ok(value.clone()),
        // Other columns only suggest their choices.
        None if !column.is_choice => Ok(single_line(text)),
        None => {
            let labels = column.choices.iter().map(|(_, label)| label.as_str());
            let near = nearest(text, labels, MAX_NEAREST).join(", ");
            Err(format!(
                "takes no value \"{}\"; nearest: {near}",
                Limit::characters(100).shorten(&single_line(text))
            ))
        }
    }
}

fn boolean(text: &str) -> Result<String, String> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "1" => Ok("true".to_owned()),
        "false" | "no" | "0" => Ok("false".to_owned()),
        other => Err(format!("takes true or false, not \"{other}\"")),
    }
}

fn date(text: &str) -> Result<String, String> {
    let text = text.trim();
    let date = text.parse::<Date>().ok().filter(|_| text.len() == 10).map(|date| date.to_string());
    let date = date.or_else(|| Some(text.parse::<Timestamp>().ok()?.strftime("%Y-%m-%d").to_string()));
    date.ok_or_else(|| format!("takes a date such as 2026-11-29, not \"{text}\""))
}

fn time(text: &str) -> Result<String, String> {
    let text = text.trim();
    let day = text.parse::<Date>().ok().filter(|_| text.len() == 10);
    let time = text.parse::<Timestamp>().ok().or_else(|| format!("{}T00:00:00Z", day?).parse().ok());
    time.map(|time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
        .ok_or_else(|| format!("takes a time such as 2026-11-29T14:39:00Z, not \"{text}\""))
}

fn parsed(text: &str, what: &str, is_valid: bool) -> Result<String, String> {
    let text = text.trim();
    if is_valid { Ok(text.to_owned()) } else { Err(format!("takes {what}, not \"{text}\"")) }
}
