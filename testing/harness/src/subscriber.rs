//! A subscriber of events that remembers its last token.

use rhythmx_ticketing::v1::stream_ticket_events_request::Start;
use rhythmx_ticketing::v1::stream_ticket_events_response::Message;
use rhythmx_ticketing::{Client, v1};
use tonic::{Status, Streaming};

use super::WAIT_TIMEOUT;

#[derive(Debug)]
pub struct Subscriber {
    stream: Streaming<v1::StreamTicketEventsResponse>,
    /// The token of the last message.
    pub token: String,
}

/// Everything from the oldest event on.
pub fn from_oldest() -> v1::StreamTicketEventsRequest {
    v1::StreamTicketEventsRequest { start: Some(Start::Oldest(())), ..Default::default() }
}

/// Everything after `token`.
pub fn after(token: &str) -> v1::StreamTicketEventsRequest {
    v1::StreamTicketEventsRequest { start: Some(Start::ResumeToken(token.to_owned())), ..Default::default() }
}

// === impl Subscriber ===

impl Subscriber {
    /// Opens a stream, and reads its initial bookmark.
    pub async fn open(client: &Client, request: v1::StreamTicketEventsRequest) -> Self {
        let stream = client.clone().stream_ticket_events(request).await.unwrap();
        let mut subscriber = Self { stream, token: String::new() };
        let first = subscriber.next().await.unwrap();
        assert!(matches!(first, Message::Bookmark(_)), "a stream begins with a bookmark, not {first:?}");
        subscriber
    }

    /// The next message, or the end of the stream.
    pub async fn next(&mut self) -> Result<Message, Status> {
        let message = tokio::time::timeout(WAIT_TIMEOUT, self.stream.message()).await;
        let message = message.expect("the stream fell silent")?.expect("a stream ends with a status");
        let message = message.message.expect("a message is an event or a bookmark");
        match &message {
            Message::Event(event) => self.token.clone_from(&event.resume_token),
            Message::Bookmark(bookmark) => self.token.clone_from(&bookmark.resume_token),
        }
        Ok(message)
    }

    /// The next event.
    pub async fn event(&mut self) -> v1::TicketEvent {
        loop {
            if let Message::Event(event) = self.next().await.unwrap() {
                return event;
            }
        }
    }

    /// The next `count` events.
    pub async fn events(&mut self, count: usize) -> Vec<v1::TicketEvent> {
        let mut events = vec![];
        while events.len() < count {
            events.push(self.event().await);
        }
        events
    }

    /// The end of the stream, after any remaining messages.
    pub async fn end(&mut self) -> Status {
        loop {
            if let Err(status) = self.next().await {
                return status;
            }
        }
    }
}
