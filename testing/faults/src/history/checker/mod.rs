//! Checks a history against the promises, with pure functions.
//!
//! | promise | broken when |
//! |-|-|
//! | nothing twice | a marker stands on two tickets; a create is sent for which no attempt was started |
//! | nothing lost | a delivery that an answer named is not there in the end, or is delivered without its ticket |
//! | nothing unexplained | anything else: a state that no event led to, a step that the machine does not know, an event that is missing, doubled or out of order, an answer that contradicts another one, a ticket without a delivery, a delivery that says there is no ticket where there is one, that never comes to rest, or that fails before its retries are spent |
//!
//! The promises depend on assumptions about a ticket system: it applies a create no later than the server
//! bound after its send deadline, and shows it to a search within the index bound. The checker verifies that.
//! A delivery for which they did not hold is void: it may have more than one ticket.

mod answers;
mod case;
mod path;
mod streams;
#[cfg(test)]
mod tests;
mod tickets;

use std::collections::BTreeMap;

use super::record::{Entry, Event, Observation, Setting, State};

pub(super) use self::case::Case;

/// The result of a history.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) setting: Setting,
    pub(super) deliveries: usize,
    /// Number of deliveries by final state.
    pub(super) delivered: usize,
    pub(super) failed: usize,
    pub(super) cancelled: usize,
    /// Deliveries that ever had an unknown outcome.
    pub(super) unknown_outcomes: usize,
    pub(super) creates: usize,
    pub(super) searches: u64,
    pub(super) events: usize,
    /// Number of faults of the process.
    pub(super) server_faults: usize,
    /// Deliveries for which the assumptions about the ticket system did not hold.
    pub(super) void: Vec<String>,
    pub(super) broken: Vec<Broken>,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) promise: Promise,
    /// Absent if it concerns none.
    pub(super) delivery: Option<String>,
    pub(super) why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Promise {
    NotTwice,
    NotLost,
    Explained,
}

/// A history, sorted.
#[derive(Debug)]
struct History<'a> {
    entries: &'a [Entry],
    setting: Setting,
    /// By delivery.
    cases: BTreeMap<&'a str, Case<'a>>,
    /// By number, as first seen by a subscriber.
    events: BTreeMap<u64, &'a Event>,
}

pub(super) fn check(entries: &[Entry]) -> Verdict {
    let history = case::sort(entries);
    let mut broken = vec![];
    let mut void = vec![];
    let is_index_trusted = tickets::is_index_trusted(&history);
    for case in history.cases.values() {
        let is_void = !is_index_trusted || tickets::is_void(case, &history.setting);
        if is_void {
            void.push(case.delivery.to_owned());
        }
        broken.extend(tickets::check(case, is_void));
        broken.extend(path::check(case, history.setting.retries, is_void));
        broken.extend(answers::check(case));
    }
    broken.extend(tickets::check_all(&history));
    broken.extend(answers::check_all(&history));
    broken.extend(streams::check(&history));
    // The most severe first.
    broken.sort_by_key(|broken| broken.promise);
    let ended = |state| {
        history.cases.values().filter(|case| case.is_planned() && case.state() == Some(state)).count()
    };
    Verdict {
        delivered: ended(State::Delivered),
        failed: ended(State::Failed),
        cancelled: ended(State::Cancelled),
        deliveries: history.cases.values().filter(|case| case.is_planned()).count(),
        unknown_outcomes: history.cases.values().filter(|case| case.had_unknown_outcome()).count(),
        creates: history.cases.values().map(|case| case.creates.len()).sum(),
        searches: entries.iter().map(searches).sum(),
        events: history.events.len(),
        server_faults: entries
            .iter()
            .filter(|entry| matches!(entry.what, Observation::ServerFault { .. }))
            .count(),
        void,
        broken,
        setting: history.setting,
    }
}

fn searches(entry: &Entry) -> u64 {
    if let Observation::Searches { count, .. } = entry.what { count } else { 0 }
}

/// Everything that a history contains about one delivery, in time order.
pub(super) fn entries_about(entries: &[Entry], delivery: &str) -> Vec<Entry> {
    let history = case::sort(entries);
    let Some(case) = history.cases.get(delivery) else { return vec![] };
    let mut found: Vec<_> = entries.iter().filter(|entry| case.concerns(entry)).cloned().collect();
    found.sort_by_key(|entry| entry.at);
    found
}

// === impl Broken ===

impl Broken {
    fn about(case: &Case<'_>, promise: Promise, why: impl Into<String>) -> Self {
        Self { promise, delivery: Some(case.delivery.to_owned()), why: why.into() }
    }

    fn of_all(promise: Promise, why: impl Into<String>) -> Self {
        Self { promise, delivery: None, why: why.into() }
    }
}
