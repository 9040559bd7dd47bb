//! Applies each step: the worker's in the order of the real dispatcher, each decision by the domain function
//! that the store calls.

use std::rc::Rc;

use jiff::Timestamp;
use ticketing_core::delivery::look_up::LookUp;
use ticketing_core::delivery::settle::SendIntent;
use ticketing_core::delivery::{Delivery, Outcome, Resolution, Settled, State};
use ticketing_core::evidence::Evidence;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::policy::Policy;
use ticketing_core::system::{Authorship, Created, Destination, FoundTicket, SearchResult};

use crate::guard::Guard;
use crate::setup::{Fleet, Setup, time};
use crate::step::{Interference, Step};
use crate::world::{CanaryView, End, SearchView, WorkerState, World, ticket_ref};

/// Applies the steps of one setup.
#[derive(Debug)]
pub(crate) struct StepRunner<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) policy: Policy,
}

// === impl StepRunner ===

impl<'a> StepRunner<'a> {
    pub(crate) fn new(setup: &'a Setup) -> Self {
        Self { setup, policy: setup.policy() }
    }

    /// The world after `step`, which must be possible; `None` if nothing changed.
    pub(crate) fn take(&self, world: &World, step: Step) -> Option<World> {
        if step == Step::ExpireLease {
            let settled = self.expire_lease(world)?;
            return Some(World { delivery: Rc::new(settled.delivery), ..world.clone() });
        }
        let mut next = world.clone();
        self.change(&mut next, step).then_some(next)
    }

    fn change(&self, world: &mut World, step: Step) -> bool {
        match step {
            Step::Tick => tick(world),
            Step::Crash(worker) => self.crash(world, worker),
            Step::Restart => self.restart(world),
            Step::ExpireLease => unreachable!("taken before"),
            Step::Claim(worker) => self.claim(world, worker),
            Step::Intend(worker) => self.intend(world, worker),
            Step::Search { worker, behind, canary } => {
                let shown = world.shown(behind.into());
                searched(world, worker, Some(SearchView { shown, canary }));
            }
            Step::SearchFails(worker) => {
                world.failed_searches -= 1;
                searched(world, worker, None);
            }
            Step::Record(worker) => return self.record(world, worker),
            Step::ApplyLate(request) => {
                world.in_transit.remove(request.into());
                world.make_ticket();
            }
            Step::ShowEvidence => {
                world.has_evidence = true;
                world.commit(Delivery::search_proven);
            }
            Step::ScanForDuplicates { behind } => return self.scan(world, behind),
            Step::Interfere(interference) => return apply_interference(world, interference, &self.policy),
            Step::PrepareFails(worker)
            | Step::Check(worker)
            | Step::Write(worker)
            | Step::Cut(worker)
            | Step::NoConnection(worker)
            | Step::Apply(worker)
            | Step::Refuse(worker)
            | Step::Reply(worker)
            | Step::LoseReply(worker) => self.send(world, worker, step),
        }
        true
    }

    /// Steps of the request alone, which do not affect the store.
    fn send(&self, world: &mut World, worker: u8, step: Step) {
        let index = usize::from(worker);
        let stage = world.workers[index];
        let ended = |end| WorkerState::Ended { epoch: stage.epoch(), end };
        world.workers[index] = match (step, stage) {
            (Step::PrepareFails(_), _) => ended(End::NotPrepared),
            (Step::Check(_), WorkerState::Intended { epoch, deadline })
                if world.now < deadline || self.setup.lacks(Guard::SendDeadline) =>
            {
                WorkerState::Checked { epoch, deadline }
            }
            (Step::Check(_), _) => ended(End::TooLate),
            (Step::Write(_), WorkerState::Checked { epoch, deadline }) => {
                let latest = deadline.max(world.now + 1) + self.setup.vendor.server_lag;
                WorkerState::Sent { epoch, latest, ticket: None }
            }
            (Step::NoConnection(_), _) => ended(End::NoConnection),
            (Step::Apply(_), WorkerState::Sent { epoch, latest, .. }) => {
                WorkerState::Sent { epoch, latest, ticket: Some(world.make_ticket()) }
            }
            (Step::Refuse(_), _) => ended(End::Refused),
            (Step::Reply(_), WorkerState::Sent { ticket: Some(ticket), .. }) => ended(End::Created(ticket)),
            (Step::LoseReply(_), _) => {
                world.abandon(stage);
                ended(End::UnknownOutcome)
            }
            // The transport cannot tell whether a byte was sent when it gave up.
            _ => ended(End::UnknownOutcome),
        };
    }

