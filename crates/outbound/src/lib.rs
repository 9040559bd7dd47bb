//! The one door to other people's HTTP servers.
//!
//! A [`Door`] sends one request at a time and reports what can be known about it: it follows no redirect, repeats
//! nothing by itself, keeps no cookies, reads no more of a body than [`LARGEST_BODY`], and keeps no connection for the
//! next request, so that none can be closed under one. What a failure on the way means is decided here; what a reply
//! means is for the adapter to say.
//!
//! It calls nobody whom the [`guard`] refuses: the address is judged before anything is done, a name is resolved once,
//! every answer is judged, and what was judged is what is called.

mod body;
mod decode;
mod echoed;
pub mod foreign;
pub mod guard;
pub mod pem;
mod proxy;
mod redact;
mod resolve;
mod route;
mod tls_faults;
mod transport;
mod trust;
mod words;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use ticketing_core::clock::Clock;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_failpoints::{Guard as Guarded, is_removed};
use ticketing_retry::retry_after;
use url::Url;

use crate::body::Halves;
use crate::guard::{Guard, Refused, Rule};
use crate::resolve::JudgedNames;
use crate::route::Proxy;
use crate::transport::{TunnelRefusal, Way};
use crate::trust::{ClientCertificateAsked, TlsSetupError};

pub use echoed::hide_in_reply;
pub use foreign::{mentions, title_of_page};
pub use redact::{Redactor, hide};
pub use resolve::{Answers, Names, SystemNames};
pub use route::{NotALogin, ProxyLogins, Route, RouteDraft};
pub use words::read_json;

/// The most of a reply that is read. A longer one is not a reply that we could trust.
pub const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// How long a connection may take to come about, with TLS, at most. Less than any read may take, so that what a firewall
/// swallows is told like what is refused.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// Sends requests.
#[derive(Debug, Clone)]
pub struct Door {
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    longest: Duration,
    reach: Arc<Reach>,
    tls: Arc<rustls::ClientConfig>,
    asked_for_certificate: ClientCertificateAsked,
}

/// How far a door leads, and which way.
#[derive(Debug, Clone)]
pub struct Reach {
    pub guard: Guard,
    pub names: Arc<dyn Names>,
    /// The logins to proxies.
    pub logins: ProxyLogins,
    /// The way that is gone where a target names none.
    pub route: Route,
    /// A variable of the environment that names a proxy which is not used, since nobody said that it shall be.
    pub ignored_proxy: Option<&'static str>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub authorization: Option<Authorization>,
    /// JSON, as it goes over the wire.
    pub body: Option<String>,
    /// From the first step to the last byte of the reply.
    pub timeout: Duration,
}

/// The value of the `Authorization` header.
#[derive(Debug, Clone)]
pub struct Authorization(SecretString);

/// A whole reply, whatever its status.
#[derive(Debug, Clone)]
pub struct Reply {
    /// What was asked.
    pub url: Url,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
    /// From the first step to the last byte.
    pub elapsed: Duration,
    /// What `Retry-After` asked for, or on a 429 without it `X-RateLimit-Reset`, if it said something sensible.
    pub retry_after: Option<Duration>,
}

