//! `fuzz`: runs every target for some seconds, or one target with one input.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the terminal that started it")]

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use ticketing_fuzz::driver::{self, Broken, Plan};
use ticketing_fuzz::{TARGETS, Target, corpus};

/// Runs every parser of untrusted input with generated input.
#[derive(Debug, Parser)]
#[command(name = "fuzz")]
struct Cli {
    /// Duration per target.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Maximum number of inputs per target; lower than what fits the duration, it makes a run reproducible.
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    inputs: u64,
    /// The targets; all by default.
    #[arg(long, value_name = "TARGET", value_parser = target)]
    only: Vec<&'static Target>,
    /// The same seed generates the same inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs this file alone, on the only target of --only.
    #[arg(long, value_name = "FILE", requires = "only")]
    input: Option<PathBuf>,
    /// Lists the targets and their promises.
    #[arg(long)]
    list: bool,
    /// Writes the seeds of each target into the corpus, where libFuzzer starts.
    #[arg(long)]
    write_seeds: bool,
}

fn target(name: &str) -> Result<&'static Target, String> {
    let names = || TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    Target::find(name).ok_or_else(|| format!("must be one of {}", names()))
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A broken promise is reported once, with its input.
    std::panic::set_hook(Box::new(|_| {}));
    match run(&cli) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fuzz: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Number of targets that broke their promise.
fn run(cli: &Cli) -> Result<usize> {
    let mut targets = cli.only.clone();
    if targets.is_empty() {
        targets.extend(TARGETS);
    }
    if cli.list {
        targets.iter().for_each(|target| println!("{:18} {}", target.name, target.promise));
        return Ok(0);
    }
    if cli.write_seeds {
        return write_seeds(&targets);
    }
    let plan = Plan { time: Duration::from_secs(cli.seconds), inputs: cli.inputs, seed: cli.seed };
    let mut inputs = 0;
    let mut broken = 0;
    for target in &targets {
        let found = match &cli.input {
            Some(path) => {
                inputs += 1;
                let input = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                driver::try_once(target, &input)
            }
            None => {
                let outcome = driver::run(target, plan)?;
                println!("{:18} {:>8} inputs", target.name, outcome.inputs);
                inputs += outcome.inputs;
                outcome.broken
            }
        };
        if let Some(found) = found {
            broken += 1;
            report(target, &found)?;
        }
    }
    let names = targets.len();
    println!(
        "{names} targets, {inputs} inputs, seed {}: {} passed, {broken} failed",
        cli.seed,
        names - broken
    );
    Ok(broken)
}

fn report(target: &Target, broken: &Broken) -> Result<()> {
    let path = driver::keep(target, &broken.input, &driver::default_folder())?;
    let path = path.canonicalize().unwrap_or(path);
    println!("{}: BROKEN: {}", target.name, target.promise);
    println!("    {}", broken.why.chars().take(2_000).collect::<String>());
    println!("    again: cargo xtask fuzz --only {} --input {}", target.name, path.display());
    Ok(())
}

fn write_seeds(targets: &[&Target]) -> Result<usize> {
    for target in targets {
        let folder = corpus().join(target.name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (index, seed) in (target.seeds)().iter().enumerate() {
            let path = folder.join(format!("seed-{index:02}"));
            fs::write(&path, seed).with_context(|| format!("cannot write {}", path.display()))?;
        }
        println!("{}", folder.display());
    }
    Ok(0)
}
