//! The events of a delivery form a path of its state machine, from its acceptance to its final state.

use super::{Broken, Case, Promise};
use crate::history::record::{Event, Kind, Operation, Reference, State};

pub(super) fn check(case: &Case<'_>, retries: u32, is_void: bool) -> Vec<Broken> {
    let mut all = vec![];
    let mut broken = |why: String| all.push(Broken::about(case, Promise::Explained, why));
    let mut at = State::Unspecified;
    // All failures, and those that may have spent retries: a redriven delivery has all retries again.
    let mut attempts = 0_u32;
    let mut spent = 0_u32;
    let mut ticket: Option<Reference> = None;
    for event in case.events.iter().copied() {
        let to = event.state.unwrap_or(State::Unspecified);
        match event.kind {
            Kind::AttemptStarted => (attempts, spent) = (attempts + 1, spent + 1),
            Kind::Rearmed if matches!(at, State::Failed | State::Cancelled) && to == State::Pending => {
                spent = 0;
            }
            Kind::Failed if spent <= retries => broken(format!(
                "event {}: it failed for good in attempt {spent}, although {retries} retries are allowed",
                event.sequence
            )),
            _ => {}
        }
        if !is_step(at, event.kind, to, attempts > 0) {
            broken(format!("event {}: {:?} leads from {at:?} to {to:?}", event.sequence, event.kind));
        }
        if let Some(why) = unrequested_decision(case, event, is_void) {
            broken(why);
        }
        if let (Some(known), Some(now)) = (&ticket, &event.ticket)
            && known != now
            && !case.was_resolved()
            && !is_void
        {
            broken(format!("event {}: its ticket was {}, and is {}", event.sequence, known.key, now.key));
        }
        ticket = event.ticket.clone().or(ticket);
        at = to;
    }
    if case.final_state.is_some() && case.state() != Some(at) {
        broken(format!("its events end with {at:?}, and it is {:?}", case.state()));
    }
    all
}

/// An event of an operator's decision that no operator requested.
fn unrequested_decision(case: &Case<'_>, event: &Event, is_void: bool) -> Option<String> {
    let asked = |is: fn(&Operation) -> bool| case.operations.iter().any(|action| is(action));
    let why = match event.kind {
        Kind::Cancelled if !asked(|action| matches!(action, Operation::Cancel { .. })) => {
            "it was cancelled without a request"
        }
        Kind::Resolved if !asked(|action| matches!(action, Operation::Resolve { .. })) => {
            "it was resolved without a request"
        }
        Kind::DuplicateFound if !case.was_resolved() && !is_void => "a duplicate of it was found",
        _ => return None,
    };
    Some(format!("event {}: {why}", event.sequence))
}

/// The state machine of the contract. A known ticket is recorded in any state, once there was an attempt.
fn is_step(from: State, kind: Kind, to: State, attempted: bool) -> bool {
    use State::{Attempting, Cancelled, Delivered, Failed, Pending, Reconciling, Unspecified, Waiting};
    match (kind, to) {
        (Kind::Accepted, Pending) => from == Unspecified,
        (Kind::SnapshotUpdated, to) => from == to && matches!(from, Pending | Waiting | Failed),
        (Kind::AttemptStarted, Attempting) => matches!(from, Pending | Waiting),
        (Kind::Waiting, Waiting) => matches!(from, Pending | Attempting | Reconciling),
        (Kind::Reconciling, Reconciling) => from == Attempting,
        (Kind::Delivered, Delivered) => attempted && !matches!(from, Delivered | Unspecified),
        (Kind::Failed, Failed) => matches!(from, Attempting | Reconciling),
        // From ATTEMPTING: a claim that expired before anything could be sent.
        (Kind::Rearmed, Pending) => matches!(from, Waiting | Failed | Cancelled | Attempting),
        (Kind::Rearmed, Reconciling) => from == Cancelled,
        (Kind::Cancelled, Cancelled) => matches!(from, Pending | Waiting | Reconciling | Failed),
        // From DELIVERED: a correction.
        (Kind::Resolved, Delivered) => {
            matches!(from, Pending | Waiting | Reconciling | Failed | Cancelled | Delivered)
        }
        (Kind::DuplicateFound, Delivered) => from == Delivered,
        _ => false,
    }
}
