//! `ticketing-demo`: all features in one command, against simulated ticket systems: configure, test, preview,
//! push, auto-push, fail, recover, look up, stream. Every step checks its output, and the command fails if a
//! check fails.

mod environment;
mod output;
mod steps;

use std::net::SocketAddr;

use clap::Parser;
use ticketing_server::config::LogFormat;
use ticketing_server::telemetry;

use self::environment::Environment;
use self::output::Output;

/// Show the whole job of RhythmX Ticketing against simulated ticket systems: nothing to set up, nothing kept.
#[derive(Debug, Parser)]
#[command(name = "ticketing-demo", version)]
struct Arguments {
    /// End after the last step, instead of continuing to serve manual calls.
    #[arg(long)]
    once: bool,

    /// Address to listen on; any free port if it is taken.
    #[arg(long, default_value = "127.0.0.1:50051")]
    listen: SocketAddr,

    /// Log filter of the server, for example "info".
    #[arg(long, default_value = "off")]
    log: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    telemetry::start(&arguments.log, LogFormat::Text)?;
    let out = Output::default();
    let mut environment = Environment::start(&arguments).await?;
    out.line(&format!("The service listens on {}; Jira and ServiceNow are simulated.", environment.address));
    steps::run(&mut environment, &out).await?;
    out.line("Everything held.");
    if !arguments.once {
        out.print_commands(&environment);
        tokio::signal::ctrl_c().await?;
    }
    environment.stop_all().await
}
