//! The event stream of one subscriber.
//!
//! A task reads the store page by page and sends one message at a time (backpressure), so that nothing queues up in
//! memory. A subscriber that receives nothing for too long is disconnected. The store signals new events.

use std::sync::Arc;
use std::time::Duration;

use ticketing_contract::v1;
use ticketing_contract::v1::stream_ticket_events_response::Message;
use ticketing_core::namespace::Namespace;
use ticketing_engine::app::App;
use ticketing_store::{Event, EventBounds, EventFilter, StoreError, StreamName};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use super::errors::Refusal;
use super::parse::{Start, Subscription};
use super::stream_guard::{Closing, StreamHandle};
use super::token::ResumeAt;
use super::{present, token};
use crate::access::Caller;

/// Maximum number of events per read.
const PAGE: u32 = 100;

/// Timing of a stream.
#[derive(Debug, Clone)]
pub(crate) struct StreamSettings {
    /// Interval between bookmarks. Default 10 s.
    pub bookmark_interval: Duration,
    /// Ends a subscriber that receives nothing within this time. Default 30 s.
    pub subscriber_timeout: Duration,
}

/// A message to a subscriber.
type Item = Result<v1::StreamTicketEventsResponse, Status>;

/// Why a stream ended.
enum End {
    /// The subscriber disconnected.
    Gone,
    TooSlow,
    ShuttingDown,
    ConnectionEnding,
    /// Events that were to be sent next were trimmed.
    Trimmed,
    Store(StoreError),
}

struct EventSender {
    app: App,
    filter: EventFilter,
    settings: StreamSettings,
    closing: Closing,
    /// The last event that was sent or did not match the filter.
    position: u64,
    sender: mpsc::Sender<Item>,
}

/// Opens the stream of a subscription; it begins with a bookmark.
///
/// # Errors
/// An invalid or expired resume token, or a store failure.
pub(crate) async fn follow(
    app: App,
    caller: &Caller,
    subscription: Subscription,
    settings: StreamSettings,
    (closing, handle): (Closing, Option<StreamHandle>),
) -> Result<impl Stream<Item = Item> + Send + 'static, Refusal> {
    // Subscribes before reading the bounds, so that no event is missed in between.
    let updates = app.store().subscribe();
    let bounds = app.store().event_bounds().await.map_err(|error| Refusal::of_store(&error))?;
    let position = start_position(&subscription.start, &app.store().installation().stream, bounds)?;
    let (sender, messages) = mpsc::channel(1);
    let (finish, end) = oneshot::channel();
    let Subscription { incident_id, systems, kinds, start: _ } = subscription;
    let (requested_by, namespace) = visible_to(caller).unzip();
    let filter = EventFilter { incident_id, systems, kinds, requested_by, namespace };
    let event_sender = EventSender { app, filter, settings, closing, position, sender };
    tokio::spawn(async move {
        let ended = event_sender.run(updates).await;
        // A subscriber that does not read may never receive the end.
        if let Some(handle) = handle {
            handle.release_slot();
        }
        if let Some(refusal) = ended {
            // Ignored if the subscriber is gone.
            let _ = finish.send(refusal);
        }
    });
    let end = futures_util::stream::once(end).filter_map(|refusal| Some(Err(Status::from(refusal.ok()?))));
    Ok(ReceiverStream::new(messages).chain(end))
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

// === impl EventSender ===

impl EventSender {
    async fn run(mut self, mut updates: watch::Receiver<u64>) -> Option<Refusal> {
        let first = Instant::now() + self.settings.bookmark_interval;
        let mut bookmarks = tokio::time::interval_at(first, self.settings.bookmark_interval);
        bookmarks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = match self.bookmark().await {
            Ok(()) => loop {
                if let Err(end) = self.step(&mut updates, &mut bookmarks).await {
                    break end;
                }
            },
            Err(end) => end,
        };
        let resume_token =
            token::resume_token(&self.app.store().installation().stream.current, self.position);
        match end {
            End::Gone => None,
            End::TooSlow => Some(Refusal::SubscriberTooSlow { resume_token }),
            End::ShuttingDown => Some(Refusal::ShuttingDown { resume_token }),
            End::ConnectionEnding => Some(Refusal::ConnectionEnding { resume_token }),
            End::Trimmed => Some(self.expired().await),
            End::Store(error) => Some(Refusal::of_store(&error)),
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

    /// Sends all new events, then waits for more.
    async fn step(
        &mut self,
        updates: &mut watch::Receiver<u64>,
        bookmarks: &mut Interval,
    ) -> Result<(), End> {
        let newest = *updates.borrow_and_update();
        while self.position < newest {
            let page =
                self.app.store().events_after(self.position, &self.filter, PAGE).await.map_err(End::Store)?;
            if page.missed {
                return Err(End::Trimmed);
            }
            for event in &page.events {
                self.send_event(event).await?;
            }
            self.position = self.position.max(page.read_to);
            check(&self.closing)?;
        }
        tokio::select! {
            changed = updates.changed() => changed.map_err(|_closed| End::ShuttingDown),
            _ = bookmarks.tick() => self.bookmark().await,
            () = self.closing.server.cancelled() => Err(End::ShuttingDown),
            () = self.closing.connection.cancelled() => Err(End::ConnectionEnding),
            () = self.sender.closed() => Err(End::Gone),
        }
    }

    async fn send_event(&mut self, event: &Arc<Event>) -> Result<(), End> {
        let max_retry_attempts = self.app.settings().rules.retry.backoff.max_retry_attempts();
        let stream_id = &self.app.store().installation().stream.current;
        let message = present::event(event, stream_id, max_retry_attempts);
        self.send(Message::Event(message)).await?;
        self.position = event.seq;
        Ok(())
    }

    async fn bookmark(&self) -> Result<(), End> {
        let resume_token =
            token::resume_token(&self.app.store().installation().stream.current, self.position);
        let time = Some(present::timestamp(self.app.now()));
        self.send(Message::Bookmark(v1::Bookmark { resume_token, time })).await
    }

    async fn send(&self, message: Message) -> Result<(), End> {
        let response = v1::StreamTicketEventsResponse { message: Some(message) };
        match tokio::time::timeout(self.settings.subscriber_timeout, self.sender.send(Ok(response))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_gone)) => Err(End::Gone),
            Err(_elapsed) => Err(End::TooSlow),
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
