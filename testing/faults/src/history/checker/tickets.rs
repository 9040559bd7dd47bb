//! One ticket per delivery, in the right place.

use std::time::Duration;

use jiff::Timestamp;

use super::{Broken, Case, History, Promise};
use crate::history::record::{Kind, Observation, Setting, State};

pub(super) fn check(case: &Case<'_>, is_void: bool) -> Vec<Broken> {
    let broken = |promise, why: String| Broken::about(case, promise, why);
    let Some(final_state) = case.final_state else {
        let was_seen = !case.answers.is_empty() || !case.events.is_empty();
        return was_seen
            .then(|| broken(Promise::NotLost, "it was acknowledged, and is not there in the end".to_owned()))
            .into_iter()
            .collect();
    };
    let mut all = vec![];
    let keys: Vec<_> = case.tickets.iter().map(|ticket| ticket.key.as_str()).collect();
    if keys.len() > 1 && !is_void {
        all.push(broken(Promise::NotTwice, format!("its marker stands on {keys:?}")));
    }
    let recorded = final_state.ticket.as_ref().map(|ticket| ticket.key.as_str());
    match final_state.state {
        State::Delivered if case.was_resolved() => {}
        State::Delivered if recorded.is_none_or(|key| !keys.contains(&key)) => {
            let why = format!("it is delivered as {recorded:?}, and there are {keys:?}");
            all.push(broken(Promise::NotLost, why));
        }
        State::Waiting | State::Failed if !keys.is_empty() && !is_void => {
            let why = format!("it is {:?}, and there is {keys:?} all the same", final_state.state);
            all.push(broken(Promise::Explained, why));
        }
        // The faults are over, and there was time for all remaining work.
        State::Pending | State::Attempting | State::Waiting | State::Reconciling | State::Unspecified => {
            all.push(broken(
                Promise::Explained,
                format!("it never comes to rest: it is {:?}", final_state.state),
            ));
        }
        State::Delivered | State::Failed | State::Cancelled => {}
    }
    let unasked = attempts_of(case).iter().filter(|attempt| attempt.is_none()).count();
    if unasked > 0 {
        let why = format!("{unasked} creates came for which no attempt had been started");
        all.push(broken(Promise::NotTwice, why));
    }
    all
}

/// Tickets that no delivery explains.
pub(super) fn check_all(history: &History<'_>) -> Vec<Broken> {
    let known = |target: &str, marker: &str| {
        let is_it = |case: &Case<'_>| {
            case.known().is_some_and(|known| known.target == target && known.marker == marker)
        };
        !marker.is_empty() && history.cases.values().any(is_it)
    };
    let claimed: usize = history.cases.values().map(|case| case.tickets.len()).sum();
    let tickets = history.entries.iter().filter_map(|entry| match &entry.what {
        Observation::Ticket(ticket) => Some(ticket),
        _ => None,
    });
    if tickets.clone().count() == claimed {
        return vec![];
    }
    let unexplained = tickets.filter(|ticket| !known(&ticket.target, &ticket.marker));
    unexplained
        .map(|ticket| Broken::of_all(Promise::Explained, format!("{} belongs to no delivery", ticket.key)))
        .collect()
}

/// Whether the index lag exceeded its bound: then the whole round is void.
pub(super) fn is_index_trusted(history: &History<'_>) -> bool {
    history.entries.iter().all(|entry| match entry.what {
        Observation::IndexLag { ms } => ms <= history.setting.index_bound_ms,
        _ => true,
    })
}

/// Whether a create was applied later than its bound.
pub(super) fn is_void(case: &Case<'_>, setting: &Setting) -> bool {
    let trusted = Duration::from_millis(setting.attempt_deadline_ms + setting.server_bound_ms);
    // The send deadline counts from the intent, which follows the start of the attempt: this is the
    // conservative side.
    let is_late = |(attempt, applied_at): (Option<Timestamp>, Option<Timestamp>)| {
        attempt.zip(applied_at).is_some_and(|(attempt, applied_at)| applied_at > attempt + trusted)
    };
    let applied = case.creates.iter().map(|(_, create)| create.applied_at);
    attempts_of(case).into_iter().zip(applied).any(is_late)
}

/// Start of the attempt of each create: the last one before its arrival that no later create has.
fn attempts_of(case: &Case<'_>) -> Vec<Option<Timestamp>> {
    let started = case.events.iter().filter(|event| event.kind == Kind::AttemptStarted);
    let mut started: Vec<_> = started.map(|event| event.time).collect();
    let mut attempts: Vec<_> = case
        .creates
        .iter()
        .rev()
        .map(|(arrived_at, _)| {
            let position = started.iter().rposition(|time| time <= arrived_at)?;
            let attempt = started[position];
            started.truncate(position);
            Some(attempt)
        })
        .collect();
    attempts.reverse();
    attempts
}
