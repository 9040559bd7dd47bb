//! The event stream of one subscriber.
//!
//! The transport asks for the next chunk of messages when it can send one (backpressure), so nothing queues up in memory
//! and an idle subscriber costs no task. Chunks are slices of pages that all subscribers share (`pages.rs`). The store
//! signals new events. A subscriber that receives nothing for too long is disconnected, by `open_streams.rs`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::StreamBody;
use ticketing_contract::v1;
use ticketing_contract::v1::stream_ticket_events_response::Message;
use ticketing_core::namespace::Namespace;
use ticketing_engine::app::App;
use ticketing_store::{EventBounds, EventFilter, StoreError, StreamName};
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tonic::Status;
use tonic::body::Body;

use super::errors::Refusal;
use super::pages::{self, Encoding, Page, PageError, Pages};
use super::parse::{Start, Subscription};
use super::stream_guard::{Closing, trailers};
use super::stream_handle::StreamHandle;
use super::token::ResumeAt;
use super::{present, token};
use crate::access::Caller;

/// Header with the encoding that tonic negotiated.
const ENCODING: &str = "grpc-encoding";

/// Timing of a stream.
#[derive(Debug, Clone)]
pub(crate) struct StreamSettings {
    /// Interval between bookmarks. Default 10 s.
    pub bookmark_interval: Duration,
    /// Ends a subscriber that receives nothing within this time. Default 30 s.
    pub subscriber_timeout: Duration,
}

/// Why a stream ended.
enum End {
    ShuttingDown,
    ConnectionEnding,
    /// Events that were to be sent next were trimmed.
    Trimmed,
    Store(StoreError),
}

/// Response extension: the encoded messages, which replace the body that tonic would encode.
#[derive(Clone)]
pub(super) struct EncodedEvents(Arc<Mutex<Option<EventSource>>>);

/// Yields the messages of one subscriber.
struct EventSource {
    app: App,
    pages: Arc<Pages>,
    filter: EventFilter,
    encoding: Encoding,
    closing: Closing,
    updates: watch::Receiver<u64>,
    bookmarks: Interval,
    /// The page in progress, and the index of its next event.
    page: Option<(Arc<Page>, usize)>,
    has_begun: bool,
    /// The last event that was yielded or did not match the filter.
    position: Arc<AtomicU64>,
}

/// Opens the stream of a subscription; it begins with a bookmark.
///
/// # Errors
/// An invalid or expired resume token, or a store failure.
pub(super) async fn follow(
    (app, pages): (App, Arc<Pages>),
    caller: &Caller,
    subscription: Subscription,
    settings: &StreamSettings,
    (closing, handle): (Closing, Option<StreamHandle>),
) -> Result<EncodedEvents, Refusal> {
    // Subscribes before reading the bounds, so that no event is missed in between.
    let updates = app.store().subscribe();
    let bounds = app.store().event_bounds().await.map_err(|error| Refusal::of_store(&error))?;
    let position = start_position(&subscription.start, &app.store().installation().stream, bounds)?;
    let position = Arc::new(AtomicU64::new(position));
    if let Some(handle) = handle {
        let app = app.clone();
        let position = position.clone();
        handle.limit_unread(settings.subscriber_timeout, move || Refusal::SubscriberTooSlow {
            resume_token: resume_token(&app, &position),
        });
    }
    let Subscription { incident_id, systems, kinds, start: _ } = subscription;
    let (requested_by, namespace) = visible_to(caller).unzip();
    let filter = EventFilter { incident_id, systems, kinds, requested_by, namespace };
    let first = Instant::now() + settings.bookmark_interval;
    let mut bookmarks = tokio::time::interval_at(first, settings.bookmark_interval);
    bookmarks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let source = EventSource {
        app,
        pages,
        filter,
        encoding: Encoding::Identity,
        closing,
        updates,
        bookmarks,
        page: None,
        has_begun: false,
        position,
    };
    Ok(EncodedEvents(Arc::new(Mutex::new(Some(source)))))
}

