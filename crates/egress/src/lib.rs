//! The HTTP client for ticket systems, with SSRF protection.
//!
//! [`HttpClient`] sends one request at a time. It follows no redirects, keeps no cookies, and reads at most
//! [`MAX_BODY`] of a reply. This crate classifies transport failures; the adapter interprets replies.
//!
//! A request that may change something is sent at most once, over a connection that had no request before: no server
//! can close such a connection for being idle while the request arrives, so that its outcome would be unknown without
//! need. The connection may be opened ahead, by [`HttpClient::dial`]. Until the first byte of the request is written,
//! every failure is definite, and a connection that died meanwhile is replaced; afterwards a missing reply is an
//! unknown outcome. A read may use a connection that is kept from an earlier request, and is repeated once if that
//! connection ends without a reply.
//!
//! Every request is subject to the [`EgressPolicy`]: the URL is checked before anything is sent, and for each
//! connection every resolved address is checked, and only those addresses are connected to.

pub mod address_policy;
mod ahead;
mod body;
mod connection;
mod decode;
mod dial;
pub mod foreign;
mod kept;
mod proxy;
mod redact;
mod reply_redaction;
mod resolve;
mod route;
mod stream;
mod text;
mod tls_faults;
mod transport;
mod trust;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode, header};
use http_body::Body;
use hyper::body::Incoming;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use ticketing_core::clock::Clock;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::system::Dialing;
use ticketing_retry::retry_after;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

use crate::address_policy::{AddressPolicy, AddressRefused, Rule};
use crate::ahead::Ahead;
use crate::body::SplitBody;
use crate::connection::Connection;
use crate::dial::{DialError, Dialer};
use crate::kept::KeptConnections;
use crate::route::Proxy;
use crate::transport::RequestRoute;
use crate::trust::{ClientCertificateRequested, TlsSetupError};

pub use foreign::{mentions, title_of_page};
pub use redact::{Redactor, redact};
pub use reply_redaction::redact_reply;
pub use resolve::{CachingResolver, ResolveFuture, Resolver, SystemResolver};
pub use route::{InvalidProxyLogin, ProxyLogins, Route, RouteDraft};
pub use text::read_json;

/// Maximum size of a reply, in bytes. A longer reply is an error.
pub const MAX_BODY: usize = 4 * 1024 * 1024;

/// Maximum time to connect, TLS handshake included. Shorter than any read timeout, so that a packet dropped by a
/// firewall is reported like a refused connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

const USER_AGENT: &str = concat!("rhythmx-ticketing/", env!("CARGO_PKG_VERSION"));

/// Sends requests. Clones share connections and TLS sessions; a client with another route shares neither.
#[derive(Debug, Clone)]
pub struct HttpClient {
    clock: Arc<dyn Clock>,
    max_timeout: Duration,
    egress_policy: Arc<EgressPolicy>,
    dialer: Arc<Dialer>,
    kept: KeptConnections,
    is_certificate_requested: ClientCertificateRequested,
}

/// Which addresses may be called, and by which route.
#[derive(Debug, Clone)]
pub struct EgressPolicy {
    pub addresses: AddressPolicy,
    pub resolver: Arc<dyn Resolver>,
    /// Logins to proxies, from the operator.
    pub logins: ProxyLogins,
    /// The route used where a connection configures none.
    pub route: Route,
    /// An environment variable that names a proxy, ignored because `--proxy-from-environment` is not set.
    pub ignored_proxy: Option<&'static str>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub authorization: Option<Authorization>,
    /// JSON, as sent.
    pub body: Option<Bytes>,
    /// Covers everything from connecting to the last byte of the reply.
    pub timeout: Duration,
    /// It changes nothing: it may use a kept connection, and be repeated.
    pub is_read: bool,
}

/// The value of the `Authorization` header.
#[derive(Debug, Clone)]
pub struct Authorization(SecretString);

/// A complete reply, whatever its status.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The requested URL.
    pub url: Url,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    /// From connecting to the last byte of the reply.
    pub elapsed: Duration,
    /// The delay from `Retry-After`, or on a 429 without it from `X-RateLimit-Reset`; `None` if absent or invalid.
    pub retry_after: Option<Duration>,
}

