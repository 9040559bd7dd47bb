//! The description in Jira's two markups, within its limit.

mod adf;
mod plain;
mod wiki;
mod wiki_text;

use serde_json::Value;
use ticketing_core::content;
use ticketing_core::document::{Block, Document, Inline, Section, Topic};
use ticketing_core::fit::{Omission, fit};
use ticketing_core::incident::Incident;
use ticketing_core::marker::Marker;
use ticketing_core::system::Adjustment;

use crate::client::Api;

/// Jira's longest description, in characters. Whether it counts an ADF document by its text or by its JSON is not
/// documented; the JSON is the longer, so it is what we measure.
const LONGEST_DESCRIPTION: usize = 32_767;

/// A rendered description.
#[derive(Debug)]
pub(crate) struct Description {
    /// As it goes into the request: an ADF document, or wiki markup as a string.
    pub(crate) value: Value,
    /// The same as text.
    pub(crate) markup: String,
    pub(crate) plain_text: String,
    /// What was left out.
    pub(crate) adjustments: Vec<Adjustment>,
}

/// Renders the description of an incident, with the marker in it if one is given.
pub(crate) fn description(incident: &Incident, marker: Option<&Marker>, api: Api) -> Description {
    let mut document = content::document(incident);
    document.sections.extend(marker.map(marker_section));
    let elsewhere = match incident.url {
        Some(_) => "the incident in RhythmX has it all".to_owned(),
        None => format!("incident {} in RhythmX has it all", incident.id),
    };
    let length = |document: &Document| markup(document, api).0.chars().count();
    let fitted = fit(&document, LONGEST_DESCRIPTION, &elsewhere, false, length);
    let (markup, value) = markup(&fitted.document, api);
    let plain_text = plain::render(&fitted.document);
    Description { value, markup, plain_text, adjustments: left_out(&fitted.omissions) }
}

/// A document as text and as it goes into the request.
fn markup(document: &Document, api: Api) -> (String, Value) {
    match api {
        Api::V3 => {
            let value = adf::render(document);
            (value.to_string(), value)
        }
        Api::V2 => {
            let text = wiki::render(document);
            (text.clone(), Value::String(text))
        }
    }
}

fn marker_section(marker: &Marker) -> Section {
    let text = Inline::text(format!("RhythmX marker: {marker}"));
    Section { topic: Topic::Marker, blocks: vec![Block::Paragraph(vec![text])] }
}

fn left_out(omissions: &[Omission]) -> Vec<Adjustment> {
    let list: Vec<String> = omissions.iter().map(Omission::describe).collect();
    let reason = format!("left out for length: {}", list.join(", "));
    if list.is_empty() { Vec::new() } else { vec![Adjustment::new("description", reason)] }
}

/// Text of several lines that Jira can store: line breaks as `\n`, tabs, and no other control characters.
fn clean_prose(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .map(|c| if c == '\r' { '\n' } else { c })
        .filter(|c| storable(*c))
        .collect()
}

/// Text of one line that Jira can store.
pub(crate) fn clean_line(text: &str) -> String {
    let line = text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c });
    line.filter(|c| storable(*c)).collect()
}

/// Whether XML, and with it Data Center, can hold the character.
fn storable(c: char) -> bool {
    let noncharacter = matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    !noncharacter && (matches!(c, '\n' | '\t') || !c.is_control())
}
