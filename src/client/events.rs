use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

use super::{Client, Error, retry};
use crate::v1;
use crate::v1::stream_ticket_events_request::Start;
use crate::v1::stream_ticket_events_response::Message;

/// A stream without a message for this long is considered dead: bookmarks arrive every 10 s by default, and at least every 30 s.
pub(super) const STREAM_TIMEOUT: Duration = Duration::from_secs(35);

type ResponseStream = Streaming<v1::StreamTicketEventsResponse>;
type Opening = Pin<Box<dyn Future<Output = Result<ResponseStream, Status>> + Send>>;

/// A subscription to events, created by [`Client::events`].
///
/// After a lost connection (detected within 45 s if it failed silently), a restart of the server, or a stream that the server
/// ended because its subscriber was too slow, it reopens the stream after the last event that it returned. A loop sees each
/// event once and in order. The subscription ends when it is dropped, or with an error that retrying does not resolve.
pub struct Events {
    client: Client,
    /// Its start resumes after the last event returned.
    request: v1::StreamTicketEventsRequest,
    stream: Option<ResponseStream>,
    /// The stream being opened. It is kept here, as the times below are, so that a canceled [`next`](Self::next) loses nothing.
    /// The mutex only makes the type `Sync`.
    opening: Option<Mutex<Opening>>,
    /// When the stream is considered dead.
    times_out_at: Option<Instant>,
    /// The earliest time to reopen the stream.
    retry_at: Option<Instant>,
    /// The first message of the stream, if it was an event rather than a bookmark.
    first: Option<v1::TicketEvent>,
    /// Failures since the last message.
    failures: u32,
    is_ended: bool,
}

// === impl Events ===

impl Events {
    pub(super) async fn open(client: Client, request: v1::StreamTicketEventsRequest) -> Result<Self, Error> {
        let retries = client.retries;
        let mut left = client.deadline;
        let end = Instant::now() + left;
        let mut events = Self {
            client,
            request,
            stream: None,
            opening: None,
            times_out_at: None,
            retry_at: None,
            first: None,
            failures: 0,
            is_ended: false,
        };
        loop {
            let status = match events.next_message(end).await {
                Ok(first) => {
                    events.first = first;
                    return Ok(events);
                }
                Err(status) => status,
            };
            events.failures += 1;
            let delay = match retry::delay(&status, events.failures) {
                Some(delay) if events.failures <= retries => delay,
                _ => return Err(status.into()),
            };
            left = end.saturating_duration_since(Instant::now());
            if left <= delay {
                return Err(status.into());
            }
            sleep(delay).await;
        }
    }

    /// Waits for the next event. After an error it returns `None`. It is cancel safe, for example in `tokio::select!`.
    ///
    /// # Errors
    /// If the credential is refused, the request is invalid, or the events after the resume token are no longer stored
    /// (RESUME_TOKEN_EXPIRED). In the last case read the missed deliveries with [`Client::list_deliveries`], then start again
    /// at `metadata["oldest_token"]`.
    pub async fn next(&mut self) -> Option<Result<v1::TicketEvent, Error>> {
        if let Some(first) = self.first.take() {
            self.remember_token(&first.resume_token);
            return Some(Ok(first));
        }
        while !self.is_ended {
            if let Some(until) = self.retry_at {
                sleep_until(until).await;
                self.retry_at = None;
            }
            let stream_timeout = self.client.stream_timeout;
            let times_out_at = *self.times_out_at.get_or_insert_with(|| Instant::now() + stream_timeout);
            let status = match self.next_message(times_out_at).await {
                Ok(Some(event)) => {
                    self.remember_token(&event.resume_token);
                    return Some(Ok(event));
                }
                Ok(None) => continue,
                Err(status) => status,
            };
            if Instant::now() >= times_out_at {
                // The connection may be broken too: another stream on it would also receive nothing.
                self.client = self.client.clone().with_new_connection();
            }
            let requested_delay = status.get_details_retry_info().and_then(|info| info.retry_delay);
            let error = Error::from(status);
            if !error.is_resumable() {
                self.is_ended = true;
                return Some(Err(error));
            }
            self.failures = self.failures.saturating_add(1);
            let delay = retry::backoff(requested_delay.unwrap_or_default(), self.failures);
            self.retry_at = Instant::now().checked_add(delay);
        }
        None
    }

    /// A token to resume after the last event returned, also in a later process, as a request's
    /// [`Start::ResumeToken`](v1::stream_ticket_events_request::Start). With filters it may be newer than the last event's own
    /// token, and so remains valid for longer. `None` before the first message with a token.
    pub fn resume_token(&self) -> Option<&str> {
        match &self.request.start {
            Some(Start::ResumeToken(token)) => Some(token),
            _ => None,
        }
    }

    fn remember_token(&mut self, token: &str) {
        if !token.is_empty() {
            self.request.start = Some(Start::ResumeToken(token.to_owned()));
        }
    }

    // Reads the next message, and opens the stream if necessary. `None` for a bookmark.
    async fn next_message(&mut self, until: Instant) -> Result<Option<v1::TicketEvent>, Status> {
        let received = match timeout_at(until, self.message()).await {
            Ok(Ok(Some(message))) => Ok(message),
            Ok(Ok(None)) => Err(Status::unavailable("the server ended the stream")),
            Ok(Err(status)) => Err(super::error::normalize(status, self.client.address.as_ref())),
            Err(_) => Err(super::error::normalize(super::error::expired(), self.client.address.as_ref())),
        };
        self.times_out_at = None;
        match received {
            Ok(message) => {
                self.failures = 0;
                match message.message {
                    Some(Message::Event(event)) => return Ok(Some(event)),
                    Some(Message::Bookmark(bookmark)) => self.remember_token(&bookmark.resume_token),
                    None => {}
                }
                Ok(None)
            }
            Err(status) => {
                self.stream = None;
                self.opening = None;
                Err(status)
            }
        }
    }

    async fn message(&mut self) -> Result<Option<v1::StreamTicketEventsResponse>, Status> {
        if self.stream.is_none() {
            let opening = self.opening.get_or_insert_with(|| {
                let mut client = self.client.clone();
                let request = self.request.clone();
                Mutex::new(Box::pin(async move { client.stream_ticket_events(request).await }))
            });
            let opened = opening.get_mut().unwrap_or_else(PoisonError::into_inner).await;
            self.opening = None;
            self.stream = Some(opened?);
        }
        match &mut self.stream {
            Some(stream) => stream.message().await,
            None => Ok(None),
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("client", &self.client)
            .field("request", &self.request)
            .field("failures", &self.failures)
            .field("is_ended", &self.is_ended)
            .finish_non_exhaustive()
    }
}

impl Error {
    /// Whether to reopen the stream: unless the server would refuse that as well. The code of a broken connection varies, and
    /// DEADLINE_EXCEEDED is the stream's own timeout here.
    fn is_resumable(&self) -> bool {
        !matches!(
            self.code,
            Code::InvalidArgument
                | Code::Unauthenticated
                | Code::PermissionDenied
                | Code::NotFound
                | Code::FailedPrecondition
                | Code::OutOfRange
                | Code::Unimplemented
                | Code::DataLoss
        )
    }
}