/// Why a door could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error("failed to set up the HTTP client")]
    Client(#[source] reqwest::Error),
    #[error("failed to set up TLS")]
    Tls(#[source] TlsSetupError),
}

// === impl Door ===

impl Door {
    /// A door that trusts the public certificate authorities, unless its way says otherwise, for requests that take at most
    /// `longest`. A connection gets half of that, so that one which never came about is told from an answer that never
    /// came: nothing was sent then, and nothing has to be looked for.
    ///
    /// # Errors
    /// If the TLS set-up of this machine can not be used.
    pub fn new(clock: Arc<dyn Clock>, longest: Duration, reach: Reach) -> Result<Self, DoorError> {
        let asked_for_certificate = ClientCertificateAsked::default();
        let tls = trust::client_config(reach.route.authorities.as_ref(), &asked_for_certificate)
            .map_err(DoorError::Tls)?;
        let client =
            client(&reach, tls.clone(), CONNECT_TIMEOUT.min(longest / 2)).map_err(DoorError::Client)?;
        Ok(Self { client, clock, longest, reach: Arc::new(reach), tls: Arc::new(tls), asked_for_certificate })
    }

    /// A door to where this one leads, by another way. What `route` leaves open stays as it is.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn by(&self, route: &Route) -> Result<Self, DoorError> {
        if route.is_plain() {
            return Ok(self.clone());
        }
        let usual = &self.reach.route;
        let proxy = route.proxy.clone().or_else(|| usual.proxy.clone());
        let authorities = route.authorities.clone().or_else(|| usual.authorities.clone());
        let reach = Reach { route: Route { proxy, authorities }, ..(*self.reach).clone() };
        Self::new(self.clock.clone(), self.longest, reach)
    }

    /// How long a request may take at most.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The rules for whom it calls.
    #[must_use]
    pub fn guard(&self) -> &Guard {
        &self.reach.guard
    }

    /// Takes the login for the proxy out of what somebody on the way repeats.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        let proxy = self.reach.route.proxy.as_ref();
        let login = proxy.and_then(|proxy| proxy.login(&self.reach.logins));
        login.map_or_else(Redactor::default, |login| login.add_to(Redactor::default()))
    }

    /// `text` without the login for the proxy, should somebody on the way have repeated it.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        self.redactor().redact(text)
    }

    /// Sends one request, once.
    ///
    /// # Errors
    /// A fault of the way there or back: [`FaultKind::NotPermitted`], [`FaultKind::Dns`], [`FaultKind::Connect`] and [`FaultKind::Tls`] mean that
    /// nothing was sent, or nothing of it was read; [`FaultKind::TimedOut`], [`FaultKind::ConnectionLost`] and [`FaultKind::UnreadableReply`] that
    /// something may have been.
    pub async fn send(&self, request: Request) -> Result<Reply, Fault> {
        let host = authority(&request.url);
        self.judge(&request.url).map_err(|(host, refused)| transport::refused(&host, &refused))?;
        let began = self.clock.now();
        let (url, timeout) = (request.url.clone(), request.timeout);
        let response = match self.request(request).send().await {
            Ok(response) => response,
            Err(error) => return Err(self.fault(&error, &url, &host, timeout).await),
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = read_body(response, &headers, &host).await.map_err(|fault| fault.with_status(status))?;
        let now = self.clock.now();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let asked = header("retry-after").and_then(|text| retry_after::parse(text, now));
        let reset = header("x-ratelimit-reset").filter(|_| status == 429);
        let retry_after = asked.or_else(|| retry_after::parse_reset(reset?, now));
        let elapsed = now.duration_since(began).unsigned_abs();
        Ok(Reply { url, status, headers, body, elapsed, retry_after })
    }

    /// The door's clock.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// The present moment, by the door's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What the failure of a request means. A proxy that opened no tunnel is asked why.
    async fn fault(&self, error: &reqwest::Error, url: &Url, host: &str, timeout: Duration) -> Fault {
        let proxy = self.reach.route.proxy.as_ref().filter(|_| url.scheme() == "https");
        let way = Way {
            host,
            is_https: url.scheme() == "https",
            proxy: proxy.map(Proxy::called),
            ignored_proxy: self.reach.ignored_proxy,
            asked_for_certificate: self.asked_for_certificate.get(),
        };
        let (Some(proxy), Some(refusal)) = (proxy, transport::tunnel_refusal(error)) else {
            return transport::fault(error, &way);
        };
        let login = proxy.login(&self.reach.logins);
        let question = proxy::Question {
            proxy: &proxy.url,
            target: url,
            login: login.filter(|_| refusal != TunnelRefusal::Login),
            guard: &self.reach.guard,
            names: self.reach.names.as_ref(),
            tls: self.tls.clone(),
        };
        let answer = question.ask(timeout).await;
        let explained = answer.map(|answer| proxy::explain(&answer, host, login.is_some()));
        transport::refused_by_proxy(&way, refusal, explained)
    }

    /// Judges whom a request would call. The client itself asks [`JudgedNames`] what a name stands for, but nobody about an
    /// address that is written out.
    fn judge(&self, url: &Url) -> Result<(), (String, Refused)> {
        let judge = |url: &Url| self.reach.guard.judge(url).map_err(|refused| (authority(url), refused));
        judge(url)?;
        match &self.reach.route.proxy {
            None => Ok(()),
            // The environment's proxy is for https alone; one that the settings name is for everything.
            Some(Proxy { except: None, .. }) if url.scheme() != "https" => {
                let refused = Refused { rule: Rule::PlainHttpByProxy, permit: None };
                Err((authority(url), refused))
            }
            Some(proxy) => judge(&proxy.url),
        }
    }

    fn request(&self, request: Request) -> reqwest::RequestBuilder {
        let mut builder = self
            .client
            .request(request.method, request.url)
            .timeout(request.timeout)
            .header(http::header::ACCEPT, "application/json");
        if let Some(Authorization(value)) = &request.authorization {
            builder = builder.header(http::header::AUTHORIZATION, sensitive(value));
        }
        match request.body {
            Some(body) => builder
                .header(http::header::CONTENT_TYPE, "application/json")
                .body(reqwest::Body::wrap(Halves::of(body))),
            None => builder,
        }
    }
}

