//! The whole job in one command, against simulated ticket systems: configure, test, preview, push, auto-push, fail,
//! recover, look up, stream. Every step checks what it shows, and the command fails if anything did not hold.

mod narrator;
mod stage;
mod walk;

use std::net::SocketAddr;

use clap::Args;

use self::narrator::Narrator;
use self::stage::Stage;

/// What `ticketing demo` takes.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// End after the last step, instead of staying up for calls by hand.
    #[arg(long)]
    pub once: bool,

    /// Address to listen on; any free port if it is taken.
    #[arg(long, default_value = "127.0.0.1:50051")]
    pub listen: SocketAddr,

    /// What to log beside the story, for example "info".
    #[arg(long, default_value = "off")]
    pub log: String,
}

/// Runs the demonstration.
///
/// # Errors
/// The first thing that did not hold.
pub async fn run(args: DemoArgs) -> anyhow::Result<()> {
    crate::telemetry::start(&args.log, crate::config::LogFormat::Text)?;
    let say = Narrator::default();
    let mut stage = Stage::build(&args).await?;
    say.line(&format!("The service listens on {}; Jira and ServiceNow are simulated.", stage.address));
    walk::walk(&mut stage, &say).await?;
    say.line("Everything held.");
    if !args.once {
        say.what_to_type(&stage);
        tokio::signal::ctrl_c().await?;
    }
    stage.strike().await
}
