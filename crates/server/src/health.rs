//! `ticketing health`: checks a running server, for containers without another client.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// A server that takes longer is not well.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Which server to ask, and how.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Where the server answers health checks in plaintext: what it was given as --health-listen.
    #[arg(long, env = "TICKETING_HEALTH_LISTEN", default_value = "127.0.0.1:50051")]
    health_listen: SocketAddr,

    /// Any listener of the server, instead: HOST:PORT, https://HOST:PORT or unix:PATH.
    #[arg(long, env = "TICKETING_ADDRESS")]
    address: Option<String>,

    /// File with the authorities, in PEM, that the server's certificate must come from. Without it, those that the system
    /// trusts.
    #[arg(long, env = "TICKETING_TLS_CA", value_name = "FILE")]
    ca: Option<PathBuf>,

    /// File with a client certificate to show, in PEM. Goes with --key.
    #[arg(long, env = "TICKETING_TLS_CLIENT_CERT", value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,

    /// File with the key of --cert, in PEM.
    #[arg(long, env = "TICKETING_TLS_CLIENT_KEY", value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,

    /// The name that the server's certificate must be for, if it is not the host of --address.
    #[arg(long, env = "TICKETING_SERVER_NAME", value_name = "NAME")]
    server_name: Option<String>,

    /// A bearer token, where the listener asks for one. Better given in its variable: arguments are visible to every user
    /// of the machine.
    #[arg(long, env = "TICKETING_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// Succeeds if the server serves.
///
/// # Errors
/// If it does not, or does not answer.
pub async fn run(args: &HealthArgs) -> anyhow::Result<()> {
    let address = args.address();
    let endpoint = args.endpoint(&address)?.connect_timeout(TIMEOUT).timeout(TIMEOUT);
    let channel = endpoint.connect().await.with_context(|| format!("no server answers on {address}"))?;
    let mut request = Request::new(HealthCheckRequest { service: String::new() });
    if let Some(token) = &args.token {
        let bearer: MetadataValue<Ascii> =
            format!("Bearer {token}").parse().context("--token has characters that no token has")?;
        request.metadata_mut().insert("authorization", bearer);
    }
    let status = match HealthClient::new(channel).check(request).await {
        Ok(answer) => answer.into_inner().status(),
        Err(status) if status.code() == Code::Unauthenticated => {
            bail!("{address} answers, but asks for a credential: give --token, or --cert and --key")
        }
        Err(status) => {
            return Err(status).with_context(|| format!("{address} does not answer the health check"));
        }
    };
    match status {
        ServingStatus::Serving => Ok(()),
        other => bail!("{address} is {}", other.as_str_name()),
    }
}

// === impl HealthArgs ===

impl HealthArgs {
    /// Where to ask, with its scheme.
    fn address(&self) -> String {
        match &self.address {
            Some(address) if address.starts_with("unix:") || address.contains("://") => address.clone(),
            Some(address) if self.ca.is_some() || self.cert.is_some() => format!("https://{address}"),
            Some(address) => format!("http://{address}"),
            None => format!("http://{}", self.health_listen),
        }
    }

    fn endpoint(&self, address: &str) -> anyhow::Result<Endpoint> {
        let endpoint = Endpoint::from_shared(address.to_owned())
            .with_context(|| format!("{address} is not an address"))?;
        if !address.starts_with("https://") {
            return Ok(endpoint);
        }
        let read = |file: &PathBuf| {
            std::fs::read(file).with_context(|| format!("failed to read {}", file.display()))
        };
        let mut tls = match &self.ca {
            Some(file) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(file)?)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let (Some(certificate), Some(key)) = (&self.cert, &self.key) {
            tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        if let Some(name) = &self.server_name {
            tls = tls.domain_name(name);
        }
        endpoint.tls_config(tls).context("the files of TLS cannot be used")
    }
}
