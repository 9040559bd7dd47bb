use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use address::{Address, Scheme};
pub use error::{Error, Violation};
pub use events::Events;
#[cfg(feature = "tls")]
pub use tls::Tls;

use crate::v1::ticketing_service_client::TicketingServiceClient;
use crate::v1::*;

mod address;
mod environment;
mod error;
mod events;
mod retry;
#[cfg(feature = "tls")]
mod tls;

/// Timeout of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Interval of HTTP/2 keep-alive pings, and the timeout of their acknowledgement. They detect connections that failed silently.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Deadline of a call unless [`Client::with_deadline`] sets another. It also limits how long the server waits for the first
/// attempt of a push.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// Maximum deadline, ten years: the header `grpc-timeout` cannot represent every longer one.
const MAX_DEADLINE: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Maximum size of a response in bytes: a page of 500 deliveries with all their attempts fits.
const MAX_RESPONSE_SIZE: usize = 64 << 20;

/// User agent in the logs of servers and proxies.
const USER_AGENT: &str = concat!("rhythmx-ticketing-rust/", env!("CARGO_PKG_VERSION"));

type Stub = TicketingServiceClient<Channel>;

/// A client of the service. Cheap to clone; clones share one connection, which is opened by the first call, reconnects
/// automatically, and is closed when the last clone is dropped.
///
/// ```no_run
/// # async fn example(incident: rhythmx_ticketing::v1::Incident) -> Result<(), Box<dyn std::error::Error>> {
/// use rhythmx_ticketing::{Client, v1};
///
/// let mut client = Client::connect("http://127.0.0.1:50051").await?;
/// let destination = Some("jira".into()); // or Some(v1::TicketSystem::Jira.into())
/// let answer = client.create_ticket(v1::CreateTicketRequest { incident: Some(incident), destination }).await?;
/// println!("{}", answer.message);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Calls fail with gRPC's [`Status`]; `?` in a function that returns [`Error`], or [`Error::from`], decodes its details. A
/// failed delivery is not an error: the push was accepted, and the delivery has its state and attempts.
///
/// # Retries
/// Every unary call of the service is idempotent: there is one delivery for an incident and a connection, and settings merge
/// by presence. A call that fails with UNAVAILABLE, or with RESOURCE_EXHAUSTED and a retry delay, is retried up to five times,
/// for about 6 s, and never beyond its deadline. The exception is [`retry_delivery`](Client::retry_delivery) with
/// `create_anyway`, which ignores an unknown outcome: sent twice, it may create two tickets, so it is never retried.
///
/// Keep-alive pings detect a silently failed connection within 30 s. A client over [a channel of yours](Client::over) retries
/// only if [`with_retries`](Client::with_retries) says so.
#[derive(Debug, Clone)]
pub struct Client {
    stub: Stub,
    deadline: Duration,
    /// Maximum number of retries of a failed call.
    retries: u32,
    /// The metadata `authorization`.
    authorization: Option<MetadataValue<Ascii>>,
    /// The server's address, if the client opened the connection itself.
    address: Option<Arc<str>>,
    /// Opens further connections, if the client opened the first one itself.
    endpoint: Option<Arc<Endpoint>>,
    /// An event stream without a message for this long is considered dead.
    stream_timeout: Duration,
    /// Whether calls go to another machine without TLS.
    is_remote_plaintext: bool,
}

/// Why a client cannot be created.
#[derive(Debug)]
pub struct ConnectError {
    address: String,
    kind: ConnectErrorKind,
}

#[derive(Debug)]
enum ConnectErrorKind {
    /// The address cannot be parsed.
    Address,
    /// The scheme of the address contradicts the TLS settings.
    SchemeConflict,
    /// The TLS settings cannot be read, or the path is invalid.
    Transport(tonic::transport::Error),
    /// The token of the environment cannot be sent to the address.
    Token(InvalidToken),
    /// A file that the environment names cannot be read.
    #[cfg(feature = "tls")]
    File(&'static str, std::io::Error),
    /// The environment names a client certificate without its key, or the reverse.
    #[cfg(feature = "tls")]
    IncompleteIdentity,
}

/// Why a token cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidToken {
    /// It is empty.
    Empty,
    /// It has characters that are invalid in a header.
    Characters,
    /// It would be sent to another machine without TLS.
    Unencrypted,
}

// === impl Client ===

