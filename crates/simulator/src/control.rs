//! The script over HTTP, under `/_simulator/`.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::message::{Answer, Request};
use crate::simulator::Shared;
use crate::weather::Rule;

pub(crate) fn respond(shared: &Shared, request: &Request) -> Answer {
    let segments = request.segments();
    let what = segments.get(1).map_or("", String::as_str);
    match (&request.method, what) {
        (&Method::GET, "tickets") => Answer::json(200, &json!(shared.state().tickets)),
        (&Method::GET, "requests") => Answer::json(200, &json!(shared.state().requests)),
        (&Method::DELETE, "requests") => {
            shared.state().clear_requests();
            Answer::empty(204)
        }
        (&Method::POST, "weather") => push_weather(shared, request),
        (&Method::DELETE, "weather") => {
            shared.weather.clear();
            Answer::empty(204)
        }
        (&Method::PUT, "index-lag") => set_index_lag(shared, request),
        (&Method::POST, "reset") => reset(shared),
        _ => refusal(
            404,
            "know: GET tickets, GET or DELETE requests, POST or DELETE weather, PUT index-lag, POST reset",
        ),
    }
}

fn push_weather(shared: &Shared, request: &Request) -> Answer {
    let rules = match request.json() {
        Some(Value::Array(rules)) => rules,
        Some(rule) => vec![rule],
        None => return refusal(400, "the body is not JSON"),
    };
    let rules: Result<Vec<Rule>, _> = rules.into_iter().map(serde_json::from_value).collect();
    match rules {
        Ok(rules) => {
            for rule in rules {
                shared.weather.push(rule);
            }
            Answer::empty(204)
        }
        Err(error) => refusal(400, &error.to_string()),
    }
}

fn set_index_lag(shared: &Shared, request: &Request) -> Answer {
    let Some(ms) = request.json().and_then(|body| body.get("ms").and_then(Value::as_u64)) else {
        return refusal(400, "send {\"ms\": 2000}");
    };
    shared.state().profile.index_lag = Duration::from_millis(ms);
    Answer::empty(204)
}

fn reset(shared: &Shared) -> Answer {
    shared.weather.clear();
    let mut state = shared.state();
    state.tickets.clear();
    state.clear_requests();
    state.failed_logins = 0;
    Answer::empty(204)
}

fn refusal(status: u16, why: &str) -> Answer {
    Answer::json(status, &json!({ "error": why }))
}
