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
mod repeat;
#[cfg(feature = "tls")]
mod tls;

/// How long the making of a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two pings of a connection, and how long the answer may take: so a connection that died without a word is noticed.
const PING: Duration = Duration::from_secs(20);
const PONG: Duration = Duration::from_secs(10);

/// How long a call may take unless [`Client::with_deadline`] says otherwise. It also bounds for how long the server
/// waits for the first attempt of a push.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// What is longer is as good as endless, and what travels with a call has no number for it: ten years.
const MAX_DEADLINE: Duration = Duration::from_secs(10 * 365 * 86_400);

/// The largest answer in bytes: a page of 500 deliveries with all their attempts fits.
const MAX_ANSWER: usize = 64 << 20;

/// How servers' logs and proxies see this client.
const USER_AGENT: &str = concat!("rhythmx-ticketing-rust/", env!("CARGO_PKG_VERSION"));

type Stub = TicketingServiceClient<Channel>;

/// A client of the service. Cheap to clone; clones share one connection, which is made by the first call, reconnects by itself,
/// and ends when the last of them is dropped.
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
/// Calls fail with gRPC's [`Status`]; `?` in a function of [`Error`]s, or [`Error::from`], reads what the service says in
/// it. A failed delivery is no error: the push was accepted, and the delivery tells its story.
///
/// # Repeated calls
/// Every unary call of the service may be repeated: there is one delivery for an incident and a target, and settings merge
/// by presence. So a call that fails with UNAVAILABLE, or with RESOURCE_EXHAUSTED and the time to come back, is repeated: up
/// to five times, for about 6 s, and never beyond its deadline. The exception is
/// [`retry_delivery`](Client::retry_delivery) with `create_anyway`, which puts a doubt aside: asked twice, it may make two
/// tickets, so it is sent once. A connection that died without a word is noticed within 30 s. A client [over](Client::over) a channel of yours repeats nothing unless
/// [told to](Client::with_retries).
#[derive(Debug, Clone)]
pub struct Client {
    stub: Stub,
    deadline: Duration,
    /// How often a call that failed is sent again at most.
    retries: u32,
    /// The metadata `authorization`.
    authorization: Option<MetadataValue<Ascii>>,
    /// Where the calls go, if this is known.
    address: Option<Arc<str>>,
    /// Makes another connection, if this is known.
    endpoint: Option<Arc<Endpoint>>,
    /// An event stream that bears nothing for so long is dead.
    silence: Duration,
    /// Whether what is sent leaves this machine unencrypted.
    exposed: bool,
}

/// Why a client cannot be created.
#[derive(Debug)]
pub struct ConnectError {
    address: String,
    why: Unusable,
}

#[derive(Debug)]
enum Unusable {
    /// It is no address.
    Address,
    /// TLS was asked for, and not.
    Contradiction,
    /// The TLS settings cannot be read, or the path is invalid.
    Transport(tonic::transport::Error),
    /// The token of the environment cannot be sent there.
    Token(InvalidToken),
    /// A file that the environment names cannot be read.
    #[cfg(feature = "tls")]
    File(&'static str, std::io::Error),
    /// Of a client certificate and its key the environment names only one.
    #[cfg(feature = "tls")]
    Pair,
}

/// The token cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidToken {
    /// It is empty.
    Empty,
    /// It has characters that no header can have: it is not a token.
    Characters,
    /// It would go to another machine without TLS.
    Unencrypted,
}

// === impl Client ===

impl Client {
    /// A client of the service at `address`: "HOST:PORT", "\[IPV6\]:PORT" or "http://HOST:PORT", or "unix:/PATH" for a Unix
    /// socket. Nothing is encrypted, which servers accept on their own machine only; "https://HOST:PORT" speaks TLS, with the
    /// authorities that the system trusts. Nothing is sent before the first call.
    ///
    /// # Errors
    /// If `address` is none.
    #[allow(clippy::unused_async, reason = "a channel is made within a runtime, which this proves")]
    pub async fn connect(address: impl Into<String>) -> Result<Client, ConnectError> {
        let address = address.into();
        let Some(read) = Address::read(&address) else { return Err(Unusable::Address.of(address)) };
        let endpoint = match read.scheme {
            #[cfg(feature = "tls")]
            Scheme::Https => return Client::connect_tls(address, &Tls::system()).await,
            #[cfg(not(feature = "tls"))]
            Scheme::Https => return Err(Unusable::Contradiction.of(address)),
            Scheme::Unix => Endpoint::from_shared(read.target),
            Scheme::None | Scheme::Http => Endpoint::from_shared(format!("http://{}", read.target)),
        };
        connected_to(address, endpoint, !read.is_here)
    }

