//! A run without faults: all workers are dead, a new one finishes the work, and nothing else goes wrong.

use std::collections::HashMap;

use ticketing_core::delivery::State;

use crate::apply_step::StepRunner;
use crate::promise::{Violation, broken, broken_at_end, has_unreported};
use crate::setup::Setup;
use crate::state_key::{Key, key};
use crate::step::Step;
use crate::world::World;

/// An upper bound of the steps within the allowed ticks.
const MAX_STEPS: usize = 1_000;

/// Runs without faults; common suffixes only once.
#[derive(Debug, Default)]
pub(crate) struct FaultFreeRun {
    /// Ticks to the end, by initial world.
    known: HashMap<Key, u32>,
    /// Maximum number of ticks needed.
    pub(crate) longest: u32,
}

/// A run without faults that did not settle the delivery.
#[derive(Debug)]
pub(crate) struct NotSettled {
    pub(crate) violation: Violation,
    /// The steps since all workers died.
    pub(crate) steps: Vec<Step>,
}

// === impl FaultFreeRun ===

impl FaultFreeRun {
    /// Continues the trace from `world` until the delivery is settled.
    pub(crate) fn run(&mut self, runner: &StepRunner<'_>, world: &World) -> Result<(), NotSettled> {
        let setup = runner.setup;
        let mut world = world.after_all_crashed(setup);
        let mut steps = vec![];
        let mut ticks = 0;
        let mut way = vec![];
        let left = loop {
            let key = key(setup, &world);
            if let Some(left) = self.known.get(&key) {
                break *left;
            }
            way.push((key, ticks));
            if is_settled_for_good(setup, &world) {
                match broken_at_end(setup, &world) {
                    Some(violation) => return Err(NotSettled { violation, steps }),
                    None => break 0,
                }
            }
            let step = Step::fair(setup, &world);
            steps.push(step);
            ticks += u32::from(step == Step::Tick);
            let was_scan_over = world.is_scan_over;
            let next =
                runner.take(&world, step).filter(|_| steps.len() < MAX_STEPS && ticks <= setup.max_ticks());
            let Some(next) = next else {
                return Err(NotSettled { violation: Violation::Stuck(world.delivery.state), steps });
            };
            world = next;
            if let Some(violation) = broken(setup, &world) {
                return Err(NotSettled { violation, steps });
            }
            if !was_scan_over && world.is_scan_over && has_unreported(&world) {
                return Err(NotSettled { violation: Violation::DuplicateUnreported, steps });
            }
        };
        let total = ticks + left;
        if total > setup.max_ticks() {
            return Err(NotSettled { violation: Violation::Stuck(world.delivery.state), steps });
        }
        self.longest = self.longest.max(total);
        self.known.extend(way.into_iter().map(|(key, at)| (key, total - at)));
        Ok(())
    }
}

fn is_settled_for_good(setup: &Setup, world: &World) -> bool {
    let is_settled = matches!(world.delivery.state, State::Delivered | State::Failed | State::Cancelled);
    is_settled && !world.is_down && !(setup.duplicate_scans && world.delivery.duplicate_scan.is_some())
}