impl Client {
    /// Creates a client of the service at `address`: "HOST:PORT", "\[IPV6\]:PORT" or "http://HOST:PORT", or "unix:/PATH" for a
    /// Unix socket. These are plaintext, which servers accept from their own machine only. "https://HOST:PORT" uses TLS, with
    /// the system's certificate authorities. The connection is opened by the first call.
    ///
    /// # Errors
    /// If `address` is invalid.
    #[allow(clippy::unused_async, reason = "creating a channel requires a runtime, which `async` ensures")]
    pub async fn connect(address: impl Into<String>) -> Result<Client, ConnectError> {
        let address = address.into();
        let Some(parsed) = Address::parse(&address) else {
            return Err(ConnectErrorKind::Address.at(address));
        };
        let endpoint = match parsed.scheme {
            #[cfg(feature = "tls")]
            Scheme::Https => return Client::connect_tls(address, &Tls::system()).await,
            #[cfg(not(feature = "tls"))]
            Scheme::Https => return Err(ConnectErrorKind::SchemeConflict.at(address)),
            Scheme::Unix => Endpoint::from_shared(parsed.target),
            Scheme::None | Scheme::Http => Endpoint::from_shared(format!("http://{}", parsed.target)),
        };
        build_client(address, endpoint, !parsed.is_local)
    }

    /// Creates a client with TLS of the service at `address`, "HOST:PORT", "\[IPV6\]:PORT" or "https://HOST:PORT". The
    /// connection is opened by the first call.
    ///
    /// # Errors
    /// If `address` is invalid, or the settings of `tls` cannot be read.
    #[cfg(feature = "tls")]
    #[allow(clippy::unused_async, reason = "creating a channel requires a runtime, which `async` ensures")]
    pub async fn connect_tls(address: impl Into<String>, tls: &Tls) -> Result<Client, ConnectError> {
        let address = address.into();
        let Some(parsed) = Address::parse(&address) else {
            return Err(ConnectErrorKind::Address.at(address));
        };
        if matches!(parsed.scheme, Scheme::Http | Scheme::Unix) {
            return Err(ConnectErrorKind::SchemeConflict.at(address));
        }
        // With another scheme the channel would not use TLS.
        let endpoint = Endpoint::from_shared(format!("https://{}", parsed.target));
        build_client(address, endpoint.and_then(|endpoint| endpoint.tls_config(tls.config())), false)
    }

    /// Creates a client over an existing channel. It does not retry unless [`Client::with_retries`] says so.
    pub fn over(channel: Channel) -> Client {
        Client {
            stub: stub(channel),
            deadline: DEFAULT_DEADLINE,
            retries: 0,
            authorization: None,
            address: None,
            endpoint: None,
            stream_timeout: events::STREAM_TIMEOUT,
            is_remote_plaintext: false,
        }
    }

    // For tests: shorter times to detect dead connections and streams.
    #[doc(hidden)]
    #[must_use]
    pub fn with_keep_alive(self, interval: Duration, timeout: Duration, stream_timeout: Duration) -> Client {
        let endpoint = self.endpoint.as_deref().cloned();
        let endpoint =
            endpoint.map(|one| one.http2_keep_alive_interval(interval).keep_alive_timeout(timeout));
        Client { endpoint: endpoint.map(Arc::new), stream_timeout, ..self }.with_new_connection()
    }

    /// The same client over a new connection, if the client opened the first one itself.
    fn with_new_connection(self) -> Client {
        match &self.endpoint {
            Some(endpoint) => Client { stub: stub(endpoint.connect_lazy()), ..self },
            None => self,
        }
    }

