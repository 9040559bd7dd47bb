//! The ticket as sent: the body of the insert, within ServiceNow's limits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ticketing_core::content::Content;
use ticketing_core::content_settings::MappedContent;
use ticketing_core::document::Document;
use ticketing_core::fit::{self, Omission};
use ticketing_core::system::{Adjustment, Rendered, TicketDraft};
use ticketing_core::template::TemplateError;
use ticketing_core::text::{Limit, single_line};

use crate::columns::Applied;
use crate::priority::{self, ImpactUrgency};
use crate::render;

/// Limits of the fields, in UTF-16 code units, which are never fewer than characters. The platform does not
/// enforce them, but its databases may, by their own count: so the stored text is read back.
mod limits {
    use ticketing_core::text::Limit;

    pub(super) const SHORT_DESCRIPTION: Limit = Limit::utf16(160);
    pub(super) const DESCRIPTION: Limit = Limit::utf16(4_000);
    pub(super) const WORK_NOTES: Limit = Limit::utf16(32_000);
}

const CORRELATION_DISPLAY: &str = "RhythmX";

/// The body of the insert, and what its reply is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Body {
    pub(crate) sys_id: String,
    pub(crate) short_description: String,
    pub(crate) description: String,
    pub(crate) impact: String,
    pub(crate) urgency: String,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub(crate) assignment_group: String,
    pub(crate) correlation_id: String,
    pub(crate) correlation_display: String,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub(crate) work_notes: String,
    /// Values of further columns.
    #[serde(flatten)]
    pub(crate) mapped: BTreeMap<String, String>,
}

/// What an operator decided about one ticket.
#[derive(Debug)]
pub(crate) struct Mapped<'a> {
    pub(crate) content: &'a MappedContent,
    pub(crate) applied: Applied,
}

/// What the description contains, and what it omits.
struct Texts {
    description: String,
    work_notes: String,
    adjustments: Vec<Adjustment>,
}

/// The ticket of a draft; `group` is the assignment group's `sys_id`, empty for none.
pub(crate) fn render(
    ticket_draft: &TicketDraft,
    weight: ImpactUrgency,
    group: &str,
    mapped: Mapped<'_>,
) -> Rendered {
    let content = Content::of(&ticket_draft.incident);
    let mut of_mapping = mapped.applied.adjustments;
    let summary = text(&mapped.content.summary, "summary_template", &mut of_mapping);
    let introduction = text(&mapped.content.introduction, "introduction_template", &mut of_mapping);
    let (short_description, shortened) = short_description(&content, summary);
    let texts = texts(&content.introduced(introduction));
    let body = Body {
        sys_id: ticket_draft.marker.hex().to_owned(),
        short_description: short_description.clone(),
        description: texts.description.clone(),
        impact: weight.impact.to_string(),
        urgency: weight.urgency.to_string(),
        assignment_group: group.to_owned(),
        correlation_id: ticket_draft.marker.as_str().to_owned(),
        correlation_display: CORRELATION_DISPLAY.to_owned(),
        work_notes: texts.work_notes.clone(),
        mapped: mapped.applied.values,
    };
    let plain_text = match texts.work_notes.as_str() {
        "" => texts.description.clone(),
        notes => format!("{}\n\nWORK NOTES\n{notes}", texts.description),
    };
    Rendered {
        body: serde_json::to_string(&body).expect("texts are always valid JSON"),
        summary: short_description,
        priority: weight.priority().map(|priority| priority::label(priority).to_owned()),
        labels: Vec::new(),
        description: texts.description,
        plain_text,
        marker_in_text: false,
        adjustments: shortened
            .into_iter()
            .chain(content.cleaned("description"))
            .chain(texts.adjustments)
            .chain(of_mapping)
            .collect(),
    }
}

/// The rendered text of a template. A failed one is left out: an accepted incident gets its ticket.
fn text<'t>(
    rendered: &'t Option<Result<String, TemplateError>>,
    setting: &str,
    adjustments: &mut Vec<Adjustment>,
) -> Option<&'t str> {
    match rendered.as_ref()? {
        Ok(text) => Some(text),
        Err(error) => {
            adjustments.push(Adjustment::new(setting, format!("not used for this incident: {error}")));
            None
        }
    }
}

fn short_description(content: &Content, own: Option<&str>) -> (String, Option<Adjustment>) {
    let limit = limits::SHORT_DESCRIPTION;
    let summary = |limit| own.map_or_else(|| content.summary(limit), single_line);
    let whole = render::harmless(&summary(Limit::NONE));
    let text = limit.shorten(&render::harmless(&summary(limit)));
    let reason = || format!("shortened from {} to {} UTF-16 code units", limit.measure(&whole), limit.max());
    let shortened = (text != whole).then(|| Adjustment::new("short_description", reason()));
    (text, shortened)
}

fn texts(document: &Document) -> Texts {
    let fitted = fit::fit(document, limits::DESCRIPTION, "see the work notes", true, render::plain_text);
    let description = limits::DESCRIPTION.shorten(&fitted.text);
    if fitted.omissions.is_empty() {
        return Texts { description, work_notes: String::new(), adjustments: Vec::new() };
    }
    let rest = fit::omitted(document, &fitted.omissions);
    let notes = fit::fit(&rest, limits::WORK_NOTES, "see the incident in RhythmX", false, render::plain_text);
    let work_notes = limits::WORK_NOTES.shorten(&notes.text);
    let moved = format!(
        "takes {} UTF-16 code units; sent as work notes instead: {}",
        limits::DESCRIPTION.max(),
        describe(&fitted.omissions)
    );
    let left_out = format!(
        "at most {} UTF-16 code units are sent; left out: {}",
        limits::WORK_NOTES.max(),
        describe(&notes.omissions)
    );
    let mut adjustments = vec![Adjustment::new("description", moved)];
    if !notes.omissions.is_empty() {
        adjustments.push(Adjustment::new("work_notes", left_out));
    }
    Texts { description, work_notes, adjustments }
}

fn describe(omissions: &[Omission]) -> String {
    omissions.iter().map(Omission::describe).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "ticket_tests.rs"]
mod tests;
