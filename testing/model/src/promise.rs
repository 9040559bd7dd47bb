//! Properties of every state.

use std::fmt;

use ticketing_core::delivery::{Delivery, State};

use crate::setup::{Promise, Setup};
use crate::world::{World, number_of};

/// A broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// Two tickets bear the marker.
    SecondTicket,
    /// The delivery violates a constraint of the store.
    Malformed(&'static str),
    /// It is delivered with a ticket that does not exist.
    NamesNoTicket,
    /// A run without faults does not settle it.
    Stuck(State),
    /// A ticket exists, but the delivery failed or was cancelled without it, and the last duplicate scan did
    /// not report it.
    TicketLost,
    /// Two tickets, and the last duplicate scan did not report them.
    DuplicateUnreported,
}

/// The promises that a state itself breaks.
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

/// The promises that the end of a run without faults breaks.
pub(crate) fn broken_at_end(setup: &Setup, world: &World) -> Option<Violation> {
    match world.delivery.state {
        _ if world.is_scan_over || !has_unreported(world) => None,
        State::Delivered => Some(Violation::DuplicateUnreported),
        State::Failed => Some(Violation::TicketLost),
        // A delivery that was cancelled with an unknown outcome is left to the duplicate scans.
        State::Cancelled if setup.duplicate_scans => Some(Violation::TicketLost),
        _ => None,
    }
}

/// Whether a ticket exists that the delivery does not know.
pub(crate) fn has_unreported(world: &World) -> bool {
    let delivery = &world.delivery;
    let known = delivery.ticket.iter().chain(&delivery.duplicates).filter_map(number_of);
    let known: Vec<_> = known.collect();
    (0..world.tickets.len()).any(|number| !known.contains(&number))
}

/// The constraints of the store's rows.
fn malformed(delivery: &Delivery) -> Option<&'static str> {
    let state = delivery.state;
    let is_due = delivery.due_at.is_some();
    let is_leased = delivery.lease_until.is_some();
    let is_settled = state.is_settled();
    let rules = [
        ((state == State::Delivered) == delivery.ticket.is_some(), "delivered is what has a ticket"),
        (!matches!(state, State::Pending | State::Waiting) || is_due, "what is to be sent is due"),
        (state != State::Attempting || is_leased && delivery.epoch > 0, "an attempt has a claim"),
        (state != State::Reconciling || is_due != is_leased, "an unknown outcome is either due or claimed"),
        (!is_leased || matches!(state, State::Attempting | State::Reconciling), "only work is claimed"),
        (!is_settled || !is_due && !is_leased, "what is settled is neither due nor claimed"),
        (
            state != State::Reconciling || delivery.unknown_outcome.is_some(),
            "what is looked for is of unknown outcome",
        ),
        (
            delivery.unknown_outcome.is_none() || matches!(state, State::Reconciling | State::Cancelled),
            "an unknown outcome is reconciled or canceled",
        ),
        (delivery.unknown_outcome.is_none() || delivery.send.is_some(), "an unknown outcome has a send"),
        (delivery.duplicate_scan.is_none() || is_settled, "only what is settled is scanned"),
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
            Self::DuplicateUnreported => {
                write!(f, "two tickets bear the marker, and no duplicate scan reported them")
            }
        }
    }
}
