//! `faults`: runs fault scenarios against the real server, and checks its promises.
//!
//! Every command prints its counts as its last line, and exits non-zero if a promise broke.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the terminal that started it")]
#![allow(clippy::unwrap_used, reason = "a cell that cannot continue fails")]

mod bugs;
mod flood_latency;
mod guards;
mod history;
mod matrix;
mod model;
mod panic_message;
mod power;
mod weakened_server;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs fault scenarios against the real server, and checks its promises.
#[derive(Debug, Parser)]
#[command(name = "faults")]
struct Cli {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Explores the delivery protocol exhaustively, and without each of its guards.
    Model(model::Arguments),
    /// Runs every fault at every point where it applies.
    Matrix(matrix::Arguments),
    /// Removes each guard in turn, and shows which cells detect it.
    Guards(guards::Arguments),
    /// Measures an honest caller's latency during floods.
    Flood(flood_latency::Arguments),
    /// Cuts the power repeatedly, and checks acknowledged writes.
    Power(power::Arguments),
    /// Runs long histories under random faults, and checks the promises.
    History(history::Arguments),
    /// Replays every bug that was ever found.
    Bugs(bugs::Arguments),
}

/// The command line of this program, for replay commands.
fn replay_prefix() -> &'static str {
    let is_fast =
        std::env::current_exe().is_ok_and(|exe| exe.parent().is_some_and(|folder| folder.ends_with("fast")));
    if is_fast { "cargo xtask faults --fast" } else { "cargo xtask faults" }
}

#[tokio::main(worker_threads = 4)]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Subcommands::Model(arguments) => model::run(&arguments),
        Subcommands::Matrix(arguments) => matrix::run(arguments).await,
        Subcommands::Guards(arguments) => guards::run(arguments).await,
        Subcommands::Flood(arguments) => flood_latency::run(arguments).await,
        Subcommands::Power(arguments) => power::run(arguments).await,
        Subcommands::History(arguments) => history::run(arguments).await,
        Subcommands::Bugs(arguments) => bugs::run(arguments).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}
