//! Progress of a round, as known to its callers and its steady subscriber.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::record::{Event, State};

/// A caller waits no longer than this for other deliveries: a lost one must not stop the round.
const MAX_WAIT: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Progress {
    started: watch::Sender<Started>,
    settled: watch::Sender<usize>,
    /// Deliveries that were settled at least once.
    settled_deliveries: Mutex<HashSet<String>>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Started {
    pub(super) incidents: usize,
    deliveries: usize,
}

// === impl Progress ===

impl Progress {
    /// An incident begins, which becomes this many deliveries.
    pub(super) fn started(&self, deliveries: usize) {
        self.started.send_modify(|started| {
            started.incidents += 1;
            started.deliveries += deliveries;
        });
    }

    pub(super) fn note_event(&self, event: &Event) {
        let is_final = matches!(event.state, Some(State::Delivered | State::Failed | State::Cancelled));
        if let Some(delivery) = event.delivery.as_ref().filter(|_| is_final) {
            let mut settled_deliveries =
                self.settled_deliveries.lock().unwrap_or_else(PoisonError::into_inner);
            if settled_deliveries.insert(delivery.clone()) {
                self.settled.send_replace(settled_deliveries.len());
            }
        }
    }

    /// Waits until fewer than `window` deliveries are unfinished.
    pub(super) async fn until_fewer_than(&self, window: usize) {
        let started = self.started.borrow().deliveries;
        let mut settled = self.settled.subscribe();
        let enough = settled.wait_for(|settled| started < window + *settled);
        // Neither a dropped sender nor a timeout stops a caller.
        let _ = tokio::time::timeout(MAX_WAIT, enough).await;
    }

    /// Waits until this many incidents began.
    pub(super) async fn until_started(&self, incidents: usize) {
        // The sender is `self`.
        let _ = self.started.subscribe().wait_for(|started| started.incidents >= incidents).await;
    }
}
