//! The ticket as sent: summary, priority, labels including the marker, description.

use serde::Serialize;
use serde_json::{Map, Value, json};
use ticketing_core::content::Content;
use ticketing_core::content_settings::{MappedContent, setting_of};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::system::{Adjustment, Rendered, TicketDraft};
use ticketing_core::template::TemplateError;
use ticketing_core::text::{Limit, single_line};

use crate::choice::Choice;
use crate::client::Api;
use crate::fields::{Applied, Field};
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
    #[serde(flatten)]
    mapped: Map<String, Value>,
}

/// What an operator decided about one ticket.
#[derive(Debug)]
pub(crate) struct Mapped<'a> {
    pub(crate) content: &'a MappedContent,
    pub(crate) applied: Applied,
}

/// Renders the ticket for a project with the offer `offer`.
pub(crate) fn render(
    settings: &Settings,
    api: Api,
    offer: &Offer,
    ticket_draft: &TicketDraft,
    mapped: Mapped<'_>,
) -> Rendered {
    let mut adjustments = offer.remarks.clone();
    adjustments.extend(offer.unfilled(&mapped.applied).into_iter().map(|field| unfilled(field, offer)));
    let Applied { mut values, adjustments: of_mapping, .. } = mapped.applied;
    adjustments.extend(of_mapping);
    let given_priority = values.get("priority").map(|value| name_of(value, offer));
    let (priority, adjustment) = match (&given_priority, &offer.priorities) {
        (Some(_), _) => (None, None),
        (None, Priorities::Offered(offered)) => priority::choose(ticket_draft.incident.risk_level(), offered),
        (None, Priorities::Unknown) => {
            (Some(Choice::named(priority::usual_name(ticket_draft.incident.risk_level()))), None)
        }
        (None, Priorities::OffScreen) => (None, Some(off_screen("priority", "not sent"))),
    };
    adjustments.extend(adjustment);
    if !offer.labels {
        adjustments.push(off_screen("labels", "not sent, and the marker stands in the description"));
    }
    let further_labels = values.remove("labels").unwrap_or_default();
    let labels = if offer.labels { labels(settings, ticket_draft, &further_labels) } else { Vec::new() };
    let marker = (!offer.labels).then_some(&ticket_draft.marker);
    let content = Content::of(&ticket_draft.incident);
    let introduction = text(&mapped.content.introduction, "introduction_template", &mut adjustments);
    let description = render::description(&content, introduction, marker, api);
    adjustments.extend(content.cleaned("description"));
    adjustments.extend(description.adjustments.iter().cloned());
    if !offer.description {
        adjustments.push(off_screen("description", "sent as a first comment"));
    }
    let own_summary = text(&mapped.content.summary, "summary_template", &mut adjustments);
    let whole_summary = own_summary.map_or_else(|| content.summary(Limit::NONE), single_line);
    let summary = match own_summary {
        Some(_) => MAX_SUMMARY.shorten(&whole_summary),
        None => content.summary(MAX_SUMMARY),
    };
    adjustments.extend(shortened(&whole_summary));
    let body = Body {
        fields: Fields {
            project: json!({ "key": settings.project_key }),
            issuetype: offer.issue_type.to_json(),
            summary: &summary,
            priority: priority.as_ref().map(Choice::to_json),
            labels: &labels,
            description: offer.description.then(|| description.value()),
            mapped: values,
        },
    };
    let body =
        serde_json::to_string(&body).expect("a ticket of texts and lists can always be written as JSON");
    let Description { markup, plain_text, .. } = description;
    let priority = given_priority.or_else(|| priority.map(|choice| choice.name));
    let marker_in_text = !offer.labels;
    Rendered { body, summary, priority, labels, description: markup, plain_text, marker_in_text, adjustments }
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

/// The name of a mapped priority.
fn name_of(value: &Value, offer: &Offer) -> String {
    let text = |member: &str| value.get(member).and_then(Value::as_str).map(str::to_owned);
    let by_id = |id: &String| match &offer.priorities {
        Priorities::Offered(offered) => {
            offered.iter().find(|choice| choice.id == *id).map(|choice| choice.name.clone())
        }
        Priorities::OffScreen | Priorities::Unknown => None,
    };
    text("name").or_else(|| text("id").as_ref().and_then(by_id)).unwrap_or_else(|| value.to_string())
}

fn unfilled(field: &Field, offer: &Offer) -> Adjustment {
    let reason = format!(
        "the project requires \"{}\", which is not sent: the ticket may be refused; set {}, make it optional or give it \
         a default for {}",
        field.name,
        setting_of(&field.id),
        offer.issue_type.name
    );
    Adjustment::new(&field.id, reason)
}

/// The fault of a create screen without a field for the marker: a ticket of unknown outcome could not be
/// found again.
pub(crate) fn without_marker() -> Fault {
    let message =
        "the project's create screen has neither labels nor a description, so a ticket cannot be found again";
    Fault::new(FaultKind::Misconfigured, message)
        .with_hint("put the field Labels or Description on the create screen of jira.issue_type")
}

/// The marker, then the labels of the settings, then mapped ones, each once.
fn labels(settings: &Settings, ticket_draft: &TicketDraft, further: &Value) -> Vec<String> {
    let mut labels = vec![ticket_draft.marker.as_str().to_owned()];
    let further = further.as_array().into_iter().flatten().filter_map(Value::as_str);
    for label in settings.labels.iter().map(String::as_str).chain(further) {
        if !labels.iter().any(|known| known == label) {
            labels.push(label.to_owned());
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
