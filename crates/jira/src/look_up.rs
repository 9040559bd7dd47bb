//! Finds tickets by their marker, and proves their absence.

use jiff::Timestamp;
use serde_json::{Value, json};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::marker::Marker;
use ticketing_core::system::{FoundTicket, Search, SearchResult, TicketRef};
use ticketing_egress::Reply;

use crate::client::{Answer, Api, Client};
use crate::create::{is_issue_id, is_issue_key};
use crate::settings::is_project_key;
use crate::site::Site;
use crate::wire::{FoundIssue, Myself, Project, SearchPage};

const PAGE: usize = 50;
const MAX_PAGES: usize = 10;
const MAX_CANARIES: usize = 10;

/// All rows of a search, and the reply to its last page.
struct Rows {
    issues: Vec<FoundIssue>,
    reply: Reply,
    /// Why there may be more rows.
    flaw: Option<&'static str>,
}

/// The destination of the search.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    pub(crate) project: &'a str,
    /// The site for links.
    pub(crate) site: &'a Site,
    /// Whether the marker was sent as a label.
    pub(crate) labelled: bool,
}

/// Searches for a marker. Reports no absence unless the login was proven to see the project.
pub(crate) async fn look_up(
    client: &Client,
    api: Api,
    search: &Search,
    place: &Place<'_>,
) -> Result<SearchResult, Fault> {
    let project = place.project;
    if !is_project_key(project) {
        let message = format!("\"{project}\" is not a project key, so nothing can be searched there");
        return Err(Fault::new(FaultKind::Misconfigured, message));
    }
    let (rows, blind) = match rows(client, api, &jql(search, true)).await {
        // A site may exclude descriptions from its index, but never labels.
        Err(fault) if fault.status == Some(400) => {
            (rows(client, api, &jql(search, false)).await?, Some(fault).filter(|_| !place.labelled))
        }
        rows => (rows?, None),
    };
    let search_result = search_result(search, &rows.issues, place.site);
    match blind {
        _ if !search_result.tickets.is_empty() => Ok(search_result),
        // The marker may be in a field that the site does not search.
        Some(fault) => Err(fault),
        None => prove_absence(client, api, project, search, &rows).await.map(|()| search_result),
    }
}

/// The query. It is not limited to the project, because a ticket that was moved since is still the ticket. The marker
/// is unique to this installation.
fn jql(search: &Search, descriptions: bool) -> String {
    let canaries = search.canaries.iter().take(MAX_CANARIES);
    let markers: Vec<&Marker> = std::iter::once(&search.marker).chain(canaries).collect();
    let labels = markers.iter().map(|marker| format!("\"{marker}\"")).collect::<Vec<_>>().join(", ");
    let mut conditions = vec![format!("labels in ({labels})")];
    if descriptions {
        conditions.extend(markers.iter().map(|marker| format!("description ~ \"\\\"{marker}\\\"\"")));
    }
    format!("({}) ORDER BY created ASC", conditions.join(" OR "))
}

async fn rows(client: &Client, api: Api, jql: &str) -> Result<Rows, Fault> {
    let mut issues = Vec::new();
    let mut token: Option<String> = None;
    let mut flaw = None;
    for _ in 0..MAX_PAGES {
        let Answer { mut value, reply } = page(client, api, jql, issues.len(), token.as_deref()).await?;
        let empty = value.issues.is_empty();
        issues.append(&mut value.issues);
        flaw = flaw.or(value.complaint());
        let last = match api {
            Api::V3 => value.is_last.unwrap_or(false) || value.next_page_token.is_none(),
            Api::V2 => empty || value.total.is_none_or(|total| issues.len() as u64 >= total),
        };
        if last {
            flaw = flaw.or(value.shortfall(api, issues.len()));
            return Ok(Rows { issues, reply, flaw });
        }
        token = value.next_page_token;
    }
    let message = format!("a search for one ticket found more than {} issues", issues.len());
    Err(Fault::new(FaultKind::UnreadableReply, message))
}

async fn page(
    client: &Client,
    api: Api,
    jql: &str,
    start: usize,
    token: Option<&str>,
) -> Result<Answer<SearchPage>, Fault> {
    let mut body = json!({ "jql": jql, "fields": ["labels", "description", "created"], "maxResults": PAGE });
    match api {
        Api::V3 => {
            if let Some(token) = token {
                body["nextPageToken"] = token.into();
            }
            client.ask(api, &["search", "jql"], body.to_string()).await
        }
        Api::V2 => {
            body["startAt"] = start.into();
            client.ask(api, &["search"], body.to_string()).await
        }
    }
}

// === impl SearchPage ===

impl SearchPage {
    pub(crate) fn complaint(&self) -> Option<&'static str> {
        let has_warnings = [&self.error_messages, &self.warning_messages]
            .into_iter()
            .flatten()
            .any(|texts| !texts.is_empty());
        has_warnings.then_some("Jira answered the search with warnings")
    }

    /// Why the last page may omit rows, after `read` rows.
    pub(crate) fn shortfall(&self, api: Api, read: usize) -> Option<&'static str> {
        match (api, self.total) {
            (Api::V3, _) if self.is_last == Some(false) => {
                Some("the search has more results, but no next page")
            }
            (Api::V3, _) => None,
            (Api::V2, None) => Some("the search does not say how many issues it found"),
            (Api::V2, Some(total)) => {
                (total > read as u64).then_some("the search found issues that it does not show")
            }
        }
    }
}

