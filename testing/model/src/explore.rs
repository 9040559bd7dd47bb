//! Breadth-first exploration of every state, so that the first violation has a shortest trace.

use std::collections::HashSet;

use crate::apply_step::StepRunner;
use crate::fault_free::FaultFreeRun;
use crate::promise::{Violation, broken};
use crate::setup::{Promise, Setup};
use crate::state_key::{Key, key};
use crate::step::Step;
use crate::trace::Trace;
use crate::world::World;

/// The result of an exploration.
#[derive(Debug)]
pub struct Report {
    /// Number of distinct states.
    pub states: usize,
    /// Depth of the farthest state.
    pub depth: usize,
    /// Maximum number of ticks that a run without faults needed to its end.
    pub longest_recovery: u32,
    /// Whether the limit of states was exceeded.
    pub is_cut_short: bool,
    pub violation: Option<Trace>,
}

struct Explorer<'a> {
    runner: StepRunner<'a>,
    seen: HashSet<Key>,
    /// The predecessor of each state, and the step between.
    origins: Vec<(u32, Step)>,
    fair: FaultFreeRun,
}

/// Explores every state of a setup, up to `max_states`.
#[must_use]
pub fn check(setup: &Setup, max_states: usize) -> Report {
    let runner = StepRunner::new(setup);
    let mut explorer =
        Explorer { runner, seen: HashSet::new(), origins: vec![], fair: FaultFreeRun::default() };
    let first = World::new(setup);
    explorer.seen.insert(key(setup, &first));
    explorer.origins.push((0, Step::Tick));
    let mut level = vec![(0, first)];
    let mut depth = 0;
    while !level.is_empty() && explorer.origins.len() < max_states {
        match explorer.next_level(&level) {
            Ok(next) => level = next,
            Err(trace) => return explorer.report(depth + 1, false, Some(*trace)),
        }
        depth += usize::from(!level.is_empty());
    }
    explorer.report(depth, !level.is_empty(), None)
}

// === impl Explorer ===

impl Explorer<'_> {
    fn next_level(&mut self, level: &[(u32, World)]) -> Result<Vec<(u32, World)>, Box<Trace>> {
        let setup = self.runner.setup;
        let mut next_level = vec![];
        for (origin, world) in level {
            for step in Step::all(setup, world) {
                let Some(next) = self.runner.take(world, step) else { continue };
                if !self.seen.insert(key(setup, &next)) {
                    continue;
                }
                let id = u32::try_from(self.origins.len()).expect("memory ends before the numbers do");
                self.origins.push((*origin, step));
                self.judge(id, &next)?;
                next_level.push((id, next));
            }
        }
        Ok(next_level)
    }

    fn judge(&mut self, id: u32, world: &World) -> Result<(), Box<Trace>> {
        if let Some(violation) = broken(self.runner.setup, world) {
            return Err(self.trace(id, violation, vec![]));
        }
        if self.runner.setup.promise == Promise::OneTicket {
            return Ok(());
        }
        let fair = self.fair.run(&self.runner, world);
        fair.map_err(|foul| self.trace(id, foul.violation, foul.steps))
    }

    fn trace(&self, id: u32, violation: Violation, fair: Vec<Step>) -> Box<Trace> {
        let mut steps = vec![];
        let mut at = id;
        while at != 0 {
            let (origin, step) = self.origins[at as usize];
            steps.push(step);
            at = origin;
        }
        steps.reverse();
        Box::new(Trace::new(self.runner.setup, steps, fair, violation))
    }

    fn report(self, depth: usize, is_cut_short: bool, violation: Option<Trace>) -> Report {
        let states = self.origins.len();
        let longest_recovery = self.fair.longest;
        Report { states, depth, longest_recovery, is_cut_short, violation }
    }
}
