//! Events encoded once for all subscribers.
//!
//! Nothing in the message of an event depends on who receives it: filters choose events, and the resume token has the
//! event's number. So a page of consecutive events is encoded once, as gRPC messages with their prefixes, and its bytes
//! are shared: what a subscriber receives is a slice of a page. Subscribers at the same position take the same page, and
//! pages end at multiples of [`PAGE`], so that those who began at different positions meet. The newest pages are kept,
//! bounded in number and size; a slow subscriber that needs an older one reads it again.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::read::GzEncoder;
use prost::Message;
use ticketing_contract::v1;
use ticketing_contract::v1::stream_ticket_events_response::Message as Payload;
use ticketing_engine::app::App;
use ticketing_store::{Event, EventFilter, EventPage, StoreError};
use tokio::sync::OnceCell;

use super::present;

/// Maximum number of events in a page.
const PAGE: u32 = 128;
/// Maximum number of shared pages. While events are live, a page has the events of one commit.
const MAX_PAGES: usize = 256;
/// Maximum size of the shared pages in bytes, with the events that they were encoded from.
const MAX_SIZE: usize = 8 * 1_024 * 1_024;
/// Events that are this close to the newest are in the memory of the store: filters apply to shared pages. Older ones
/// are filtered by the database.
const RECENT: u64 = 1_000;
/// Maximum size of a chunk in bytes, if it has several messages: one HTTP/2 frame.
const MAX_CHUNK: usize = 16 * 1_024;
/// A chunk that is a smaller share of its page is copied: unread, it would hold the memory of the page.
const MIN_SHARE: usize = 4;
/// A flag and a length before each message.
const PREFIX: usize = 5;

/// How messages are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
}

/// The newest pages, shared by all subscribers.
#[derive(Debug, Default)]
pub(super) struct Pages(Mutex<VecDeque<Slot>>);

/// The page after a position. Subscribers who need it while it is loaded wait for it.
#[derive(Debug)]
struct Slot {
    position: u64,
    max_retry_attempts: u32,
    page: Arc<OnceCell<Arc<Page>>>,
}

/// Consecutive events that match a filter, encoded.
#[derive(Debug)]
pub(super) struct Page {
    events: Vec<Arc<Event>>,
    /// The last examined event.
    pub(super) read_to: u64,
    plain: Encoded,
    compressed: OnceLock<Encoded>,
}

/// Messages with their prefixes, one after the other.
#[derive(Debug)]
struct Encoded {
    bytes: Bytes,
    /// Where each message ends.
    ends: Vec<usize>,
}

/// Some messages of a page.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Bytes,
    /// The index after its last event.
    pub(super) next: usize,
    /// Its last event.
    pub(super) last: u64,
}

/// Why there is no page.
#[derive(Debug)]
pub(super) enum PageError {
    /// Events after the position were trimmed.
    Trimmed,
    Store(StoreError),
}

/// A message with its prefix, uncompressed.
pub(super) fn encode(message: Payload) -> Bytes {
    let mut bytes = BytesMut::new();
    append(&mut bytes, message);
    bytes.freeze()
}

fn append(bytes: &mut BytesMut, message: Payload) {
    let response = v1::StreamTicketEventsResponse { message: Some(message) };
    let length = response.encoded_len();
    bytes.reserve(PREFIX + length);
    put_prefix(bytes, false, length);
    response.encode_raw(bytes);
}

