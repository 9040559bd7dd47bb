//! The test of the tests: without a guard, some cell of the matrix must fail.

use anyhow::{Result, bail};
use ticketing_failpoints::Guard;

use crate::matrix::{self, Cell, Verdict};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only this guard.
    #[arg(long)]
    only: Option<String>,
    /// Goes on after the first cell that fails, and tells how many do.
    #[arg(long)]
    all: bool,
}

/// The cells that are there to see that a guard is missing: all whose name contains the text.
fn witnesses(guard: Guard) -> &'static str {
    match guard {
        Guard::Intent => "kill -9 / sent and waiting",
        Guard::LookUp => "504 after applying",
        Guard::IndexBound => "index lag: within the bound",
        Guard::InFlightBound => "applied late",
        Guard::SecondAnswer => "index lag: witness",
        Guard::SendDeadline => "paused worker / failpoint-intent-committed",
        Guard::Epoch => "stale claim settles",
        Guard::MarkerCheck => "look-up returns foreign rows",
        Guard::Synchronous => "power cut",
        Guard::StoreLock => "second server",
        Guard::NoRedirects => "redirect",
        Guard::Suspicion => "older copy, ",
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let wanted = |guard: &Guard| arguments.only.as_deref().is_none_or(|only| guard.name().contains(only));
    let guards: Vec<_> = Guard::ALL.into_iter().filter(wanted).collect();
    let (mut seen, mut unseen) = (0, vec![]);
    for guard in guards {
        let cells: Vec<Cell> =
            matrix::cells().into_iter().filter(|cell| cell.to_string().contains(witnesses(guard))).collect();
        let (mut played, mut caught) = (0, vec![]);
        for cell in &cells {
            played += 1;
            let Verdict::Failed { why } = cell.play(Some(guard)).await else { continue };
            // What fails with the guard too has nothing to say about it.
            if matches!(cell.play(None).await, Verdict::Passed { .. }) {
                caught.push(format!("{cell}: {}", why.lines().next().unwrap_or_default()));
                if !arguments.all {
                    break;
                }
            }
        }
        println!("{}: {} of {played} cells fail", guard.name(), caught.len());
        caught.iter().for_each(|line| println!("    {line}"));
        if caught.is_empty() { unseen.push(guard.name()) } else { seen += 1 }
    }
    println!("guards: {seen} of {} are seen to be missing", seen + unseen.len());
    if unseen.is_empty() { Ok(()) } else { bail!("no cell fails without {}", unseen.join(", ")) }
}
