//! The possible steps.

use ticketing_core::delivery::{DuplicateScan, State};

use crate::guard::Guard;
use crate::setup::{Canaries, Fleet, Setup, Tickets, ticks_from};
use crate::world::{CanaryView, WorkerState, World};

/// A step. Workers are numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Time passes.
    Tick,
    /// A worker dies: in a fleet its server, in a single server all its workers.
    Crash(u8),
    /// The only server restarts, and expires all leases.
    Restart,
    /// Expired leases are released.
    ExpireLease,
    Claim(u8),
    /// Preparing the ticket fails.
    PrepareFails(u8),
    Intend(u8),
    Check(u8),
    /// The whole request is sent.
    Write(u8),
    /// The transport aborts the request at its deadline, before the first byte.
    Cut(u8),
    NoConnection(u8),
    /// The ticket system creates the ticket.
    Apply(u8),
    /// The ticket system refuses the create.
    Refuse(u8),
    /// The reply arrives: the ticket was created.
    Reply(u8),
    /// The reply does not arrive, or is untrustworthy.
    LoseReply(u8),
    /// The worker commits its result.
    Record(u8),
    /// An abandoned request is applied.
    ApplyLate(u8),
    /// A search with this lag in ticks.
    Search {
        worker: u8,
        behind: u8,
        canary: CanaryView,
    },
    SearchFails(u8),
    /// Another ticket of ours is delivered, and read back with its marker.
    ShowEvidence,
    /// A duplicate scan with this lag in ticks.
    ScanForDuplicates {
        behind: u8,
    },
    Interfere(Interference),
}

/// An interference from outside. An operator's statement is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interference {
    /// The same incident is pushed again.
    Expedite,
    /// The target's settings were changed, or it has recovered.
    Recover,
    Retry,
    /// "There is no ticket, and none is coming: create it."
    CreateAnyway,
    Cancel,
    /// "It is this ticket."
    Resolve,
}

// === impl Step ===

impl Step {
    /// All possible steps.
    pub(crate) fn all(setup: &Setup, world: &World) -> Vec<Self> {
        let mut steps = vec![Self::Tick];
        for (request, latest) in (0..).zip(&world.in_transit) {
            if world.now < *latest {
                steps.push(Self::ApplyLate(request));
            }
        }
        if world.is_down {
            steps.push(Self::Restart);
            return steps;
        }
        steps.push(Self::ExpireLease);
        Self::of_workers(setup, world, &mut steps);
        if is_scan_due(setup, world) {
            let lags = 0..=setup.vendor.index_lag as u8;
            steps.extend(lags.map(|behind| Self::ScanForDuplicates { behind }));
        }
        if may_show_evidence(setup, world) {
            steps.push(Self::ShowEvidence);
        }
        if world.interferences > 0 {
            steps.extend(Interference::ALL.map(Self::Interfere));
        }
        steps
    }

    /// The next step of a run without faults, in which only the first worker is left.
    pub(crate) fn fair(setup: &Setup, world: &World) -> Self {
        if world.is_down {
            return Self::Restart;
        }
        let is_over = |until| ticks_from(world.now, until) <= 0;
        if world.delivery.lease_until.is_some_and(is_over) {
            return Self::ExpireLease;
        }
        match world.workers[0] {
            WorkerState::Idle if world.claimable_as().is_some() => Self::Claim(0),
            WorkerState::Idle if may_show_evidence(setup, world) => Self::ShowEvidence,
            WorkerState::Idle if is_scan_due(setup, world) => Self::ScanForDuplicates { behind: 0 },
            WorkerState::Idle => Self::Tick,
            WorkerState::Claimed { searching: true, .. } => {
                Self::Search { worker: 0, behind: 0, canary: CanaryView::Unknown }
            }
            WorkerState::Claimed { .. } => Self::Intend(0),
            WorkerState::Intended { .. } => Self::Check(0),
            WorkerState::Checked { .. } => Self::Write(0),
            WorkerState::Sent { ticket: None, .. } => Self::Apply(0),
            WorkerState::Sent { .. } => Self::Reply(0),
            WorkerState::Ended { .. } | WorkerState::Searched { .. } => Self::Record(0),
        }
    }

