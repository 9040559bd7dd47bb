//! The ticket as sent: summary, priority, labels including the marker, description.

use serde::Serialize;
use serde_json::{Value, json};
use ticketing_core::content::Content;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::system::{Adjustment, Rendered, TicketDraft};
use ticketing_core::text::Limit;

use crate::choice::Choice;
use crate::client::Api;
use crate::meta::{Offer, Priorities};
use crate::priority;
use crate::render::{self, Description, Markup};
use crate::settings::Settings;

/// Maximum length of a summary in Jira.
const MAX_SUMMARY: Limit = Limit::utf16(255);

#[derive(Debug, Serialize)]
struct Body<'a> {
    fields: Fields<'a>,
}

#[derive(Debug, Serialize)]
struct Fields<'a> {
    project: Value,
    issuetype: Value,
    summary: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<Value>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    labels: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Markup<'a>>,
}

/// Renders the ticket for a project with the offer `offer`.
pub(crate) fn render(settings: &Settings, api: Api, offer: &Offer, ticket_draft: &TicketDraft) -> Rendered {
    let mut adjustments = offer.remarks.clone();
    let (priority, adjustment) = match &offer.priorities {
        Priorities::Offered(offered) => priority::choose(ticket_draft.incident.risk_level(), offered),
        Priorities::Unknown => {
            (Some(Choice::named(priority::usual_name(ticket_draft.incident.risk_level()))), None)
        }
        Priorities::OffScreen => (None, Some(off_screen("priority", "not sent"))),
    };
    adjustments.extend(adjustment);
    if !offer.labels {
        adjustments.push(off_screen("labels", "not sent, and the marker stands in the description"));
    }
    let labels = if offer.labels { labels(settings, ticket_draft) } else { Vec::new() };
    let marker = (!offer.labels).then_some(&ticket_draft.marker);
    let content = Content::of(&ticket_draft.incident);
    let description = render::description(&content, marker, api);
    adjustments.extend(content.cleaned("description"));
    adjustments.extend(description.adjustments.iter().cloned());
    if !offer.description {
        adjustments.push(off_screen("description", "sent as a first comment"));
    }
    let summary = content.summary(MAX_SUMMARY);
    adjustments.extend(shortened(&content.summary(Limit::NONE)));
    let body = Body {
        fields: Fields {
            project: json!({ "key": settings.project_key }),
            issuetype: offer.issue_type.to_json(),
            summary: &summary,
            priority: priority.as_ref().map(Choice::to_json),
            labels: &labels,
            description: offer.description.then(|| description.value()),
        },
    };
    let body =
        serde_json::to_string(&body).expect("a ticket of texts and lists can always be written as JSON");
    let Description { markup, plain_text, .. } = description;
    let priority = priority.map(|choice| choice.name);
    let marker_in_text = !offer.labels;
    Rendered { body, summary, priority, labels, description: markup, plain_text, marker_in_text, adjustments }
}

/// The fault of a create screen without a field for the marker: a ticket of unknown outcome could not be
/// found again.
pub(crate) fn without_marker() -> Fault {
    let message =
        "the project's create screen has neither labels nor a description, so a ticket cannot be found again";
    Fault::new(FaultKind::Misconfigured, message)
        .with_hint("put the field Labels or Description on the create screen of jira.issue_type")
}

/// The marker, then the labels of the settings, each once.
fn labels(settings: &Settings, ticket_draft: &TicketDraft) -> Vec<String> {
    let mut labels = vec![ticket_draft.marker.as_str().to_owned()];
    for label in &settings.labels {
        if !labels.contains(label) {
            labels.push(label.clone());
        }
    }
    labels
}

fn shortened(whole: &str) -> Option<Adjustment> {
    let length = MAX_SUMMARY.measure(whole);
    let max = MAX_SUMMARY.max();
    let reason = || format!("shortened from {length} to {max} UTF-16 code units, Jira's limit");
    (length > max).then(|| Adjustment::new("summary", reason()))
}

fn off_screen(field: &str, consequence: &str) -> Adjustment {
    let reason = format!("{consequence}: the project's create screen has no {field} field");
    Adjustment::new(field, reason)
}
