//! The control API, under `/_simulator/`.

use std::time::Duration;

use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fault_script::Rule;
use crate::message::{Answer, Request};
use crate::profile::Profile;
use crate::shared::Shared;
use crate::ticket_index::TicketIndex;

const KNOWN: &str = "know: GET or POST tickets, DELETE tickets/{key}, POST tickets/{key}/clone, \
     PUT tickets/{key}/fields, key or removed-marker, GET or DELETE requests, PUT keep, GET creates, GET points, \
     POST or DELETE faults, POST release, PUT index-lag, POST reset";

pub(crate) fn respond(shared: &Shared, request: &Request) -> Answer {
    let segments = request.segments();
    let path: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
    match (&request.method, path.as_slice()) {
        (_, ["tickets", rest @ ..]) => tickets(shared, request, rest),
        (&Method::GET, ["requests"]) => Answer::json(200, &json!(shared.state().record.requests)),
        (&Method::DELETE, ["requests"]) => done(|| shared.state().record.clear_requests()),
        (&Method::PUT, ["keep"]) => match read(request, "requests") {
            Ok(keep) => done(|| shared.state().record.keep(keep)),
            Err(refusal) => refusal,
        },
        (&Method::GET, ["creates"]) => Answer::json(200, &json!(shared.state().record.creates)),
        (&Method::GET, ["points"]) => Answer::json(
            200,
            &json!({ "triggered": shared.faults.triggered(), "points": shared.points.all() }),
        ),
        (&Method::POST, ["faults"]) => push_rules(shared, request),
        (&Method::DELETE, ["faults"]) => done(|| shared.faults.clear()),
        (&Method::POST, ["release"]) => done(|| shared.faults.release()),
        (&Method::PUT, ["index-lag"]) => set_index_lag(shared, request),
        (&Method::POST, ["reset"]) => reset(shared),
        _ => refusal(404, KNOWN),
    }
}

/// Manual edits of tickets.
fn tickets(shared: &Shared, request: &Request, path: &[&str]) -> Answer {
    let found = |found: bool| if found { done(|| ()) } else { refusal(404, "there is nothing like that") };
    let key = |key: String| Answer::json(201, &json!({ "key": key }));
    match (&request.method, path) {
        (&Method::GET, []) => Answer::json(200, &json!(shared.state().tickets.all())),
        (&Method::POST, []) => match read(request, "fields") {
            Ok(fields) => key(shared.add_foreign_ticket(fields)),
            Err(refusal) => refusal,
        },
        (&Method::DELETE, [ticket]) => found(shared.state().delete_ticket(ticket)),
        (&Method::POST, [ticket, "clone"]) => shared.clone_ticket(ticket).map_or_else(|| found(false), key),
        (&Method::PUT, [ticket, "key"]) => match read::<String>(request, "key") {
            Ok(new) => found(shared.state().move_ticket(ticket, &new)),
            Err(refusal) => refusal,
        },
        (&Method::PUT, [ticket, "removed-marker"]) => match read::<String>(request, "marker") {
            Ok(marker) => found(shared.state().remove_marker(ticket, &marker)),
            Err(refusal) => refusal,
        },
        (&Method::PUT, [ticket, "fields"]) => match read(request, "fields") {
            Ok(fields) => found(shared.state().set_fields(ticket, fields)),
            Err(refusal) => refusal,
        },
        _ => refusal(404, KNOWN),
    }
}

/// Parses one member of the body.
fn read<T: DeserializeOwned>(request: &Request, member: &str) -> Result<T, Answer> {
    let value = request.json().and_then(|body| body.get(member).cloned()).unwrap_or_default();
    serde_json::from_value(value).map_err(|error| refusal(400, &format!("{member}: {error}")))
}

/// Runs an action, and answers 204.
fn done(act: impl FnOnce()) -> Answer {
    act();
    Answer::empty(204)
}

fn push_rules(shared: &Shared, request: &Request) -> Answer {
    let rules = match request.json() {
        Some(Value::Array(rules)) => rules,
        Some(rule) => vec![rule],
        None => return refusal(400, "the body is not JSON"),
    };
    let rules: Result<Vec<Rule>, _> = rules.into_iter().map(serde_json::from_value).collect();
    match rules {
        Ok(rules) if rules.iter().any(|rule| !rule.fits()) => {
            refusal(400, "an effect is not for the calls of its rule: a connection carries no request yet")
        }
        Ok(rules) => {
            for rule in rules {
                shared.faults.push(rule);
            }
            Answer::empty(204)
        }
        Err(error) => refusal(400, &error.to_string()),
    }
}

fn set_index_lag(shared: &Shared, request: &Request) -> Answer {
    let lag = match request.json().unwrap_or_default().get("ms") {
        Some(Value::String(never)) if never == "never" => Profile::NEVER,
        Some(Value::Number(ms)) if ms.is_u64() => Duration::from_millis(ms.as_u64().unwrap_or_default()),
        _ => return refusal(400, "send {\"ms\": 2000} or {\"ms\": \"never\"}"),
    };
    done(|| shared.state().profile.index_lag = lag)
}

fn reset(shared: &Shared) -> Answer {
    shared.faults.clear();
    let mut state = shared.state();
    state.tickets = TicketIndex::default();
    state.record.clear();
    state.failed_logins = 0;
    Answer::empty(204)
}

fn refusal(status: u16, why: &str) -> Answer {
    Answer::json(status, &json!({ "error": why }))
}
