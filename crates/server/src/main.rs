//! `ticketing`: the server and its offline commands.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::process::{Resource, Rlimit, setrlimit};
use ticketing_host::clock::SystemClock;
use ticketing_host::{panics, process};
use ticketing_server::commands::{self, AuditCommand, KeyCommand, TokenCommand};
use ticketing_server::config::Config;
use ticketing_server::health::{self, HealthArgs};
use ticketing_server::tls_command::{self, TlsCommand};
use ticketing_server::{renamed_flags, server, telemetry};
use tokio::signal::unix::{SignalKind, signal};

/// Exit code for invalid arguments, as clap has it.
const USAGE_ERROR: u8 = 2;

/// Turns RhythmX incidents into tickets in Jira and ServiceNow, effectively once.
#[derive(Debug, Parser)]
#[command(name = "ticketing", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    ///
    /// Durations are written like 250ms, 30s, 15m, 24h or "1h 30m". Each flag can also be set by its environment variable.
    Serve(Box<Config>),
    /// Back up the database to a file while the server works. Keep the key file too: without it the copy's secrets
    /// are lost.
    Backup(BackupArgs),
    /// Create certificates for trials.
    #[command(subcommand)]
    Tls(TlsCommand),
    /// Create, list and revoke bearer tokens of callers.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Rotate the keys that encrypt the stored secrets.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Verify the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Compact the database while no server uses it: its free space is given back to the file system.
    ///
    /// The file of a database that this version created shrinks while the server runs, and never needs this. One of an
    /// earlier version only does so after it was compacted. Takes as much free disk space as the database has content.
    Compact(CompactArgs),
    /// Check the health of a running server: exit code 0 if it is serving. For container health checks.
    Health(HealthArgs),
}

/// Arguments of `ticketing backup`.
#[derive(Debug, Args)]
struct BackupArgs {
    /// File to write; it must not exist yet. To restore it: stop the server, replace ticketing.db with it, and remove
    /// ticketing.db-wal and ticketing.db-shm.
    file: PathBuf,

    /// Folder of the database.
    #[arg(long, env = "TICKETING_DATA", default_value = "data")]
    data: PathBuf,
}

/// Arguments of `ticketing compact`.
#[derive(Debug, Args)]
struct CompactArgs {
    /// Folder of the database.
    #[arg(long, env = "TICKETING_DATA", default_value = "data")]
    data: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    if let Err(error) = keep_memory_private() {
        report(&anyhow::Error::new(error).context("failed to disable core dumps"));
        return ExitCode::FAILURE;
    }
    panics::log_panics();
    let has_variable = |name: &str| std::env::var_os(name).is_some();
    if let Err(error) = renamed_flags::check(std::env::args_os(), has_variable) {
        report(&error);
        return ExitCode::from(USAGE_ERROR);
    }
    let done = match Cli::parse().command {
        Command::Serve(config) => serve(*config).await,
        Command::Backup(args) => backup(&args).await,
        Command::Tls(command) => tls_command::run(&command),
        Command::Token(command) => command.run(&mut std::io::stdout()).await,
        Command::Key(command) => command.run(&mut std::io::stdout()).await,
        Command::Audit(command) => command.run(&mut std::io::stdout()).await,
        Command::Compact(args) => commands::compact(&args.data, &mut std::io::stdout()).await,
        Command::Health(args) => health::run(&args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The final error is for people, and goes where the log goes.
            tracing::error!("{error:#}");
            if !tracing::enabled!(tracing::Level::ERROR) {
                report(&error);
            }
            ExitCode::FAILURE
        }
    }
}

/// Disables core dumps, which would contain secrets, and access to the memory by other processes of the user.
fn keep_memory_private() -> std::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[expect(clippy::print_stderr, reason = "there is no log to write to")]
fn report(error: &anyhow::Error) {
    eprintln!("ticketing: {error:#}");
}

async fn serve(config: Config) -> anyhow::Result<()> {
    telemetry::start(&config.log, config.log_format).context("--log is invalid")?;
    process::raise_file_limit();
    let listening = server::listen(&config).await?;
    let shutdown = shutdown_signal()?;
    server::serve(config, listening, Arc::new(SystemClock::start()), shutdown).await?;
    Ok(())
}

async fn backup(args: &BackupArgs) -> anyhow::Result<()> {
    server::backup(&args.data, &args.file, &SystemClock::start()).await?;
    Ok(())
}

/// Completes on SIGTERM and SIGINT.
fn shutdown_signal() -> anyhow::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    // SIGHUP reloads certificates. Without certificates it is ignored instead of ending the process.
    let hang_up = signal(SignalKind::hangup()).context("failed to listen for SIGHUP")?;
    Ok(async move {
        let _hang_up = hang_up;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
