//! The calls that asked for deliveries, so that the log of an attempt names the call. For the log alone: they are forgotten
//! at a restart.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tracing::Span;

/// More than this are not remembered: then all are forgotten.
const MOST: usize = 10_000;

/// The span of the call that asked for each delivery.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    by_delivery: Mutex<HashMap<String, Span>>,
}

// === impl Origins ===

impl Origins {
    /// The present call asks for a delivery.
    pub(crate) fn remember(&self, delivery_id: &str) {
        let mut map = self.by_delivery.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= MOST {
            map.clear();
        }
        map.insert(delivery_id.to_owned(), Span::current());
    }

    /// The call that asked for a delivery; no span if none is known.
    pub(super) fn of(&self, delivery_id: &str) -> Span {
        let map = self.by_delivery.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(delivery_id).cloned().unwrap_or_else(Span::none)
    }

    /// The delivery has its ticket.
    pub(super) fn forget(&self, delivery_id: &str) {
        self.by_delivery.lock().unwrap_or_else(PoisonError::into_inner).remove(delivery_id);
    }
}
