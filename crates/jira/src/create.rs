//! Creates the ticket, once; repeats the request only after Jira refused an optional field.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use ticketing_core::content::Content;
use ticketing_core::content_settings::setting_of;
use ticketing_core::fault::Fault;
use ticketing_core::system::{Adjustment, Dialing, Rendered, TicketDraft};
use ticketing_egress::Reply;

use crate::client::{Api, Client};
use crate::evidence;
use crate::faults::{self, Purpose};
use crate::fields;
use crate::render;
use crate::wire::CreatedIssue;

/// Maximum number of repeated requests without the refused fields.
const MAX_REPEATS: usize = 2;
/// Maximum length of an issue key, in bytes.
const MAX_KEY: usize = 255;
/// Maximum length of an issue ID, in bytes: Jira's are 64-bit integers.
const MAX_ID: usize = 20;
/// A created ticket, by ID and key.
pub(crate) type Issue = CreatedIssue;

/// The destination of the create, and what is known of it.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) client: &'a Client,
    pub(crate) project: &'a str,
    /// Jira reported that the create screen has a description: then a refusal of the field is about its
    /// content.
    pub(crate) takes_description: bool,
    /// The mapped fields that may be left out, by ID.
    pub(crate) droppable: Vec<String>,
    /// The names of mapped fields in the settings, by ID.
    pub(crate) settings: Vec<(String, String)>,
    /// The text before the description.
    pub(crate) introduction: Option<String>,
    /// Set before a ticket is sent with its marker in the description although labels were offered.
    pub(crate) labels_were_refused: &'a AtomicBool,
}

/// Sends the create, and repeats it after a definite refusal of optional fields alone. A description that the
/// create screen lacks follows as a comment.
pub(crate) async fn create(
    site: &Site<'_>,
    ticket_draft: &TicketDraft,
    rendered: &Rendered,
    mut dialing: Dialing,
    within: Duration,
) -> Result<(Issue, Vec<Adjustment>), Fault> {
    let client = site.client;
    // The rendered format shows the flavor: ADF is an object, wiki markup a string.
    let api = if is_adf(rendered) { Api::V3 } else { Api::V2 };
    let mut body = rendered.body.clone();
    let mut adjustments = Vec::new();
    let mut left = within;
    let mut repeats = 0;
    loop {
        let reply = client.create(api, body.clone(), std::mem::take(&mut dialing), left).await?;
        left = left.saturating_sub(reply.elapsed);
        if reply.status == 201 {
            let issue = created(&reply).map_err(|fault| client.without_secret(fault))?;
            if !has_description(&body) {
                adjustments.extend(comment(site, api, &issue, ticket_draft, left).await);
            }
            return Ok((issue, adjustments));
        }
        let mut ticket: Value = serde_json::from_str(&body).unwrap_or_default();
        let refused = faults::refused_fields(&reply);
        if repeats >= MAX_REPEATS
            || left.is_zero()
            || !drop_optional(&mut ticket, &refused, ticket_draft, api, site)
        {
            let refusal = with_settings(client.classify_create(&reply), &refused, site);
            return Err(evidence::check_scope(client, api, site.project, &reply, refusal, left).await);
        }
        if refused.iter().any(|(field, _)| field == "labels") {
            site.labels_were_refused.store(true, Ordering::Relaxed);
        }
        adjustments.extend(refused.iter().map(|(field, reason)| dropped(field, reason)));
        body = ticket.to_string();
        repeats += 1;
    }
}

fn is_adf(rendered: &Rendered) -> bool {
    rendered.description.starts_with('{') && serde_json::from_str::<IgnoredAny>(&rendered.description).is_ok()
}

/// Whether a ticket has a description.
fn has_description(body: &str) -> bool {
    #[derive(Deserialize)]
    struct Ticket {
        fields: Fields,
    }
    #[derive(Deserialize)]
    struct Fields {
        description: Option<IgnoredAny>,
    }
    serde_json::from_str::<Ticket>(body).is_ok_and(|ticket| ticket.fields.description.is_some())
}