/// Why a client could not be created.
#[derive(Debug, thiserror::Error)]
pub enum HttpClientError {
    #[error("failed to set up TLS")]
    Tls(#[source] TlsSetupError),
}

// === impl HttpClient ===

impl HttpClient {
    /// Creates a client for requests that take at most `max_timeout`. It trusts the public certificate authorities
    /// unless the route names others. Connecting gets at most half of the time, so that a failure to connect, where
    /// nothing was sent, is distinguishable from a missing reply.
    ///
    /// # Errors
    /// If TLS cannot be set up on this machine.
    pub fn new(
        clock: Arc<dyn Clock>,
        max_timeout: Duration,
        egress_policy: EgressPolicy,
    ) -> Result<Self, HttpClientError> {
        let is_certificate_requested = ClientCertificateRequested::default();
        let tls = trust::client_config(egress_policy.route.authorities.as_ref(), &is_certificate_requested)
            .map_err(HttpClientError::Tls)?;
        let egress_policy = Arc::new(egress_policy);
        let connect_timeout = CONNECT_TIMEOUT.min(max_timeout / 2);
        let dialer = Arc::new(Dialer::new(egress_policy.clone(), Arc::new(tls), connect_timeout));
        let kept = KeptConnections::default();
        Ok(Self { clock, max_timeout, egress_policy, dialer, kept, is_certificate_requested })
    }

    /// This client with another route. What `route` leaves unset stays as it is.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn with_route(&self, route: &Route) -> Result<Self, HttpClientError> {
        if route.is_plain() {
            return Ok(self.clone());
        }
        let usual = &self.egress_policy.route;
        let proxy = route.proxy.clone().or_else(|| usual.proxy.clone());
        let authorities = route.authorities.clone().or_else(|| usual.authorities.clone());
        let egress_policy =
            EgressPolicy { route: Route { proxy, authorities }, ..(*self.egress_policy).clone() };
        Self::new(self.clock.clone(), self.max_timeout, egress_policy)
    }

    /// Maximum duration of a request.
    #[must_use]
    pub fn max_timeout(&self) -> Duration {
        self.max_timeout
    }

    /// The rules for addresses that may be called.
    #[must_use]
    pub fn address_policy(&self) -> &AddressPolicy {
        &self.egress_policy.addresses
    }