    /// A client under TLS of the service at `address`, "HOST:PORT", "\[IPV6\]:PORT" or "https://HOST:PORT". Nothing is sent
    /// before the first call.
    ///
    /// # Errors
    /// If `address` is invalid, or the settings of `tls` cannot be read.
    #[cfg(feature = "tls")]
    #[allow(clippy::unused_async, reason = "a channel is made within a runtime, which this proves")]
    pub async fn connect_tls(address: impl Into<String>, tls: &Tls) -> Result<Client, ConnectError> {
        let address = address.into();
        let Some(read) = Address::read(&address) else { return Err(Unusable::Address.of(address)) };
        if matches!(read.scheme, Scheme::Http | Scheme::Unix) {
            return Err(Unusable::Contradiction.of(address));
        }
        // By any other scheme the channel would not encrypt.
        let endpoint = Endpoint::from_shared(format!("https://{}", read.target));
        connected_to(address, endpoint.and_then(|endpoint| endpoint.tls_config(tls.config())), false)
    }

    /// A client over a channel that was set up elsewhere. It sends each call once, see [`Client::with_retries`].
    pub fn over(channel: Channel) -> Client {
        let (deadline, retries, silence) = (DEFAULT_DEADLINE, 0, events::SILENCE);
        let (authorization, address, endpoint, exposed) = (None, None, None, false);
        Client { stub: stub(channel), deadline, retries, authorization, address, endpoint, silence, exposed }
    }

    // For tests: with other times after which what is dead is noticed.
    #[doc(hidden)]
    #[must_use]
    pub fn noticing(self, ping: Duration, pong: Duration, silence: Duration) -> Client {
        let endpoint = self.endpoint.as_deref().cloned();
        let endpoint = endpoint.map(|one| one.http2_keep_alive_interval(ping).keep_alive_timeout(pong));
        Client { endpoint: endpoint.map(Arc::new), silence, ..self }.with_another_connection()
    }

    /// The same client over a new connection, if it is known how one is made.
    fn with_another_connection(self) -> Client {
        match &self.endpoint {
            Some(endpoint) => Client { stub: stub(endpoint.connect_lazy()), ..self },
            None => self,
        }
    }

    /// The same client with another deadline for each call; 30 s when never set. Streams have none. [`Duration::MAX`] is none.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Client {
        Client { deadline: deadline.min(MAX_DEADLINE), ..self }
    }

    /// The same client, which sends a call again at most so often, within its deadline, if it fails with what may pass: 5 when
    /// never set. At 0 each call is sent once.
    #[must_use]
    pub fn with_retries(self, retries: u32) -> Client {
        Client { retries, ..self }
    }

    /// The same client with a bearer token that goes with each call: one of `ticketing token create`, or a JSON Web Token.
    ///
    /// # Errors
    /// If the token is empty or cannot be sent in a header, or if it would be sent to another machine without TLS.
    pub fn with_token(self, token: &str) -> Result<Client, InvalidToken> {
        if token.is_empty() {
            return Err(InvalidToken::Empty);
        }
        if self.exposed {
            return Err(InvalidToken::Unencrypted);
        }
        let value = format!("Bearer {token}").parse::<MetadataValue<Ascii>>();
        let mut value = value.map_err(|_| InvalidToken::Characters)?;
        value.set_sensitive(true);
        Ok(Client { authorization: Some(value), ..self })
    }

    /// Changes settings; what is absent stays.
    pub async fn configure(&mut self, request: ConfigureRequest) -> Result<ConfigureResponse, Status> {
        self.call(request, self.retries, |mut stub, request| async move { stub.configure(request).await })
            .await
    }

    /// Proves authentication and access, with saved or unsaved settings.
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

    /// How every ticket system stands.
    pub async fn get_status(&mut self) -> Result<GetStatusResponse, Status> {
        let request = GetStatusRequest {};
        self.call(request, self.retries, |mut stub, request| async move { stub.get_status(request).await })
            .await
    }

    /// The ticket as it would be pushed.
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

    /// Pushes an incident to one ticket system and waits for the first attempt.
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

    /// Streams what happens to deliveries. The stream has no deadline: resume it with its last token when it ends.
    pub async fn stream_ticket_events(
        &mut self,
        request: StreamTicketEventsRequest,
    ) -> Result<Streaming<StreamTicketEventsResponse>, Status> {
        let request = self.authorized(request);
        let opened = self.stub.stream_ticket_events(request).await;
        opened.map(Response::into_inner).map_err(|status| error::told(status, self.address.as_ref()))
    }

    /// Subscribes to events. This returns once the server has begun, or fails within the deadline of a call: what happens from
    /// then on is handed over, whenever the loop begins. A request without a start asks for the events after this call.
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
        Events::begin(self.clone(), request).await
    }

    /// One delivery with its attempts.
    pub async fn get_delivery(
        &mut self,
        delivery_id: impl Into<String>,
    ) -> Result<GetDeliveryResponse, Status> {
        let request = GetDeliveryRequest { delivery_id: delivery_id.into() };
        self.call(request, self.retries, |mut stub, request| async move { stub.get_delivery(request).await })
            .await
    }

    /// A page of deliveries, the newest first.
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

    /// Tries a waiting, failed or cancelled delivery now and waits for the attempt.
    pub async fn retry_delivery(
        &mut self,
        request: RetryDeliveryRequest,
    ) -> Result<RetryDeliveryResponse, Status> {
        // Asked twice, this may make two tickets.
        let retries = if request.create_anyway { 0 } else { self.retries };
        self.call(request, retries, |mut stub, request| async move { stub.retry_delivery(request).await })
            .await
    }

    /// Tries one page of the deliveries that fit a filter now, without waiting for their attempts.
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

    /// Gives a delivery up.
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

    /// Tells which ticket a delivery has.
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

    /// A page of who did what, the newest first.
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

    // The deadline travels with the call (`grpc-timeout`), so that the server knows for how long it may wait.
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
        let (mut left, mut failures) = (self.deadline, 0);
        loop {
            let mut request = self.authorized(message.clone());
            request.set_timeout(left);
            let sent = timeout(left, send(self.stub.clone(), request)).await;
            let status = match sent.unwrap_or_else(|_| Err(error::expired())) {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => error::told(status, self.address.as_ref()),
            };
            failures += 1;
            let pause = match repeat::pause(&status, failures) {
                Some(pause) if failures <= retries => pause,
                _ => return Err(status),
            };
            left = end.map_or(self.deadline, |end| end.saturating_duration_since(Instant::now()));
            if left <= pause {
                return Err(status);
            }
            sleep(pause).await;
            left -= pause;
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
    TicketingServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER)
}

