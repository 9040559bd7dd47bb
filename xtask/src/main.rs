//! Workspace chores with parameters: `cargo xtask --help` lists them.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore talks to the terminal that started it"
)]

mod house;
mod sbom;
mod tables;
mod workspace;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Chores of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Checks the architecture: dependencies, where SQL may be, length of files, unfinished work.
    House,
    /// Writes the software bill of materials of a release, as CycloneDX JSON.
    Sbom {
        #[arg(long, default_value = "target/ticketing.cdx.json")]
        output: PathBuf,
    },
    /// Regenerates the tables in the documents, between `<!-- table: NAME -->` and `<!-- end table -->`.
    Tables {
        /// Changes nothing, and fails if a table is out of date.
        #[arg(long)]
        check: bool,
    },
    /// Runs every parser of untrusted input with generated input: `cargo xtask fuzz --help`.
    #[command(disable_help_flag = true)]
    Fuzz {
        /// Optimized build; for more than a minute.
        #[arg(long)]
        fast: bool,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measures the server beside its limits, as a release build: `cargo xtask bench --help`.
    #[command(disable_help_flag = true)]
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Runs fault scenarios against the real server: `cargo xtask faults --help`.
    #[command(disable_help_flag = true)]
    Faults {
        /// Optimized build; for long histories.
        #[arg(long)]
        fast: bool,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: &Chore) -> Result<()> {
    let workspace = Workspace::find()?;
    match chore {
        Chore::House => check_house(&workspace),
        Chore::Sbom { output } => write_sbom(&workspace, output),
        Chore::Tables { check } => regenerate_tables(&workspace, *check),
        Chore::Bench { arguments } => {
            let measures_nothing =
                |argument: &String| ["--quick", "--help", "-h"].contains(&argument.as_str());
            let is_quick = arguments.iter().any(measures_nothing);
            let profile = if is_quick { Profile::Dev } else { Profile::Release };
            play("bench", &["ticketing-bench", "ticketing-server"], profile, arguments)
        }
        Chore::Faults { fast, arguments } => {
            play("faults", &["ticketing-faults", "ticketing-server"], Profile::of(*fast), arguments)
        }
        Chore::Fuzz { fast, arguments } => play("fuzz", &["ticketing-fuzz"], Profile::of(*fast), arguments),
    }
}

/// How a chore's program is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Profile {
    /// The whole workspace, as its tests are.
    Dev,
    /// Only the packages of the chore, optimized, with fail points.
    Fast,
    /// Only the packages of the chore, as they are shipped.
    Release,
}

// === impl Profile ===

impl Profile {
    fn of(fast: bool) -> Self {
        if fast { Self::Fast } else { Self::Dev }
    }

    /// Its name for cargo, which is its folder under `target` too.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Dev => None,
            Self::Fast => Some("fast"),
            Self::Release => Some("release"),
        }
    }
}

/// Builds everything first: `faults` and `bench` run the `ticketing` binary beside them. Only `packages` are optimized.
fn play(name: &str, packages: &[&str], profile: Profile, arguments: &[String]) -> Result<()> {
    let mut build = Command::new("cargo");
    build.args(["build", "--quiet", "--locked"]);
    let mut program = std::env::current_exe()?.with_file_name(name);
    if let Some(profile) = profile.name() {
        build.arg(format!("--profile={profile}")).arg("--bins");
        build.args(packages.iter().map(|package| format!("--package={package}")));
        // `target/debug/faults` and `target/fast/faults`.
        program = program.with_file_name("..").join(profile).join(name);
    } else {
        build.args(["--workspace", "--all-targets"]);
    }
    if !status(&mut build)?.success() {
        bail!("the workspace does not build");
    }
    if !status(Command::new(program).args(arguments))?.success() {
        bail!("a promise broke, or {name} could not be run");
    }
    Ok(())
}

fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("{} cannot be run", command.get_program().display()))
}

fn check_house(workspace: &Workspace) -> Result<()> {
    let violations = house::violations(workspace)?;
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        count => bail!("the architecture is violated {count} times"),
    }
}

fn write_sbom(workspace: &Workspace, output: &Path) -> Result<()> {
    let bill = sbom::bill(workspace)?;
    let text = serde_json::to_string_pretty(&bill).context("a bill of materials can be written as JSON")?;
    let path = workspace.root.join(output);
    std::fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
    let count = bill["components"].as_array().map_or(0, Vec::len);
    println!("{}: {count} components", path.display());
    Ok(())
}

fn regenerate_tables(workspace: &Workspace, check: bool) -> Result<()> {
    let stale = tables::stale(workspace)?;
    for document in &stale {
        println!("{}: {}", document.path.display(), if check { "stale" } else { "regenerated" });
        if !check {
            document.write(workspace)?;
        }
    }
    if check && !stale.is_empty() {
        bail!("tables are stale: run `cargo xtask tables`");
    }
    Ok(())
}
