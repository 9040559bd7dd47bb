//! `ticketing health`: asks a running server whether it serves, for containers, which have no other client.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
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
    let channel = match endpoint.connect().await {
        Ok(channel) => channel,
        Err(error) => bail!("no server answers on {address}: {}", cause(&error, &address)),
    };
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
            bail!("{address} does not answer the health check: {}", refusal(&status, &address))
        }
    };
    match status {
        ServingStatus::Serving => Ok(()),
        ServingStatus::NotServing => bail!("{address} is stopping, and takes no new calls"),
        ServingStatus::Unknown | ServingStatus::ServiceUnknown => {
            bail!("{address} does not know whether it serves")
        }
    }
}

/// Why a check was not answered.
fn refusal(status: &Status, address: &str) -> String {
    let told = |what: &str| match status.message() {
        "" => what.to_owned(),
        message => format!("{what}: {message}"),
    };
    match status.code() {
        Code::Unimplemented => "it answers, but is no server of ours: check the address".to_owned(),
        Code::Cancelled | Code::DeadlineExceeded => {
            format!("no answer came within {} s: see the server's log", TIMEOUT.as_secs())
        }
        Code::PermissionDenied | Code::ResourceExhausted => told("it refuses the call"),
        code => match status.source() {
            Some(error) => cause(error, address),
            None => told(code.description()),
        },
    }
}

/// What a connection failed with, in one sentence, and what to do.
fn cause(error: &(dyn Error + 'static), address: &str) -> String {
    let (mut next, mut last) = (Some(error), String::new());
    while let Some(error) = next {
        let wrapped = error.downcast_ref::<io::Error>();
        let of_tls = wrapped.and_then(|error| error.get_ref()).and_then(|inner| inner.downcast_ref());
        if let Some(error) = of_tls.or_else(|| error.downcast_ref::<rustls::Error>()) {
            return cause_of_tls(error);
        }
        if let Some(kind) = wrapped.map(io::Error::kind).filter(|_| error.source().is_none()) {
            return cause_of_io(kind, error, address);
        }
        last = error.to_string();
        next = error.source();
    }
    if !address.starts_with("https://") && last.contains("frame") {
        return SPEAKS_TLS.to_owned();
    }
    format!("{last}: check the address")
}

const SPEAKS_TLS: &str =
    "the connection was cut off: the listener probably speaks TLS, so give --address=https://HOST:PORT";

fn cause_of_io(kind: io::ErrorKind, error: &dyn Error, address: &str) -> String {
    match kind {
        io::ErrorKind::ConnectionRefused => {
            "the connection was refused: check that the server runs, and --address or --health-listen"
                .to_owned()
        }
        io::ErrorKind::NotFound => {
            "there is no such file: check that the server runs, and the path of its socket".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not open the socket: check its mode and owner".to_owned()
        }
        io::ErrorKind::TimedOut => {
            "no connection came about in time: check the address, and what stands between".to_owned()
        }
        _ if !address.starts_with("https://") && !address.starts_with("unix:") => SPEAKS_TLS.to_owned(),
        _ => format!("{error}: check the address"),
    }
}

fn cause_of_tls(error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error};
    let known = match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate is of an authority that is not trusted here: name the authority's file by --ca"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the server's certificate is for another name: give the one that it is for by --server-name",
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server's certificate has expired: renew the one of --tls-cert"
        }
        Error::InvalidCertificate(_) => {
            "the server's certificate cannot be used: check the one of --tls-cert, and this machine's clock"
        }
        Error::InvalidMessage(_) => "the listener does not speak TLS: give --address=http://HOST:PORT",
        Error::AlertReceived(_) => {
            "the server ended the TLS handshake: where it asks for a client certificate, give --cert and --key"
        }
        other => return format!("the TLS handshake failed: {other}"),
    };
    known.to_owned()
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
