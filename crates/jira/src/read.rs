//! Reads one issue.

use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::system::ReadTicket;
use ticketing_egress::Reply;

use crate::client::{Api, Client};
use crate::create::{is_issue_id, is_issue_key};
use crate::faults::{self, Purpose};
use crate::look_up::{found, is_logged_in, marker_of};
use crate::site::Site;
use crate::wire::{FoundIssue, Myself};

const FIELDS: &str = "project,labels,created,description";

/// Reads an issue by ID or key. `None` if Jira reports that the account sees no such issue.
pub(crate) async fn read(
    client: &Client,
    api: Api,
    site: &Site,
    id_or_key: &str,
) -> Result<Option<ReadTicket>, Fault> {
    // Anything else cannot name an issue, and some characters would change the URL.
    if !is_issue_id(id_or_key) && !is_issue_key(id_or_key) {
        return Ok(None);
    }
    let reply = client.get(api, &["issue", id_or_key], &[("fields", FIELDS)]).await?;
    match reply.status {
        200 => understood(client, &reply, site).map(Some),
        404 => absent(client, api, &reply).await.map(|()| None),
        _ => Err(client.classify_read(&reply)),
    }
}

fn understood(client: &Client, reply: &Reply, site: &Site) -> Result<ReadTicket, Fault> {
    let issue = serde_json::from_str::<FoundIssue>(&reply.body).ok();
    let issue = issue.filter(|issue| is_issue_id(&issue.id) && is_issue_key(&issue.key));
    let place = issue.as_ref().and_then(|issue| issue.fields.project["key"].as_str());
    let place = place.filter(|place| !place.is_empty() && place.len() <= 255).map(str::to_owned);
    let (Some(issue), Some(place)) = (&issue, place) else {
        let fault = faults::unreadable(reply, "the id, key and project of an issue", Purpose::Project);
        return Err(client.without_secret(fault));
    };
    let found = found(issue, site);
    Ok(ReadTicket { ticket: found.ticket, place, marker: marker_of(issue), created_at: found.created_at })
}

/// Jira also answers 404 to anonymous callers, and intermediaries may do so: it counts only if Jira gave it
/// to a working login.
async fn absent(client: &Client, api: Api, reply: &Reply) -> Result<(), Fault> {
    if let Some(fault) = faults::answered_anonymously(reply) {
        return Err(client.without_secret(fault));
    }
    if !faults::is_from_jira(reply) {
        return Err(client.classify_read(reply));
    }
    let classified = client.classify_read(reply);
    if classified.kind != FaultKind::NotFound {
        return Err(classified);
    }
    if !is_logged_in(reply) {
        client.read::<Myself>(api, &["myself"], &[]).await?;
    }
    Ok(())
}
