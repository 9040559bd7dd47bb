//! Replays every bug that was ever found.
//!
//! A bug is replayed by the tests that show that it is fixed, and by the command that found it or a smaller
//! form. The hardest fault scripts that found no bug are replayed, too.

mod list;
mod suite;

use std::process::{Output, Stdio};

use anyhow::{Context, Result, bail};
use tokio::process::Command;
use tokio::time::Instant;

use self::list::{BUGS, HARD_SCRIPTS, Replay};
use self::suite::Suite;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only bugs whose summary or replays contain this text.
    #[arg(long, default_value = "")]
    only: String,
    /// Lists them without replaying.
    #[arg(long)]
    list: bool,
}

/// A replay.
#[derive(Debug)]
struct Item {
    summary: &'static str,
    /// As a row of the table in docs/src/internals/proof.md.
    row: String,
    replays: &'static [Replay],
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let all = items();
    let known = all.len();
    let wanted: Vec<_> = all.into_iter().filter(|item| item.matches(&arguments.only)).collect();
    if arguments.list {
        wanted.iter().for_each(|item| println!("{}", item.row));
        println!("bugs: {} of {known}", wanted.len());
        return Ok(());
    }
    if wanted.is_empty() {
        bail!("no bug has this name; --list lists them");
    }
    let began = Instant::now();
    let suite = Suite::run(&tests(&wanted)).await?;
    // One command may cover two bugs.
    let mut played: Vec<(Replay, Option<String>)> = vec![];
    let mut failed = 0;
    for item in &wanted {
        let mut whys = vec![];
        for replay in item.replays {
            let known = played.iter().find(|(other, _)| other == replay).map(|(_, why)| why.clone());
            let why = match known {
                Some(why) => why,
                None => failure(*replay, &suite).await?,
            };
            played.push((*replay, why.clone()));
            whys.extend(why.map(|why| format!("{replay}:\n{why}")));
        }
        failed += usize::from(!whys.is_empty());
        let verdict = if whys.is_empty() { "passed" } else { "FAILED" };
        println!("{verdict}   {} ({})", item.summary, commands(item.replays));
        whys.iter().for_each(|why| println!("{why}"));
    }
    let passed = wanted.len() - failed;
    let left_out = known - wanted.len();
    let skipped = if left_out > 0 { format!(", {left_out} left out by --only") } else { String::new() };
    println!(
        "bugs: {} played again, {passed} passed, {failed} failed{skipped}; {:.0?}",
        wanted.len(),
        began.elapsed()
    );
    if failed > 0 { bail!("{failed} bugs are back, or cannot be played") } else { Ok(()) }
}

fn items() -> Vec<Item> {
    let bugs = BUGS.iter().map(|bug| Item { summary: bug.summary, row: bug.row(), replays: bug.replays });
    let hard = HARD_SCRIPTS.chunks(1).map(|replays| {
        let summary = "Hard faults";
        Item { summary, row: format!("| {summary} | | `{}` |", commands(replays)), replays }
    });
    bugs.chain(hard).collect()
}

fn tests(items: &[Item]) -> Vec<&'static str> {
    let replays = items.iter().flat_map(|item| item.replays);
    let name = |replay: &'static Replay| if let Replay::Test(name) = replay { Some(*name) } else { None };
    replays.filter_map(name).collect()
}

/// Why it failed; `None` if it passed.
async fn failure(replay: Replay, suite: &Suite) -> Result<Option<String>> {
    let Some(arguments) = replay.arguments() else {
        let Replay::Test(name) = replay else { return Ok(None) };
        return Ok(suite.failure(name));
    };
    let mut this = Command::new(std::env::current_exe()?);
    this.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let Output { status, stdout, stderr } = this.output().await.context("faults cannot be run")?;
    let output = || format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    Ok((!status.success()).then(output))
}

fn commands(replays: &[Replay]) -> String {
    replays.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

// === impl Item ===

impl Item {
    fn matches(&self, text: &str) -> bool {
        self.summary.contains(text) || commands(self.replays).contains(text)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    const PROOF: &str = include_str!("../../../../docs/src/internals/proof.md");

    #[test]
    fn bug_table_in_the_book_matches_the_list() {
        let (_, after) = PROOF.split_once("| bug | found by | shown by |\n|---|---|---|\n").expect("a table");
        let table: Vec<_> = after.lines().take_while(|line| line.starts_with('|')).collect();
        let list: Vec<_> = BUGS.iter().map(list::Bug::row).collect();
        assert!(table == list, "`cargo xtask faults bugs --list` gives the rows:\n{}", list.join("\n"));
    }

    #[test]
    fn every_replay_is_a_valid_command() {
        let cells: Vec<_> = crate::matrix::cells().iter().map(ToString::to_string).collect();
        for replay in BUGS.iter().flat_map(|bug| bug.replays).chain(HARD_SCRIPTS) {
            let Some(arguments) = replay.arguments() else { continue };
            let command = std::iter::once("faults".to_owned()).chain(arguments);
            assert!(crate::Cli::try_parse_from(command).is_ok(), "{replay}");
            if let Replay::Cells(only) = replay {
                assert!(cells.iter().any(|cell| cell.contains(only)), "{replay}");
            }
        }
    }
}
