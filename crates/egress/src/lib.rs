//! The HTTP client for ticket systems, with SSRF protection.
//!
//! [`HttpClient`] sends one request at a time. It follows no redirects, keeps no cookies, and reads at most
//! [`MAX_BODY`] of a reply. This crate classifies transport failures; the adapter interprets replies.
//!
//! A request that may change something is sent at most once, over a connection that had no request before: no server
//! can close such a connection for being idle while the request arrives, so that its outcome would be unknown without
//! need. The connection may be opened ahead, by [`HttpClient::dial`]. A read may use a connection that is kept from an
//! earlier read, and is repeated once if such a connection ends without a reply.
//!
//! Every request is subject to the [`EgressPolicy`]: the URL is checked before anything is sent, and for each
//! connection every resolved address is checked, and only those addresses are connected to.

pub mod address_policy;
mod ahead;
mod body;
mod decode;
pub mod foreign;
mod proxy;
mod redact;
mod reply_redaction;
mod resolve;
mod route;
mod text;
mod tls_faults;
mod transport;
mod trust;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use ticketing_core::clock::Clock;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::system::Dialing;
use ticketing_retry::retry_after;
use tokio::time::Instant;
use url::Url;

use crate::address_policy::{AddressPolicy, AddressRefused, Rule};
use crate::ahead::{Ahead, SetAside};
use crate::body::SplitBody;
use crate::resolve::CheckedResolver;
use crate::route::Proxy;
use crate::transport::{NoReply, RequestRoute, TunnelRefusal};
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

/// How many unused connections are kept for reads, and how long: shorter than most servers wait for the next request.
const MAX_KEPT: usize = 4;
const MAX_IDLE: Duration = Duration::from_secs(4);

