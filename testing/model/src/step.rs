//! What can happen next.

use ticketing_core::delivery::{DuplicateScan, State};

use crate::guards::Guard;
use crate::setup::{Fleet, Setup, Tickets, Witnesses, ticks_from};
use crate::world::{Stage, World};

/// One thing that happens. Workers are named by their number from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Time passes.
    Tick,
    /// A worker dies: in a fleet its server, in a server alone all that was in it.
    Crash(u8),
    /// The only server is started again, and ends all leases.
    Restart,
    /// Expired leases are ended.
    Lapse,
    Claim(u8),
    /// The ticket cannot be prepared.
    PrepareFails(u8),
    Intend(u8),
    Check(u8),
    /// The first byte, and then the whole request.
    Write(u8),
    /// The transport gives the request up at its deadline, before the first byte.
    Cut(u8),
    NoConnection(u8),
    /// The ticket system makes the ticket.
    Apply(u8),
    /// The ticket system refuses, and says so.
    Refuse(u8),
    /// The answer arrives: the ticket was made.
    Reply(u8),
    /// The answer does not arrive, or cannot be trusted.
    Lose(u8),
    /// What the worker knows is committed.
    Record(u8),
    /// An abandoned request is applied.
    ApplyLate(u8),
    /// A search that lags so many ticks behind.
    Search {
        worker: u8,
        behind: u8,
        witness: Witness,
    },
    SearchFails(u8),
    /// Another ticket of ours is delivered, and read back with its marker.
    ShowEvidence,
    /// A search for duplicates, that lags so many ticks behind.
    Sweep {
        behind: u8,
    },
    Interfere(Interference),
}

/// What a search showed of the tickets that were made after all that the uncertain send could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witness {
    /// None was known.
    Unknown,
    /// At least one was known, and none was shown.
    Unseen,
    Seen,
}

