use std::error::Error;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming, TimeoutExpired};

use crate::v1::ticketing_service_client::TicketingServiceClient;
use crate::v1::*;

/// How long [`Client::connect`] tries.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call may take unless [`Client::with_deadline`] says otherwise. It also bounds for how long the server
/// waits for the first attempt of a push.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

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
#[derive(Debug, Clone)]
pub struct Client {
    stub: TicketingServiceClient<Channel>,
    deadline: Duration,
    /// The metadata `authorization`.
    authorization: Option<MetadataValue<Ascii>>,
}

/// The service could not be reached.
#[derive(Debug)]
pub struct ConnectError {
    address: String,
    source: tonic::transport::Error,
}

/// The text can not be a token: it has characters that no header can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidToken;

// === impl Client ===

impl Client {
    /// Connects to the service at `address`, for example "http://127.0.0.1:50051", within 5 s.
    pub async fn connect(address: impl Into<String>) -> Result<Client, ConnectError> {
        let address = address.into();
        let endpoint = Endpoint::from_shared(address.clone());
        let connected = match endpoint {
            Ok(endpoint) => endpoint.connect_timeout(CONNECT_TIMEOUT).connect().await,
            Err(invalid) => Err(invalid),
        };
        match connected {
            Ok(channel) => Ok(Client::over(channel)),
            Err(source) => Err(ConnectError { address, source }),
        }
    }

    /// A client over a channel that was set up elsewhere.
    pub fn over(channel: Channel) -> Client {
        Client { stub: TicketingServiceClient::new(channel), deadline: DEFAULT_DEADLINE, authorization: None }
    }

    /// The same client with another deadline for each call; 30 s when never set. Streams have none.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Client {
        Client { deadline, ..self }
    }

    /// The same client with a bearer token that goes with each call: one of `ticketing token create`, or a JSON Web Token.
    ///
    /// # Errors
    /// If the token can not stand in a header: it is not a token.
    pub fn with_token(self, token: &str) -> Result<Client, InvalidToken> {
        let value = format!("Bearer {token}").parse::<MetadataValue<Ascii>>();
        let mut value = value.map_err(|_| InvalidToken)?;
        value.set_sensitive(true);
        Ok(Client { authorization: Some(value), ..self })
    }

    /// Changes settings; what is absent stays.
    pub async fn configure(&mut self, request: ConfigureRequest) -> Result<ConfigureResponse, Status> {
        let request = self.timed(request);
        answer(self.stub.configure(request).await)
    }

    /// Proves authentication and access, with saved or unsaved settings.
    pub async fn test_connection(
        &mut self,
        request: TestConnectionRequest,
    ) -> Result<TestConnectionResponse, Status> {
        let request = self.timed(request);
        answer(self.stub.test_connection(request).await)
    }

    /// How every ticket system stands.
    pub async fn get_status(&mut self) -> Result<GetStatusResponse, Status> {
        let request = self.timed(GetStatusRequest {});
        answer(self.stub.get_status(request).await)
    }

    /// The ticket as it would be pushed.
    pub async fn preview_ticket(
        &mut self,
        request: PreviewTicketRequest,
    ) -> Result<PreviewTicketResponse, Status> {
        let request = self.timed(request);
        answer(self.stub.preview_ticket(request).await)
    }

    /// Pushes an incident to one ticket system and waits for the first attempt.
    pub async fn create_ticket(
        &mut self,
        request: CreateTicketRequest,
    ) -> Result<CreateTicketResponse, Status> {
        let request = self.timed(request);
        answer(self.stub.create_ticket(request).await)
    }

    /// Offers an incident to auto-push.
    pub async fn submit_incident(&mut self, incident: Incident) -> Result<SubmitIncidentResponse, Status> {
        let request = self.timed(SubmitIncidentRequest { incident: Some(incident) });
        answer(self.stub.submit_incident(request).await)
    }

    /// Streams what happens to deliveries. The stream has no deadline: resume it with its last token when it ends.
    pub async fn stream_ticket_events(
        &mut self,
        request: StreamTicketEventsRequest,
    ) -> Result<Streaming<StreamTicketEventsResponse>, Status> {
        let request = self.authorized(request);
        Ok(self.stub.stream_ticket_events(request).await?.into_inner())
    }

    /// One delivery with its attempts.
    pub async fn get_delivery(
        &mut self,
        delivery_id: impl Into<String>,
    ) -> Result<GetDeliveryResponse, Status> {
        let request = self.timed(GetDeliveryRequest { delivery_id: delivery_id.into() });
        answer(self.stub.get_delivery(request).await)
    }

    /// A page of deliveries, the newest first.
    pub async fn list_deliveries(
        &mut self,
        request: ListDeliveriesRequest,
    ) -> Result<ListDeliveriesResponse, Status> {
        let request = self.timed(request);
        answer(self.stub.list_deliveries(request).await)
    }

    /// Tries a waiting, failed or cancelled delivery now and waits for the attempt.
    pub async fn retry_delivery(
        &mut self,
        request: RetryDeliveryRequest,
    ) -> Result<RetryDeliveryResponse, Status> {
        let request = self.timed(request);
        answer(self.stub.retry_delivery(request).await)
    }

    /// Gives a delivery up.
    pub async fn cancel_delivery(
        &mut self,
        request: CancelDeliveryRequest,
    ) -> Result<CancelDeliveryResponse, Status> {
        let request = self.timed(request);
        answer(self.stub.cancel_delivery(request).await)
    }

    /// Tells which ticket a delivery has.
    pub async fn resolve_delivery(
        &mut self,
        request: ResolveDeliveryRequest,
    ) -> Result<ResolveDeliveryResponse, Status> {
        let request = self.timed(request);
        answer(self.stub.resolve_delivery(request).await)
    }

    /// A page of who did what, the newest first.
    pub async fn list_audit_entries(
        &mut self,
        request: ListAuditEntriesRequest,
    ) -> Result<ListAuditEntriesResponse, Status> {
        let request = self.timed(request);
        answer(self.stub.list_audit_entries(request).await)
    }

    // The deadline travels with the call (`grpc-timeout`), so that the server knows for how long it may wait.
    fn timed<T>(&self, message: T) -> Request<T> {
        let mut request = self.authorized(message);
        request.set_timeout(self.deadline);
        request
    }

    fn authorized<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        request
    }
}

// A deadline that passes here surfaces as CANCELLED; the caller is told what it was.
fn answer<T>(result: Result<Response<T>, Status>) -> Result<T, Status> {
    match result {
        Ok(response) => Ok(response.into_inner()),
        Err(status) if is_expired(&status) => Err(Status::deadline_exceeded("the deadline passed")),
        Err(status) => Err(status),
    }
}

fn is_expired(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<TimeoutExpired>() {
            return true;
        }
        source = error.source();
    }
    false
}

// === impl InvalidToken ===

impl std::fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the token has characters that no token has")
    }
}

impl Error for InvalidToken {}

// === impl ConnectError ===

impl std::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot connect to the ticketing service at {}", self.address)
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_deadline_that_passes_here_is_told_as_such_and_a_cancelled_call_is_not() {
        let expired = Status::from_error(Box::new(TimeoutExpired(())));
        assert_eq!(answer::<()>(Err(expired)).unwrap_err().code(), Code::DeadlineExceeded);
        let cancelled = Status::cancelled("by somebody");
        assert_eq!(answer::<()>(Err(cancelled)).unwrap_err().code(), Code::Cancelled);
    }
}