// === impl Reach ===

impl Default for Reach {
    fn default() -> Self {
        Guard::default().into()
    }
}

impl From<Guard> for Reach {
    fn from(guard: Guard) -> Self {
        let names = Arc::new(SystemNames);
        Self { guard, names, logins: ProxyLogins::default(), route: Route::default(), ignored_proxy: None }
    }
}

// === impl Request ===

impl Request {
    #[must_use]
    pub fn get(url: Url, authorization: Option<Authorization>, timeout: Duration) -> Self {
        Self { method: Method::GET, url, authorization, body: None, timeout }
    }

    #[must_use]
    pub fn post(url: Url, authorization: Option<Authorization>, body: String, timeout: Duration) -> Self {
        Self { method: Method::POST, url, authorization, body: Some(body), timeout }
    }
}

// === impl Authorization ===

impl Authorization {
    /// User name and password, or email and API token.
    #[must_use]
    pub fn basic(user: &str, password: &SecretString) -> Self {
        Self(SecretString::from(format!(
            "Basic {}",
            words::base64(&format!("{user}:{}", password.expose_secret()))
        )))
    }

    /// A bearer token.
    #[must_use]
    pub fn bearer(token: &SecretString) -> Self {
        Self(SecretString::from(format!("Bearer {}", token.expose_secret())))
    }

    /// `text` without what stands behind the scheme, should a server have repeated the header.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        self.add_to(Redactor::default()).redact(text)
    }

    /// Has it taken out, too.
    #[must_use]
    pub fn add_to(&self, redactor: Redactor) -> Redactor {
        let credentials = self.0.expose_secret().split_once(' ').map_or("", |(_, credentials)| credentials);
        // What is left of base64 without its padding tells as much.
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

    /// Whether it is a page for people, whatever its type says.
    #[must_use]
    pub fn is_html(&self) -> bool {
        foreign::is_page(self)
    }

    /// The fault that the status alone stands for, with the words given.
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

fn client(
    reach: &Reach,
    tls: rustls::ClientConfig,
    connect_timeout: Duration,
) -> reqwest::Result<reqwest::Client> {
    let elsewhere = if is_removed(Guarded::NoRedirects) { Policy::default() } else { Policy::none() };
    let names = JudgedNames { names: reach.names.clone(), guard: reach.guard.clone() };
    let mut builder = reqwest::Client::builder()
        .redirect(elsewhere)
        .retry(reqwest::retry::never())
        .no_proxy()
        .dns_resolver(Arc::new(names))
        .connect_timeout(connect_timeout)
        .pool_max_idle_per_host(0)
        .http1_only()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("rhythmx-ticketing/", env!("CARGO_PKG_VERSION")));
    if let Some(proxy) = &reach.route.proxy {
        builder = builder.proxy(proxy.client_setting(&reach.logins)?);
    }
    builder.build()
}

/// Host, and port where it is not the usual one.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn sensitive(value: &SecretString) -> http::HeaderValue {
    // A value with control characters can not be a header; an empty one is refused as any wrong login is.
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
    // A refusal is one by its status, whether its words break off, are too many, hang or cannot be read.
    let is_refusal = !response.status().is_success();
    let mut body = Vec::new();
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(_) if is_refusal => break,
            Err(error) => return Err(transport::fault_of_reply(&error, host)),
        };
        if body.len() + chunk.len() <= LARGEST_BODY {
            body.extend_from_slice(&chunk);
        } else if is_refusal {
            break;
        } else {
            let message = format!("the reply of {host} is larger than {LARGEST_BODY} bytes");
            return Err(Fault::new(FaultKind::UnreadableReply, message));
        }
    }
    if is_refusal {
        return Ok(decode::words(headers, body, LARGEST_BODY));
    }
    decode::text(headers, body, LARGEST_BODY).map_err(|error| transport::undecodable(&error, host))
}
