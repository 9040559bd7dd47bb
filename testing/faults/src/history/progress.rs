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
    begun: watch::Sender<Begun>,
    settled: watch::Sender<usize>,
    /// Deliveries that were settled at least once.
    rested: Mutex<HashSet<String>>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Begun {
    pub(super) incidents: usize,
    deliveries: usize,
}

// === impl Progress ===

impl Progress {
    /// An incident begins, which becomes this many deliveries.
    pub(super) fn begun(&self, deliveries: usize) {
        self.begun.send_modify(|begun| {
            begun.incidents += 1;
            begun.deliveries += deliveries;
        });
    }

    pub(super) fn saw(&self, event: &Event) {
        let rests = matches!(event.state, Some(State::Delivered | State::Failed | State::Cancelled));
        if let Some(delivery) = event.delivery.as_ref().filter(|_| rests) {
            let mut rested = self.rested.lock().unwrap_or_else(PoisonError::into_inner);
            if rested.insert(delivery.clone()) {
                self.settled.send_replace(rested.len());
            }
        }
    }

    /// Waits until fewer than `window` deliveries are unfinished.
    pub(super) async fn until_fewer_than(&self, window: usize) {
        let begun = self.begun.borrow().deliveries;
        let mut settled = self.settled.subscribe();
        let enough = settled.wait_for(|settled| begun < window + *settled);
        // Neither a dropped sender nor a timeout stops a caller.
        let _ = tokio::time::timeout(MAX_WAIT, enough).await;
    }

    /// Waits until this many incidents began.
    pub(super) async fn until_begun(&self, incidents: usize) {
        // The sender is `self`.
        let _ = self.begun.subscribe().wait_for(|begun| begun.incidents >= incidents).await;
    }
}