fn connected_to(
    address: String,
    endpoint: Result<Endpoint, tonic::transport::Error>,
    exposed: bool,
) -> Result<Client, ConnectError> {
    let endpoint = match endpoint.and_then(|endpoint| endpoint.user_agent(USER_AGENT)) {
        Ok(endpoint) => endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .keep_alive_while_idle(true),
        Err(source) => return Err(Unusable::Transport(source).of(address)),
    };
    let client = Client::over(endpoint.connect_lazy());
    let (address, endpoint) = (Some(address.into()), Some(Arc::new(endpoint)));
    Ok(Client { retries: repeat::RETRIES, address, endpoint, exposed, ..client })
}

// === impl InvalidToken ===

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the token is empty: leave it out where none is needed",
            Self::Characters => "the token has characters that no token has",
            Self::Unencrypted => "a token is not sent to another machine without TLS",
        })
    }
}

impl std::error::Error for InvalidToken {}

// === impl ConnectError ===

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = &self.address;
        match &self.why {
            Unusable::Address => write!(
                f,
                "\"{address}\" is no address of a server: give HOST:PORT, [IPV6]:PORT or unix:/PATH"
            ),
            Unusable::Contradiction => {
                write!(f, "TLS is not spoken at {address}: it takes HOST:PORT or https://")
            }
            Unusable::Transport(_) => write!(f, "cannot speak to the ticketing service at {address}"),
            Unusable::Token(_) => write!(f, "TICKETING_TOKEN cannot be sent to {address}"),
            #[cfg(feature = "tls")]
            Unusable::File(name, _) => write!(f, "the file that {name} names cannot be read"),
            #[cfg(feature = "tls")]
            Unusable::Pair => {
                write!(
                    f,
                    "TICKETING_TLS_CLIENT_CERT and TICKETING_TLS_CLIENT_KEY are given together or not at all"
                )
            }
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.why {
            Unusable::Transport(source) => Some(source),
            Unusable::Token(source) => Some(source),
            #[cfg(feature = "tls")]
            Unusable::File(_, source) => Some(source),
            #[cfg(feature = "tls")]
            Unusable::Pair => None,
            Unusable::Address | Unusable::Contradiction => None,
        }
    }
}

// === impl Unusable ===

impl Unusable {
    fn of(self, address: String) -> ConnectError {
        ConnectError { address, why: self }
    }
}
