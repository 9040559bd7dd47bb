//! `bench`: measures the real server, each piece of work beside its limit in the same run.
//!
//! A limit is the same work done plainly: the same rows through SQLite, the same bytes through tonic, the same POST. The
//! server and its limit take turns, so that a busy machine affects both; what counts is their ratio. After every run the
//! tickets are counted: as many as were requested, none twice.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the terminal that started it")]

mod bare_tonic;
mod database;
mod fake_jira;
mod load;
mod measure;
mod page;
mod report;
mod rows;
mod server;
mod statistics;
mod svg;
mod workbench;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};

use crate::bare_tonic::BareArgs;
use crate::measure::{Bench, Findings, Row, Scale};
use crate::report::Machine;
use crate::workbench::Workbench;

/// The repository that this program was built in.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const DEFAULT_ROUNDS: usize = 5;

/// Measures throughput, latency and growth of the server, each beside its limit in the same run.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Cli {
    #[command(subcommand)]
    process: Option<Process>,
    /// Small numbers, in less than a minute: that everything runs, that as many tickets are created as were requested,
    /// and that no read scans. Times are not judged.
    #[arg(long)]
    quick: bool,
    /// The rows to measure; all by default.
    #[arg(long, value_enum, value_name = "ROW")]
    only: Vec<Row>,
    /// How often the server and its limit take turns: 5, or 1 with --quick.
    #[arg(long)]
    rounds: Option<usize>,
    /// Deliveries in the largest database of `growth`. A million takes up to 15 GB of disk.
    #[arg(long, default_value_t = 1_000_000)]
    largest: u64,
    /// The server; by default the `ticketing` beside this program.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Folder for databases, on a real disk; by default beside this program.
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Runs 1,000 deliveries a minute for so many minutes instead, and prints memory and disk after each.
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["quick", "only", "write_page"])]
    soak: Option<u32>,
    /// How long the server of `--soak` keeps events and the content of incidents, in seconds: so short that it removes
    /// all the time.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    soak_retention: u64,
    /// Writes table and plots to the page of the book. Needs every row.
    #[arg(long, conflicts_with_all = ["quick", "only"])]
    write_page: bool,
}

#[derive(Debug, Subcommand)]
enum Process {
    /// The limit of calls and streams, as a process of its own.
    #[command(hide = true)]
    BareTonic(BareArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match &cli.process {
        Some(Process::BareTonic(arguments)) => bare_tonic::serve(arguments).await,
        None => run(&cli).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<()> {
    let machine = Machine::this();
    let here = std::env::current_exe()?;
    let folder = cli.folder.clone().unwrap_or_else(|| here.with_file_name("bench-data"));
    let program = cli.program.clone().unwrap_or_else(|| here.with_file_name("ticketing"));
    ensure!(program.is_file(), "there is no {}: build the server", program.display());
    let rounds = cli.rounds.unwrap_or(if cli.quick { 1 } else { DEFAULT_ROUNDS });
    ensure!(rounds > 0, "at least one round");
    let scale = Scale { is_quick: cli.quick, rounds, largest: cli.largest };
    let workbench = Workbench::prepare(&program, &folder).await.context("failed to prepare")?;
    let bench = Bench { program, scale, workbench };

    if let Some(minutes) = cli.soak {
        return rows::soak::run(&bench, minutes, Duration::from_secs(cli.soak_retention)).await;
    }
    let rows = if cli.only.is_empty() { Row::value_variants() } else { &cli.only };
    let mut findings = Findings::default();
    for row in rows {
        let name = row.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        eprintln!("bench: {name}");
        let found = rows::run(&bench, *row).await.with_context(|| format!("{name} failed"))?;
        findings.lines.extend(found.lines);
        findings.plots.extend(found.plots);
    }
    let table = report::markdown(&findings.lines, &machine, &bench.scale, &folder);
    println!("{table}");
    for plot in &findings.plots {
        println!("{}", plot.as_text());
    }
    if cli.write_page {
        page::write(Path::new(ROOT), &table, &findings.plots)?;
    }
    Ok(())
}
