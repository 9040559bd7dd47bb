use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

use super::{Client, Error, repeat};
use crate::v1;
use crate::v1::stream_ticket_events_request::Start;
use crate::v1::stream_ticket_events_response::Message;

/// A stream that bears nothing for so long is dead: bookmarks come every 10 s, and never less often than every 30 s.
pub(super) const SILENCE: Duration = Duration::from_secs(35);

type Messages = Streaming<v1::StreamTicketEventsResponse>;
type Opening = Pin<Box<dyn Future<Output = Result<Messages, Status>> + Send>>;

/// A subscription to events, by [`Client::events`].
///
/// It goes on after a lost connection (within 45 s if that died without a word), a restart of the server or a stream that was
/// ended for slowness: it opens the stream
/// again after the last event that it handed over, so that a loop sees each event once and in order. It ends when it is dropped,
/// and by an error that no repetition mends.
pub struct Events {
    client: Client,
    /// It resumes after the last message.
    request: v1::StreamTicketEventsRequest,
    stream: Option<Messages>,
    /// The stream that is being opened. What waits outlives the call of [`next`](Self::next) that began it, here and below. Locked
    /// for its type alone.
    opening: Option<Mutex<Opening>>,
    /// When the stream has been silent for too long.
    silent_at: Option<Instant>,
    /// Not before then is it opened again.
    rests_until: Option<Instant>,
    /// The event that the stream began with, if it was no bookmark.
    first: Option<v1::TicketEvent>,
    /// Failures since the last message.
    failures: u32,
    is_over: bool,
}

// === impl Events ===

impl Events {
    pub(super) async fn begin(client: Client, request: v1::StreamTicketEventsRequest) -> Result<Self, Error> {
        let (mut left, retries) = (client.deadline, client.retries);
        let end = Instant::now() + left;
        let (stream, opening, silent_at, rests_until) = (None, None, None, None);
        let (first, failures, is_over) = (None, 0, false);
        let mut events =
            Self { client, request, stream, opening, silent_at, rests_until, first, failures, is_over };
        loop {
            let status = match events.receive(end).await {
                Ok(first) => {
                    events.first = first;
                    return Ok(events);
                }
                Err(status) => status,
            };
            events.failures += 1;
            let pause = match repeat::pause(&status, events.failures) {
                Some(pause) if events.failures <= retries => pause,
                _ => return Err(status.into()),
            };
            left = end.saturating_duration_since(Instant::now());
            if left <= pause {
                return Err(status.into());
            }
            sleep(pause).await;
        }
    }

    /// The next event, as it comes. After an error there is `None`. It may be left waiting, in `tokio::select!` for example, and
    /// asked again: nothing is lost.
    ///
    /// # Errors
    /// A credential that is refused, a request that is invalid, or a resume token whose events are no longer kept. Of that last,
    /// RESUME_TOKEN_EXPIRED, `metadata["oldest_token"]` is where to begin again, after reading with
    /// [`Client::list_deliveries`] what was missed.
    pub async fn next(&mut self) -> Option<Result<v1::TicketEvent, Error>> {
        if let Some(first) = self.first.take() {
            self.keep(&first.resume_token);
            return Some(Ok(first));
        }
        while !self.is_over {
            if let Some(until) = self.rests_until {
                sleep_until(until).await;
                self.rests_until = None;
            }
            let silence = self.client.silence;
            let silent_at = *self.silent_at.get_or_insert_with(|| Instant::now() + silence);
            let status = match self.receive(silent_at).await {
                Ok(Some(event)) => {
                    self.keep(&event.resume_token);
                    return Some(Ok(event));
                }
                Ok(None) => continue,
                Err(status) => status,
            };
            if Instant::now() >= silent_at {
                // What swallows a stream swallows the next one on the same connection, too.
                self.client = self.client.clone().with_another_connection();
            }
            let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
            let error = Error::from(status);
            if !error.resumes() {
                self.is_over = true;
                return Some(Err(error));
            }
            self.failures = self.failures.saturating_add(1);
            let pause = repeat::at_least(asked.unwrap_or_default(), self.failures);
            self.rests_until = Instant::now().checked_add(pause);
        }
        None
    }

    /// Resumes after the last event that was handed over, in a later process too: it is a request's
    /// [`Start::ResumeToken`](v1::stream_ticket_events_request::Start). Where filters let few events through it is newer than
    /// that of the last event, and so is kept for longer. `None` as long as nothing gives a place to resume from.
    pub fn resume_token(&self) -> Option<&str> {
        match &self.request.start {
            Some(Start::ResumeToken(token)) => Some(token),
            _ => None,
        }
    }

    fn keep(&mut self, token: &str) {
        if !token.is_empty() {
            self.request.start = Some(Start::ResumeToken(token.to_owned()));
        }
    }

    // The next message, of a stream that is opened if none is. A bookmark is no event.
    async fn receive(&mut self, until: Instant) -> Result<Option<v1::TicketEvent>, Status> {
        let received = match timeout_at(until, self.message()).await {
            Ok(Ok(Some(message))) => Ok(message),
            Ok(Ok(None)) => Err(Status::unavailable("the server ended the stream")),
            Ok(Err(status)) => Err(super::error::told(status, self.client.address.as_ref())),
            Err(_) => Err(super::error::told(super::error::expired(), self.client.address.as_ref())),
        };
        self.silent_at = None;
        match received {
            Ok(message) => {
                self.failures = 0;
                match message.message {
                    Some(Message::Event(event)) => return Ok(Some(event)),
                    Some(Message::Bookmark(bookmark)) => self.keep(&bookmark.resume_token),
                    None => {}
                }
                Ok(None)
            }
            Err(status) => {
                (self.stream, self.opening) = (None, None);
                Err(status)
            }
        }
    }

    async fn message(&mut self) -> Result<Option<v1::StreamTicketEventsResponse>, Status> {
        if self.stream.is_none() {
            let opening = self.opening.get_or_insert_with(|| {
                let (mut client, request) = (self.client.clone(), self.request.clone());
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
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}

impl Error {
    /// Whether the stream is to be opened again: unless the server says that this would be refused as well. What a broken
    /// connection is called differs. A deadline is that of silence: streams have no other.
    fn resumes(&self) -> bool {
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
