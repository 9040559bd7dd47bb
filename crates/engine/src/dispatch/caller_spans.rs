//! Tracing spans of the calls that requested deliveries, so that the log of the first attempt names the call. Later attempts have no
//! caller. Kept in memory only, for the log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tracing::Span;

/// At this number all spans are dropped.
const MAX_SPANS: usize = 10_000;

/// The span of the call that requested each delivery.
#[derive(Debug, Default)]
pub struct CallerSpans {
    by_delivery: Mutex<HashMap<String, Span>>,
}

// === impl CallerSpans ===

impl CallerSpans {
    /// Attributes a delivery to the current call.
    pub fn remember(&self, delivery_id: &str) {
        let mut map = self.by_delivery.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= MAX_SPANS {
            map.clear();
        }
        map.insert(delivery_id.to_owned(), Span::current());
    }

    /// The span of the call that asked for the attempt or look-up that begins now; no span if no call did. It is removed,
    /// because later attempts are not of this call.
    pub(super) fn take(&self, delivery_id: &str) -> Span {
        let mut map = self.by_delivery.lock().unwrap_or_else(PoisonError::into_inner);
        map.remove(delivery_id).unwrap_or_else(Span::none)
    }
}
