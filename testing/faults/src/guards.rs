//! Mutation test of the matrix: without a guard, some cell must fail.
//!
//! A guard is removed from a copy of the sources (`ticketing-mutations`), and the cells are played on the server that is
//! built from it, as a process.

use std::path::PathBuf;

use anyhow::{Result, bail};
use ticketing_mutations::{MUTATIONS, Mutation, build};
use tokio::time::Instant;

use crate::matrix;
use crate::matrix::cell::{Cell, Verdict};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only guards whose name contains this text.
    #[arg(long, default_value = "")]
    only: String,
    /// Removes every so many-th guard alone: a slice. Which ones, `--turn` says.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    one_in: u64,
    /// Which slice: as many turns in a row as there are slices remove every guard once.
    #[arg(long, default_value_t = 0)]
    turn: u64,
    /// Continues after the first cell that fails, and counts all of them.
    #[arg(long)]
    all: bool,
    /// Lists the guards, and removes none.
    #[arg(long)]
    list: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let Arguments { one_in, turn, .. } = arguments;
    let is_wanted = |(number, mutation): &(u64, &Mutation)| {
        mutation.name.contains(&arguments.only) && number % one_in == turn % one_in
    };
    let wanted: Vec<_> = (0..).zip(MUTATIONS).filter(is_wanted).map(|(_, mutation)| mutation).collect();
    if arguments.list {
        list(&wanted);
        return Ok(());
    }
    if wanted.is_empty() {
        bail!("no guard has this name; --list lists them");
    }
    let began = Instant::now();
    let cells = matrix::cells();
    let mut missed = vec![];
    for mutation in &wanted {
        if !is_caught(mutation, &cells, arguments.all).await? {
            missed.push(mutation.name);
        }
    }
    let caught_count = wanted.len() - missed.len();
    let left_out = MUTATIONS.len() - wanted.len();
    let covered = wanted.iter().filter(|mutation| mutation.covered_by.is_some()).count();
    let skipped =
        if left_out > 0 { format!(", {left_out} left out by --only or --one-in") } else { String::new() };
    println!(
        "guards: {caught_count} of {} removals are caught, {covered} of them together with the guard that covers \
         them{skipped}; {:.0?}",
        wanted.len(),
        began.elapsed()
    );
    if missed.is_empty() { Ok(()) } else { bail!("no cell fails without {}", missed.join(", ")) }
}

fn list(wanted: &[&Mutation]) {
    for Mutation { name, prevents, cells, covered_by, .. } in wanted {
        let cover = covered_by.map(|cover| format!(", removed together with {cover}")).unwrap_or_default();
        println!("{name} (cells: \"{cells}\"{cover}): {prevents}");
    }
    println!("guards: {} of {}", wanted.len(), MUTATIONS.len());
}

fn cells_of<'a>(mutation: &'a Mutation, cells: &'a [Cell]) -> impl Iterator<Item = &'a Cell> {
    cells.iter().filter(|cell| cell.to_string().contains(mutation.cells))
}

/// Whether some cell fails without the guard and what covers it, and passes if one of them is there.
async fn is_caught(mutation: &'static Mutation, cells: &[Cell], all: bool) -> Result<bool> {
    let removed = mutation.with_cover();
    let began = Instant::now();
    let program = tokio::task::block_in_place(|| build(&removed))?;
    let mut building = began.elapsed();
    let mut played = 0;
    let mut caught = vec![];
    let mut others = None;
    for cell in cells_of(mutation, cells) {
        let why = match cell.run(Some(&program)).await {
            Verdict::DoesNotApply { .. } => continue,
            Verdict::Passed { .. } => None,
            Verdict::Failed { why } => Some(why),
        };
        played += 1;
        let Some(why) = why else { continue };
        if others.is_none() {
            let began = Instant::now();
            others = Some(tokio::task::block_in_place(|| build_with_one_guard(&removed))?);
            building += began.elapsed();
        }
        // A cell that fails with the guard too shows nothing about it.
        if passes_on_all(cell, others.as_deref().unwrap_or_default()).await {
            caught.push(format!("{cell}: {}", why.lines().next().unwrap_or_default()));
            if !all {
                break;
            }
        }
    }
    let names: Vec<_> = removed.iter().map(|mutation| mutation.name).collect();
    println!(
        "{}: {} of {played} cells fail; built in {building:.0?}, all in {:.0?}",
        names.join(" and "),
        caught.len(),
        began.elapsed()
    );
    caught.iter().for_each(|line| println!("    {line}"));
    Ok(!caught.is_empty())
}

/// The servers that have one of the removed guards again, each; `None` is the unchanged server.
fn build_with_one_guard(removed: &[&'static Mutation]) -> Result<Vec<Option<PathBuf>>> {
    let without_others = |back: &&'static Mutation| {
        let others: Vec<_> = removed.iter().copied().filter(|other| other.name != back.name).collect();
        if others.is_empty() { Ok(None) } else { build(&others).map(Some) }
    };
    removed.iter().map(without_others).collect()
}

async fn passes_on_all(cell: &Cell, programs: &[Option<PathBuf>]) -> bool {
    for program in programs {
        if !matches!(cell.run(program.as_deref()).await, Verdict::Passed { .. }) {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_each_guard_exist() {
        let cells = matrix::cells();
        for mutation in MUTATIONS {
            let count = cells_of(mutation, &cells).filter(|cell| cell.why_not().is_none()).count();
            assert!(count > 0, "{}: {}", mutation.name, mutation.cells);
        }
    }
}
