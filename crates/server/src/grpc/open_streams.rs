//! The open streams of a listener, checked by one task.
//!
//! A client that does not read is not noticed by its stream, which the transport asks for nothing. So a timer ends the
//! streams whose credential has ended, and those whose last messages were not read in time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::stream_handle::StreamHandle;

/// Interval of credential checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Checks within the time in which a subscriber has to read.
const CHECKS_PER_TIMEOUT: u32 = 8;
/// Minimum interval of checks.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// The open streams; cheap to clone.
#[derive(Clone, Default)]
pub(super) struct OpenStreams(Arc<Inner>);

#[derive(Default)]
struct Inner {
    opened: AtomicU64,
    streams: Mutex<HashMap<u64, StreamHandle>>,
}

/// An open stream; removed when dropped.
pub(super) struct OpenStream {
    streams: OpenStreams,
    number: u64,
}

// === impl OpenStreams ===

impl OpenStreams {
    pub(super) fn add(&self, stream: StreamHandle) -> OpenStream {
        let number = self.0.opened.fetch_add(1, Ordering::Relaxed);
        self.streams().insert(number, stream);
        OpenStream { streams: self.clone(), number }
    }

    /// Checks the streams until `closing` is cancelled.
    pub(super) async fn check_until(self, closing: CancellationToken) {
        let mut credentials_due = Instant::now() + CHECK_INTERVAL;
        let mut interval = CHECK_INTERVAL;
        while closing.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
            let streams: Vec<StreamHandle> = self.streams().values().cloned().collect();
            let now = Instant::now();
            let timeouts = streams.iter().filter_map(|stream| stream.end_if_unread(now));
            let shortest = timeouts.min().map_or(CHECK_INTERVAL, |timeout| timeout / CHECKS_PER_TIMEOUT);
            interval = shortest.clamp(MIN_INTERVAL, CHECK_INTERVAL);
            if now >= credentials_due {
                let checked = streams.iter().filter(|stream| stream.needs_check());
                join_all(checked.map(StreamHandle::end_if_unauthorized)).await;
                credentials_due = now + CHECK_INTERVAL;
            }
        }
    }

    // A poisoned lock is usable: the map is complete after each step.
    fn streams(&self) -> MutexGuard<'_, HashMap<u64, StreamHandle>> {
        self.0.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for OpenStreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OpenStreams").field(&self.streams().len()).finish()
    }
}

// === impl OpenStream ===

impl Drop for OpenStream {
    fn drop(&mut self) {
        let removed = self.streams.streams().remove(&self.number);
        // Outside of the lock.
        drop(removed);
    }
}