/// Replaces the body of a response that has [`EncodedEvents`].
pub(super) fn with_encoded_events(mut response: Response<Body>) -> Response<Body> {
    let Some(EncodedEvents(source)) = response.extensions_mut().remove() else { return response };
    let Some(mut source) = source.lock().unwrap_or_else(PoisonError::into_inner).take() else {
        return response;
    };
    if response.headers().get(ENCODING).is_some_and(|encoding| encoding == "gzip") {
        source.encoding = Encoding::Gzip;
    }
    response.map(|_empty| source.into_body())
}

fn resume_token(app: &App, position: &AtomicU64) -> String {
    token::resume_token(&app.store().installation().stream.current, position.load(Ordering::Acquire))
}

/// The requester and namespace whose deliveries a confined caller may see; `None` for all.
fn visible_to(caller: &Caller) -> Option<(String, Namespace)> {
    caller.role.is_confined().then(|| (caller.name.clone(), caller.namespace.clone()))
}

fn start_position(start: &Start, stream: &StreamName, bounds: EventBounds) -> Result<u64, Refusal> {
    let oldest = oldest(bounds);
    match start {
        Start::Now => Ok(bounds.last),
        Start::Oldest => Ok(oldest),
        Start::After(text) => match token::read_resume_token(stream, text) {
            Some(ResumeAt::Event(seq)) if seq > bounds.last => Err(Refusal::ResumeTokenInvalid),
            Some(ResumeAt::Event(seq)) if seq < oldest => Err(expired(&stream.current, bounds)),
            Some(ResumeAt::Event(seq)) => Ok(seq),
            Some(ResumeAt::Lost { kept }) => {
                let oldest_token = token::resume_token(&stream.current, kept.max(oldest));
                Err(Refusal::ResumeTokenExpired { oldest_token })
            }
            None => Err(Refusal::ResumeTokenInvalid),
        },
    }
}

/// The position after which no event was dropped.
fn oldest(bounds: EventBounds) -> u64 {
    bounds.first.map_or(bounds.last, |first| first - 1)
}

fn expired(stream_id: &str, bounds: EventBounds) -> Refusal {
    Refusal::ResumeTokenExpired { oldest_token: token::resume_token(stream_id, oldest(bounds)) }
}

// === impl StreamSettings ===

impl Default for StreamSettings {
    fn default() -> Self {
        Self { bookmark_interval: Duration::from_secs(10), subscriber_timeout: Duration::from_secs(30) }
    }
}

// === impl EventSource ===

impl EventSource {
    fn into_body(self) -> Body {
        let frames = futures_util::stream::unfold(Some(self), |source| async move {
            let mut source = source?;
            match source.next().await {
                Ok(messages) => Some((Ok::<_, Status>(Frame::data(messages)), Some(source))),
                Err(end) => Some((Ok(Frame::trailers(trailers(source.refusal(end).await))), None)),
            }
        });
        Body::new(StreamBody::new(frames))
    }

    /// The next messages.
    async fn next(&mut self) -> Result<Bytes, End> {
        if !self.has_begun {
            self.has_begun = true;
            return Ok(self.bookmark());
        }
        loop {
            if let Some(messages) = self.next_of_page() {
                return Ok(messages);
            }
            check(&self.closing)?;
            let position = self.position.load(Ordering::Acquire);
            let newest = *self.updates.borrow_and_update();
            if position < newest {
                // In a box, because an idle stream would have room for it too.
                let page = Box::pin(self.pages.after(&self.app, position, newest, &self.filter)).await;
                self.page = Some((page.map_err(End::from)?, 0));
                continue;
            }
            tokio::select! {
                changed = self.updates.changed() => changed.map_err(|_closed| End::ShuttingDown)?,
                _ = self.bookmarks.tick() => return Ok(self.bookmark()),
                () = self.closing.server.cancelled() => return Err(End::ShuttingDown),
                () = self.closing.connection.cancelled() => return Err(End::ConnectionEnding),
            }
        }
    }

