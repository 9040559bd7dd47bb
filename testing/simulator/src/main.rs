//! The simulator as a program: prints where it listens and what it accepts, and stays up until ctrl-c.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use ticketing_simulator::{Clock, Credential, Profile, Project, Simulator, Vendor};

/// Jira Cloud, Jira Data Center or ServiceNow over HTTP, for trying a client against it.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The ticket system to play.
    vendor: VendorName,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Jira: the project key.
    #[arg(long, default_value = "SEC")]
    project: String,
    /// Jira Data Center: the path before /rest, such as /jira.
    #[arg(long, default_value = "")]
    context_path: String,
    /// Jira: milliseconds until a search shows a new ticket.
    #[arg(long, default_value_t = 0)]
    index_lag_ms: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum VendorName {
    JiraCloud,
    JiraDataCenter,
    Servicenow,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let vendor = match arguments.vendor {
        VendorName::JiraCloud => Vendor::JiraCloud,
        VendorName::JiraDataCenter => Vendor::JiraDataCenter,
        VendorName::Servicenow => Vendor::ServiceNow,
    };
    let mut profile = Profile::of(vendor)
        .with_context_path(&arguments.context_path)
        .with_index_lag(Duration::from_millis(arguments.index_lag_ms));
    profile.projects = vec![Project::new("10100", arguments.project)];
    let credentials = profile.credentials.clone();
    let simulator = Simulator::start_at(vendor, profile, arguments.listen, Clock::real()).await?;
    announce(&simulator, vendor, &credentials)?;
    tokio::signal::ctrl_c().await?;
    simulator.stop().await;
    Ok(())
}

fn announce(simulator: &Simulator, vendor: Vendor, credentials: &[Credential]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening {}", simulator.base_url())?;
    if vendor == Vendor::JiraCloud {
        writeln!(out, "gateway {}", simulator.gateway_url())?;
    }
    for credential in credentials {
        match credential {
            Credential::Basic { user, secret } => writeln!(out, "accepts basic {user} {secret}")?,
            Credential::Bearer { token } => writeln!(out, "accepts bearer {token}")?,
            Credential::Scoped { user, token } => {
                writeln!(out, "accepts basic {user} {token} (through the gateway only)")?;
            }
        }
    }
    writeln!(out, "control {}", simulator.control_url())?;
    out.flush()
}
