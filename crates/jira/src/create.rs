//! Creating the ticket, once; and again only where Jira has just refused an optional field of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use ticketing_core::fault::Fault;
use ticketing_core::system::{Adjustment, Order, Rendered};
use ticketing_outbound::Reply;

use crate::client::{Api, Client};
use crate::faults;
use crate::render;
use crate::wire::CreatedIssue;

/// How often a refused request is repeated without the fields that were refused.
const MOST_REPEATS: usize = 2;
const OPTIONAL: [&str; 2] = ["priority", "labels"];

/// A ticket that exists, by id and key.
pub(crate) type Issue = CreatedIssue;

/// Sends the create, and repeats it after a definite refusal of optional fields alone. `labels_were_refused` is set before
/// a ticket is sent whose marker stands in the description.
pub(crate) async fn create(
    client: &Client,
    order: &Order,
    rendered: &Rendered,
    within: Duration,
    labels_were_refused: &AtomicBool,
) -> Result<(Issue, Vec<Adjustment>), Fault> {
    let mut body = rendered.body.clone();
    let mut adjustments = Vec::new();
    let mut left = within;
    let mut repeats = 0;
    loop {
        // What was rendered says for which Jira: ADF is an object, wiki markup a text.
        let mut ticket: Value = serde_json::from_str(&body).unwrap_or_default();
        let api = if ticket["fields"]["description"].is_object() { Api::V3 } else { Api::V2 };
        let reply = client.create(api, body, left).await?;
        if reply.status == 201 {
            return created(&reply)
                .map(|issue| (issue, adjustments))
                .map_err(|fault| client.without_secret(fault));
        }
        let refused = faults::refused_fields(&reply);
        left = left.saturating_sub(reply.elapsed);
        if repeats >= MOST_REPEATS || left.is_zero() || !drop_optional(&mut ticket, &refused, order, api) {
            return Err(client.judge(&reply));
        }
        if refused.iter().any(|(field, _)| field == "labels") {
            labels_were_refused.store(true, Ordering::Relaxed);
        }
        adjustments.extend(refused.iter().map(|(field, reason)| dropped(field, reason)));
        body = ticket.to_string();
        repeats += 1;
    }
}

/// The ticket that a 201 tells of.
pub(crate) fn created(reply: &Reply) -> Result<Issue, Fault> {
    let issue = serde_json::from_str(&reply.body).ok().filter(is_whole);
    issue.ok_or_else(|| faults::unreadable(reply, "the id and key of an issue"))
}

fn is_whole(issue: &Issue) -> bool {
    let key = issue.key.rsplit_once('-').is_some_and(|(project, number)| {
        !project.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    });
    key && !issue.id.is_empty() && issue.id.bytes().all(|b| b.is_ascii_digit())
}

/// Takes the refused fields off the ticket; `false` if one of them can not go, or none was there.
fn drop_optional(ticket: &mut Value, refused: &[(String, String)], order: &Order, api: Api) -> bool {
    let Some(fields) = ticket["fields"].as_object_mut() else { return false };
    let optional =
        |(field, _): &(String, String)| OPTIONAL.contains(&field.as_str()) && fields.contains_key(field);
    if refused.is_empty() || !refused.iter().all(optional) {
        return false;
    }
    for (field, _) in refused {
        fields.remove(field);
        if field == "labels" {
            let description = render::description(&order.incident, Some(&order.marker), api);
            fields.insert("description".to_owned(), description.value);
        }
    }
    true
}

fn dropped(field: &str, reason: &str) -> Adjustment {
    let consequence = if field == "labels" { ", and the marker stands in the description" } else { "" };
    Adjustment::new(field, format!("not sent{consequence}: Jira refused it: {reason}"))
}