    /// The next messages of the page in progress; after them there is none.
    fn next_of_page(&mut self) -> Option<Bytes> {
        let (page, from) = self.page.as_mut()?;
        let Some(chunk) = page.chunk(*from, &self.filter, self.encoding) else {
            self.position.fetch_max(page.read_to, Ordering::AcqRel);
            self.page = None;
            return None;
        };
        *from = chunk.next;
        self.position.store(chunk.last, Ordering::Release);
        Some(chunk.bytes)
    }

    fn bookmark(&self) -> Bytes {
        let time = Some(present::timestamp(self.app.now()));
        let resume_token = resume_token(&self.app, &self.position);
        pages::encode(Message::Bookmark(v1::Bookmark { resume_token, time }))
    }

    async fn refusal(&self, end: End) -> Refusal {
        let resume_token = resume_token(&self.app, &self.position);
        match end {
            End::ShuttingDown => Refusal::ShuttingDown { resume_token },
            End::ConnectionEnding => Refusal::ConnectionEnding { resume_token },
            End::Trimmed => self.expired().await,
            End::Store(error) => Refusal::of_store(&error),
        }
    }

    /// The refusal with the token to resume from.
    async fn expired(&self) -> Refusal {
        let store = self.app.store();
        match store.event_bounds().await {
            Ok(bounds) => expired(&store.installation().stream.current, bounds),
            Err(error) => Refusal::of_store(&error),
        }
    }
}

/// Whether the stream must end.
fn check(closing: &Closing) -> Result<(), End> {
    if closing.server.is_cancelled() {
        return Err(End::ShuttingDown);
    }
    if closing.connection.is_cancelled() { Err(End::ConnectionEnding) } else { Ok(()) }
}

// === impl End ===

impl From<PageError> for End {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Trimmed => Self::Trimmed,
            PageError::Store(error) => Self::Store(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: EventBounds = EventBounds { first: Some(11), last: 20 };
    const NONE_KEPT: EventBounds = EventBounds { first: None, last: 20 };
    const NONE_EVER: EventBounds = EventBounds { first: None, last: 0 };

    fn here() -> StreamName {
        StreamName { current: "here".to_owned(), former: vec![] }
    }

    #[test]
    fn stream_starts_after_newest_event_by_default() {
        assert_eq!(start_position(&Start::Now, &here(), KEPT), Ok(20));
        assert_eq!(start_position(&Start::Oldest, &here(), KEPT), Ok(10));
        assert_eq!(start_position(&Start::Oldest, &here(), NONE_KEPT), Ok(20));
        assert_eq!(start_position(&Start::Oldest, &here(), NONE_EVER), Ok(0));
    }

    #[test]
    fn resumes_unless_events_were_trimmed() {
        let after = |seq| Start::After(token::resume_token("here", seq));
        assert_eq!(start_position(&after(15), &here(), KEPT), Ok(15));
        assert_eq!(start_position(&after(10), &here(), KEPT), Ok(10));
        let expired = Refusal::ResumeTokenExpired { oldest_token: token::resume_token("here", 10) };
        assert_eq!(start_position(&after(9), &here(), KEPT), Err(expired));
        assert_eq!(start_position(&after(20), &here(), NONE_KEPT), Ok(20));
        assert!(matches!(
            start_position(&after(19), &here(), NONE_KEPT),
            Err(Refusal::ResumeTokenExpired { .. })
        ));
    }

    #[test]
    fn lost_events_expire_resume_token() {
        let stream = StreamName { former: vec![("before".to_owned(), 14)], ..here() };
        let after = |seq| start_position(&Start::After(token::resume_token("before", seq)), &stream, KEPT);
        assert_eq!(after(14), Ok(14));
        let parted = Refusal::ResumeTokenExpired { oldest_token: token::resume_token("here", 14) };
        assert_eq!(after(15), Err(parted));
    }

    #[test]
    fn rejects_foreign_and_future_resume_token() {
        let garbage = Start::After("yesterday".to_owned());
        assert_eq!(start_position(&garbage, &here(), KEPT), Err(Refusal::ResumeTokenInvalid));
        let future = Start::After(token::resume_token("here", 21));
        assert_eq!(start_position(&future, &here(), KEPT), Err(Refusal::ResumeTokenInvalid));
    }
}
