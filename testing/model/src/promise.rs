//! What must hold in every state.

use std::fmt;

use ticketing_core::delivery::{Delivery, State};

use crate::setup::{Promise, Setup};
use crate::world::{World, number_of};

/// A promise that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// Two tickets bear the marker.
    SecondTicket,
    /// The delivery is as none may be.
    Malformed(&'static str),
    /// It is delivered, as a ticket that does not exist.
    NamesNoTicket,
    /// A run without faults and time do not end it.
    Stuck(State),
    /// A ticket exists, and the delivery failed or was cancelled without it, and the last sweep was over without a word.
    TicketLost,
    /// Two tickets, and the last sweep was over without a word.
    DuplicateUnreported,
}

/// What a state breaks by itself.
pub(crate) fn broken(setup: &Setup, world: &World) -> Option<Violation> {
    if world.tickets.len() > 1 && matches!(setup.promise, Promise::All | Promise::OneTicket) {
        return Some(Violation::SecondTicket);
    }
    if setup.promise == Promise::OneTicket {
        return None;
    }
    let named = world.delivery.ticket.iter().chain(&world.delivery.duplicates);
    let exists = |number: usize| number < world.tickets.len();
    if !named.into_iter().all(|ticket| number_of(ticket).is_some_and(exists)) {
        return Some(Violation::NamesNoTicket);
    }
    malformed(&world.delivery).map(Violation::Malformed)
}

/// What an end without faults breaks.
pub(crate) fn broken_at_the_end(setup: &Setup, world: &World) -> Option<Violation> {
    match world.delivery.state {
        _ if world.is_swept || !has_unreported(world) => None,
        State::Delivered => Some(Violation::DuplicateUnreported),
        State::Failed => Some(Violation::TicketLost),
        // What was given up while it was of unknown outcome is left to the duplicate scans.
        State::Cancelled if setup.duplicate_scans => Some(Violation::TicketLost),
        _ => None,
    }
}

/// Whether there is a ticket that the delivery does not know of.
pub(crate) fn has_unreported(world: &World) -> bool {
    let delivery = &world.delivery;
    let known = delivery.ticket.iter().chain(&delivery.duplicates).filter_map(number_of);
    let known: Vec<_> = known.collect();
    (0..world.tickets.len()).any(|number| !known.contains(&number))
}

/// The constraints that the store puts on its rows.
fn malformed(delivery: &Delivery) -> Option<&'static str> {
    let state = delivery.state;
    let is_due = delivery.due_at.is_some();
    let is_leased = delivery.lease_until.is_some();
    let is_settled = state.is_settled();
    let rules = [
        ((state == State::Delivered) == delivery.ticket.is_some(), "delivered is what has a ticket"),
        (!matches!(state, State::Pending | State::Waiting) || is_due, "what is to be sent is due"),
        (state != State::Attempting || is_leased && delivery.epoch > 0, "an attempt has a claim"),
        (state != State::Reconciling || is_due != is_leased, "a doubt is either due or claimed"),
        (!is_leased || matches!(state, State::Attempting | State::Reconciling), "only work is claimed"),
        (!is_settled || !is_due && !is_leased, "what is settled is neither due nor claimed"),
        (
            state != State::Reconciling || delivery.unknown_outcome.is_some(),
            "what is looked for is of unknown outcome",
        ),
        (
            delivery.unknown_outcome.is_none() || matches!(state, State::Reconciling | State::Cancelled),
            "a doubt is looked into or given up",
        ),
        (delivery.unknown_outcome.is_none() || delivery.send.is_some(), "a doubt is about a send"),
        (delivery.duplicate_scan.is_none() || is_settled, "only what is settled is swept"),
    ];
    rules.into_iter().find(|(holds, _)| !holds).map(|(_, rule)| rule)
}

// === impl Violation ===

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecondTicket => write!(f, "two tickets bear the marker"),
            Self::Malformed(rule) => write!(f, "the delivery breaks the rule that {rule}"),
            Self::NamesNoTicket => write!(f, "the delivery names a ticket that does not exist"),
            Self::Stuck(state) => write!(f, "a run without faults and time leave the delivery {state}"),
            Self::TicketLost => write!(f, "a ticket exists, and the delivery ended without it"),
            Self::DuplicateUnreported => write!(f, "two tickets bear the marker, and no sweep has told"),
        }
    }
}
