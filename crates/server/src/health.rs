//! `ticketing health`: asks a running server whether it serves, for containers, which have no other client.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// A server that takes longer is not well.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whom to ask.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Where the server answers health checks in plaintext: what it was given as --health-listen.
    #[arg(long, env = "TICKETING_HEALTH_LISTEN", default_value = "127.0.0.1:50051")]
    health_listen: SocketAddr,
}

/// Succeeds if the server serves.
///
/// # Errors
/// If it does not, or does not answer.
pub async fn run(args: &HealthArgs) -> anyhow::Result<()> {
    let address = args.health_listen;
    let endpoint =
        Endpoint::from_shared(format!("http://{address}"))?.connect_timeout(PATIENCE).timeout(PATIENCE);
    let channel = endpoint.connect().await.with_context(|| format!("no server answers on {address}"))?;
    let request = HealthCheckRequest { service: String::new() };
    let answer = HealthClient::new(channel).check(request).await;
    let status = answer.with_context(|| format!("{address} does not say how it is"))?.into_inner().status();
    match status {
        ServingStatus::Serving => Ok(()),
        other => bail!("{address} is {}", other.as_str_name()),
    }
}
