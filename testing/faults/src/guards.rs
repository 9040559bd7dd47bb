//! Mutation test of the matrix: without a guard, some cell must fail.

use anyhow::{Result, bail};
use ticketing_failpoints::Guard;

use crate::matrix::{self, Cell, Verdict};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only this guard.
    #[arg(long)]
    only: Option<String>,
    /// Continues after the first failed cell, and counts the failures.
    #[arg(long)]
    all: bool,
}

/// How a missing guard is detected.
#[derive(Debug, Clone, Copy)]
struct Removal {
    guard: Guard,
    /// Another guard that is sufficient alone, and is removed together with it.
    covered_by: Option<Guard>,
    /// The cells that detect it: all whose name contains the text.
    canaries: &'static str,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let wanted = |guard: &Guard| arguments.only.as_deref().is_none_or(|only| guard.name().contains(only));
    let (mut seen, mut together, mut unseen) = (0, 0, vec![]);
    for trial in Guard::ALL.into_iter().filter(wanted).map(Removal::of) {
        if trial.is_seen(arguments.all).await {
            seen += 1;
            together += usize::from(trial.covered_by.is_some());
        } else {
            unseen.push(trial.guard.name());
        }
    }
    let of = seen + unseen.len();
    println!(
        "guards: {seen} of {of} are seen to be missing, {together} of them together with the one that covers them"
    );
    match unseen.is_empty() {
        true if seen == 0 => bail!("no guard is called so"),
        true => Ok(()),
        false => bail!("no cell fails without {}", unseen.join(", ")),
    }
}

// === impl Removal ===

impl Removal {
    /// A guard that `testing/model` has shown to be redundant is removed together with the one that covers
    /// it.
    fn of(guard: Guard) -> Self {
        let (canaries, covered_by) = match guard {
            Guard::Intent => ("kill -9 / sent and waiting", None),
            Guard::LookUp => ("504 after applying", None),
            Guard::IndexBound => ("index lag: within the bound", None),
            Guard::InFlightBound => ("applied late", None),
            Guard::SecondAnswer => ("index lag: canary not visible yet", None),
            Guard::SendDeadline => ("paused worker / failpoint-intent-committed", None),
            Guard::Epoch => ("stale claim settles", None),
            Guard::LeaseTerm => ("refusal, recorded within the lease", Some(Guard::Epoch)),
            Guard::LateSuccess => ("late success, cancelled", None),
            Guard::LookUpEpoch => ("empty answer, recorded in the next reconciliation", Some(Guard::AskedAt)),
            Guard::AskedAt => ("empty answer, recorded after the bound", None),
            Guard::WitnessAge => ("canary, created before the send was over", None),
            Guard::SearchEvidence => ("evidence / ", None),
            Guard::MarkerCheck => ("look-up returns foreign rows", None),
            Guard::Synchronous => ("power cut", None),
            Guard::StoreLock => ("second server", None),
            Guard::NoRedirects => ("redirect", None),
            Guard::Suspicion => ("older copy, ", None),
            Guard::LoginStop => ("and many pushes", None),
            Guard::LockOut => ("many pushes at once", None),
        };
        Self { guard, covered_by, canaries }
    }

    /// Whether some cell fails without both guards, and passes with one of them.
    async fn is_seen(self, all: bool) -> bool {
        let removed: Vec<_> = self.covered_by.into_iter().chain([self.guard]).collect();
        let cells = matrix::cells().into_iter().filter(|cell| cell.to_string().contains(self.canaries));
        let (mut played, mut caught) = (0, vec![]);
        for cell in cells {
            let why = match cell.play(&removed).await {
                Verdict::DoesNotApply { .. } => continue,
                Verdict::Passed { .. } => None,
                Verdict::Failed { why } => Some(why),
            };
            played += 1;
            // A cell that fails anyway says nothing about them.
            if let Some(why) = why
                && passes_with_each(&cell, &removed).await
            {
                caught.push(format!("{cell}: {}", why.lines().next().unwrap_or_default()));
                if !all {
                    break;
                }
            }
        }
        let together = self.covered_by.map(|cover| format!(", removed together with {}", cover.name()));
        let (name, together) = (self.guard.name(), together.unwrap_or_default());
        println!("{name}{together}: {} of {played} cells fail", caught.len());
        caught.iter().for_each(|line| println!("    {line}"));
        !caught.is_empty()
    }
}

/// Whether the cell passes with any one of them enabled again.
async fn passes_with_each(cell: &Cell, removed: &[Guard]) -> bool {
    for back in removed {
        let others: Vec<_> = removed.iter().copied().filter(|guard| guard != back).collect();
        if !matches!(cell.play(&others).await, Verdict::Passed { .. }) {
            return false;
        }
    }
    true
}