    fn crash(&self, world: &mut World, worker: u8) {
        match self.setup.fleet {
            Fleet::Shared { .. } => world.end(worker),
            Fleet::Alone { workers } => {
                (0..workers).for_each(|worker| world.end(worker));
                world.is_down = true;
            }
        }
    }

    /// This server owns the store, so no lease is valid now.
    fn restart(&self, world: &mut World) {
        world.is_down = false;
        world.commit(|delivery, now| end_lease(delivery, now)?.expire_lease(&self.policy, now));
    }

    /// Expires the lease if its time has passed.
    fn expire_lease(&self, world: &World) -> Option<Settled> {
        world.delivery.lease_until?;
        let delivery = Delivery::clone(&world.delivery);
        let now = world.time();
        let delivery = if self.setup.lacks(Guard::LeaseTerm) { end_lease(delivery, now)? } else { delivery };
        delivery.expire_lease(&self.policy, now)
    }

    fn claim(&self, world: &mut World, worker: u8) {
        let searching = world.delivery.state == State::Reconciling;
        world.commit(|delivery, now| Some(delivery.claim(self.policy.bounds.lease, now)));
        let epoch = world.delivery.epoch;
        world.workers[usize::from(worker)] = WorkerState::Claimed { epoch, searching };
    }

    fn intend(&self, world: &mut World, worker: u8) {
        let index = usize::from(worker);
        let epoch = world.workers[index].epoch();
        let deadline = world.now + self.setup.bounds.attempt_deadline;
        let intent = SendIntent {
            destination: Destination { base_url: String::new(), place: String::new() },
            made_by: Authorship::default(),
            index_bound: self.setup.index_bound(),
            deadline: time(deadline),
            marker_in_text: false,
            adjustments: vec![],
        };
        let own = self.epoch_of(&world.delivery, epoch);
        let intended = match self.setup.lacks(Guard::Intent) {
            true => Delivery::clone(&world.delivery).intend(own, intent, world.time()).is_some(),
            false => world.commit(|delivery, now| delivery.intend(own, intent, now)),
        };
        world.workers[index] =
            if intended { WorkerState::Intended { epoch, deadline } } else { WorkerState::Idle };
    }

    fn record(&self, world: &mut World, worker: u8) -> bool {
        let stage = std::mem::replace(&mut world.workers[usize::from(worker)], WorkerState::Idle);
        match stage {
            WorkerState::Ended { epoch, end } => {
                let outcome = self.outcome(end);
                let own = self.epoch_of(&world.delivery, epoch);
                let is_ours = world.delivery.state == State::Attempting && world.delivery.epoch == own;
                if is_ours || !self.setup.lacks(Guard::LateSuccess) {
                    world.commit(|delivery, now| delivery.settle(own, outcome, &self.policy, now, now, 0.0));
                }
            }
            WorkerState::Searched { epoch, asked, view } => {
                let own = match self.setup.lacks(Guard::LookUpEpoch) {
                    true => world.delivery.epoch,
                    false => self.epoch_of(&world.delivery, epoch),
                };
                let asked = if self.setup.lacks(Guard::AskedAt) { world.now } else { asked };
                let look_up = self.look_up(world, asked, view);
                world.commit(|delivery, now| delivery.settle_look_up(own, look_up, &self.policy, now));
            }
            _ => return false,
        }
        true
    }

    fn scan(&self, world: &mut World, behind: u8) -> bool {
        let shown = world.shown(behind.into());
        let answer = Ok(SearchResult { tickets: found(world, shown), canary_seen: false });
        let Some(step) = world.delivery.duplicate_scan.as_ref().map(|scan| scan.step) else { return false };
        let settled =
            world.commit(|delivery, now| delivery.settle_duplicate_scan(step, answer, &self.policy, now));
        world.is_scan_over = settled && world.delivery.duplicate_scan.is_none();
        settled
    }

    /// The epoch that a worker passes to the store.
    fn epoch_of(&self, delivery: &Delivery, own: u32) -> u32 {
        if self.setup.lacks(Guard::Epoch) { delivery.epoch } else { own }
    }

