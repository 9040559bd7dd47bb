//! The trace of a violation, step by step.

use std::fmt;

use ticketing_core::delivery::State;

use crate::apply_step::StepRunner;
use crate::guard::Guard;
use crate::promise::{Violation, broken};
use crate::setup::{Fleet, Setup};
use crate::step::{Interference, Step};
use crate::world::{CanaryView, End, WorkerState, World, ticket_ref};

/// A shortest path to a broken promise. [`replay`] repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    pub violation: Violation,
    /// From the acceptance on.
    pub steps: Vec<Step>,
    /// The steps of the run without faults afterwards, once every worker has died.
    pub fair: Vec<Step>,
    lines: Vec<Line>,
}

/// A step, as printed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    tick: u32,
    text: String,
}

/// The result of replaying a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The promises that the last state breaks.
    pub violation: Option<Violation>,
    pub tickets: usize,
    pub state: State,
    /// Number of further tickets that the delivery knows.
    pub duplicates: usize,
}

/// Applies `steps` from the acceptance on; `None` if one of them is impossible.
#[must_use]
pub fn replay(setup: &Setup, steps: &[Step]) -> Option<Replayed> {
    let runner = StepRunner::new(setup);
    let mut world = World::new(setup);
    for step in steps {
        world = Step::all(setup, &world).contains(step).then(|| runner.take(&world, *step))??;
    }
    Some(Replayed {
        violation: broken(setup, &world),
        tickets: world.tickets.len(),
        state: world.delivery.state,
        duplicates: world.delivery.duplicates.len(),
    })
}

// === impl Trace ===

impl Trace {
    /// Describes the effect of `steps`, and of `fair` after the end of all workers.
    pub(crate) fn new(setup: &Setup, steps: Vec<Step>, fair: Vec<Step>, violation: Violation) -> Self {
        let runner = StepRunner::new(setup);
        let mut world = World::new(setup);
        let mut lines = vec![Line { tick: 0, text: "the incident is accepted".to_owned() }];
        let mut record = |world: &mut World, step: Step| {
            if let Some(next) = runner.take(world, step) {
                if step != Step::Tick {
                    lines.push(Line { tick: next.now, text: describe(setup, step, world, &next) });
                }
                *world = next;
            }
        };
        steps.iter().for_each(|step| record(&mut world, *step));
        if !fair.is_empty() {
            world = world.after_all_crashed(setup);
            fair.iter().for_each(|step| record(&mut world, *step));
        }
        lines.push(Line { tick: world.now, text: format!("=> {violation}") });
        Self { violation, steps, fair, lines }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "tick {:>2}  {}", line.tick, line.text))
    }
}

/// A step in words, and its effect on the delivery.
fn describe(setup: &Setup, step: Step, before: &World, after: &World) -> String {
    let text = describe_step(setup, step, before, after);
    let old = &before.delivery;
    let new = &after.delivery;
    match old.state == new.state {
        true => text,
        false => format!("{text}; the delivery is {}", new.state),
    }
}

