//! Breadth first through every state, so that the first violation has the shortest story.

use std::collections::HashSet;

use crate::fault_free::FairWeather;
use crate::state_key::{Key, key};
use crate::promise::{Violation, broken};
use crate::setup::{Promise, Setup};
use crate::step::Step;
use crate::trace::Story;
use crate::apply_step::Mover;
use crate::world::World;

/// What an exploration found.
#[derive(Debug)]
pub struct Report {
    /// States that differ.
    pub states: usize,
    /// Steps to the state that is farthest away.
    pub depth: usize,
    /// The most ticks of fair weather that any of them needed to its end.
    pub longest_recovery: u32,
    /// Whether there were more states than were allowed for.
    pub is_cut_short: bool,
    pub violation: Option<Story>,
}

struct Explorer<'a> {
    mover: Mover<'a>,
    seen: HashSet<Key>,
    /// Of each state the one before it, and the step between.
    origins: Vec<(u32, Step)>,
    fair: FairWeather,
}

/// Explores every state of a setup, up to `most_states`.
#[must_use]
pub fn check(setup: &Setup, most_states: usize) -> Report {
    let mover = Mover::new(setup);
    let mut explorer =
        Explorer { mover, seen: HashSet::new(), origins: vec![], fair: FairWeather::default() };
    let first = World::new(setup);
    explorer.seen.insert(key(setup, &first));
    explorer.origins.push((0, Step::Tick));
    let (mut level, mut depth) = (vec![(0, first)], 0);
    while !level.is_empty() && explorer.origins.len() < most_states {
        match explorer.next_level(&level) {
            Ok(next) => level = next,
            Err(story) => return explorer.report(depth + 1, false, Some(*story)),
        }
        depth += usize::from(!level.is_empty());
    }
    explorer.report(depth, !level.is_empty(), None)
}

// === impl Explorer ===

impl Explorer<'_> {
    fn next_level(&mut self, level: &[(u32, World)]) -> Result<Vec<(u32, World)>, Box<Story>> {
        let setup = self.mover.setup;
        let mut next_level = vec![];
        for (origin, world) in level {
            for step in Step::all(setup, world) {
                let Some(next) = self.mover.take(world, step) else { continue };
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

    fn judge(&mut self, id: u32, world: &World) -> Result<(), Box<Story>> {
        if let Some(violation) = broken(self.mover.setup, world) {
            return Err(self.story(id, violation, vec![]));
        }
        if self.mover.setup.promise == Promise::OneTicket {
            return Ok(());
        }
        let fair = self.fair.run(&self.mover, world);
        fair.map_err(|foul| self.story(id, foul.violation, foul.steps))
    }

    fn story(&self, id: u32, violation: Violation, fair: Vec<Step>) -> Box<Story> {
        let (mut steps, mut at) = (vec![], id);
        while at != 0 {
            let (origin, step) = self.origins[at as usize];
            steps.push(step);
            at = origin;
        }
        steps.reverse();
        Box::new(Story::new(self.mover.setup, steps, fair, violation))
    }

    fn report(self, depth: usize, is_cut_short: bool, violation: Option<Story>) -> Report {
        let (states, longest_recovery) = (self.origins.len(), self.fair.longest);
        Report { states, depth, longest_recovery, is_cut_short, violation }
    }
}
