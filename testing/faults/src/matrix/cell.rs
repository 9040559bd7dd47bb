//! One cell of the matrix: a fault at a point.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use ticketing_harness::Plan;
use ticketing_simulator::{FaultScriptRecord, Simulator};

use crate::panic_message::task_panic_message;

/// Time limit of a cell.
const MAX_DURATION: Duration = Duration::from_secs(180);

/// In the failure of a cell that recovered after its limit.
pub(super) const LATE: &str = "to be well again, and may take";

/// A fault at a point, and how it is run.
#[derive(Clone)]
pub(crate) struct Cell {
    pub(crate) family: &'static str,
    pub(crate) fault: String,
    /// Where it applies: a point of the program, a vendor, a call.
    pub(crate) at: String,
    scenario: Scenario,
}

#[derive(Clone)]
enum Scenario {
    Applies(Arc<dyn Fn(CellContext) -> BoxFuture<'static, ()> + Send + Sync>),
    DoesNotApply(&'static str),
}

/// The environment of a cell.
#[derive(Debug, Clone, Default)]
pub(crate) struct CellContext {
    /// Another build of the server, for example one without a guard.
    program: Option<PathBuf>,
    recoveries: Arc<Mutex<Vec<Duration>>>,
    /// The fault scripts of every simulator that the cell has started.
    faults: Arc<Mutex<Vec<FaultScriptRecord>>>,
}

/// The result of a cell.
#[derive(Debug)]
pub(crate) enum Verdict {
    Passed { recoveries: Vec<Duration> },
    Failed { why: String },
    DoesNotApply { why: &'static str },
}

// === impl Cell ===

impl Cell {
    /// A cell that panics if a promise breaks.
    pub(crate) fn new<F, P>(
        family: &'static str,
        fault: impl Into<String>,
        at: impl Into<String>,
        run: P,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        P: Fn(CellContext) -> F + Send + Sync + 'static,
    {
        let scenario = Scenario::Applies(Arc::new(move |context| run(context).boxed()));
        Self { family, fault: fault.into(), at: at.into(), scenario }
    }

    /// A cell that does not apply, with the reason.
    pub(crate) fn does_not_apply(
        family: &'static str,
        fault: impl Into<String>,
        at: impl Into<String>,
        why: &'static str,
    ) -> Self {
        Self { family, fault: fault.into(), at: at.into(), scenario: Scenario::DoesNotApply(why) }
    }

    /// Why the cell does not apply; absent if it does.
    pub(crate) fn why_not(&self) -> Option<&'static str> {
        match self.scenario {
            Scenario::Applies(_) => None,
            Scenario::DoesNotApply(why) => Some(why),
        }
    }

    /// Plays it, on another build of the server if one is given.
    pub(crate) async fn run(&self, program: Option<&Path>) -> Verdict {
        let run = match &self.scenario {
            Scenario::Applies(run) => run,
            Scenario::DoesNotApply(why) => return Verdict::DoesNotApply { why },
        };
        let context = CellContext { program: program.map(Path::to_owned), ..CellContext::default() };
        let mut task = tokio::spawn(run(context.clone()));
        match tokio::time::timeout(MAX_DURATION, &mut task).await {
            // Without a guard a cell may end before all of its faults triggered.
            Ok(Ok(())) if program.is_none() && !context.never_triggered().is_empty() => {
                let missed = context.never_triggered().join("\n  ");
                Verdict::Failed {
                    why: format!("its faults triggered on no call, so it has tested nothing:\n  {missed}"),
                }
            }
            Ok(Ok(())) => Verdict::Passed { recoveries: context.take_recoveries() },
            Ok(Err(panicked)) => Verdict::Failed { why: task_panic_message(panicked) },
            Err(_) => {
                task.abort();
                Verdict::Failed { why: format!("it did not end within {MAX_DURATION:?}") }
            }
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {} / {}", self.family, self.fault, self.at)
    }
}

// === impl CellContext ===

impl CellContext {
    /// Plan of a world for the cell, by default with a server in this process.
    pub(crate) fn plan(&self) -> Plan {
        let faults = self.faults.clone();
        let plan = Plan::new().observed_by(move |simulator| note(&faults, simulator));
        match &self.program {
            Some(program) => plan.with_program(program),
            None => plan,
        }
    }

    /// Everything had recovered `after` the fault, which must not have taken longer than `limit`.
    pub(crate) fn recovered(&self, after: Duration, limit: Duration) {
        assert!(after <= limit, "it took {after:?} {LATE} {limit:?}");
        self.recoveries.lock().unwrap_or_else(PoisonError::into_inner).push(after);
    }

    /// Rules of fault scripts that never applied.
    fn never_triggered(&self) -> Vec<String> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter().flat_map(FaultScriptRecord::never_triggered).collect()
    }

    fn take_recoveries(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.recoveries.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn note(faults: &Mutex<Vec<FaultScriptRecord>>, simulator: &Simulator) {
    faults.lock().unwrap_or_else(PoisonError::into_inner).push(simulator.fault_script_record());
}

#[cfg(test)]
mod tests {
    use ticketing_simulator::{Call, Effect, Profile, Rule, Vendor, When};

    use super::*;

    async fn run(why_not: Option<&'static str>) -> Verdict {
        let cell = Cell::new("test", "fault that triggers on no call", "here", move |context| async move {
            let simulator =
                Simulator::start(Vendor::JiraCloud, Profile::of(Vendor::JiraCloud)).await.unwrap();
            note(&context.faults, &simulator);
            let rule = Rule::new(Call::Search, When::Always, Effect::DropBefore);
            match why_not {
                Some(why) => simulator.faults().push_optional(rule, why),
                None => simulator.faults().push(rule),
            }
            simulator.faults().clear();
        });
        cell.run(None).await
    }

    #[tokio::test]
    async fn fails_cell_whose_fault_never_triggered() {
        let Verdict::Failed { why } = run(None).await else { panic!("it passed") };
        assert!(why.contains("DropBefore"), "{why}");
    }

    #[tokio::test]
    async fn passes_cell_whose_fault_is_optional() {
        assert!(matches!(run(Some("this call never searches")).await, Verdict::Passed { .. }));
    }
}