fn describe_step(setup: &Setup, step: Step, before: &World, after: &World) -> String {
    let name = |worker: u8| name(setup, worker);
    let lacks = |guard| setup.lacks(guard);
    let newest = || ticket_ref(after.tickets.len() as u8 - 1).id;
    match step {
        Step::Tick => "time passes".to_owned(),
        Step::Crash(worker) => format!("{} crashes", crashed(setup, worker)),
        Step::Restart => "the server starts again, and ends all leases".to_owned(),
        Step::ExpireLease if lacks(Guard::LeaseTerm) => "another server ends the lease".to_owned(),
        Step::ExpireLease => "the lease is over".to_owned(),
        Step::Claim(worker) => claimed(&name(worker), after, worker),
        Step::PrepareFails(worker) => format!("{} cannot prepare the ticket", name(worker)),
        Step::Intend(worker) if lacks(Guard::Intent) => {
            format!("{} means to send, and stores nothing", name(worker))
        }
        Step::Intend(worker) => intended(&name(worker), after, worker),
        Step::Check(worker) if lacks(Guard::SendDeadline) => {
            format!("{} does not look at the time", name(worker))
        }
        Step::Check(worker) => checked(&name(worker), after, worker),
        Step::Write(worker) => format!("{} sends the request", name(worker)),
        Step::Cut(worker) => format!("{} is cut off by its transport at the deadline", name(worker)),
        Step::NoConnection(worker) => format!("{} gets no connection", name(worker)),
        Step::Apply(worker) => {
            format!("the ticket system makes ticket {} of the request of {}", newest(), name(worker))
        }
        Step::Refuse(worker) => format!("the ticket system refuses the request of {}", name(worker)),
        Step::Reply(worker) => format!("{} receives the reply that the ticket was made", name(worker)),
        Step::LoseReply(worker) => format!("{} gets no answer that it can trust", name(worker)),
        Step::Record(worker) if lacks(Guard::LookUp) && is_outcome_unknown(before, worker) => {
            format!("{} records: the ticket was refused, as far as it knows", name(worker))
        }
        Step::Record(worker) => recorded(&name(worker), before, worker),
        Step::ApplyLate(_) => {
            format!("the ticket system makes ticket {} of an abandoned request", newest())
        }
        Step::Search { worker, canary, .. } => searched(&name(worker), after, worker, canary),
        Step::SearchFails(worker) => format!("{} searches, and the search fails", name(worker)),
        Step::ShowEvidence => "another ticket is delivered, and read back with its marker".to_owned(),
        Step::ScanForDuplicates { .. } => "a duplicate scan searches for the marker".to_owned(),
        Step::Interfere(interference) => describe_interference(interference).to_owned(),
    }
}

fn name(setup: &Setup, worker: u8) -> String {
    match setup.fleet {
        Fleet::Alone { .. } => format!("task {}", worker + 1),
        Fleet::Shared { .. } => format!("server {}", worker + 1),
    }
}

fn crashed(setup: &Setup, worker: u8) -> String {
    match setup.fleet {
        Fleet::Alone { .. } => "the server".to_owned(),
        Fleet::Shared { .. } => name(setup, worker),
    }
}

fn claimed(name: &str, after: &World, worker: u8) -> String {
    let what = match after.workers[usize::from(worker)] {
        WorkerState::Claimed { searching: true, .. } => " to look for its ticket",
        _ => "",
    };
    format!("{name} claims the delivery{what} (epoch {})", after.delivery.epoch)
}

fn intended(name: &str, after: &World, worker: u8) -> String {
    match after.workers[usize::from(worker)] {
        WorkerState::Intended { deadline, .. } => format!("{name} means to send before tick {deadline}"),
        _ => format!("{name} finds its claim lost"),
    }
}

fn checked(name: &str, after: &World, worker: u8) -> String {
    match after.workers[usize::from(worker)] {
        WorkerState::Checked { .. } => format!("{name} sees that there is time left"),
        _ => format!("{name} sees that its time is over"),
    }
}

fn searched(name: &str, after: &World, worker: u8, canary: CanaryView) -> String {
    let found = match after.workers[usize::from(worker)] {
        WorkerState::Searched { view: Some(view), .. } if view.shown != 0 => "finds a ticket",
        _ => "finds nothing",
    };
    let canary = match canary {
        CanaryView::Unknown => "",
        CanaryView::Unseen => ", nor a later ticket of ours",
        CanaryView::Seen => ", beside a later ticket of ours",
    };
    format!("{name} searches and {found}{canary}")
}

fn is_outcome_unknown(before: &World, worker: u8) -> bool {
    matches!(before.workers[usize::from(worker)], WorkerState::Ended { end: End::UnknownOutcome, .. })
}

fn recorded(name: &str, before: &World, worker: u8) -> String {
    let what = match before.workers[usize::from(worker)] {
        WorkerState::Ended { end, .. } => match end {
            End::NotPrepared | End::NoConnection => "nothing was sent",
            End::TooLate => "it was too late to send",
            End::Refused => "the ticket was refused",
            End::UnknownOutcome => "the outcome of the request is unknown",
            End::Created(_) => "the ticket was made",
        },
        _ => "what the search showed",
    };
    format!("{name} records: {what}")
}

fn describe_interference(interference: Interference) -> &'static str {
    match interference {
        Interference::Expedite => "the same incident is pushed again",
        Interference::Recover => "the connection has recovered",
        Interference::Retry => "an operator has it tried again",
        Interference::CreateAnyway => "an operator who has looked has it created anyway",
        Interference::Cancel => "an operator cancels it",
        Interference::Resolve => "an operator names the ticket",
    }
}