    /// Sets the deadline of each unary call, including its retries. Default: 30 s. [`Duration::MAX`] means no deadline.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Client {
        Client { deadline: deadline.min(MAX_DEADLINE), ..self }
    }

    /// Sets the maximum number of retries of a call that fails with a transient error, within its deadline. Default: 5, or 0
    /// over a channel of yours.
    #[must_use]
    pub fn with_retries(self, retries: u32) -> Client {
        Client { retries, ..self }
    }

    /// Sends a bearer token with each call: one of `ticketing token create`, or a JSON Web Token.
    ///
    /// # Errors
    /// If the token is empty or invalid in a header, or if it would be sent to another machine without TLS.
    pub fn with_token(self, token: &str) -> Result<Client, InvalidToken> {
        if token.is_empty() {
            return Err(InvalidToken::Empty);
        }
        if self.is_remote_plaintext {
            return Err(InvalidToken::Unencrypted);
        }
        let value = format!("Bearer {token}").parse::<MetadataValue<Ascii>>();
        let mut value = value.map_err(|_| InvalidToken::Characters)?;
        value.set_sensitive(true);
        Ok(Client { authorization: Some(value), ..self })
    }

    /// Changes settings; absent fields keep their values.
    pub async fn configure(&mut self, request: ConfigureRequest) -> Result<ConfigureResponse, Status> {
        self.call(request, self.retries, |mut stub, request| async move { stub.configure(request).await })
            .await
    }

    /// Checks authentication and access, with saved or unsaved settings.
    pub async fn test_connection(
        &mut self,
        request: TestConnectionRequest,
    ) -> Result<TestConnectionResponse, Status> {
        self.call(
            request,
            self.retries,
            |mut stub, request| async move { stub.test_connection(request).await },
        )
        .await
    }

    /// Returns the status of every connection.
    pub async fn get_status(&mut self) -> Result<GetStatusResponse, Status> {
        let request = GetStatusRequest {};
        self.call(request, self.retries, |mut stub, request| async move { stub.get_status(request).await })
            .await
    }

    /// Renders the ticket of an incident without creating it.
    pub async fn preview_ticket(
        &mut self,
        request: PreviewTicketRequest,
    ) -> Result<PreviewTicketResponse, Status> {
        self.call(
            request,
            self.retries,
            |mut stub, request| async move { stub.preview_ticket(request).await },
        )
        .await
    }

    /// Pushes an incident to one connection and waits for the first attempt.
    pub async fn create_ticket(
        &mut self,
        request: CreateTicketRequest,
    ) -> Result<CreateTicketResponse, Status> {
        self.call(request, self.retries, |mut stub, request| async move { stub.create_ticket(request).await })
            .await
    }

    /// Offers an incident to auto-push.
    pub async fn submit_incident(&mut self, incident: Incident) -> Result<SubmitIncidentResponse, Status> {
        let request = SubmitIncidentRequest { incident: Some(incident) };
        self.call(
            request,
            self.retries,
            |mut stub, request| async move { stub.submit_incident(request).await },
        )
        .await
    }

    /// Streams the events of deliveries. The stream has no deadline, and the caller resumes it with its last token; [`Client::events`]
    /// resumes automatically.
    pub async fn stream_ticket_events(
        &mut self,
        request: StreamTicketEventsRequest,
    ) -> Result<Streaming<StreamTicketEventsResponse>, Status> {
        let request = self.authorized(request);
        let opened = self.stub.stream_ticket_events(request).await;
        opened.map(Response::into_inner).map_err(|status| error::normalize(status, self.address.as_ref()))
    }

    /// Subscribes to events. It returns once the server has started the stream, or fails within the deadline of a call. Every
    /// later event is returned by [`Events::next`], whenever the loop starts. A request without a start subscribes to the
    /// events after this call.
    ///
    /// ```no_run
    /// # async fn example(mut client: rhythmx_ticketing::Client) -> Result<(), rhythmx_ticketing::Error> {
    /// let mut events = client.events(Default::default()).await?;
    /// while let Some(event) = events.next().await {
    ///     let event = event?;
    ///     println!("{} {}", event.kind().as_str_name(), event.incident_id);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Events::next`].
    pub async fn events(&mut self, request: StreamTicketEventsRequest) -> Result<Events, Error> {
        Events::open(self.clone(), request).await
    }

    /// Returns a delivery with its attempts.
    pub async fn get_delivery(
        &mut self,
        delivery_id: impl Into<String>,
    ) -> Result<GetDeliveryResponse, Status> {
        let request = GetDeliveryRequest { delivery_id: delivery_id.into() };
        self.call(request, self.retries, |mut stub, request| async move { stub.get_delivery(request).await })
            .await
    }

    /// Returns a page of deliveries, the newest first.
    pub async fn list_deliveries(
        &mut self,
        request: ListDeliveriesRequest,
    ) -> Result<ListDeliveriesResponse, Status> {
        self.call(
            request,
            self.retries,
            |mut stub, request| async move { stub.list_deliveries(request).await },
        )
        .await
    }

    /// Retries a waiting, failed or cancelled delivery now and waits for the attempt.
    pub async fn retry_delivery(
        &mut self,
        request: RetryDeliveryRequest,
    ) -> Result<RetryDeliveryResponse, Status> {
        // Sent twice, this may create two tickets.
        let retries = if request.create_anyway { 0 } else { self.retries };
        self.call(request, retries, |mut stub, request| async move { stub.retry_delivery(request).await })
            .await
    }

    /// Retries one page of the deliveries that match a filter, without waiting for their attempts.
    pub async fn retry_deliveries(
        &mut self,
        request: RetryDeliveriesRequest,
    ) -> Result<RetryDeliveriesResponse, Status> {
        self.call(
            request,
            self.retries,
            |mut stub, request| async move { stub.retry_deliveries(request).await },
        )
        .await
    }

    /// Cancels a delivery.
    pub async fn cancel_delivery(
        &mut self,
        request: CancelDeliveryRequest,
    ) -> Result<CancelDeliveryResponse, Status> {
        self.call(
            request,
            self.retries,
            |mut stub, request| async move { stub.cancel_delivery(request).await },
        )
        .await
    }

    /// Records which ticket a delivery has, or that it has none.
    pub async fn resolve_delivery(
        &mut self,
        request: ResolveDeliveryRequest,
    ) -> Result<ResolveDeliveryResponse, Status> {
        self.call(
            request,
            self.retries,
            |mut stub, request| async move { stub.resolve_delivery(request).await },
        )
        .await
    }

    /// Returns a page of the audit log, the newest entry first.
    pub async fn list_audit_entries(
        &mut self,
        request: ListAuditEntriesRequest,
    ) -> Result<ListAuditEntriesResponse, Status> {
        self.call(
            request,
            self.retries,
            |mut stub, request| async move { stub.list_audit_entries(request).await },
        )
        .await
    }

    // The deadline is sent with the call (`grpc-timeout`), so that the server knows how long it may wait.
    async fn call<Q: Clone, A, F>(
        &self,
        message: Q,
        retries: u32,
        send: impl Fn(Stub, Request<Q>) -> F,
    ) -> Result<A, Status>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let end = Instant::now().checked_add(self.deadline);
        let mut left = self.deadline;
        let mut failures = 0;
        loop {
            let mut request = self.authorized(message.clone());
            request.set_timeout(left);
            let sent = timeout(left, send(self.stub.clone(), request)).await;
            let status = match sent.unwrap_or_else(|_| Err(error::expired())) {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => error::normalize(status, self.address.as_ref()),
            };
            failures += 1;
            let delay = match retry::delay(&status, failures) {
                Some(delay) if failures <= retries => delay,
                _ => return Err(status),
            };
            left = end.map_or(self.deadline, |end| end.saturating_duration_since(Instant::now()));
            if left <= delay {
                return Err(status);
            }
            sleep(delay).await;
            left -= delay;
        }
    }

    fn authorized<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }
}

