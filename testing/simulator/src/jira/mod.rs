//! Jira Cloud (REST v3) and Jira Data Center (REST v2).

pub(crate) mod adf;
mod auth;
mod create;
mod edit;
mod fields;
mod issue;
mod jql;
mod meta;
mod search;
mod values;

use http::Method;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::message::{Answer, Request};
use crate::site_request::SiteRequest;
use crate::state::State;
use crate::ticket::Ticket;
use auth::Caller;

/// The edition of Jira.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flavour {
    Cloud,
    DataCenter,
}

/// A request to Jira with its authentication result and parsed path.
#[derive(Debug)]
struct Visit<'a, 'b> {
    turn: &'a mut SiteRequest<'b>,
    flavour: Flavour,
    caller: Caller,
    /// REST API version: version 3 uses ADF, version 2 strings.
    version: u8,
    /// The base of `self` links: scheme, host, context path or gateway path.
    base: String,
}

impl Visit<'_, '_> {
    fn api(&self, path: &str) -> String {
        format!("{}/rest/api/{}/{path}", self.base, self.version)
    }

    fn logged_in(&self) -> bool {
        matches!(self.caller, Caller::User(_))
    }

    /// Whether the caller is logged in and has this permission.
    fn may(&self, permission: &str) -> bool {
        self.logged_in() && self.turn.state.profile.allows(permission)
    }
}

pub(crate) fn respond(flavour: Flavour, turn: &mut SiteRequest<'_>) -> Answer {
    let request = turn.request;
    let Some((base, gateway, segments)) = locate(flavour, turn) else {
        return Answer::html(404, "<html><head><title>Oops, you've found a dead link.</title></head></html>");
    };
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    if flavour == Flavour::Cloud && path == ["_edge", "tenant_info"] {
        return Answer::json(200, &json!({ "cloudId": turn.state.profile.cloud_id }));
    }
    let caller = auth::caller(flavour, turn.state, request, gateway);
    if let Some(refusal) = auth::refusal(flavour, turn, &caller, gateway, &path) {
        return refusal;
    }
    let name = caller.name().map(str::to_owned);
    let answer = match path.as_slice() {
        ["browse", key] => browse(turn, key),
        ["rest", "api", version, rest @ ..] => match served_version(flavour, version) {
            Some(version) => route(&mut Visit { turn, flavour, caller, version, base }, rest),
            None => not_a_resource(turn),
        },
        _ => not_a_resource(turn),
    };
    signed(flavour, name.as_deref(), answer)
}

pub(crate) fn classify(request: &Request) -> Call {
    let segments = request.segments();
    let rest = segments.iter().position(|segment| segment == "rest").map(|at| &segments[at..]);
    let path: Vec<&str> = rest.unwrap_or_default().iter().skip(3).map(String::as_str).collect();
    match (&request.method, path.as_slice()) {
        (&Method::POST, ["issue"] | ["issue", "bulk"]) => Call::Create,
        (_, ["search", ..]) => Call::Search,
        (_, ["myself" | "mypermissions"]) => Call::Auth,
        (
            _,
            ["issue", "createmeta", ..]
            | ["serverInfo" | "project" | "priority" | "field" | "issuetype" | "user", ..],
        ) => Call::Meta,
        (&Method::GET, ["issue", ..]) => Call::Read,
        (_, ["issue", ..]) => Call::Update,
        _ => Call::Other,
    }
}

/// Creates an issue in the named project, or else in the first, as another user would, without validation.
pub(crate) fn add_foreign_issue(state: &mut State, fields: Map<String, Value>, now: Timestamp) -> String {
    let name = fields.get("project").and_then(|project| project.get("key")).and_then(Value::as_str);
    let named = name.and_then(|name| state.profile.project(name));
    let project = named.or(state.profile.projects.first()).cloned();
    let project = project.unwrap_or_else(|| crate::profile::Project::new("10100", "SEC"));
    let mut all = create::initial_fields(&project, now);
    all.extend(fields);
    create::store(state, &project.key, all, now, true).key.clone()
}

