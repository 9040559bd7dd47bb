//! Subscribers: steady ones, and ones that reconnect.

use std::sync::Arc;
use std::time::Duration;

use rhythmx_ticketing::v1::stream_ticket_events_request::Start;
use rhythmx_ticketing::v1::stream_ticket_events_response::Message;
use rhythmx_ticketing::{Client, v1};
use tokio::sync::watch;

use super::progress::Progress;
use super::record::{Event, Observation, Recorder};
use super::seeded_random::SeededRandom;

/// Delay between attempts to open a stream.
const RETRY_DELAY: Duration = Duration::from_millis(30);

/// The event kinds of a filtered stream.
pub(super) const FILTER: [v1::TicketEventKind; 4] = [
    v1::TicketEventKind::Delivered,
    v1::TicketEventKind::Resolved,
    v1::TicketEventKind::Failed,
    v1::TicketEventKind::Cancelled,
];

/// Reads all the time, unless the server ends the stream, and reports progress to the others.
pub(super) const STEADY: u32 = 0;
/// Disconnects and reconnects all the time, often after an event that was read long ago.
pub(super) const RECONNECTING: u32 = 1;
/// Filters by kind, and reconnects as well.
pub(super) const FILTERED: u32 = 2;

/// Reads until `last` is set and the event with that number was seen.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) who: u32,
    pub(super) client: Client,
    pub(super) chance: SeededRandom,
    pub(super) recorder: Arc<Recorder>,
    pub(super) progress: Arc<Progress>,
    /// The number of the last event of the round, once it is known.
    pub(super) last: watch::Receiver<Option<u64>>,
}

/// A position in the stream from which a subscriber can resume.
#[derive(Debug, Clone, Default)]
struct Position {
    /// The last event before it.
    after: u64,
    token: String,
}

// === impl Subscriber ===

impl Subscriber {
    pub(super) async fn read(mut self) {
        let mut here = Position::default();
        let mut earlier = Position::default();
        while !self.is_done(here.after) {
            let leaves_after = match self.who {
                STEADY => u64::MAX,
                _ => self.chance.between(1, 400),
            };
            let from = if self.chance.in_a_thousand(200) { &earlier } else { &here };
            let goes_back = from.after < here.after && self.who == RECONNECTING;
            let from = if goes_back { earlier.clone() } else { here.clone() };
            let reached = self.read_for(from, leaves_after).await;
            if self.chance.in_a_thousand(300) {
                earlier = here.clone();
            }
            here = if reached.token.is_empty() { here } else { reached };
        }
    }

    /// One stream, from `from` on, until it ends or this many events were read. Returns its end.
    async fn read_for(&mut self, from: Position, leaves_after: u64) -> Position {
        let mut position = from;
        let mut read = 0;
        let opened = self.client.clone().stream_ticket_events(self.request(&position)).await;
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(_not_now) => {
                tokio::time::sleep(RETRY_DELAY).await;
                return position;
            }
        };
        let filtered = self.who == FILTERED;
        self.recorder.note(Observation::Subscribed { subscriber: self.who, filtered, after: position.after });
        let why = loop {
            if self.is_done(position.after) {
                break "it has seen all".to_owned();
            }
            if read >= leaves_after {
                break "it disconnected".to_owned();
            }
            let message = tokio::select! {
                message = stream.message() => message,
                Ok(()) = self.last.changed() => continue,
            };
            match message {
                Ok(Some(message)) => {
                    let event = self.take(message, &mut position);
                    read += u64::from(event);
                }
                Ok(None) => break "the stream ended without a status".to_owned(),
                Err(status) => break format!("{:?}: {}", status.code(), status.message()),
            }
        };
        self.recorder.note(Observation::Unsubscribed { subscriber: self.who, why });
        position
    }

    /// Processes a message. Returns whether it was an event.
    fn take(&self, message: v1::StreamTicketEventsResponse, position: &mut Position) -> bool {
        match message.message {
            Some(Message::Event(event)) => {
                position.token.clone_from(&event.resume_token);
                position.after = event.sequence;
                let event = Event::from(&event);
                if self.who == STEADY {
                    self.progress.note_event(&event);
                }
                self.recorder.note(Observation::Seen { subscriber: self.who, event });
                true
            }
            Some(Message::Bookmark(bookmark)) => {
                position.token = bookmark.resume_token;
                false
            }
            None => false,
        }
    }

    fn request(&self, from: &Position) -> v1::StreamTicketEventsRequest {
        let start = match from.token.as_str() {
            "" => Start::Oldest(()),
            token => Start::ResumeToken(token.to_owned()),
        };
        let kinds = if self.who == FILTERED { FILTER.map(i32::from).to_vec() } else { vec![] };
        v1::StreamTicketEventsRequest { start: Some(start), kinds, ..Default::default() }
    }

    fn is_done(&self, after: u64) -> bool {
        self.last.borrow().is_some_and(|last| after >= last)
    }
}
