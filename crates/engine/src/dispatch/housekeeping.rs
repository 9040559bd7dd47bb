//! Removes what is old: events, the content of incidents and their attempts, and retired connections. Then gives free
//! pages of the database back.
//!
//! All in short batches, with a pause after each, so that housekeeping takes a bounded part of the writer's time and a
//! write waits for one batch at most. It goes on until nothing old is left: it keeps up with any rate at which deliveries
//! end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::delivery::restore::RESTORE_WINDOW;
use ticketing_core::error_chain::ErrorChain;
use ticketing_store::{Shrunk, StoreError};
use tokio::time::Instant;

use super::Dispatcher;

/// Maximum time between two runs; with a shorter tick, each tick.
const MAX_INTERVAL: Duration = Duration::from_secs(60);
/// Maximum number of events, and of incidents, that one batch removes.
const EVENTS: u32 = 500;
const INCIDENTS: u32 = 200;
/// Maximum number of pages that one batch gives back: 512 KiB.
const PAGES: u32 = 128;
/// A pause is this multiple of the batch before it.
const PAUSE_FACTOR: u32 = 4;
const MIN_PAUSE: Duration = Duration::from_millis(5);
/// Minimum time that a replaced connection is kept: its last attempts may still be in progress.
const MIN_RETIRED_AGE: Duration = Duration::from_secs(24 * 3_600);

impl Dispatcher {
    pub(super) async fn run_housekeeping(&self) {
        let interval = || self.schedule().processor_interval.min(MAX_INTERVAL);
        let mut next = Instant::now() + interval();
        while !self.0.closing.is_cancelled() {
            tokio::select! {
                () = self.0.closing.cancelled() => break,
                () = self.0.housekeeping_changed.notified() => next = next.min(Instant::now() + interval()),
                () = tokio::time::sleep_until(next) => {
                    self.tidy().await;
                    next = Instant::now() + interval();
                }
            }
        }
    }

    /// Removes everything that is old now, unless the server stops before.
    pub async fn tidy(&self) {
        let now = self.0.clock.now();
        self.log_failure("failed to trim old events", self.trim_events(now).await);
        self.log_failure("failed to remove old content of incidents", self.remove_content(now).await);
        self.log_failure("failed to shrink the database", self.shrink().await);
        self.log_failure("failed to remove retired connections", self.prune_retired(now).await);
    }

    async fn trim_events(&self, now: Timestamp) -> Result<(), StoreError> {
        let Some(before) = earlier(now, self.0.settings.event_retention) else { return Ok(()) };
        let mut removed = 0;
        while !self.0.closing.is_cancelled() {
            let began = Instant::now();
            let batch = self.0.store.trim_events(before, EVENTS).await?;
            removed += batch;
            if batch < EVENTS.into() {
                break;
            }
            self.rest(began).await;
        }
        tracing::debug!(removed, "trimmed old events");
        Ok(())
    }

    async fn remove_content(&self, now: Timestamp) -> Result<(), StoreError> {
        let Some(before) = earlier(now, self.0.settings.incident_retention) else { return Ok(()) };
        let mut removed = 0;
        let mut after = None;
        while !self.0.closing.is_cancelled() {
            let page = self.0.store.expired_content(before, after, INCIDENTS).await?;
            if page.next.is_none() {
                break;
            }
            after = page.next;
            let began = Instant::now();
            if !page.incident_ids.is_empty() {
                removed += self.0.store.remove_content(page.incident_ids, before, now).await?;
            }
            self.rest(began).await;
        }
        if removed > 0 {
            tracing::info!(incidents = removed, "removed the content of old incidents");
        }
        Ok(())
    }

    async fn shrink(&self) -> Result<(), StoreError> {
        while !self.0.closing.is_cancelled() {
            let began = Instant::now();
            match self.0.store.shrink(PAGES).await? {
                Shrunk::Partly => self.rest(began).await,
                Shrunk::Done => break,
                Shrunk::NotPossible => {
                    self.advise_compaction();
                    break;
                }
            }
        }
        Ok(())
    }

    /// Says once that the file is of an earlier version.
    fn advise_compaction(&self) {
        if !self.0.is_compaction_advised.swap(true, Ordering::Relaxed) {
            tracing::info!(
                fix = "stop the server and run `ticketing compact` once",
                "the database has free space, which its file keeps"
            );
        }
    }

    async fn prune_retired(&self, now: Timestamp) -> Result<(), StoreError> {
        // A restored store may still need retired connections to search for tickets it lacks.
        let is_needed = self.0.store.installation().restored_at.is_some_and(|at| now < at + RESTORE_WINDOW);
        if !is_needed {
            self.0.store.prune_retired(now - MIN_RETIRED_AGE).await?;
        }
        Ok(())
    }

    /// Leaves the writer to others after a batch.
    async fn rest(&self, began: Instant) {
        self.pause((began.elapsed() * PAUSE_FACTOR).max(MIN_PAUSE)).await;
    }

    /// Waits, unless the server stops.
    async fn pause(&self, duration: Duration) {
        tokio::select! {
            () = self.0.closing.cancelled() => {}
            () = tokio::time::sleep(duration) => {}
        }
    }

    fn log_failure(&self, message: &'static str, done: Result<(), StoreError>) {
        // The store may be closed already while the server stops.
        if let Err(error) = done
            && !self.0.closing.is_cancelled()
        {
            tracing::warn!(error = %ErrorChain(&error), step = message, "housekeeping failed");
        }
    }
}

/// What is older than a time is older than this; `None` if nothing can be that old.
fn earlier(now: Timestamp, age: Duration) -> Option<Timestamp> {
    now.checked_sub(age).ok()
}