pub(crate) fn search_result(search: &Search, issues: &[FoundIssue], site: &Site) -> SearchResult {
    let mut tickets: Vec<FoundTicket> = Vec::new();
    // An issue with an invalid key is neither a ticket to report nor an absence: see `prove_absence`.
    let is_named = |issue: &&FoundIssue| is_issue_key(&issue.key) && is_issue_id(&issue.id);
    let rows: Vec<_> = issues.iter().map(|issue| (issue, markers(issue))).collect();
    let asked_for =
        rows.iter().filter(|(_, markers)| bears(markers, &search.marker)).map(|(issue, _)| *issue);
    for issue in asked_for.filter(is_named) {
        if !tickets.iter().any(|known| known.ticket.id == issue.id) {
            tickets.push(found(issue, site));
        }
    }
    tickets.sort_by_key(|found| (found.created_at.is_none(), found.created_at, id_number(&found.ticket.id)));
    let seen = |canary: &Marker| rows.iter().any(|(_, markers)| bears(markers, canary));
    SearchResult { tickets, canary_seen: search.canaries.iter().any(seen) }
}

pub(crate) fn found(issue: &FoundIssue, site: &Site) -> FoundTicket {
    let url = site.join(&["browse", &issue.key]).to_string();
    let created_at = issue.fields.created.as_deref().and_then(moment);
    FoundTicket { ticket: TicketRef { id: issue.id.clone(), key: issue.key.clone(), url }, created_at }
}

fn id_number(id: &str) -> u64 {
    id.parse().unwrap_or(u64::MAX)
}

/// Jira's time, such as `2026-01-31T12:00:00.000+0000`.
fn moment(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text).ok())
}

fn bears(markers: &[Marker], marker: &Marker) -> bool {
    markers.contains(marker)
}

/// The marker of an issue: a label, else the last one in its description, where ours is at the end.
pub(crate) fn marker_of(issue: &FoundIssue) -> Option<Marker> {
    labels(issue).next().or_else(|| in_description(issue).pop())
}

/// All markers of an issue, as labels or as whole words of its description.
fn markers(issue: &FoundIssue) -> Vec<Marker> {
    labels(issue).chain(in_description(issue)).collect()
}

fn labels(issue: &FoundIssue) -> impl Iterator<Item = Marker> {
    issue.fields.labels.iter().flatten().filter_map(|label| Marker::parse(label))
}

fn in_description(issue: &FoundIssue) -> Vec<Marker> {
    let mut text = String::new();
    collect_text(&issue.fields.description, &mut text);
    // Wiki markup may have escaped the hyphen.
    let text = text.replace('\\', "");
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter_map(Marker::parse).collect()
}

fn collect_text(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => {
            out.push_str(text);
            out.push(' ');
        }
        Value::Array(nodes) => nodes.iter().for_each(|node| collect_text(node, out)),
        Value::Object(node) => {
            for member in ["text", "content"] {
                node.get(member).into_iter().for_each(|value| collect_text(value, out));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// An empty result alone proves nothing: Jira also returns one to anonymous callers.
async fn prove_absence(
    client: &Client,
    api: Api,
    place: &str,
    search: &Search,
    rows: &Rows,
) -> Result<(), Fault> {
    if let Some(flaw) = rows.flaw {
        return Err(Fault::new(FaultKind::UnreadableReply, flaw).with_status(rows.reply.status));
    }
    let asked_for = |issue: &FoundIssue| {
        let markers = markers(issue);
        search.canaries.iter().any(|canary| bears(&markers, canary))
    };
    if !rows.issues.iter().all(asked_for) {
        let message = "the search returned issues that do not bear the marker it asked for";
        return Err(Fault::new(FaultKind::UnreadableReply, message).with_status(rows.reply.status));
    }
    if !is_logged_in(&rows.reply) {
        client.read::<Myself>(api, &["myself"], &[]).await?;
    }
    client.read::<Project>(api, &["project", place], &[]).await?;
    Ok(())
}

/// Jira names the authenticated user in a header, unless a proxy removed the header.
pub(crate) fn is_logged_in(reply: &Reply) -> bool {
    let name = reply.header("x-ausername");
    !reply.header("x-aaccountid").is_empty() || (!name.is_empty() && name != "anonymous")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_times_of_cloud_and_data_center() {
        for text in ["2026-01-31T12:00:00.000+0000", "2026-01-31T14:00:00.000+02:00", "2026-01-31T12:00:00Z"]
        {
            assert_eq!(
                moment(text).map(|at| at.to_string()).as_deref(),
                Some("2026-01-31T12:00:00Z"),
                "{text}"
            );
        }
        assert_eq!(moment("yesterday"), None);
    }

    #[test]
    fn matches_markers_as_whole_words() {
        let marker = Marker::parse("rhythmx-0123456789abcdef0123456789abcdef").unwrap();
        let issue = |description: &str| FoundIssue {
            id: "1".to_owned(),
            key: "SEC-1".to_owned(),
            fields: crate::wire::FoundFields { description: description.into(), ..Default::default() },
        };
        assert!(bears(&markers(&issue(&format!("RhythmX marker: {marker}."))), &marker));
        assert!(bears(&markers(&issue(&format!("x {}", marker.as_str().replace('-', "\\-")))), &marker));
        for other in [format!("{marker}0"), format!("x-{marker}"), "rhythmx".to_owned()] {
            assert!(!bears(&markers(&issue(&other)), &marker), "{other}");
        }
    }
}
