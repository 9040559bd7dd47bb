//! How far a round has come, as its callers and its steady subscriber know.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::record::{Event, State};

/// A caller waits no longer than this for the others' deliveries: one that is lost must not stop the round.
const MAX_WAIT: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Progress {
    begun: watch::Sender<Begun>,
    settled: watch::Sender<usize>,
    /// The deliveries that came to rest at least once.
    rested: Mutex<HashSet<String>>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Begun {
    pub(super) incidents: usize,
    deliveries: usize,
}

// === impl Progress ===

impl Progress {
    /// An incident is brought that becomes so many deliveries.
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

    /// Until fewer than `window` deliveries are on their way.
    pub(super) async fn until_fewer_than(&self, window: usize) {
        let begun = self.begun.borrow().deliveries;
        let mut settled = self.settled.subscribe();
        let enough = settled.wait_for(|settled| begun < window + *settled);
        // Neither a sender that is gone nor a wait that is too long keeps a caller.
        let _ = tokio::time::timeout(MAX_WAIT, enough).await;
    }

    /// Until so many incidents were begun.
    pub(super) async fn until_begun(&self, incidents: usize) {
        // The sender is `self`.
        let _ = self.begun.subscribe().wait_for(|begun| begun.incidents >= incidents).await;
    }
}