    fn of_workers(setup: &Setup, world: &World, steps: &mut Vec<Self>) {
        let mut an_idle_one = false;
        for (worker, stage) in (0..).zip(&world.workers) {
            if *stage != WorkerState::Idle {
                Self::of_worker(setup, world, worker, *stage, steps);
            } else if !an_idle_one {
                // Idle workers are equivalent.
                an_idle_one = true;
                if may_claim(setup, world) {
                    steps.push(Self::Claim(worker));
                }
            }
        }
        match setup.fleet {
            Fleet::Alone { .. } => steps.push(Self::Crash(0)),
            Fleet::Shared { .. } => {
                let busy = (0..).zip(&world.workers).filter(|(_, stage)| **stage != WorkerState::Idle);
                steps.extend(busy.map(|(worker, _)| Self::Crash(worker)));
            }
        }
    }

    fn of_worker(setup: &Setup, world: &World, worker: u8, stage: WorkerState, steps: &mut Vec<Self>) {
        let now = world.now;
        match stage {
            WorkerState::Idle => {}
            WorkerState::Claimed { searching: true, .. } => Self::searches(setup, world, worker, steps),
            WorkerState::Claimed { .. } => steps.extend([Self::PrepareFails(worker), Self::Intend(worker)]),
            WorkerState::Intended { .. } => steps.push(Self::Check(worker)),
            WorkerState::Checked { deadline, .. } => {
                steps.push(Self::NoConnection(worker));
                if now < deadline || setup.paused_writer || setup.lacks(Guard::SendDeadline) {
                    steps.push(Self::Write(worker));
                } else {
                    steps.push(Self::Cut(worker));
                }
            }
            WorkerState::Sent { ticket: None, latest, .. } => {
                if now < latest {
                    steps.extend([Self::Apply(worker), Self::Refuse(worker)]);
                }
                steps.push(Self::LoseReply(worker));
            }
            WorkerState::Sent { .. } => steps.extend([Self::Reply(worker), Self::LoseReply(worker)]),
            WorkerState::Ended { .. } | WorkerState::Searched { .. } => steps.push(Self::Record(worker)),
        }
    }

    /// Every search with a distinct result.
    fn searches(setup: &Setup, world: &World, worker: u8, steps: &mut Vec<Self>) {
        let from = canaries_from(setup, world).filter(|from| *from <= world.now);
        let mut answers = vec![];
        for behind in 0..=setup.vendor.index_lag {
            let known = from.map(|from| match world.is_shown(from, behind) {
                true => CanaryView::Seen,
                false => CanaryView::Unseen,
            });
            let unknown =
                (setup.canaries != Canaries::Always || known.is_none()).then_some(CanaryView::Unknown);
            for canary in unknown.into_iter().chain(known) {
                let answer = (world.shown(behind), canary);
                if !answers.contains(&answer) {
                    answers.push(answer);
                    steps.push(Self::Search { worker, behind: behind as u8, canary });
                }
            }
        }
        if world.failed_searches > 0 {
            steps.push(Self::SearchFails(worker));
        }
    }
}

// === impl Interference ===

impl Interference {
    pub(crate) const ALL: [Self; 6] =
        [Self::Expedite, Self::Recover, Self::Retry, Self::CreateAnyway, Self::Cancel, Self::Resolve];
}

/// When the first canary can have been created.
fn canaries_from(setup: &Setup, world: &World) -> Option<u32> {
    let from = match setup.lacks(Guard::CanaryAge) {
        true => world.delivery.send.as_ref().map(|send| send.deadline),
        false => world.delivery.canaries_from(setup.server_bound()),
    };
    let from = from.filter(|_| setup.canaries != Canaries::Never)?;
    u32::try_from(ticks_from(0, from)).ok()
}

fn may_show_evidence(setup: &Setup, world: &World) -> bool {
    setup.tickets == Tickets::ShownLater && !world.has_evidence
}

fn may_claim(setup: &Setup, world: &World) -> bool {
    let is_held = world.delivery.state == State::Attempting;
    world.claimable_as().is_some() || setup.lacks(Guard::Lease) && is_held
}

fn is_scan_due(setup: &Setup, world: &World) -> bool {
    let is_due = |scan: &DuplicateScan| ticks_from(world.now, scan.due_at) <= 0;
    setup.duplicate_scans && world.delivery.duplicate_scan.as_ref().is_some_and(is_due)
}