/// Sends requests. Clones share connections and TLS sessions; a client with another route shares neither.
#[derive(Debug, Clone)]
pub struct HttpClient {
    /// Keeps connections.
    reads: reqwest::Client,
    /// Opens a connection for each request.
    changes: reqwest::Client,
    /// When a connection was last kept.
    kept_at: Arc<Mutex<Option<Instant>>>,
    clock: Arc<dyn Clock>,
    max_timeout: Duration,
    egress_policy: Arc<EgressPolicy>,
    tls: Arc<rustls::ClientConfig>,
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
    #[error("failed to set up the HTTP client")]
    Client(#[source] reqwest::Error),
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
        let builder = || builder(&egress_policy, tls.clone(), max_timeout);
        let reads = builder()
            .and_then(|builder| builder.pool_max_idle_per_host(MAX_KEPT).pool_idle_timeout(MAX_IDLE).build());
        let changes = builder().and_then(|builder| builder.pool_max_idle_per_host(0).build());
        Ok(Self {
            reads: reads.map_err(HttpClientError::Client)?,
            changes: changes.map_err(HttpClientError::Client)?,
            kept_at: Arc::default(),
            clock,
            max_timeout,
            egress_policy: Arc::new(egress_policy),
            tls: Arc::new(tls),
            is_certificate_requested,
        })
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

    /// Begins to open a connection for one request to the origin of `url`.
    #[must_use]
    pub fn dial(&self, url: &Url) -> Dialing {
        // The request itself reports that its address is forbidden, or that there is no client.
        if self.check(url).is_err() {
            return Dialing::default();
        }
        let builder = builder(&self.egress_policy, (*self.tls).clone(), self.max_timeout);
        let client =
            builder.and_then(|builder| builder.pool_max_idle_per_host(0).connector_layer(SetAside).build());
        client.map_or_else(|_| Dialing::default(), |client| Ahead::begin(client, url))
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

    /// Sends one request over the connection that [`dial`](Self::dial) began to open, or over another one.
    ///
    /// # Errors
    /// As for [`send`](Self::send). That no connection could be opened ahead is a failure like any other.
    pub async fn send_over(&self, dialing: Dialing, request: Request) -> Result<Reply, Fault> {
        let host = authority(&request.url);
        self.check(&request.url).map_err(|(host, refused)| transport::refused(&host, &refused))?;
        let began = self.clock.now();
        let Request { url, timeout, is_read, .. } = request.clone();
        let response = match self.exchange(request, dialing).await {
            Ok(response) => response,
            Err(NoReply::NotConnected) => return Err(transport::not_connected_in_time(&host)),
            Err(NoReply::Failed(error)) => return Err(self.fault(&error, &url, &host, timeout).await),
        };
        if is_read {
            *self.kept_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = read_body(response, &headers, &host).await.map_err(|fault| fault.with_status(status))?;
        let now = self.clock.now();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let asked = header("retry-after").and_then(|text| retry_after::parse(text, now));
        let reset = header("x-ratelimit-reset").filter(|_| status == 429);
        let retry_after = asked.or_else(|| retry_after::parse_reset(reset?, now));
        let elapsed = now.duration_since(began).unsigned_abs();
        Ok(Reply { url, status, headers, body, elapsed, retry_after })
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
    async fn exchange(&self, request: Request, dialing: Dialing) -> Result<reqwest::Response, NoReply> {
        let deadline = Instant::now() + request.timeout;
        let ahead = dialing.into_inner::<Ahead>().filter(|ahead| ahead.is_for(&request.url));
        let client = match ahead {
            Some(ahead) => ahead.opened(request.timeout).await?,
            None if request.is_read => self.reads.clone(),
            None => self.changes.clone(),
        };
        let first = Request { timeout: deadline.duration_since(Instant::now()), ..request.clone() };
        let error = match message(&client, first).send().await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let was_kept = request.is_read && self.may_have_kept() && transport::has_ended(&error);
        if !was_kept && !transport::is_unsent(&error) {
            return Err(NoReply::Failed(error));
        }
        // The server has closed a connection that waited for its request.
        let again = Request { timeout: deadline.duration_since(Instant::now()), ..request };
        message(&self.changes, again).send().await.map_err(NoReply::Failed)
    }

    /// Whether the last read may have used a connection that was kept.
    fn may_have_kept(&self) -> bool {
        let kept_at = *self.kept_at.lock().unwrap_or_else(PoisonError::into_inner);
        kept_at.is_some_and(|at| at.elapsed() <= MAX_IDLE)
    }

    /// Classifies a failed request. If a proxy opened no tunnel, queries it for the reason.
    async fn fault(&self, error: &reqwest::Error, url: &Url, host: &str, timeout: Duration) -> Fault {
        let proxy = self.egress_policy.route.proxy.as_ref().filter(|_| url.scheme() == "https");
        let route = RequestRoute {
            host,
            is_https: url.scheme() == "https",
            proxy: proxy.map(Proxy::display_name),
            ignored_proxy: self.egress_policy.ignored_proxy,
            is_certificate_requested: self.is_certificate_requested.get(),
        };
        if transport::is_unreachable(error) {
            // The host, or the proxy, may have moved.
            let peer = proxy.map_or(url, |proxy| &proxy.url);
            peer.host_str().inspect(|name| self.egress_policy.resolver.forget(name));
        }
        let (Some(proxy), Some(refusal)) = (proxy, transport::tunnel_refusal(error)) else {
            return transport::fault(error, &route);
        };
        let login = proxy.login(&self.egress_policy.logins);
        let connect = proxy::ConnectRequest {
            proxy: &proxy.url,
            target: url,
            login: login.filter(|_| refusal != TunnelRefusal::Login),
            addresses: &self.egress_policy.addresses,
            resolver: self.egress_policy.resolver.as_ref(),
            tls: self.tls.clone(),
        };
        let answer = connect.send(timeout).await;
        let explained = answer.map(|answer| proxy::explain(&answer, host, login.is_some()));
        transport::refused_by_proxy(&route, refusal, explained)
    }

    /// Checks the URL of a request. The client consults [`CheckedResolver`] for host names only, not for literal
    /// addresses.
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

fn message(client: &reqwest::Client, request: Request) -> reqwest::RequestBuilder {
    let mut builder = client
        .request(request.method, request.url)
        .timeout(request.timeout)
        .header(http::header::ACCEPT, "application/json");
    if let Some(Authorization(value)) = &request.authorization {
        builder = builder.header(http::header::AUTHORIZATION, sensitive(value));
    }
    match request.body {
        Some(body) => builder
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(reqwest::Body::wrap(SplitBody::of(body))),
        None => builder,
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

fn builder(
    egress_policy: &EgressPolicy,
    tls: rustls::ClientConfig,
    max_timeout: Duration,
) -> reqwest::Result<reqwest::ClientBuilder> {
    let resolver = CheckedResolver {
        resolver: egress_policy.resolver.clone(),
        addresses: egress_policy.addresses.clone(),
    };
    let mut builder = reqwest::Client::builder()
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .dns_resolver(Arc::new(resolver))
        .connect_timeout(CONNECT_TIMEOUT.min(max_timeout / 2))
        .http1_only()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("rhythmx-ticketing/", env!("CARGO_PKG_VERSION")));
    if let Some(proxy) = &egress_policy.route.proxy {
        builder = builder.proxy(proxy.client_setting(&egress_policy.logins)?);
    }
    Ok(builder)
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

async fn read_body(
    mut response: reqwest::Response,
    headers: &HeaderMap,
    host: &str,
) -> Result<String, Fault> {
    // The status alone makes a refusal definite, even if the body is cut off, too long, late or unreadable.
    let is_refusal = !response.status().is_success();
    let mut body = Vec::new();
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(_) if is_refusal => break,
            Err(error) => return Err(transport::fault_of_reply(&error, host)),
        };
        if body.len() + chunk.len() <= MAX_BODY {
            body.extend_from_slice(&chunk);
        } else if is_refusal {
            break;
        } else {
            let message = format!("the reply of {host} is larger than {MAX_BODY} bytes");
            return Err(Fault::new(FaultKind::UnreadableReply, message));
        }
    }
    if is_refusal {
        return Ok(decode::lossy_text(headers, body, MAX_BODY));
    }
    decode::text(headers, body, MAX_BODY).map_err(|error| transport::decode_fault(&error, host))
}
