//! ServiceNow's Table API.

mod dictionary;
mod query;
mod record;
mod table;

use http::Method;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::call::Call;
use crate::message::{Answer, Request, decode_basic};
use crate::profile::Credential;
use crate::site_request::SiteRequest;
use crate::state::State;

pub(crate) fn respond(turn: &mut SiteRequest<'_>) -> Answer {
    let segments = turn.request.segments();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    let rest = match path.as_slice() {
        ["api", "now", "v1" | "v2", "table", rest @ ..] | ["api", "now", "table", rest @ ..] => rest,
        ["api", ..] => return not_a_resource(),
        _ => {
            return Answer::html(
                200,
                "<!DOCTYPE html><html><head><title>Log in | ServiceNow</title></head></html>",
            );
        }
    };
    if !logged_in(turn) {
        let detail = Some("Required to provide Auth information");
        let answer = Answer::servicenow_error(401, "User Not Authenticated", detail);
        return answer.with_header("www-authenticate", "BASIC realm=\"Service-now\"");
    }
    if let Some(refusal) = unfit_media(turn.request) {
        return refusal;
    }
    route(turn, rest)
}

pub(crate) fn classify(request: &Request) -> Call {
    let segments = request.segments();
    let table = segments.iter().position(|segment| segment == "table");
    let rest: Vec<&str> =
        segments.iter().skip(table.map_or(usize::MAX, |at| at + 1)).map(String::as_str).collect();
    match (&request.method, rest.as_slice()) {
        (&Method::POST, [_]) => Call::Create,
        (&Method::GET, ["sys_journal_field"]) => Call::Read,
        (&Method::GET, [name, ..]) if *name != "incident" => Call::Meta,
        (&Method::GET, [_]) if request.query("sysparm_query").is_some_and(|query| !query.is_empty()) => {
            Call::Search
        }
        (&Method::GET, [_]) => Call::Auth,
        (&Method::GET, [_, _]) => Call::Read,
        (_, [_, _]) => Call::Update,
        _ => Call::Other,
    }
}

/// Inserts a record into the incident table as another user would, without validation.
pub(crate) fn add_foreign_record(state: &mut State, fields: Map<String, Value>, now: Timestamp) -> String {
    let mut all = record::initial_fields(now);
    let sys_id = fields.get("sys_id").and_then(Value::as_str).map(str::to_owned);
    all.extend(fields);
    record::store(state, all, sys_id, now, true).key.clone()
}

fn route(turn: &mut SiteRequest<'_>, rest: &[&str]) -> Answer {
    match (&turn.request.method, rest) {
        (&Method::POST, ["incident"]) => table::insert(turn),
        (&Method::GET, ["incident"]) => table::list_incidents(turn),
        (&Method::GET, ["incident", sys_id]) => table::one_incident(turn, sys_id),
        (&Method::PATCH | &Method::PUT, ["incident", sys_id]) => table::update(turn, sys_id),
        (&Method::DELETE, ["incident", sys_id]) => table::delete(turn, sys_id),
        (&Method::GET, ["sys_user_group"]) => table::list_groups(turn),
        (&Method::GET, ["sys_journal_field"]) => table::list_journals(turn),
        (&Method::GET, ["sys_user_group", sys_id]) => table::one_group(turn, sys_id),
        (_, ["incident" | "sys_user_group" | "sys_journal_field", ..]) => {
            Answer::servicenow_error(405, "Method not supported", None)
        }
        (&Method::GET, [name]) if dictionary::rows(&turn.state.profile, name).is_some() => {
            table::list_described(turn, name)
        }
        (_, [table, ..]) => Answer::servicenow_error(400, &format!("Invalid table {table}"), None),
        (_, []) => not_a_resource(),
    }
}

fn not_a_resource() -> Answer {
    Answer::servicenow_error(400, "Requested URI does not represent any resource", None)
}

fn logged_in(turn: &mut SiteRequest<'_>) -> bool {
    let Some((scheme, rest)) = turn.request.header("authorization").and_then(|header| header.split_once(' '))
    else {
        return false;
    };
    let given = scheme.eq_ignore_ascii_case("basic").then(|| decode_basic(rest)).flatten();
    let locked = turn.state.profile.locks_after.is_some_and(|limit| turn.state.failed_logins >= limit);
    if given.is_some() && locked {
        return false;
    }
    let is_known = turn.state.profile.credentials.iter().any(|known| match known {
        Credential::Basic { user, secret } => {
            given.as_ref().is_some_and(|(name, password)| name == user && password == secret)
        }
        Credential::Bearer { token } => scheme.eq_ignore_ascii_case("bearer") && rest == token,
        Credential::Scoped { .. } => false,
    });
    if given.is_some() {
        turn.state.failed_logins = if is_known { 0 } else { turn.state.failed_logins + 1 };
    }
    is_known
}

/// 400 without `Accept` or `Content-Type`, 406 and 415 if they are not JSON.
fn unfit_media(request: &Request) -> Option<Answer> {
    match request.takes_json() {
        None => return Some(Answer::servicenow_error(400, "Accept header is required", None)),
        Some(false) => return Some(Answer::servicenow_error(406, "Not acceptable", None)),
        Some(true) => {}
    }
    if !matches!(request.method, Method::POST | Method::PATCH | Method::PUT) || request.says_json() {
        return None;
    }
    Some(match request.header("content-type") {
        None => Answer::servicenow_error(400, "Content-Type header is required", None),
        Some(_) => Answer::servicenow_error(415, "Unsupported media type", None),
    })
}
