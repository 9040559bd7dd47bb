//! The newest events in memory, so that live subscribers need not read the table.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::types::Event;

/// The newest committed events, shared by all subscribers.
#[derive(Debug)]
pub(super) struct Feed {
    ring: Mutex<VecDeque<Arc<Event>>>,
    newest: watch::Sender<u64>,
}

impl Feed {
    /// Number of events in memory.
    pub(super) const CAPACITY: usize = 1_024;

    pub(super) fn new(newest: u64) -> Self {
        Self { ring: Mutex::new(VecDeque::with_capacity(Self::CAPACITY)), newest: watch::Sender::new(newest) }
    }

    /// Adds committed events, in order, and wakes the subscribers.
    pub(super) fn publish(&self, events: Vec<Event>) {
        let Some(newest) = events.last().map(|event| event.seq) else { return };
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.extend(events.into_iter().map(Arc::new));
        let surplus = ring.len().saturating_sub(Self::CAPACITY);
        ring.drain(..surplus);
        drop(ring);
        self.newest.send_replace(newest);
    }

    /// Continues after `newest`, if the feed is elsewhere: the events in between are in the table only.
    pub(super) fn restart(&self, newest: u64) {
        if newest == self.newest() {
            return;
        }
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.newest.send_replace(newest);
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    pub(super) fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// At most `limit` events after `seq`, or `None` if the oldest of them are no longer in memory.
    pub(super) fn after(&self, seq: u64, limit: usize) -> Option<Vec<Arc<Event>>> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let first = ring.front()?.seq;
        let skip = usize::try_from((seq + 1).checked_sub(first)?).ok()?;
        Some(ring.iter().skip(skip).take(limit).cloned().collect())
    }
}
