//! JQL searches: `search/jql` on Cloud, `search` on Data Center.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Map, Value, json};

use super::jql::{self, Query};
use super::{Flavour, Visit, auth, create, issue};
use crate::message::Answer;
use crate::site_request::{self, SearchFault};
use crate::ticket::Ticket;

const CLOUD_MEMBERS: [&str; 9] = [
    "jql",
    "fields",
    "maxResults",
    "nextPageToken",
    "reconcileIssues",
    "expand",
    "properties",
    "fieldsByKeys",
    "failFast",
];
const DATA_CENTER_MEMBERS: [&str; 6] = ["jql", "startAt", "maxResults", "fields", "validateQuery", "expand"];
const REMOVED: &str = "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API. A full \
     migration guideline is available at https://developer.atlassian.com/changelog/#CHANGE-2046";

pub(super) fn route(visit: &Visit<'_, '_>, rest: &[&str]) -> Answer {
    match (visit.flavour, rest) {
        (Flavour::Cloud, []) => Answer::jira_messages(410, &[REMOVED]),
        (Flavour::Cloud, ["jql"]) => answered(visit, &CLOUD_MEMBERS),
        (Flavour::DataCenter, []) => answered(visit, &DATA_CENTER_MEMBERS),
        _ => super::not_a_resource(visit.turn),
    }
}

fn answered(visit: &Visit<'_, '_>, members: &[&str]) -> Answer {
    search(visit, members).unwrap_or_else(|refusal| refusal)
}

fn search(visit: &Visit<'_, '_>, members: &[&str]) -> Result<Answer, Answer> {
    let asked = asked(visit, members)?;
    let profile = &visit.turn.state.profile;
    if !visit.logged_in() && !profile.anonymous_search_is_empty {
        return Err(auth::not_authenticated(&visit.caller));
    }
    let text = asked.get("jql").and_then(Value::as_str).unwrap_or_default();
    let query = parsed(visit, text)?;
    let invented = lookalikes(visit, &query);
    let rows = rows(visit, &query, &asked, &invented);
    match visit.flavour {
        Flavour::Cloud => cloud_page(visit, text, &rows, &asked),
        Flavour::DataCenter => data_center_page(visit, &rows, &asked),
    }
}

/// The parameters of the search, from the query string of a GET or the body of a POST.
fn asked(visit: &Visit<'_, '_>, members: &[&str]) -> Result<Map<String, Value>, Answer> {
    let request = visit.turn.request;
    if request.method == Method::GET {
        let text =
            |name: &&str| request.query(name).map(|value| ((*name).to_owned(), from_query(name, value)));
        return Ok(members.iter().filter_map(text).collect());
    }
    let Some(Value::Object(body)) = request.json() else { return Err(create::unreadable(visit)) };
    match body.keys().find(|key| !members.contains(&key.as_str())) {
        Some(unknown) => Err(create::unrecognized(visit.flavour, unknown)),
        None => Ok(body),
    }
}

fn from_query(name: &str, value: String) -> Value {
    match name {
        "fields" => json!(issue::asked_fields(&value)),
        "maxResults" | "startAt" => value.parse::<u64>().map_or(Value::String(value), Value::from),
        "reconcileIssues" => value.split(',').filter_map(|id| id.parse::<u64>().ok()).collect(),
        _ => Value::String(value),
    }
}

fn parsed(visit: &Visit<'_, '_>, text: &str) -> Result<Query, Answer> {
    let cloud = visit.flavour == Flavour::Cloud;
    if cloud && jql::is_bare_words(text) {
        return Ok(Query::nothing());
    }
    let query = jql::parse(text).map_err(|message| Answer::jira_messages(400, &[&message]))?;
    if cloud && !query.is_bounded() {
        let message =
            "Unbounded JQL queries are not allowed here. Please add a search restriction to your query.";
        return Err(Answer::jira_messages(400, &[message]));
    }
    let unknown_projects = query.unknown_projects(|name| visit.turn.state.profile.project(name).is_some());
    match unknown_projects.first().filter(|_| visit.logged_in()) {
        Some(name) => {
            let message = format!("The value '{name}' does not exist for the field 'project'.");
            Err(Answer::jira_messages(400, &[&message]))
        }
        None => Ok(query),
    }
}

