use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status, Streaming};

use super::{Client, Error, repeat};
use crate::v1;
use crate::v1::stream_ticket_events_request::Start;
use crate::v1::stream_ticket_events_response::Message;

/// A stream that bears nothing for so long is dead: bookmarks come every 10 s.
const SILENCE: Duration = Duration::from_secs(35);

/// A subscription to events, by [`Client::events`].
///
/// It goes on after a lost connection, a restart of the server or a stream that was ended for slowness: it opens the stream
/// again after the last event that it handed over, so that a loop sees each event once and in order. It ends when it is dropped,
/// and by an error that no repetition mends.
#[derive(Debug)]
pub struct Events {
    client: Client,
    /// It resumes after the last message.
    request: v1::StreamTicketEventsRequest,
    stream: Option<Streaming<v1::StreamTicketEventsResponse>>,
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
        let end = Instant::now().checked_add(left);
        let (stream, first, failures, is_over) = (None, None, 0, false);
        let mut events = Self { client, request, stream, first, failures, is_over };
        loop {
            let status = match events.receive(left).await {
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
            left = end.map_or(left, |end| end.saturating_duration_since(Instant::now()));
            if left <= pause {
                return Err(status.into());
            }
            sleep(pause).await;
            left -= pause;
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
            let status = match self.receive(SILENCE).await {
                Ok(Some(event)) => {
                    self.keep(&event.resume_token);
                    return Some(Ok(event));
                }
                Ok(None) => continue,
                Err(status) => status,
            };
            self.failures = self.failures.saturating_add(1);
            let pause = repeat::pause(&status, self.failures);
            let error = Error::from(status);
            match pause {
                Some(pause) => sleep(pause).await,
                None if error.resumes() => sleep(repeat::at_least(Duration::ZERO, self.failures)).await,
                None => {
                    self.is_over = true;
                    return Some(Err(error));
                }
            }
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
    async fn receive(&mut self, patience: Duration) -> Result<Option<v1::TicketEvent>, Status> {
        let received = match timeout(patience, self.message()).await {
            Ok(Ok(Some(message))) => Ok(message),
            Ok(Ok(None)) => Err(Status::unavailable("the server ended the stream")),
            Ok(Err(status)) => Err(super::error::told(status, self.client.address.as_ref())),
            Err(_) => Err(super::error::told(super::error::expired(), self.client.address.as_ref())),
        };
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
                self.stream = None;
                Err(status)
            }
        }
    }

    async fn message(&mut self) -> Result<Option<v1::StreamTicketEventsResponse>, Status> {
        if self.stream.is_none() {
            self.stream = Some(self.client.stream_ticket_events(self.request.clone()).await?);
        }
        match &mut self.stream {
            Some(stream) => stream.message().await,
            None => Ok(None),
        }
    }
}

impl Error {
    /// Whether the stream is to be opened again. What a broken connection is called differs, but then no reason of the service is
    /// given. A deadline is that of silence: streams have no other.
    fn resumes(&self) -> bool {
        match self.code {
            Code::Internal | Code::Unknown | Code::Cancelled | Code::Aborted | Code::DeadlineExceeded => {
                self.reason.is_none()
            }
            _ => self.reason == Some(v1::ErrorReason::SubscriberTooSlow),
        }
    }
}