    /// Redacts the proxy login.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        let proxy = self.egress_policy.route.proxy.as_ref();
        let login = proxy.and_then(|proxy| proxy.login(&self.egress_policy.logins));
        login.map_or_else(Redactor::default, |login| login.add_to(Redactor::default()))
    }

    /// `text` without the proxy login.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        self.redactor().redact(text)
    }

    /// Begins to open a connection for one request to the origin of `url`. It is closed if it is not used within a
    /// few seconds.
    #[must_use]
    pub fn dial(&self, url: &Url) -> Dialing {
        // The request itself reports that its address is forbidden.
        if self.check(url).is_err() {
            return Dialing::default();
        }
        Ahead::begin(self.dialer.clone(), url.clone())
    }

    /// Sends one request.
    ///
    /// # Errors
    /// A transport fault. [`FaultKind::NotPermitted`], [`FaultKind::Dns`], [`FaultKind::Connect`] and
    /// [`FaultKind::Tls`] are definite failures: nothing was sent, or none of it was processed. After
    /// [`FaultKind::TimedOut`], [`FaultKind::ConnectionLost`] and [`FaultKind::UnreadableReply`] the outcome is
    /// unknown.
    pub async fn send(&self, request: Request) -> Result<Reply, Fault> {
        self.send_over(Dialing::default(), request).await
    }

    /// Sends one request over the connection that [`dial`](Self::dial) began to open, or over a new one.
    ///
    /// # Errors
    /// As for [`send`](Self::send). That no connection could be opened ahead is a failure like any other.
    pub async fn send_over(&self, dialing: Dialing, request: Request) -> Result<Reply, Fault> {
        let host = authority(&request.url);
        self.check(&request.url).map_err(|(host, refused)| transport::refused(&host, &refused))?;
        let began = self.clock.now();
        let deadline = Instant::now() + request.timeout;
        let (connection, response) = self.exchange(&request, &host, dialing, deadline).await?;
        let (head, body) = response.into_parts();
        let status = head.status.as_u16();
        let headers = head.headers;
        let (body, has_ended) = read_body(body, head.status, &headers, &host, deadline)
            .await
            .map_err(|fault| fault.with_status(status))?;
        if has_ended {
            self.kept.keep(connection);
        }
        let now = self.clock.now();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let asked = header("retry-after").and_then(|text| retry_after::parse(text, now));
        let reset = header("x-ratelimit-reset").filter(|_| status == 429);
        let retry_after = asked.or_else(|| retry_after::parse_reset(reset?, now));
        let elapsed = now.duration_since(began).unsigned_abs();
        Ok(Reply { url: request.url, status, headers, body, elapsed, retry_after })
    }

    /// The client's clock.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// The current time, by the client's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Sends the request until there is the head of a reply.
    async fn exchange(
        &self,
        request: &Request,
        host: &str,
        dialing: Dialing,
        deadline: Instant,
    ) -> Result<(Connection, Response<Incoming>), Fault> {
        let not_connected = |error| transport::not_connected(&error, &self.route(&request.url, host));
        let mut waiting = match request.is_read {
            true => self.kept.take(&request.url),
            false => opened(dialing, &request.url, deadline).await.map_err(not_connected)?,
        };
        loop {
            let has_waited = waiting.is_some();
            let mut connection = match waiting.take() {
                Some(connection) => connection,
                None => within(deadline, self.dialer.dial(&request.url)).await.map_err(not_connected)?,
            };
            let message = message(request).map_err(|error| transport::no_request(host, &error))?;
            let error = match timeout_at(deadline, connection.send(message)).await {
                Ok(Ok(response)) => return Ok((connection, response)),
                Ok(Err(error)) => error,
                Err(_) => return Err(transport::no_reply_in_time(host)),
            };
            // The server may have closed a connection that waited for its request.
            if !has_waited || !(error.is_unsent || request.is_read && error.is_cut_off()) {
                return Err(transport::fault(&error, &self.route(&request.url, host)));
            }
        }
    }

    fn route<'a>(&self, url: &Url, host: &'a str) -> RequestRoute<'a> {
        RequestRoute {
            host,
            is_https: url.scheme() == "https",
            proxy: self.dialer.proxy(url).map(Proxy::display_name),
            ignored_proxy: self.egress_policy.ignored_proxy,
            is_certificate_requested: self.is_certificate_requested.get(),
        }
    }

    /// Checks the URL of a request, and the URL of the proxy. Resolved addresses are checked for each connection.
    fn check(&self, url: &Url) -> Result<(), (String, AddressRefused)> {
        let check =
            |url: &Url| self.egress_policy.addresses.check(url).map_err(|refused| (authority(url), refused));
        check(url)?;
        match &self.egress_policy.route.proxy {
            None => Ok(()),
            // The proxy of the environment is for https alone; a configured one is for every scheme.
            Some(Proxy { except: None, .. }) if url.scheme() != "https" => {
                let refused = AddressRefused { rule: Rule::PlainHttpByProxy, permit: None };
                Err((authority(url), refused))
            }
            Some(proxy) => check(&proxy.url),
        }
    }
}

// === impl EgressPolicy ===

impl Default for EgressPolicy {
    fn default() -> Self {
        AddressPolicy::default().into()
    }
}

impl From<AddressPolicy> for EgressPolicy {
    fn from(addresses: AddressPolicy) -> Self {
        let resolver = Arc::new(CachingResolver::new(Arc::new(SystemResolver)));
        Self {
            addresses,
            resolver,
            logins: ProxyLogins::default(),
            route: Route::default(),
            ignored_proxy: None,
        }
    }
}

// === impl Request ===

impl Request {
    #[must_use]
    pub fn get(url: Url, authorization: Option<Authorization>, timeout: Duration) -> Self {
        Self { method: Method::GET, url, authorization, body: None, timeout, is_read: true }
    }

    /// A request that may change something.
    #[must_use]
    pub fn post(url: Url, authorization: Option<Authorization>, body: Bytes, timeout: Duration) -> Self {
        Self { method: Method::POST, url, authorization, body: Some(body), timeout, is_read: false }
    }
}

// === impl Authorization ===

impl Authorization {
    /// User name and password, or email and API token.
    #[must_use]
    pub fn basic(user: &str, password: &SecretString) -> Self {
        Self(SecretString::from(format!(
            "Basic {}",
            text::base64(&format!("{user}:{}", password.expose_secret()))
        )))
    }

    /// A bearer token.
    #[must_use]
    pub fn bearer(token: &SecretString) -> Self {
        Self(SecretString::from(format!("Bearer {}", token.expose_secret())))
    }