/// Who interferes from outside. An operator tells the truth as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interference {
    /// The same incident is pushed again.
    Hasten,
    /// The target's settings were changed, or it is well again.
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
    /// All that can happen next.
    pub(crate) fn all(setup: &Setup, world: &World) -> Vec<Self> {
        let mut steps = vec![Self::Tick];
        for (request, latest) in (0..).zip(&world.on_their_way) {
            if world.now < *latest {
                steps.push(Self::ApplyLate(request));
            }
        }
        if world.is_down {
            steps.push(Self::Restart);
            return steps;
        }
        steps.push(Self::Lapse);
        Self::of_workers(setup, world, &mut steps);
        if is_sweep_due(setup, world) {
            let lags = 0..=setup.vendor.index_lag as u8;
            steps.extend(lags.map(|behind| Self::Sweep { behind }));
        }
        if may_show_evidence(setup, world) {
            steps.push(Self::ShowEvidence);
        }
        if world.hands > 0 {
            steps.extend(Interference::ALL.map(Self::Interfere));
        }
        steps
    }

    /// The one thing that happens next without faults, when only the first worker is left.
    pub(crate) fn fair(setup: &Setup, world: &World) -> Self {
        if world.is_down {
            return Self::Restart;
        }
        let is_over = |until| ticks_from(world.now, until) <= 0;
        if world.delivery.lease_until.is_some_and(is_over) {
            return Self::Lapse;
        }
        match world.workers[0] {
            Stage::Idle if world.claimable_as().is_some() => Self::Claim(0),
            Stage::Idle if may_show_evidence(setup, world) => Self::ShowEvidence,
            Stage::Idle if is_sweep_due(setup, world) => Self::Sweep { behind: 0 },
            Stage::Idle => Self::Tick,
            Stage::Claimed { searching: true, .. } => {
                Self::Search { worker: 0, behind: 0, witness: Witness::Unknown }
            }
            Stage::Claimed { .. } => Self::Intend(0),
            Stage::Intended { .. } => Self::Check(0),
            Stage::Checked { .. } => Self::Write(0),
            Stage::Sent { ticket: None, .. } => Self::Apply(0),
            Stage::Sent { .. } => Self::Reply(0),
            Stage::Ended { .. } | Stage::Searched { .. } => Self::Record(0),
        }
    }

    fn of_workers(setup: &Setup, world: &World, steps: &mut Vec<Self>) {
        let mut an_idle_one = false;
        for (worker, stage) in (0..).zip(&world.workers) {
            if *stage != Stage::Idle {
                Self::of_worker(setup, world, worker, *stage, steps);
            } else if !an_idle_one {
                // The idle ones are all alike.
                an_idle_one = true;
                if may_claim(setup, world) {
                    steps.push(Self::Claim(worker));
                }
            }
        }
        match setup.fleet {
            Fleet::Alone { .. } => steps.push(Self::Crash(0)),
            Fleet::Shared { .. } => {
                let busy = (0..).zip(&world.workers).filter(|(_, stage)| **stage != Stage::Idle);
                steps.extend(busy.map(|(worker, _)| Self::Crash(worker)));
            }
        }
    }

    fn of_worker(setup: &Setup, world: &World, worker: u8, stage: Stage, steps: &mut Vec<Self>) {
        let now = world.now;
        match stage {
            Stage::Idle => {}
            Stage::Claimed { searching: true, .. } => Self::searches(setup, world, worker, steps),
            Stage::Claimed { .. } => steps.extend([Self::PrepareFails(worker), Self::Intend(worker)]),
            Stage::Intended { .. } => steps.push(Self::Check(worker)),
            Stage::Checked { deadline, .. } => {
                steps.push(Self::NoConnection(worker));
                if now < deadline || setup.paused_writer || setup.lacks(Guard::SendDeadline) {
                    steps.push(Self::Write(worker));
                } else {
                    steps.push(Self::Cut(worker));
                }
            }
            Stage::Sent { ticket: None, latest, .. } => {
                if now < latest {
                    steps.extend([Self::Apply(worker), Self::Refuse(worker)]);
                }
                steps.push(Self::Lose(worker));
            }
            Stage::Sent { .. } => steps.extend([Self::Reply(worker), Self::Lose(worker)]),
            Stage::Ended { .. } | Stage::Searched { .. } => steps.push(Self::Record(worker)),
        }
    }

    /// Every search whose answer differs.
    fn searches(setup: &Setup, world: &World, worker: u8, steps: &mut Vec<Self>) {
        let from = canaries_from(setup, world).filter(|from| *from <= world.now);
        let mut answers = vec![];
        for behind in 0..=setup.vendor.index_lag {
            let known = from.map(|from| match world.is_shown(from, behind) {
                true => Witness::Seen,
                false => Witness::Unseen,
            });
            let unknown =
                (setup.canaries != Witnesses::Always || known.is_none()).then_some(Witness::Unknown);
            for witness in unknown.into_iter().chain(known) {
                let answer = (world.shown(behind), witness);
                if !answers.contains(&answer) {
                    answers.push(answer);
                    steps.push(Self::Search { worker, behind: behind as u8, witness });
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
        [Self::Hasten, Self::Recover, Self::Retry, Self::CreateAnyway, Self::Cancel, Self::Resolve];
}

/// When the first witness may have been made.
fn canaries_from(setup: &Setup, world: &World) -> Option<u32> {
    let from = match setup.lacks(Guard::WitnessAge) {
        true => world.delivery.send.as_ref().map(|send| send.deadline),
        false => world.delivery.canaries_from(setup.server_bound()),
    };
    let from = from.filter(|_| setup.canaries != Witnesses::Never)?;
    u32::try_from(ticks_from(0, from)).ok()
}

fn may_show_evidence(setup: &Setup, world: &World) -> bool {
    setup.tickets == Tickets::ShownLater && !world.has_evidence
}

fn may_claim(setup: &Setup, world: &World) -> bool {
    let is_held = world.delivery.state == State::Attempting;
    world.claimable_as().is_some() || setup.lacks(Guard::Lease) && is_held
}

fn is_sweep_due(setup: &Setup, world: &World) -> bool {
    let is_due = |sweep: &DuplicateScan| ticks_from(world.now, sweep.due_at) <= 0;
    setup.duplicate_scans && world.delivery.duplicate_scan.as_ref().is_some_and(is_due)
}
