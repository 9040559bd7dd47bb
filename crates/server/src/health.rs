//! `ticketing health`: checks a running server, for containers without another client.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status, TimeoutExpired};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// A server that takes longer is unhealthy.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The server to check, and how.
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

/// Succeeds if the server is serving.
///
/// # Errors
/// If it is not serving, or does not respond.
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
        ServingStatus::NotServing => bail!("{address} is stopping, and accepts no new calls"),
        ServingStatus::Unknown | ServingStatus::ServiceUnknown => {
            bail!("{address} does not know whether it serves")
        }
    }
}

/// Why a check failed.
fn refusal(status: &Status, address: &str) -> String {
    let with_message = |what: &str| match status.message() {
        "" => what.to_owned(),
        message => format!("{what}: {message}"),
    };
    match status.code() {
        Code::Unimplemented => "it answers, but is not a ticketing server: check the address".to_owned(),
        Code::Cancelled if status.message() != TimeoutExpired(()).to_string() => closed(address),
        Code::Cancelled | Code::DeadlineExceeded => {
            format!("no answer within {} s: see the server's log", TIMEOUT.as_secs())
        }
        Code::PermissionDenied | Code::ResourceExhausted => with_message("it refuses the call"),
        code => match status.source() {
            Some(error) => cause(error, address),
            None => with_message(code.description()),
        },
    }
}

/// Why connecting failed, with a hint, in one sentence.
fn cause(error: &(dyn Error + 'static), address: &str) -> String {
    let mut next = Some(error);
    let mut last = String::new();
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
    if last.contains("frame") { closed(address) } else { format!("{last}: check the address") }
}

/// The server closed the connection before it answered, as a TLS listener does to plaintext.
fn closed(address: &str) -> String {
    let what = if address.starts_with("https://") || address.starts_with("unix:") {
        "the connection was closed before an answer came: see the server's log"
    } else {
        "the connection was cut off: the listener probably speaks TLS, so give --address=https://HOST:PORT"
    };
    what.to_owned()
}

fn cause_of_io(kind: io::ErrorKind, error: &dyn Error, address: &str) -> String {
    match kind {
        io::ErrorKind::ConnectionRefused => {
            "the connection was refused: check that the server runs, and --address or --health-listen"
                .to_owned()
        }
        io::ErrorKind::NotFound => {
            "the socket does not exist: check that the server runs, and the path of its socket".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "this user is not permitted to open the socket: check its mode and owner".to_owned()
        }
        io::ErrorKind::TimedOut => {
            "connecting timed out: check the address, and firewalls and proxies on the way".to_owned()
        }
        io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::UnexpectedEof => closed(address),
        _ => format!("{error}: check the address"),
    }
}

fn cause_of_tls(error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error};
    let known = match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate is of an authority that is not trusted here: give the authority's file with --ca"
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the server's certificate is for another name: give that name with --server-name",
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
    /// The address with its scheme.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_closed_connection_from_a_time_out() {
        let closed = Status::cancelled("operation was canceled");
        assert!(refusal(&closed, "http://127.0.0.1:50051").contains("speaks TLS"));
        assert!(refusal(&closed, "https://127.0.0.1:50051").contains("was closed"));
        let late = Status::cancelled(TimeoutExpired(()).to_string());
        assert!(refusal(&late, "http://127.0.0.1:50051").contains("within 3 s"));
    }
}