/// Strips the context path or the gateway prefix. Returns the base of links, whether it is the gateway, and
/// the remaining segments.
fn locate(flavour: Flavour, turn: &SiteRequest<'_>) -> Option<(String, bool, Vec<String>)> {
    let mut segments = turn.request.segments();
    let profile = &turn.state.profile;
    match flavour {
        Flavour::Cloud if segments.first().is_some_and(|first| first == "ex") => {
            if segments.get(..3) != Some(&["ex".to_owned(), "jira".to_owned(), profile.cloud_id.clone()][..])
            {
                return None;
            }
            let base = format!("{}/ex/jira/{}", turn.origin, profile.cloud_id);
            Some((base, true, segments.split_off(3)))
        }
        Flavour::Cloud => Some((turn.origin.to_owned(), false, segments)),
        Flavour::DataCenter => {
            let context: Vec<&str> =
                profile.context_path.split('/').filter(|part| !part.is_empty()).collect();
            let inside =
                segments.len() >= context.len() && segments.iter().zip(&context).all(|(a, b)| a == b);
            let base = format!("{}{}", turn.origin, profile.context_path.trim_end_matches('/'));
            inside.then(|| (base, false, segments.split_off(context.len())))
        }
    }
}

fn served_version(flavour: Flavour, version: &str) -> Option<u8> {
    match (flavour, version) {
        (Flavour::Cloud, "3" | "latest") => Some(3),
        (Flavour::Cloud, "2") | (Flavour::DataCenter, "2" | "latest") => Some(2),
        _ => None,
    }
}

fn route(visit: &mut Visit<'_, '_>, path: &[&str]) -> Answer {
    let request = visit.turn.request;
    if let Some(refusal) = unfit_media(request) {
        return refusal;
    }
    match (&request.method, path) {
        (&Method::GET, ["serverInfo"]) => meta::server_info(visit),
        (&Method::GET, ["myself"]) => meta::myself(visit),
        (&Method::GET, ["mypermissions"]) => meta::my_permissions(visit),
        (&Method::GET, ["priority"]) => meta::priorities(visit),
        (&Method::GET, ["user", "search"]) => fields::search_users(visit, false),
        (&Method::GET, ["user", "assignable", "search"]) => fields::search_users(visit, true),
        (&Method::GET, ["project", key]) => meta::project(visit, key),
        (&Method::GET, ["issue", "createmeta", project, "issuetypes"]) => meta::issue_types(visit, project),
        (&Method::GET, ["issue", "createmeta", project, "issuetypes", id]) => {
            meta::create_fields(visit, project, id)
        }
        (&Method::POST, ["issue"]) => create::create(visit),
        (&Method::GET | &Method::POST, ["search", rest @ ..]) => search::route(visit, rest),
        (_, ["issue", key, rest @ ..]) => edit::route(visit, key, rest),
        _ => not_a_resource(visit.turn),
    }
}

/// 415 if the body is not declared as JSON, 406 if the client does not accept JSON.
fn unfit_media(request: &Request) -> Option<Answer> {
    let writes = matches!(request.method, Method::POST | Method::PUT);
    if writes && !request.says_json() {
        return Some(Answer::jira_status(request, 415, "Unsupported Media Type"));
    }
    (request.takes_json() == Some(false)).then(|| Answer::jira_status(request, 406, "Not Acceptable"))
}

fn not_a_resource(turn: &SiteRequest<'_>) -> Answer {
    let message = format!("null for uri: {}{}", turn.origin, turn.request.path);
    Answer::jira_status(turn.request, 404, &message)
}

fn browse(turn: &SiteRequest<'_>, key: &str) -> Answer {
    match turn.state.tickets.find(key) {
        Some(ticket) => {
            let page = format!(
                "<html><head><title>[{}] {}</title></head></html>",
                ticket.key,
                ticket.text("summary")
            );
            Answer::html(200, &page.replace("<script", "&lt;script"))
        }
        None => Answer::html(404, "<html><head><title>Issue does not exist</title></head></html>"),
    }
}

/// Adds the headers in which Jira names the authenticated account.
fn signed(flavour: Flavour, caller: Option<&str>, answer: Answer) -> Answer {
    match (flavour, caller) {
        (Flavour::Cloud, Some(name)) => answer.with_header("x-aaccountid", account_id(name)),
        (Flavour::Cloud, None) => answer,
        (Flavour::DataCenter, Some(name)) => {
            answer.with_header("x-ausername", name).with_header("x-seraph-loginreason", "OK")
        }
        (Flavour::DataCenter, None) => answer.with_header("x-ausername", "anonymous"),
    }
}

fn account_id(user: &str) -> String {
    format!("712020:{}", user.bytes().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn jira_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string()
}

fn visible<'t>(visit: &'t Visit<'_, '_>, name: &str) -> Option<&'t Ticket> {
    let found = visit.turn.state.tickets.find(name).filter(|_| visit.may("BROWSE_PROJECTS"));
    found.filter(|ticket| visit.turn.state.shows(ticket))
}