    fn outcome(&self, end: End) -> Outcome {
        let fault = |kind| Fault::new(kind, "");
        match end {
            End::NotPrepared => Outcome::NotSent(fault(FaultKind::Connect)),
            End::TooLate => Outcome::NotSent(fault(FaultKind::TooLate)),
            End::NoConnection => Outcome::Sent(Err(fault(FaultKind::Connect))),
            End::Refused => Outcome::Sent(Err(fault(FaultKind::Rejected))),
            End::UnknownOutcome if self.setup.lacks(Guard::LookUp) => {
                Outcome::Sent(Err(fault(FaultKind::Rejected)))
            }
            End::UnknownOutcome => Outcome::Sent(Err(fault(FaultKind::TimedOut))),
            End::Created(ticket) => {
                Outcome::Sent(Ok(Created { ticket: ticket_ref(ticket), adjustments: vec![] }))
            }
        }
    }

    fn look_up(&self, world: &World, asked: u32, view: Option<SearchView>) -> LookUp {
        let asked_at = time(asked);
        let Some(SearchView { shown, canary }) = view else {
            let answer = Err(Fault::new(FaultKind::Connect, ""));
            return LookUp { answer, had_canaries: false, evidence: Evidence::NoTicket, asked_at };
        };
        let at_once = self.setup.lacks(Guard::SecondAnswer);
        let canary_seen = canary == CanaryView::Seen || at_once;
        let answer = Ok(SearchResult { tickets: found(world, shown), canary_seen });
        let evidence = match world.has_evidence || self.setup.lacks(Guard::SearchEvidence) {
            true => Evidence::Shown,
            false => Evidence::NoTicket,
        };
        LookUp { answer, had_canaries: canary != CanaryView::Unknown, evidence, asked_at }
    }
}

// === impl WorkerState ===

impl WorkerState {
    pub(crate) fn epoch(self) -> u32 {
        match self {
            Self::Idle => 0,
            Self::Claimed { epoch, .. }
            | Self::Intended { epoch, .. }
            | Self::Checked { epoch, .. }
            | Self::Sent { epoch, .. }
            | Self::Ended { epoch, .. }
            | Self::Searched { epoch, .. } => epoch,
        }
    }
}

/// A request whose bound has passed can no longer be applied.
fn tick(world: &mut World) {
    world.now += 1;
    let now = world.now;
    world.in_transit.retain(|latest| now < *latest);
}

/// Its holder is assumed dead.
fn end_lease(mut delivery: Delivery, now: Timestamp) -> Option<Delivery> {
    delivery.lease_until.as_mut().map(|until| *until = now)?;
    Some(delivery)
}

/// A search is one step: a later result would only show more.
fn searched(world: &mut World, worker: u8, view: Option<SearchView>) {
    let stage = &mut world.workers[usize::from(worker)];
    *stage = WorkerState::Searched { epoch: stage.epoch(), asked: world.now, view };
}

/// The tickets of a search, oldest first.
fn found(world: &World, shown: u8) -> Vec<FoundTicket> {
    let tickets = (0_u8..).zip(&world.tickets);
    let shown = tickets.filter(|(number, _)| shown & (1 << number) != 0);
    shown
        .map(|(number, ticket)| FoundTicket {
            ticket: ticket_ref(number),
            created_at: Some(time(ticket.created)),
        })
        .collect()
}

/// False if there is nothing to do, or no true statement to make.
fn apply_interference(world: &mut World, interference: Interference, policy: &Policy) -> bool {
    let is_coming = !world.in_transit.is_empty()
        || world.workers.iter().any(|stage| {
            matches!(
                stage,
                WorkerState::Intended { .. } | WorkerState::Checked { .. } | WorkerState::Sent { .. }
            )
        });
    let ticket = (!world.tickets.is_empty()).then(|| ticket_ref(0));
    let decide = |delivery: Delivery, now: Timestamp| -> Option<Settled> {
        match interference {
            Interference::Expedite => delivery.expedite(now),
            Interference::Recover => delivery.connection_recovered(now),
            Interference::Retry => delivery.retry(false, now).ok(),
            Interference::CreateAnyway if ticket.is_some() || is_coming => None,
            Interference::CreateAnyway => delivery.retry(true, now).ok(),
            Interference::Cancel => delivery.cancel(policy, now).ok(),
            Interference::Resolve => delivery.resolve(ticket?, Resolution::Verified, policy, now).ok(),
        }
    };
    world.interferences -= 1;
    world.commit(decide)
}
