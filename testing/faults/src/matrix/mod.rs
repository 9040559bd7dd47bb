//! The fault matrix: every fault at every point where it applies, against the real server.
//!
//! After each cell the general checks must hold: acknowledged deliveries are delivered, waiting or failed,
//! never lost; at most one ticket has a marker; a recorded ticket exists; events are ordered, unique and
//! gap-free; nothing that was written contains a secret; and no operator had to intervene.

mod blocked;
pub(crate) mod bursts;
mod callers;
mod calls;
pub(crate) mod cell;
mod clock;
mod connection;
mod event_process;
mod evidence;
pub(crate) mod held_push;
mod huge_replies;
mod index;
mod late_apply;
mod load;
mod locked_database;
mod logins;
mod look_ups;
mod manual_edits;
mod operators;
mod other_process;
mod outage;
mod oversized;
pub(crate) mod process;
pub(crate) mod push_load;
mod races;
mod read_back;
mod redirects;
mod relay;
mod replies;
mod resolving;
mod restore;
mod second_instance;
mod secret_echo;
mod settings;
mod site_fixture;
mod stale_results;
mod streams;
mod throttling;
mod tls;
mod tokens;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::Instant;

use self::cell::{Cell, Verdict};

/// Families whose cells keep the whole machine busy: they run first, one cell at a time, so that they starve
/// no other cell of CPU time.
const EXCLUSIVE_FAMILIES: [&str; 5] = ["load", "bursts", "streams", "operators", "disk"];

/// One line each, in run order.
const FAMILIES: &[fn() -> Vec<Cell>] = &[
    process::cells,
    replies::cells,
    blocked::cells,
    throttling::cells,
    logins::cells,
    redirects::cells,
    read_back::cells,
    load::cells,
    bursts::cells,
    callers::cells,
    streams::cells,
    tokens::cells,
    settings::cells,
    secret_echo::cells,
    event_process::cells,
    operators::cells,
    index::cells,
    look_ups::cells,
    evidence::cells,
    manual_edits::cells,
    resolving::cells,
    oversized::cells,
    races::cells,
    stale_results::cells,
    second_instance::cells,
    locked_database::cells,
    connection::cells,
    huge_replies::cells,
    late_apply::cells,
    outage::cells,
    tls::cells,
    restore::cells,
    clock::cells,
    crate::power::cells,
    crate::power::disk_fault_cells,
];

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only cells whose name contains this text.
    #[arg(long, default_value = "")]
    only: String,
    /// Runs only every n-th cell: a slice. `--turn` selects which.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    one_in: u64,
    /// Which slice: as many consecutive turns as there are slices run every cell once.
    #[arg(long, default_value_t = 0)]
    turn: u64,
    /// Number of concurrent cells.
    #[arg(long, default_value_t = 6)]
    jobs: usize,
    /// Lists the cells without running them.
    #[arg(long)]
    list: bool,
}

/// What happens to a late cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LateCells {
    Fail,
    Repeat,
}

/// The results of one family.
#[derive(Debug, Default)]
struct FamilyResults {
    passed: usize,
    failed: usize,
    not_applicable: usize,
    slowest_recovery: Duration,
    /// Failed cells, and cells that do not apply, each with its reason.
    notes: Vec<String>,
}