fn stub(channel: Channel) -> Stub {
    TicketingServiceClient::new(channel).max_decoding_message_size(MAX_RESPONSE_SIZE)
}

fn build_client(
    address: String,
    endpoint: Result<Endpoint, tonic::transport::Error>,
    is_remote_plaintext: bool,
) -> Result<Client, ConnectError> {
    let endpoint = match endpoint.and_then(|endpoint| endpoint.user_agent(USER_AGENT)) {
        Ok(endpoint) => endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true),
        Err(source) => return Err(ConnectErrorKind::Transport(source).at(address)),
    };
    let client = Client::over(endpoint.connect_lazy());
    Ok(Client {
        retries: retry::DEFAULT_RETRIES,
        address: Some(address.into()),
        endpoint: Some(Arc::new(endpoint)),
        is_remote_plaintext,
        ..client
    })
}

// === impl InvalidToken ===

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the token is empty: omit it if the server requires none",
            Self::Characters => "the token has invalid characters",
            Self::Unencrypted => "a token is not sent to another machine without TLS",
        })
    }
}

impl std::error::Error for InvalidToken {}

// === impl ConnectError ===

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.address;
        match &self.kind {
            ConnectErrorKind::Address => write!(
                f,
                "\"{address}\" is not a valid server address: expected HOST:PORT, [IPV6]:PORT or unix:/PATH"
            ),
            ConnectErrorKind::SchemeConflict => {
                write!(f, "TLS requires HOST:PORT or https://, not {address}")
            }
            ConnectErrorKind::Transport(_) => {
                write!(f, "invalid transport settings for the ticketing service at {address}")
            }
            ConnectErrorKind::Token(_) => write!(f, "TICKETING_TOKEN cannot be sent to {address}"),
            #[cfg(feature = "tls")]
            ConnectErrorKind::File(name, _) => write!(f, "failed to read the file of {name}"),
            #[cfg(feature = "tls")]
            ConnectErrorKind::IncompleteIdentity => {
                write!(f, "TICKETING_TLS_CLIENT_CERT and TICKETING_TLS_CLIENT_KEY must be set together")
            }
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            ConnectErrorKind::Transport(source) => Some(source),
            ConnectErrorKind::Token(source) => Some(source),
            #[cfg(feature = "tls")]
            ConnectErrorKind::File(_, source) => Some(source),
            #[cfg(feature = "tls")]
            ConnectErrorKind::IncompleteIdentity => None,
            ConnectErrorKind::Address | ConnectErrorKind::SchemeConflict => None,
        }
    }
}

// === impl ConnectErrorKind ===

impl ConnectErrorKind {
    fn at(self, address: String) -> ConnectError {
        ConnectError { address, kind: self }
    }
}
