//! One delivery, its workers, and the ticket system.

use std::rc::Rc;

use jiff::Timestamp;
use ticketing_core::delivery::operate::NewDelivery;
use ticketing_core::delivery::{Delivery, Settled, State, Trigger};
use ticketing_core::marker::{InstallationKey, Marker};
use ticketing_core::namespace::Namespace;
use ticketing_core::system::{System, TicketRef};

use crate::setup::{Fleet, Setup, Tickets, time};

/// The state at one moment.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// In ticks since the delivery was accepted.
    pub(crate) now: u32,
    /// The content of the store. Every operation of the store is one transaction, so it is one step here.
    pub(crate) delivery: Rc<Delivery>,
    pub(crate) workers: Vec<WorkerState>,
    /// The only server has crashed and not restarted.
    pub(crate) is_down: bool,
    /// Tickets in the ticket system, numbered from 0.
    pub(crate) tickets: Vec<Ticket>,
    /// Abandoned requests: until when each may still be applied.
    pub(crate) in_transit: Vec<u32>,
    /// Number of interferences left.
    pub(crate) interferences: u8,
    /// Number of searches that may still fail.
    pub(crate) failed_searches: u8,
    /// Searches never find anything.
    pub(crate) hides_tickets: bool,
    /// Another ticket of ours was read back with its marker.
    pub(crate) has_evidence: bool,
    /// The last duplicate scan is over: tickets created later are not searched for.
    pub(crate) is_scan_over: bool,
}

/// A ticket with the marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) created: u32,
}

/// The state of a worker. It may be paused in each for any time, or die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerState {
    Idle,
    /// Holds a lease, and prepares the ticket or is about to search.
    Claimed {
        epoch: u32,
        searching: bool,
    },
    /// Its intent is durable.
    Intended {
        epoch: u32,
        deadline: u32,
    },
    /// It has checked the deadline; the first byte is not written.
    Checked {
        epoch: u32,
        deadline: u32,
    },
    /// The request was sent.
    Sent {
        epoch: u32,
        /// Until when it may be applied.
        latest: u32,
        ticket: Option<u8>,
    },
    /// It knows the result of the attempt; nothing is recorded.
    Ended {
        epoch: u32,
        end: End,
    },
    /// It knows the result of the search; nothing is recorded.
    Searched {
        epoch: u32,
        asked: u32,
        view: Option<SearchView>,
    },
}

/// The result of an attempt, as known to its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The ticket could not be prepared.
    NotPrepared,
    TooLate,
    NoConnection,
    Refused,
    /// Sent, without a trustworthy reply.
    UnknownOutcome,
    Created(u8),
}

/// The result of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SearchView {
    /// One bit per ticket.
    pub(crate) shown: u8,
    pub(crate) canary: CanaryView,
}

/// What a search showed of its canaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CanaryView {
    /// It had none.
    Unknown,
    /// It had at least one, and showed none.
    Unseen,
    Seen,
}

// === impl World ===

impl World {
    /// A newly accepted delivery.
    pub(crate) fn new(setup: &Setup) -> Self {
        let new = NewDelivery {
            id: String::new(),
            incident_id: String::new(),
            incident_revision: 1,
            connection: String::new(),
            system: System::Jira,
            trigger: Trigger::Manual,
            marker: Marker::derive(&InstallationKey::new([0; 32]), "", ""),
            requested_by: String::new(),
            namespace: Namespace::default(),
        };
        Self {
            now: 0,
            delivery: Rc::new(Delivery::accept(new, time(0)).delivery),
            workers: vec![WorkerState::Idle; setup.workers().into()],
            is_down: false,
            tickets: vec![],
            in_transit: vec![],
            interferences: setup.interferences,
            failed_searches: setup.failed_searches,
            hides_tickets: setup.tickets == Tickets::Hidden,
            has_evidence: setup.tickets == Tickets::Shown,
            is_scan_over: false,
        }
    }

    pub(crate) fn time(&self) -> Timestamp {
        time(self.now)
    }

    /// The state in which the delivery can be claimed now.
    pub(crate) fn claimable_as(&self) -> Option<State> {
        let states = [State::Pending, State::Waiting, State::Reconciling];
        states.into_iter().find(|state| self.delivery.is_claimable(*state, self.time()))
    }

    /// Commits the result of a decision function; false if there was none.
    pub(crate) fn commit(&mut self, decide: impl FnOnce(Delivery, Timestamp) -> Option<Settled>) -> bool {
        let Some(settled) = decide(Delivery::clone(&self.delivery), self.time()) else { return false };
        self.is_scan_over &= settled.delivery.state.is_settled();
        self.delivery = Rc::new(settled.delivery);
        true
    }

    pub(crate) fn make_ticket(&mut self) -> u8 {
        self.tickets.push(Ticket { created: self.now });
        self.tickets.len() as u8 - 1
    }

    /// Ends a worker, losing its knowledge. Its request, if any, continues without it.
    pub(crate) fn end(&mut self, worker: u8) {
        let stage = std::mem::replace(&mut self.workers[usize::from(worker)], WorkerState::Idle);
        self.abandon(stage);
    }

    /// Stops waiting for this request.
    pub(crate) fn abandon(&mut self, stage: WorkerState) {
        if let WorkerState::Sent { ticket: None, latest, .. } = stage
            && self.now < latest
        {
            self.in_transit.push(latest);
        }
    }

    /// What a crash leaves: the store, and the ticket system. No request in transit arrives any more.
    pub(crate) fn after_all_crashed(&self, setup: &Setup) -> Self {
        Self {
            workers: vec![WorkerState::Idle; self.workers.len()],
            is_down: matches!(setup.fleet, Fleet::Alone { .. }),
            in_transit: vec![],
            interferences: 0,
            failed_searches: 0,
            ..self.clone()
        }
    }

    /// The tickets that a search with this lag shows, one bit each.
    pub(crate) fn shown(&self, behind: u32) -> u8 {
        let shown = |ticket: &Ticket| self.is_shown(ticket.created, behind);
        let bits = self.tickets.iter().enumerate().filter(|(_, ticket)| shown(ticket));
        bits.fold(0, |bits, (number, _)| bits | 1 << number)
    }

    /// Whether a search with this lag shows a ticket created at `created`: within a tick, it may have been
    /// created after the search.
    pub(crate) fn is_shown(&self, created: u32, behind: u32) -> bool {
        !self.hides_tickets && (behind == 0 || created + behind < self.now)
    }
}

/// The ticket reference of the ticket system.
pub(crate) fn ticket_ref(number: u8) -> TicketRef {
    TicketRef { id: (number + 1).to_string(), key: String::new(), url: String::new() }
}

/// The number of a ticket by its reference.
pub(crate) fn number_of(ticket: &TicketRef) -> Option<usize> {
    ticket.id.parse::<usize>().ok()?.checked_sub(1)
}
