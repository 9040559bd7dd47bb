//! Tracing spans of the calls that requested deliveries, so that the log of the first attempt names the call. Later attempts have no
//! caller. Kept in memory only, for the log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tracing::Span;

/// At this many all spans are dropped.
const MAX_SPANS: usize = 10_000;

/// The span of the call that asked for each delivery.
#[derive(Debug, Default)]
pub struct CallerSpans {
    by_delivery: Mutex<HashMap<String, Span>>,
}

// === impl CallerSpans ===

impl CallerSpans {
    /// The present call asks for a delivery.
    pub fn remember(&self, delivery_id: &str) {
        let mut map = self.by_delivery.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= MAX_SPANS {
            map.clear();
        }
        map.insert(delivery_id.to_owned(), Span::current());
    }

    /// The call that asked for the attempt or look-up that begins now; no span if nobody did. It is forgotten, since what
    /// comes after is not its doing.
    pub(super) fn take(&self, delivery_id: &str) -> Span {
        let mut map = self.by_delivery.lock().unwrap_or_else(PoisonError::into_inner);
        map.remove(delivery_id).unwrap_or_else(Span::none)
    }
}
