//! `faults`: plays what may go wrong against the real server, and checks what it promises.
//!
//! Every command prints its counts as its last line, and ends non-zero if a promise broke.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the terminal that started it")]
#![allow(clippy::unwrap_used, reason = "a cell that cannot continue fails")]

mod bugs;
mod flood_latency;
mod guards;
mod history;
mod matrix;
mod model;
mod power;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Plays what may go wrong against the real server, and checks what it promises.
#[derive(Debug, Parser)]
#[command(name = "faults")]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Explores the delivery protocol exhaustively, and without each of its guards.
    Model(model::Arguments),
    /// Plays every fault at every point where it applies.
    Matrix(matrix::Arguments),
    /// Takes each guard away in turn, and shows which cells see it.
    Guards(guards::Arguments),
    /// Times an honest caller beside peers that send far too much.
    Flood(flood_latency::Arguments),
    /// Cuts the power again and again, and looks for what was acknowledged.
    Power(power::Arguments),
    /// Plays long histories under random faults, and holds them against the promises.
    History(history::Arguments),
    /// Plays every bug that was ever found again.
    Bugs(bugs::Arguments),
}

/// How this program was called: what a broken promise is played again with.
fn command() -> &'static str {
    let is_fast =
        std::env::current_exe().is_ok_and(|exe| exe.parent().is_some_and(|folder| folder.ends_with("fast")));
    if is_fast { "cargo xtask faults --fast" } else { "cargo xtask faults" }
}

#[tokio::main(worker_threads = 4)]
async fn main() -> ExitCode {
    let done = match Cli::parse().what {
        What::Model(arguments) => model::run(&arguments),
        What::Matrix(arguments) => matrix::run(arguments).await,
        What::Guards(arguments) => guards::run(arguments).await,
        What::Flood(arguments) => flood_latency::run(arguments).await,
        What::Power(arguments) => power::run(arguments).await,
        What::History(arguments) => history::run(arguments).await,
        What::Bugs(arguments) => bugs::run(arguments).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}