/// The issues that the index shows to this caller, filtered and sorted.
fn rows<'t>(
    visit: &'t Visit<'_, '_>,
    query: &Query,
    asked: &Map<String, Value>,
    invented: &'t [Ticket],
) -> Vec<&'t Ticket> {
    if !visit.may("BROWSE_PROJECTS") && visit.turn.search_fault == SearchFault::None {
        return Vec::new();
    }
    let reconciled: Vec<u64> = asked
        .get("reconcileIssues")
        .and_then(Value::as_array)
        .map(|ids| ids.iter().filter_map(Value::as_u64).collect())
        .unwrap_or_default();
    let now = visit.turn.now;
    let lag = jiff::SignedDuration::try_from(visit.turn.state.profile.index_lag)
        .unwrap_or(jiff::SignedDuration::MAX);
    let indexed = |ticket: &&Ticket| {
        let is_indexed = now.duration_since(ticket.created_at) >= lag
            || ticket.id.parse::<u64>().is_ok_and(|id| reconciled.contains(&id));
        is_indexed && visit.turn.state.shows(ticket)
    };
    let tickets = &visit.turn.state.tickets;
    let matching = || {
        let candidates = match query.places(tickets) {
            Some(places) => tickets.at(places).filter(indexed).collect(),
            None => tickets.existing().filter(indexed).collect(),
        };
        query.select(candidates, now)
    };
    match visit.turn.search_fault {
        SearchFault::None | SearchFault::Endless => matching(),
        SearchFault::Twice => matching().into_iter().flat_map(|ticket| [ticket, ticket]).collect(),
        SearchFault::Everything => tickets.existing().filter(indexed).collect(),
        SearchFault::Nothing => Vec::new(),
        SearchFault::Foreign => invented.iter().collect(),
    }
}

/// Fabricated issues whose labels resemble the markers of a query, for [`SearchFault::Foreign`].
fn lookalikes(visit: &Visit<'_, '_>, query: &Query) -> Vec<Ticket> {
    let state = &*visit.turn.state;
    let project = state.profile.projects.first().filter(|_| visit.turn.search_fault == SearchFault::Foreign);
    let Some(project) = project else { return Vec::new() };
    let invented = |(count, marker): (usize, String)| {
        let mut fields = create::initial_fields(project, visit.turn.now);
        let labels: Vec<String> = Some(marker).filter(|marker| !marker.is_empty()).into_iter().collect();
        fields.insert("labels".to_owned(), labels.into());
        Ticket {
            id: (9_000_000 + count).to_string(),
            key: format!("{}-{}", project.key, 9_000_000 + count),
            previous_keys: Vec::new(),
            container: project.key.clone(),
            fields,
            properties: BTreeMap::new(),
            created_at: visit.turn.now,
            foreign: true,
            deleted: false,
            plain: String::new(),
        }
    };
    site_request::lookalikes(&query.markers()).into_iter().enumerate().map(invented).collect()
}

fn cloud_page(
    visit: &Visit<'_, '_>,
    jql: &str,
    rows: &[&Ticket],
    asked: &Map<String, Value>,
) -> Result<Answer, Answer> {
    let max = count(asked, "maxResults", 50)?.min(5_000);
    let start = match asked.get("nextPageToken").and_then(Value::as_str) {
        Some(token) => read_token(jql, token).ok_or_else(|| {
            Answer::jira_messages(400, &["The provided next page token is invalid or expired."])
        })?,
        None => 0,
    };
    let endless = visit.turn.search_fault == SearchFault::Endless;
    let first = if endless { 0 } else { start };
    let fields = fields(asked)?.unwrap_or_else(|| vec!["id".to_owned()]);
    let page: Vec<Value> =
        rows.iter().skip(first).take(max).map(|ticket| issue::shown(visit, ticket, Some(&fields))).collect();
    let end = start + page.len();
    let last = end >= rows.len() && !endless;
    let mut body = json!({ "issues": page, "isLast": last });
    if !last {
        body["nextPageToken"] = URL_SAFE_NO_PAD.encode(format!("{end}\n{jql}")).into();
    }
    Ok(Answer::json(200, &body))
}

fn data_center_page(
    visit: &Visit<'_, '_>,
    rows: &[&Ticket],
    asked: &Map<String, Value>,
) -> Result<Answer, Answer> {
    let start = count(asked, "startAt", 0)?;
    let max = count(asked, "maxResults", 50)?.min(1_000);
    let endless = visit.turn.search_fault == SearchFault::Endless;
    let (first, total) = if endless { (0, u32::MAX as usize) } else { (start, rows.len()) };
    let fields = fields(asked)?;
    let page: Vec<Value> = rows
        .iter()
        .skip(first)
        .take(max)
        .map(|ticket| {
            let mut shown = issue::shown(visit, ticket, fields.as_deref());
            shown["key"] = ticket.key.clone().into();
            shown
        })
        .collect();
    let body = json!({
        "expand": "schema,names", "startAt": start, "maxResults": max, "total": total, "issues": page,
    });
    Ok(Answer::json(200, &body))
}

fn count(asked: &Map<String, Value>, name: &str, default: usize) -> Result<usize, Answer> {
    match asked.get(name) {
        None => Ok(default),
        Some(value) => value.as_u64().and_then(|number| usize::try_from(number).ok()).ok_or_else(|| {
            Answer::jira_messages(400, &[&format!("The value of '{name}' must be a whole number.")])
        }),
    }
}

fn fields(asked: &Map<String, Value>) -> Result<Option<Vec<String>>, Answer> {
    match asked.get("fields") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(names)) => {
            Ok(Some(names.iter().filter_map(Value::as_str).map(str::to_owned).collect()))
        }
        Some(_) => Err(Answer::jira_messages(400, &["'fields' must be an array of strings."])),
    }
}

fn read_token(jql: &str, token: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (start, for_jql) = text.split_once('\n')?;
    (for_jql == jql).then(|| start.parse().ok()).flatten()
}
