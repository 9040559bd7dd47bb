//! Renders the description in Jira's two formats, within its limit.

mod adf;
mod plain;
mod wiki;
mod wiki_text;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use ticketing_core::content::Content;
use ticketing_core::document::{Block, Document, Inline, Section, Topic};
use ticketing_core::fit::{Fitted, Omission, fit};
use ticketing_core::marker::Marker;
use ticketing_core::system::Adjustment;
use ticketing_core::text::Limit;

use self::adf::ProseForm;
use crate::client::Api;

/// Maximum length of a description in Jira. Whether the limit applies to the text or the JSON of an ADF
/// document is not documented; the JSON is longer, so it is measured.
const MAX_DESCRIPTION: Limit = Limit::utf16(32_767);

/// A rendered description.
#[derive(Debug)]
pub(crate) struct Description {
    /// In a format of Jira: the JSON of an ADF document, or wiki markup.
    pub(crate) markup: String,
    is_adf: bool,
    pub(crate) plain_text: String,
    /// What was omitted.
    pub(crate) adjustments: Vec<Adjustment>,
}

/// A description as a value in a request.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
pub(crate) enum Markup<'a> {
    Adf(&'a RawValue),
    Wiki(&'a str),
}

/// Renders the description of an incident, with an introduction and the marker if they are given.
pub(crate) fn description(
    content: &Content,
    introduction: Option<&str>,
    marker: Option<&Marker>,
    api: Api,
) -> Description {
    let mut document = content.introduced(introduction);
    document.sections.extend(marker.map(marker_section));
    let elsewhere = content.elsewhere();
    let fitted = match api {
        Api::V3 => fit_adf(&document, &elsewhere),
        Api::V2 => fit(&document, MAX_DESCRIPTION, &elsewhere, false, wiki::render),
    };
    let plain_text = plain::render(&fitted.document);
    let adjustments = left_out(&fitted.omissions);
    Description { markup: fitted.text, is_adf: api == Api::V3, plain_text, adjustments }
}

/// A text of several lines as the value of a field, within its limit.
pub(crate) fn prose(text: &str, api: Api) -> Value {
    let blocks = vec![Block::Prose(text.to_owned())];
    let document = Document { sections: vec![Section { topic: Topic::Introduction, blocks }] };
    match api {
        Api::V3 => {
            let text = |document: &Document| json(&adf::render(document, ProseForm::Paragraph));
            let fitted = fit(&document, MAX_DESCRIPTION, "see the incident", false, text);
            serde_json::from_str(&fitted.text).expect("an ADF document is JSON")
        }
        Api::V2 => Value::from(fit(&document, MAX_DESCRIPTION, "see the incident", false, wiki::render).text),
    }
}

// === impl Description ===

impl Description {
    pub(crate) fn value(&self) -> Markup<'_> {
        if !self.is_adf {
            return Markup::Wiki(&self.markup);
        }
        Markup::Adf(serde_json::from_str(&self.markup).expect("an ADF document is JSON"))
    }
}

/// Prose is rendered as paragraphs, which wrap. If it does not fit, a code block may replace them: it takes 2
/// bytes a line rather than 50, so that more short lines fit. Because it does not wrap, it must hold all of
/// the text or at least an eighth more.
fn fit_adf(document: &Document, elsewhere: &str) -> Fitted {
    let fit_as = |form: ProseForm| {
        let text = |document: &Document| json(&adf::render(document, form));
        fit(document, MAX_DESCRIPTION, elsewhere, false, text)
    };
    let paragraphs = fit_as(ProseForm::Paragraph);
    if paragraphs.omissions.is_empty() {
        return paragraphs;
    }
    let code_block = fit_as(ProseForm::CodeBlock);
    let length = |fitted: &Fitted| plain::render(&fitted.document).len();
    let wrapped = length(&paragraphs);
    let compact = length(&code_block);
    let gains = code_block.omissions.is_empty() || compact > wrapped + wrapped / 8;
    if gains { code_block } else { paragraphs }
}

fn json(node: &adf::Node) -> String {
    serde_json::to_string(node).expect("nodes of texts and lists can always be written as JSON")
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
