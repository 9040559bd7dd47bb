//! Opens network connections: resolves the name, checks the addresses, connects, passes the proxy, and negotiates
//! TLS. Nothing of a request is written here, so every failure is a definite one.

use std::convert::Infallible;
use std::error::Error;
use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::proxy::matcher::Matcher;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tower::ServiceExt;
use url::{Host, Url};

use crate::EgressPolicy;
use crate::connection::Connection;
use crate::proxy::{self, ConnectReply};
use crate::resolve::{self, AnswerRefused, ResolveError};
use crate::route::Proxy;
use crate::stream::BoxedIo;

/// Between probes of an idle TCP connection.
const TCP_KEEPALIVE: Duration = Duration::from_secs(15);

/// Opens the connections of one client.
#[derive(Debug)]
pub(crate) struct Dialer {
    egress_policy: Arc<EgressPolicy>,
    tls: Arc<ClientConfig>,
    /// The hosts that bypass the proxy of the environment.
    except: Option<Matcher>,
    /// For everything, the TLS handshake included.
    timeout: Duration,
}

/// Why no connection was opened.
#[derive(Debug)]
pub(crate) struct DialError {
    pub(crate) cause: DialFailure,
    /// The connection to the proxy failed, not the one behind it.
    pub(crate) is_of_proxy: bool,
}

#[derive(Debug)]
pub(crate) enum DialFailure {
    Refused(AnswerRefused),
    Dns(io::Error),
    Tcp(Box<dyn Error + Send + Sync>),
    Tls(io::Error),
    /// The proxy opened no tunnel.
    Tunnel {
        reply: ConnectReply,
        has_login: bool,
    },
    TimedOut,
}

// === impl Dialer ===

impl Dialer {
    pub(crate) fn new(egress_policy: Arc<EgressPolicy>, tls: Arc<ClientConfig>, timeout: Duration) -> Self {
        let except = egress_policy.route.proxy.as_ref().and_then(Proxy::matcher);
        Self { egress_policy, tls, except, timeout }
    }

    /// The proxy of requests to `url`.
    pub(crate) fn proxy(&self, url: &Url) -> Option<&Proxy> {
        let proxy = self.egress_policy.route.proxy.as_ref().filter(|_| url.scheme() == "https")?;
        let Some(except) = &self.except else { return Some(proxy) };
        let uri = url.as_str().parse().ok()?;
        except.intercept(&uri).map(|_| proxy)
    }

    /// Opens a connection for requests to `url`, whose address the caller has checked.
    pub(crate) async fn dial(&self, url: &Url) -> Result<Connection, DialError> {
        let deadline = Instant::now() + self.timeout;
        let proxy = self.proxy(url);
        let peer = proxy.map_or(url, |proxy| &proxy.url);
        let io = within(deadline, self.reach(peer)).await;
        let io = io.map_err(|cause| DialError { cause, is_of_proxy: proxy.is_some() })?;
        let behind = async {
            match proxy {
                Some(proxy) => self.tls(url, self.tunnel(proxy, url, io).await?).await,
                None => Ok(io),
            }
        };
        let io = within(deadline, behind).await;
        let io = io.map_err(|cause| DialError { cause, is_of_proxy: false })?;
        Ok(Connection::new(io, url).await)
    }

    /// A connection to the host of `url` itself, with TLS if its scheme says so.
    async fn reach(&self, url: &Url) -> Result<BoxedIo, DialFailure> {
        let stream: BoxedIo = Box::new(self.tcp(url).await?);
        if url.scheme() == "https" { self.tls(url, stream).await } else { Ok(stream) }
    }

    /// Connects to a checked address. IPv6 and IPv4 are tried side by side, several addresses one after the other.
    async fn tcp(&self, url: &Url) -> Result<TcpStream, DialFailure> {
        let policy = &self.egress_policy;
        let name = match url.host() {
            Some(Host::Domain(name)) => Some(name),
            _ => None,
        };
        let addresses = match name {
            Some(name) => resolve::checked(policy.resolver.as_ref(), &policy.addresses, name).await?,
            None => vec![],
        };
        let addresses: Vec<_> = addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
        // The connector asks for names only. There is no second resolution that could differ (DNS rebinding).
        let resolver =
            tower::service_fn(move |_: Name| ready(Ok::<_, Infallible>(addresses.clone().into_iter())));
        let mut connector = HttpConnector::new_with_resolver(resolver);
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_keepalive(Some(TCP_KEEPALIVE));
        connector.set_connect_timeout(Some(self.timeout));
        let uri = url.as_str().parse().map_err(|error| DialFailure::Tcp(Box::new(error)))?;
        match connector.oneshot(uri).await {
            Ok(stream) => Ok(stream.into_inner()),
            Err(error) => {
                // The host may have moved.
                name.inspect(|name| policy.resolver.forget(name));
                Err(DialFailure::Tcp(error.into()))
            }
        }
    }

    async fn tunnel(&self, proxy: &Proxy, url: &Url, io: BoxedIo) -> Result<BoxedIo, DialFailure> {
        let login = proxy.login(&self.egress_policy.logins);
        let has_login = login.is_some();
        proxy::open_tunnel(io, url, login).await.map_err(|reply| DialFailure::Tunnel { reply, has_login })
    }

    async fn tls(&self, url: &Url, io: BoxedIo) -> Result<BoxedIo, DialFailure> {
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(|error| DialFailure::Tls(io::Error::other(error)))?;
        let stream = TlsConnector::from(self.tls.clone()).connect(name, io).await;
        Ok(Box::new(stream.map_err(DialFailure::Tls)?))
    }
}

// === impl DialError ===

impl DialError {
    /// The time of the request was over before there was a connection.
    pub(crate) fn late() -> Self {
        Self { cause: DialFailure::TimedOut, is_of_proxy: false }
    }
}

async fn within<T>(
    deadline: Instant,
    step: impl Future<Output = Result<T, DialFailure>>,
) -> Result<T, DialFailure> {
    timeout_at(deadline, step).await.unwrap_or(Err(DialFailure::TimedOut))
}

impl From<ResolveError> for DialFailure {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Failed(error) => Self::Dns(error),
            ResolveError::Refused(refused) => Self::Refused(refused),
        }
    }
}