/// Writes the description as the first comment of a ticket without one. Sent once, because the ticket exists
/// whatever happens to the comment.
async fn comment(
    site: &Site<'_>,
    api: Api,
    issue: &Issue,
    ticket_draft: &TicketDraft,
    left: Duration,
) -> Option<Adjustment> {
    let content = Content::of(&ticket_draft.incident);
    let text = render::description(&content, site.introduction.as_deref(), None, api);
    let body = json!({ "body": text.value() }).to_string();
    let fault = site.client.comment(api, &issue.id, body, left).await.err()?;
    let reason = format!("the comment that should hold it may be missing: {}", fault.message);
    Some(Adjustment::new("description", reason))
}

/// The ticket in the body of a 201.
pub(crate) fn created(reply: &Reply) -> Result<Issue, Fault> {
    let issue = serde_json::from_str(&reply.body).ok();
    let issue = issue.filter(|issue: &Issue| is_issue_key(&issue.key) && is_issue_id(&issue.id));
    issue.ok_or_else(|| faults::unreadable(reply, "the id and key of an issue", Purpose::Create))
}

/// `PROJECT-NUMBER`, within the length limit.
pub(crate) fn is_issue_key(key: &str) -> bool {
    let is_project = |project: &str| {
        !project.is_empty() && project.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
    };
    key.len() <= MAX_KEY
        && key.rsplit_once('-').is_some_and(|(project, number)| {
            is_project(project) && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        })
}

pub(crate) fn is_issue_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit())
}

/// Removes the refused fields from the ticket; `false` if one of them cannot be removed, or none was present.
fn drop_optional(
    ticket: &mut Value,
    refused: &[(String, String)],
    ticket_draft: &TicketDraft,
    api: Api,
    site: &Site<'_>,
) -> bool {
    let Some(sent) = ticket["fields"].as_object_mut() else { return false };
    let goes = |wanted: &str| refused.iter().any(|(field, _)| field == wanted);
    let is_mapped = |field: &str| site.settings.iter().any(|(id, _)| id == field);
    let may_go = |field: &str| match is_mapped(field) {
        // Labels hold the marker and those of the settings, too.
        true if field != "labels" => site.droppable.iter().any(|id| id == field),
        _ => fields::own(field).is_some_and(|own| own.is_optional),
    };
    let optional = |(field, _): &(String, String)| may_go(field) && sent.contains_key(field);
    if refused.is_empty() || !refused.iter().all(optional) {
        return false;
    }
    // The marker must be somewhere: in a ticket without labels it is in the description.
    let bears_marker = !sent.contains_key("labels") || goes("labels");
    if goes("description") && (site.takes_description || bears_marker) {
        return false;
    }
    for (field, _) in refused {
        sent.remove(field);
        if field == "labels" {
            let content = Content::of(&ticket_draft.incident);
            let marker = Some(&ticket_draft.marker);
            let description = render::description(&content, site.introduction.as_deref(), marker, api);
            sent.insert("description".to_owned(), json!(description.value()));
        }
    }
    true
}

/// A refusal whose hint names the settings of the refused fields.
fn with_settings(refusal: Fault, refused: &[(String, String)], site: &Site<'_>) -> Fault {
    let of = |field: &str| site.settings.iter().find(|(id, _)| id == field);
    let named: Vec<String> =
        refused.iter().filter_map(|(field, _)| of(field)).map(|(_, name)| setting_of(name)).collect();
    if named.is_empty() {
        return refusal;
    }
    let hint = format!(
        "Jira refuses the value of {}: correct it, or mark it as droppable to create the ticket without it",
        named.join(", ")
    );
    refusal.with_hint(hint)
}

fn dropped(field: &str, reason: &str) -> Adjustment {
    let consequence = match field {
        "labels" => ", and the marker stands in the description",
        "description" => ", and its text is a first comment",
        _ => "",
    };
    Adjustment::new(field, format!("not sent{consequence}: Jira refused it: {reason}"))
}
