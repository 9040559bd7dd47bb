//! Answers to callers agree with earlier answers, and with the final state.

use std::collections::HashMap;

use super::{Broken, Case, History, Promise};
use crate::history::record::{Answer, Observation, State};

pub(super) fn check(case: &Case<'_>) -> Vec<Broken> {
    let mut all = vec![];
    let mut broken = |why: String| all.push(Broken::about(case, Promise::Explained, why));
    let Some(known) = case.known() else { return all };
    let mut answers = case.answers.clone();
    answers.sort_by_key(|answer| answer.answered_at);
    for answer in &answers {
        let now = answer.snapshot;
        if (&now.incident, &now.target, &now.marker) != (&known.incident, &known.target, &known.marker) {
            broken(format!(
                "it was {} to {}, and is {} to {}",
                now.incident, now.target, known.incident, known.target
            ));
        }
    }
    let delivered = answers.iter().find(|answer| answer.snapshot.state == State::Delivered);
    if let Some(first) = delivered {
        let later = answers.iter().filter(|answer| answer.asked_at > first.answered_at);
        for later in later.filter(|later| later.snapshot.state != State::Delivered) {
            broken(format!("an answer called it delivered, and a later one {:?}", later.snapshot.state));
        }
        if case.state().is_some_and(|state| state != State::Delivered) {
            broken(format!("an answer called it delivered, and it is {:?}", case.state()));
        }
    }
    let mut keys: Vec<_> = answers.iter().filter_map(|answer| answer.snapshot.ticket.as_ref()).collect();
    keys.extend(case.final_state.and_then(|final_state| final_state.ticket.as_ref()));
    keys.sort_by(|a, b| a.key.cmp(&b.key));
    keys.dedup_by(|a, b| a.key == b.key);
    if keys.len() > 1 {
        broken(format!("answers named different tickets: {keys:?}"));
    }
    all
}

/// One delivery per incident and target; and no call is refused without a reason.
pub(super) fn check_all(history: &History<'_>) -> Vec<Broken> {
    let mut all = vec![];
    let mut owners = HashMap::new();
    for case in history.cases.values() {
        let Some(known) = case.known() else { continue };
        let pair = (known.incident.as_str(), known.target.as_str());
        if let Some(other) = owners.insert(pair, case.delivery) {
            all.push(Broken::about(
                case,
                Promise::NotTwice,
                format!("{other} is for the same incident and target"),
            ));
        }
    }
    for entry in history.entries {
        if let Observation::CallEnded { call, answer: Answer::Refused { code, message, has_reason } } =
            &entry.what
            && !may_refuse(code, *has_reason)
        {
            let promise = if code == "NotFound" { Promise::NotLost } else { Promise::Explained };
            all.push(Broken::of_all(promise, format!("call {call} was refused: {code}, {message}")));
        }
    }
    all
}

/// A server that is away or stops, an exceeded deadline, a forbidden operation, or a broken connection.
fn may_refuse(code: &str, has_reason: bool) -> bool {
    match code {
        "Unavailable" | "DeadlineExceeded" => true,
        "FailedPrecondition" => has_reason,
        "Cancelled" | "Unknown" | "Internal" => !has_reason,
        _ => false,
    }
}