    /// `text` without the credentials, in case a server echoed the header.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        self.add_to(Redactor::default()).redact(text)
    }

    /// Adds the credentials to a redactor.
    #[must_use]
    pub fn add_to(&self, redactor: Redactor) -> Redactor {
        let credentials = self.0.expose_secret().split_once(' ').map_or("", |(_, credentials)| credentials);
        // Base64 without its padding reveals as much.
        redactor.with(credentials).with(credentials.trim_end_matches('='))
    }
}

// === impl Reply ===

impl Reply {
    /// A header as text; empty if there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Whether it is an HTML page, whatever its content type.
    #[must_use]
    pub fn is_html(&self) -> bool {
        foreign::is_page(self)
    }

    /// The fault for the status, with the given message.
    #[must_use]
    pub fn fault(&self, words: &str) -> Fault {
        let kind = FaultKind::of_status(self.status);
        let reason = StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        let reason = reason.map(|reason| format!(" {reason}")).unwrap_or_default();
        let words = if words.is_empty() { String::new() } else { format!(": {words}") };
        let message = format!("HTTP {}{reason}{words}", self.status);
        Fault::new(kind, message).with_status(self.status).with_retry_after(self.retry_after)
    }
}

/// The request as it is written.
fn message(request: &Request) -> http::Result<http::Request<SplitBody>> {
    let mut builder = http::Request::builder()
        .method(request.method.clone())
        .uri(&request.url[Position::BeforePath..Position::AfterQuery])
        .header(header::HOST, authority(&request.url))
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, USER_AGENT);
    if let Some(Authorization(value)) = &request.authorization {
        builder = builder.header(header::AUTHORIZATION, sensitive(value));
    }
    if request.body.is_some() {
        builder = builder.header(header::CONTENT_TYPE, "application/json");
    }
    builder.body(SplitBody::of(request.body.clone().unwrap_or_default()))
}

/// The connection that was opened ahead, if requests to `url` may use it.
async fn opened(dialing: Dialing, url: &Url, deadline: Instant) -> Result<Option<Connection>, DialError> {
    let Some(ahead) = dialing.into_inner::<Ahead>() else { return Ok(None) };
    let opened = timeout_at(deadline, ahead.opened()).await;
    let connection = opened.unwrap_or_else(|_| Some(Err(DialError::late()))).transpose()?;
    Ok(connection.filter(|connection| connection.is_usable(url)))
}

async fn within(
    deadline: Instant,
    dial: impl Future<Output = Result<Connection, DialError>>,
) -> Result<Connection, DialError> {
    timeout_at(deadline, dial).await.unwrap_or_else(|_| Err(DialError::late()))
}

/// Host, and port unless it is the default.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn sensitive(value: &SecretString) -> http::HeaderValue {
    // A value with control characters is not a valid header; an empty one is rejected like any wrong login.
    let mut header = http::HeaderValue::from_str(value.expose_secret())
        .unwrap_or_else(|_| http::HeaderValue::from_static(""));
    header.set_sensitive(true);
    header
}

/// Reads a body, and whether it was read to its end.
async fn read_body(
    mut incoming: Incoming,
    status: StatusCode,
    headers: &HeaderMap,
    host: &str,
    deadline: Instant,
) -> Result<(String, bool), Fault> {
    // The status alone makes a refusal definite, even if the body is cut off, too long, late or unreadable.
    let is_refusal = !status.is_success();
    let mut body = Vec::new();
    let mut has_ended = false;
    loop {
        let next = std::future::poll_fn(|context| Pin::new(&mut incoming).poll_frame(context));
        let fault = match timeout_at(deadline, next).await {
            Ok(None) => {
                has_ended = true;
                break;
            }
            Ok(Some(Ok(frame))) => {
                let chunk = frame.into_data().unwrap_or_default();
                if body.len() + chunk.len() <= MAX_BODY {
                    body.extend_from_slice(&chunk);
                    continue;
                }
                let message = format!("the reply of {host} is larger than {MAX_BODY} bytes");
                Fault::new(FaultKind::UnreadableReply, message)
            }
            Ok(Some(Err(error))) => transport::fault_of_reply(&error, host),
            Err(_) => transport::no_end_in_time(host),
        };
        if is_refusal {
            break;
        }
        return Err(fault);
    }
    if is_refusal {
        return Ok((decode::lossy_text(headers, body, MAX_BODY), has_ended));
    }
    let text = decode::text(headers, body, MAX_BODY);
    text.map(|text| (text, has_ended)).map_err(|error| transport::decode_fault(&error, host))
}
