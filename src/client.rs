use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

pub use error::{Error, Violation};
pub use events::Events;
#[cfg(feature = "tls")]
pub use tls::Tls;

use crate::v1::ticketing_service_client::TicketingServiceClient;
use crate::v1::*;

mod error;
mod events;
mod repeat;
#[cfg(feature = "tls")]
mod tls;

/// How long [`Client::connect`] tries.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call may take unless [`Client::with_deadline`] says otherwise. It also bounds for how long the server
/// waits for the first attempt of a push.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// The largest answer in bytes: a page of 500 deliveries with all their attempts fits.
const LARGEST_ANSWER: usize = 64 << 20;

/// How servers' logs and proxies see this client.
const USER_AGENT: &str = concat!("rhythmx-ticketing-rust/", env!("CARGO_PKG_VERSION"));

type Stub = TicketingServiceClient<Channel>;

/// A client of the service. Cheap to clone; clones share one connection, which reconnects by itself.
///
/// ```no_run
/// # async fn example(incident: rhythmx_ticketing::v1::Incident) -> Result<(), Box<dyn std::error::Error>> {
/// use rhythmx_ticketing::{Client, v1};
///
/// let mut client = Client::connect("http://127.0.0.1:50051").await?;
/// let system = v1::TicketSystem::Jira.into();
/// let answer = client.create_ticket(v1::CreateTicketRequest { incident: Some(incident), system }).await?;
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
/// tickets, so it is sent once. A client [over](Client::over) a channel of yours repeats nothing unless
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
    /// Whether what is sent leaves this machine unencrypted.
    exposed: bool,
}

/// The service could not be reached.
#[derive(Debug)]
pub struct ConnectError {
    address: String,
    source: tonic::transport::Error,
}

/// The token can not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidToken {
    /// It has characters that no header can have: it is not a token.
    Characters,
    /// It would go to another machine without TLS.
    Unencrypted,
}

// === impl Client ===

impl Client {
    /// Connects to the service at `address` within 5 s: "HOST:PORT" or "http://HOST:PORT", or "unix:/PATH" for a Unix socket.
    /// Nothing is encrypted, which servers accept on their own machine only; "https://HOST:PORT" speaks TLS, with the
    /// authorities that the system trusts.
    ///
    /// # Errors
    /// If the address can not be reached; with the feature `tls`, also if the handshake fails.
    pub async fn connect(address: impl Into<String>) -> Result<Client, ConnectError> {
        let address = address.into();
        #[cfg(feature = "tls")]
        if address.starts_with("https://") {
            return Client::connect_tls(address, &Tls::system()).await;
        }
        let with_scheme = address.contains("://") || address.starts_with("unix:");
        let uri = if with_scheme { address.clone() } else { format!("http://{address}") };
        let exposed = !address.starts_with("unix:");
        let connected = match Endpoint::from_shared(uri) {
            Ok(endpoint) => reach(endpoint, exposed).await,
            Err(invalid) => Err(invalid),
        };
        connected_to(address, connected)
    }

    /// Connects under TLS to the service at `address`, "HOST:PORT" or "https://HOST:PORT", within 5 s.
    ///
    /// # Errors
    /// If the address can not be reached, the handshake fails, or what `tls` was given can not be read.
    #[cfg(feature = "tls")]
    pub async fn connect_tls(address: impl Into<String>, tls: &Tls) -> Result<Client, ConnectError> {
        let address = address.into();
        let (_, host) = address.split_once("://").unwrap_or(("", &address));
        // By any other scheme the channel would not encrypt.
        let endpoint = Endpoint::from_shared(format!("https://{host}"));
        let connected = match endpoint.and_then(|endpoint| endpoint.tls_config(tls.config())) {
            Ok(endpoint) => reach(endpoint, false).await,
            Err(invalid) => Err(invalid),
        };
        connected_to(address, connected)
    }

    /// A client over a channel that was set up elsewhere. It sends each call once, see [`Client::with_retries`].
    pub fn over(channel: Channel) -> Client {
        let stub = TicketingServiceClient::new(channel).max_decoding_message_size(LARGEST_ANSWER);
        let (deadline, retries) = (DEFAULT_DEADLINE, 0);
        Client { stub, deadline, retries, authorization: None, address: None, exposed: false }
    }

    /// The same client with another deadline for each call; 30 s when never set. Streams have none.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Client {
        Client { deadline, ..self }
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
    /// If the token can not stand in a header, or if it would go to another machine without TLS.
    pub fn with_token(self, token: &str) -> Result<Client, InvalidToken> {
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

// `exposed` is what holds if the host is another machine.
async fn reach(endpoint: Endpoint, exposed: bool) -> Result<(Channel, bool), tonic::transport::Error> {
    let exposed = exposed && !stays(endpoint.uri().host().unwrap_or_default());
    let endpoint = endpoint.user_agent(USER_AGENT)?.connect_timeout(CONNECT_TIMEOUT);
    Ok((endpoint.connect().await?, exposed))
}

fn connected_to(
    address: String,
    connected: Result<(Channel, bool), tonic::transport::Error>,
) -> Result<Client, ConnectError> {
    match connected {
        Ok((channel, exposed)) => {
            let (retries, address) = (repeat::RETRIES, Some(address.into()));
            Ok(Client { retries, address, exposed, ..Client::over(channel) })
        }
        Err(source) => Err(ConnectError { address, source }),
    }
}

/// Whether what is sent to the host stays on this machine.
fn stays(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

// === impl InvalidToken ===

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Characters => "the token has characters that no token has",
            Self::Unencrypted => "a token is not sent to another machine without TLS",
        })
    }
}

impl std::error::Error for InvalidToken {}

// === impl ConnectError ===

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to the ticketing service at {}", self.address)
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_to_this_machine_stays_here_and_to_any_other_does_not() {
        for host in ["localhost", "127.0.0.1", "127.3.2.1", "[::1]"] {
            assert!(stays(host), "{host}");
        }
        for host in ["10.0.0.1", "localhost.example", "[::2]", ""] {
            assert!(!stays(host), "{host}");
        }
    }
}
