//! One delivery, who works on it, and the ticket system at the other end.

use std::rc::Rc;

use jiff::Timestamp;
use ticketing_core::delivery::operate::NewDelivery;
use ticketing_core::delivery::{Delivery, Settled, State, Trigger};
use ticketing_core::marker::{InstallationKey, Marker};
use ticketing_core::namespace::Namespace;
use ticketing_core::system::{System, TicketRef};

use crate::setup::{Fleet, Setup, Tickets, time};
use crate::step::Witness;

/// Everything there is at one moment.
#[derive(Debug, Clone)]
pub(crate) struct World {
    /// In ticks since the delivery was accepted.
    pub(crate) now: u32,
    /// What the store holds. Every verb of the store is one transaction, so it is one step here.
    pub(crate) delivery: Rc<Delivery>,
    pub(crate) workers: Vec<Stage>,
    /// The only server has crashed and was not started again.
    pub(crate) is_down: bool,
    /// The ticket system's, by number from 0.
    pub(crate) tickets: Vec<Ticket>,
    /// Abandoned requests: until when each may still be applied.
    pub(crate) on_their_way: Vec<u32>,
    /// How many interferences are left.
    pub(crate) hands: u8,
    /// How many searches may still fail.
    pub(crate) failed_searches: u8,
    /// Searches show nothing, whatever there is.
    pub(crate) is_blind: bool,
    /// Another ticket of ours was read back with its marker.
    pub(crate) has_evidence: bool,
    /// The last sweep is over: tickets created from now on are not searched for.
    pub(crate) is_swept: bool,
}

/// A ticket that bears the marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) created: u32,
}

/// How far a worker has come. It may be paused after each of these for as long as it takes, or die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Idle,
    /// Holds a claim, and prepares the ticket or is about to search.
    Claimed {
        epoch: u32,
        searching: bool,
    },
    /// Its intent is durable.
    Intended {
        epoch: u32,
        deadline: u32,
    },
    /// It has seen that there is time left; the first byte is not written.
    Checked {
        epoch: u32,
        deadline: u32,
    },
    /// The request is out.
    Sent {
        epoch: u32,
        /// Until when it may be applied.
        latest: u32,
        ticket: Option<u8>,
    },
    /// It knows how the attempt ended; nothing is recorded.
    Ended {
        epoch: u32,
        end: End,
    },
    /// It knows what the search showed; nothing is recorded.
    Searched {
        epoch: u32,
        asked: u32,
        sight: Option<SearchView>,
    },
}

/// How an attempt ended, as far as its worker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The ticket could not be prepared.
    NotPrepared,
    TooLate,
    NoConnection,
    Refused,
    /// Sent, and no answer that can be trusted.
    Doubtful,
    Created(u8),
}

/// What a search showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SearchView {
    /// Of each ticket a bit.
    pub(crate) shown: u8,
    pub(crate) witness: Witness,
}

// === impl World ===

impl World {
    /// The delivery was accepted just now.
    pub(crate) fn new(setup: &Setup) -> Self {
        let new = NewDelivery {
            id: String::new(),
            incident_id: String::new(),
            incident_revision: 1,
            target: String::new(),
            system: System::Jira,
            trigger: Trigger::Manual,
            marker: Marker::derive(&InstallationKey::new([0; 32]), "", ""),
            requested_by: String::new(),
            namespace: Namespace::default(),
        };
        Self {
            now: 0,
            delivery: Rc::new(Delivery::accept(new, time(0)).delivery),
            workers: vec![Stage::Idle; setup.workers().into()],
            is_down: false,
            tickets: vec![],
            on_their_way: vec![],
            hands: setup.hands,
            failed_searches: setup.failed_searches,
            is_blind: setup.tickets == Tickets::Hidden,
            has_evidence: setup.tickets == Tickets::Shown,
            is_swept: false,
        }
    }

    pub(crate) fn time(&self) -> Timestamp {
        time(self.now)
    }

    /// The state as which the delivery may be claimed now.
    pub(crate) fn claimable_as(&self) -> Option<State> {
        let states = [State::Pending, State::Waiting, State::Reconciling];
        states.into_iter().find(|state| self.delivery.is_claimable(*state, self.time()))
    }

    /// Commits what a decision function made of the delivery; false if it made nothing.
    pub(crate) fn commit(&mut self, decide: impl FnOnce(Delivery, Timestamp) -> Option<Settled>) -> bool {
        let Some(settled) = decide(Delivery::clone(&self.delivery), self.time()) else { return false };
        self.is_swept &= settled.delivery.state.is_settled();
        self.delivery = Rc::new(settled.delivery);
        true
    }

    pub(crate) fn make_ticket(&mut self) -> u8 {
        self.tickets.push(Ticket { created: self.now });
        self.tickets.len() as u8 - 1
    }

    /// Ends a worker with all that it knew. Its request, if there is one, goes on without it.
    pub(crate) fn end(&mut self, worker: u8) {
        let stage = std::mem::replace(&mut self.workers[usize::from(worker)], Stage::Idle);
        self.abandon(stage);
    }

    /// Stops waiting for this request.
    pub(crate) fn abandon(&mut self, stage: Stage) {
        if let Stage::Sent { ticket: None, latest, .. } = stage
            && self.now < latest
        {
            self.on_their_way.push(latest);
        }
    }

    /// What a crash leaves: the store, and what the ticket system has. No request on its way arrives any more.
    pub(crate) fn after_the_end_of_all(&self, setup: &Setup) -> Self {
        Self {
            workers: vec![Stage::Idle; self.workers.len()],
            is_down: matches!(setup.fleet, Fleet::Alone { .. }),
            on_their_way: vec![],
            hands: 0,
            failed_searches: 0,
            ..self.clone()
        }
    }

    /// The tickets that a search shows that lags so many ticks behind, of each a bit.
    pub(crate) fn shown(&self, behind: u32) -> u8 {
        let shown = |ticket: &Ticket| self.is_shown(ticket.created, behind);
        let bits = self.tickets.iter().enumerate().filter(|(_, ticket)| shown(ticket));
        bits.fold(0, |bits, (number, _)| bits | 1 << number)
    }

    /// Whether a search that lags so many ticks behind shows what was made at `created`: within a tick it may have been
    /// made last and asked for first.
    pub(crate) fn is_shown(&self, created: u32, behind: u32) -> bool {
        !self.is_blind && (behind == 0 || created + behind < self.now)
    }
}

/// The ticket system's word for a ticket.
pub(crate) fn ticket_ref(number: u8) -> TicketRef {
    TicketRef { id: (number + 1).to_string(), key: String::new(), url: String::new() }
}

/// The number of a ticket by its reference.
pub(crate) fn number_of(ticket: &TicketRef) -> Option<usize> {
    ticket.id.parse::<usize>().ok()?.checked_sub(1)
}