/// Every cell.
pub(crate) fn cells() -> Vec<Cell> {
    FAMILIES.iter().flat_map(|cells| cells()).collect()
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let all = cells();
    let known = all.len();
    let Arguments { one_in, turn, .. } = arguments;
    let is_wanted = |(number, cell): &(u64, Cell)| {
        cell.to_string().contains(&arguments.only) && number % one_in == turn % one_in
    };
    let wanted: Vec<_> = (0..).zip(all).filter(is_wanted).map(|(_, cell)| cell).collect();
    if arguments.list {
        list(&wanted, known);
        return Ok(());
    }
    if wanted.is_empty() {
        bail!("no cell has this name; --list lists them");
    }
    let left_out = known - wanted.len();
    let began = Instant::now();
    let (busy, others): (Vec<_>, Vec<_>) =
        wanted.into_iter().partition(|cell| EXCLUSIVE_FAMILIES.contains(&cell.family));
    let mut results = BTreeMap::new();
    let mut late = run_all(busy, 1, LateCells::Repeat, &mut results).await;
    late.extend(run_all(others, arguments.jobs.max(1), LateCells::Repeat, &mut results).await);
    let again = late.len();
    run_all(late, 1, LateCells::Fail, &mut results).await;
    print_families(&results);
    let sum = |of: fn(&FamilyResults) -> usize| results.values().map(of).sum::<usize>();
    let passed = sum(|t| t.passed);
    let failed = sum(|t| t.failed);
    let not = sum(|t| t.not_applicable);
    let skipped =
        if left_out > 0 { format!(", {left_out} left out by --only or --one-in") } else { String::new() };
    println!(
        "matrix: {} cells, {passed} passed, {failed} failed, {not} do not apply{skipped}; {again} were late and \
        played again alone; {:.0?}",
        passed + failed + not,
        began.elapsed()
    );
    if failed > 0 { bail!("{failed} cells failed") } else { Ok(()) }
}

/// Lists cells, with the reason for those that do not apply.
fn list(wanted: &[Cell], known: usize) {
    for cell in wanted {
        match cell.why_not() {
            Some(why) => println!("{cell}  (does not apply: {why})"),
            None => println!("{cell}"),
        }
    }
    let not = wanted.iter().filter(|cell| cell.why_not().is_some()).count();
    println!("matrix: {} of {known} cells, {not} of them do not apply", wanted.len());
}

/// Runs cells, `jobs` at a time. Late ones are returned for another run, if allowed: concurrent cells share
/// the machine, so a missed limit is measured again alone.
async fn run_all(
    cells: Vec<Cell>,
    jobs: usize,
    late_cells: LateCells,
    results: &mut BTreeMap<&'static str, FamilyResults>,
) -> Vec<Cell> {
    let mut late = vec![];
    let mut played = stream::iter(cells)
        .map(|cell| async move {
            let began = Instant::now();
            let verdict = cell.run(None).await;
            (cell, verdict, began.elapsed())
        })
        .buffer_unordered(jobs);
    while let Some((cell, verdict, took)) = played.next().await {
        let family = results.entry(cell.family).or_default();
        match verdict {
            Verdict::Passed { recoveries } => {
                family.passed += 1;
                family.slowest_recovery =
                    recoveries.into_iter().fold(family.slowest_recovery, std::cmp::Ord::max);
                println!("passed   {cell}  {took:.1?}");
            }
            Verdict::Failed { why } if late_cells == LateCells::Repeat && is_late(&why) => {
                println!("late     {cell}  {took:.1?}: {}", why.lines().next().unwrap_or_default());
                family.notes.push(format!("late     {cell}, and played again alone"));
                late.push(cell);
            }
            Verdict::Failed { why } => {
                family.failed += 1;
                println!("FAILED   {cell}  {took:.1?}\n{why}");
                family.notes.push(format!("FAILED   {cell}"));
            }
            Verdict::DoesNotApply { why } => {
                family.not_applicable += 1;
                family.notes.push(format!("no cell  {cell}: {why}"));
            }
        }
    }
    late
}

/// Everything recovered, only later than the limit. Other failures are never repeated: a delivery that is
/// late may be stuck.
fn is_late(why: &str) -> bool {
    why.lines().next().unwrap_or_default().contains(cell::LATE)
}

fn print_families(results: &BTreeMap<&'static str, FamilyResults>) {
    println!();
    results.values().flat_map(|family| &family.notes).for_each(|note| println!("{note}"));
    println!(
        "\n{:<12} {:>7} {:>7} {:>14} {:>17}",
        "family", "passed", "failed", "do not apply", "slowest recovery"
    );
    for (name, family) in results {
        let FamilyResults { passed, failed, not_applicable, slowest_recovery, .. } = family;
        let slowest =
            if slowest_recovery.is_zero() { "-".to_owned() } else { format!("{slowest_recovery:.1?}") };
        println!("{name:<12} {passed:>7} {failed:>7} {not_applicable:>14} {slowest:>17}");
    }
}