fn put_prefix(bytes: &mut BytesMut, is_compressed: bool, length: usize) {
    bytes.put_u8(is_compressed.into());
    // Texts of events are limited; gRPC itself has no larger messages.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

// === impl Pages ===

impl Pages {
    /// The events after `position`, of which `newest` is the last: a shared page, or one for this filter.
    pub(super) async fn after(
        &self,
        app: &App,
        position: u64,
        newest: u64,
        filter: &EventFilter,
    ) -> Result<Arc<Page>, PageError> {
        let max_retry_attempts = app.settings().rules.retry.backoff.max_retry_attempts();
        let is_shared = *filter == EventFilter::default() || newest - position <= RECENT;
        if !is_shared {
            return Page::load(app, position, filter, PAGE, max_retry_attempts).await.map(Arc::new);
        }
        let slot = self.slot(position, max_retry_attempts);
        let everything = EventFilter::default();
        let limit = PAGE - (position % u64::from(PAGE)) as u32;
        let load =
            async || Page::load(app, position, &everything, limit, max_retry_attempts).await.map(Arc::new);
        let page = match slot.get() {
            Some(page) => page.clone(),
            None => {
                let page = slot.get_or_try_init(load).await?.clone();
                self.evict();
                page
            }
        };
        Ok(page)
    }

    fn slot(&self, position: u64, max_retry_attempts: u32) -> Arc<OnceCell<Arc<Page>>> {
        let mut slots = self.slots();
        // Most subscribers are near the end.
        let mut newest_first = slots.iter().rev();
        let known = newest_first
            .find(|slot| slot.position == position && slot.max_retry_attempts == max_retry_attempts);
        if let Some(known) = known {
            return known.page.clone();
        }
        let page = Arc::new(OnceCell::new());
        slots.push_back(Slot { position, max_retry_attempts, page: page.clone() });
        if slots.len() > MAX_PAGES {
            slots.pop_front();
        }
        page
    }

    /// Drops the oldest pages beyond the maximum size.
    fn evict(&self) {
        let mut slots = self.slots();
        let mut size: usize = slots.iter().map(Slot::size).sum();
        while size > MAX_SIZE
            && let Some(oldest) = slots.pop_front()
        {
            size -= oldest.size();
        }
    }

    // The slots are consistent after each step, so a poisoned lock is usable.
    fn slots(&self) -> MutexGuard<'_, VecDeque<Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Slot ===

impl Slot {
    fn size(&self) -> usize {
        self.page.get().map_or(0, |page| page.size())
    }
}

// === impl Page ===

impl Page {
    async fn load(
        app: &App,
        position: u64,
        filter: &EventFilter,
        limit: u32,
        max_retry_attempts: u32,
    ) -> Result<Self, PageError> {
        let store = app.store();
        let page = store.events_after(position, filter, limit).await.map_err(PageError::Store)?;
        if page.missed {
            return Err(PageError::Trimmed);
        }
        Ok(Self::encode(page, &store.installation().stream.current, max_retry_attempts))
    }

    fn encode(page: EventPage, stream_id: &str, max_retry_attempts: u32) -> Self {
        let EventPage { events, read_to, missed: _ } = page;
        let mut bytes = BytesMut::new();
        let mut ends = Vec::with_capacity(events.len());
        for event in &events {
            append(&mut bytes, Payload::Event(present::event(event, stream_id, max_retry_attempts)));
            ends.push(bytes.len());
        }
        let plain = Encoded { bytes: bytes.freeze(), ends };
        Self { events, read_to, plain, compressed: OnceLock::new() }
    }

    /// The messages from index `from` on that match `filter`, as many as are adjacent and fit in a chunk.
    pub(super) fn chunk(&self, from: usize, filter: &EventFilter, encoding: Encoding) -> Option<Chunk> {
        let encoded = match encoding {
            Encoding::Identity => &self.plain,
            Encoding::Gzip => self.compressed.get_or_init(|| self.plain.compressed()),
        };
        let rest = self.events.get(from..)?;
        let first = from + rest.iter().position(|event| filter.admits(event))?;
        let begin = encoded.begin(first);
        let fits =
            |index: usize| encoded.ends[index] - begin <= MAX_CHUNK && filter.admits(&self.events[index]);
        let next = (first + 1..self.events.len()).find(|index| !fits(*index)).unwrap_or(self.events.len());
        let bytes = encoded.slice(begin, encoded.ends[next - 1]);
        Some(Chunk { bytes, next, last: self.events[next - 1].seq })
    }

    /// An estimate: an event takes about as much as its message.
    fn size(&self) -> usize {
        2 * self.plain.bytes.len() + self.compressed.get().map_or(0, |encoded| encoded.bytes.len())
    }
}

// === impl Encoded ===

impl Encoded {
    fn begin(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    fn slice(&self, begin: usize, end: usize) -> Bytes {
        if (end - begin) * MIN_SHARE < self.bytes.len() && end - begin < MAX_CHUNK / 2 {
            return Bytes::copy_from_slice(&self.bytes[begin..end]);
        }
        self.bytes.slice(begin..end)
    }

    /// The same messages, each compressed.
    fn compressed(&self) -> Self {
        let mut bytes = BytesMut::with_capacity(self.bytes.len() / 2);
        let mut ends = Vec::with_capacity(self.ends.len());
        let mut packed = Vec::new();
        for (index, end) in self.ends.iter().enumerate() {
            packed.clear();
            let message = &self.bytes[self.begin(index) + PREFIX..*end];
            match GzEncoder::new(message, Compression::default()).read_to_end(&mut packed) {
                Ok(length) => {
                    bytes.reserve(PREFIX + length);
                    put_prefix(&mut bytes, true, length);
                    bytes.put_slice(&packed);
                }
                // Memory does not fail to be read. An uncompressed message is valid too.
                Err(_) => bytes.put_slice(&self.bytes[self.begin(index)..*end]),
            }
            ends.push(bytes.len());
        }
        Self { bytes: bytes.freeze(), ends }
    }
}

#[cfg(test)]
mod tests {
    use flate2::read::GzDecoder;
    use jiff::Timestamp;
    use ticketing_core::delivery::EventKind;
    use ticketing_core::health::Health;
    use ticketing_core::system::System;
    use ticketing_store::Subject;

    use super::*;

    fn event(seq: u64, system: System, note: &str) -> Arc<Event> {
        Arc::new(Event {
            seq,
            at: Timestamp::UNIX_EPOCH,
            kind: EventKind::ConnectionRecovered,
            connection: system.as_str().to_owned(),
            system,
            subject: Subject::Connection(Health::default()),
            note: note.to_owned(),
        })
    }

    fn page(events: Vec<Arc<Event>>) -> Page {
        let read_to = events.last().map_or(0, |event| event.seq);
        Page::encode(EventPage { events, read_to, missed: false }, "here", 5)
    }

    /// The sequence numbers of each chunk.
    fn chunks(page: &Page, filter: &EventFilter, encoding: Encoding) -> Vec<Vec<u64>> {
        let mut chunks = vec![];
        let mut from = 0;
        while let Some(chunk) = page.chunk(from, filter, encoding) {
            let messages = messages(&chunk.bytes);
            assert_eq!(messages.last(), Some(&chunk.last));
            chunks.push(messages);
            from = chunk.next;
        }
        chunks
    }

    fn messages(mut bytes: &[u8]) -> Vec<u64> {
        let mut seqs = vec![];
        while let [flag, a, b, c, d, rest @ ..] = bytes {
            let (body, rest) = rest.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
            let mut message = body.to_vec();
            if *flag == 1 {
                message.clear();
                GzDecoder::new(body).read_to_end(&mut message).unwrap();
            }
            let response = v1::StreamTicketEventsResponse::decode(message.as_slice()).unwrap();
            let Some(Payload::Event(event)) = response.message else { panic!("{response:?}") };
            seqs.push(event.sequence);
            bytes = rest;
        }
        seqs
    }

    #[test]
    fn chunk_has_adjacent_messages_that_match() {
        use System::{Jira, ServiceNow};
        let systems = [Jira, Jira, ServiceNow, Jira, ServiceNow, ServiceNow];
        let page = page((1..).zip(systems).map(|(seq, system)| event(seq, system, "")).collect());
        let of = |systems| EventFilter { systems, ..EventFilter::default() };
        for encoding in [Encoding::Identity, Encoding::Gzip] {
            assert_eq!(chunks(&page, &of(vec![]), encoding), [vec![1, 2, 3, 4, 5, 6]]);
            assert_eq!(chunks(&page, &of(vec![Jira]), encoding), [vec![1, 2], vec![4]]);
            assert_eq!(chunks(&page, &of(vec![ServiceNow]), encoding), [vec![3], vec![5, 6]]);
        }
        let none = EventFilter { incident_id: Some("INC-1".to_owned()), ..EventFilter::default() };
        assert_eq!(chunks(&page, &none, Encoding::Identity), [[0_u64; 0]; 0]);
    }

    #[test]
    fn chunk_of_several_messages_fits_in_a_frame() {
        let notes = [6_000, 6_000, 6_000, 40_000, 10];
        let events = (1..).zip(notes).map(|(seq, length)| event(seq, System::Jira, &"x".repeat(length)));
        let page = page(events.collect());
        let chunks = chunks(&page, &EventFilter::default(), Encoding::Identity);
        assert_eq!(chunks, [vec![1, 2], vec![3], vec![4], vec![5]]);
    }

    #[test]
    fn keeps_newest_pages_within_maximum_size() {
        let pages = Pages::default();
        let large = Arc::new(page(vec![event(1, System::Jira, &"x".repeat(MAX_SIZE / 5))]));
        for position in 0..4 {
            let slot = pages.slot(position, 5);
            slot.set(large.clone()).unwrap();
            pages.evict();
        }
        let kept: Vec<u64> = pages.slots().iter().map(|slot| slot.position).collect();
        assert_eq!(kept, [2, 3]);
        assert!(pages.slot(3, 5).initialized());
        assert!(!pages.slot(3, 6).initialized(), "the retry settings have changed");
    }

    #[test]
    fn keeps_a_limited_number_of_pages() {
        let pages = Pages::default();
        for position in 0..MAX_PAGES as u64 + 10 {
            pages.slot(position, 5);
        }
        assert_eq!(pages.slots().len(), MAX_PAGES);
    }
}
