//! Delivers to the ticket systems: claims outbox rows, sends, reconciles, scans for duplicates.
//!
//! The guarantee: an accepted delivery is never lost and never becomes two tickets. It relies on four
//! properties. The intent is durable before the first byte of a create. A claim has an epoch and a lease, and
//! only its holder sends. Nothing is sent again while an earlier send has an unknown outcome. And each step
//! is recorded with its consequences in one transaction, so that a crash at any point leaves a delivery that
//! the next start recovers.
//!
//! Three steps do the work: [`Dispatcher::dispatch`] sends pending deliveries, [`Dispatcher::tick`] retries
//! those that are due, [`Dispatcher::reconcile`] looks up those of unknown outcome. [`Dispatcher::run`]
//! schedules them.

mod attempt;
mod caller_spans;
mod connection_state;
mod dispatch_due;
mod evidence;
mod housekeeping;
mod look_up;
mod prepare;
#[cfg(test)]
mod schedule_tests;
mod search_before_create;
mod waiters;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::clock::Clock;
use ticketing_core::error_chain::ErrorChain;
use ticketing_core::policy::Policy;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use caller_spans::CallerSpans;
pub use connection_state::Concurrency;
pub use waiters::Waiters;

use self::connection_state::ConnectionState;
use crate::connections::Connections;
use ticketing_host::entropy::Entropy;
use ticketing_store::{Leases, Store, StoreError};

/// Settings of the dispatcher.
#[derive(Debug, Clone)]
pub struct DispatchSettings {
    /// Concurrent creates per connection.
    pub concurrency: Concurrency,
    /// How long events are kept.
    pub event_retention: Duration,
    /// How long the content of incidents and the attempts are kept after the last delivery of the incident ended.
    pub incident_retention: Duration,
}

/// The shared state of the dispatcher; cheap to clone.
#[derive(Debug, Clone)]
pub struct Dispatcher(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    connections: Connections,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    settings: DispatchSettings,
    schedule: RwLock<Schedule>,
    schedule_changed: Notify,
    /// The same, for housekeeping: each of the two waits for its own.
    housekeeping_changed: Notify,
    /// By the ID of the connection. One is created when it is first needed.
    states: RwLock<HashMap<String, Arc<ConnectionState>>>,
    waiters: Waiters,
    caller_spans: CallerSpans,
    wake: Notify,
    tasks: TaskTracker,
    closing: CancellationToken,
    /// No work is in progress, and none will begin.
    stopped: CancellationToken,
    /// Whether the log said that the database file does not shrink.
    is_compaction_advised: AtomicBool,
}

/// The schedule of the steps.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub policy: Arc<Policy>,
    /// Interval between two ticks.
    pub processor_interval: Duration,
}

// === impl Dispatcher ===

impl Dispatcher {
    pub fn new(
        store: Store,
        connections: Connections,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        settings: DispatchSettings,
        schedule: Schedule,
    ) -> Self {
        Self(Arc::new(Inner {
            store,
            connections,
            clock,
            entropy,
            settings,
            schedule: RwLock::new(schedule),
            schedule_changed: Notify::new(),
            housekeeping_changed: Notify::new(),
            states: RwLock::default(),
            waiters: Waiters::default(),
            caller_spans: CallerSpans::default(),
            wake: Notify::new(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            stopped: CancellationToken::new(),
            is_compaction_advised: AtomicBool::new(false),
        }))
    }

    /// Runs until [`shut_down`](Self::shut_down). Expires the leases of an earlier process first.
    pub async fn run(&self) {
        self.recover().await;
        tokio::join!(self.run_deliveries(), self.run_housekeeping());
    }

    async fn run_deliveries(&self) {
        let mut next_tick = tokio::time::Instant::now() + self.schedule().processor_interval;
        let mut next_look = tokio::time::Instant::now();
        while !self.0.closing.is_cancelled() {
            tokio::select! {
                () = self.0.closing.cancelled() => break,
                () = self.0.wake.notified() => self.dispatch().await,
                () = self.until(self.pause_end()) => self.probe_after_pause().await,
                () = self.until(self.next_send()) => self.dispatch_paced().await,
                () = self.0.schedule_changed.notified() => {
                    next_tick = next_tick.min(tokio::time::Instant::now() + self.schedule().processor_interval);
                }
                () = tokio::time::sleep_until(next_tick) => {
                    self.tick().await;
                    next_tick = tokio::time::Instant::now() + self.schedule().processor_interval;
                }
                () = tokio::time::sleep_until(next_look) => {
                    self.reconcile().await;
                    next_look = tokio::time::Instant::now() + self.look_interval();
                }
            }
        }
    }

    /// The end of the next pause that a ticket system requested.
    fn pause_end(&self) -> Option<Timestamp> {
        self.states().values().filter_map(|state| state.pause_end()).min()
    }

    /// When a create that waits for the rate of its connection may begin.
    fn next_send(&self) -> Option<Timestamp> {
        let now = self.0.clock.now();
        self.states().values().filter_map(|state| state.next_send(now)).min()
    }

    async fn until(&self, time: Option<Timestamp>) {
        match time {
            Some(time) => {
                let left = time.duration_since(self.0.clock.now());
                tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Probes each connection at the end of its pause; after that, one probe a tick until a call succeeds.
    pub async fn probe_after_pause(&self) {
        let now = self.0.clock.now();
        for (connection, state) in &self.states() {
            if let Some(end) = state.pause_end().filter(|end| *end <= now) {
                state.set_probed_pause(end);
                // What was refused by the pause is due at its end.
                self.allow_retries(connection);
                let started = self.probe(connection).await;
                state.probe_is_owed.store(!started, Ordering::SeqCst);
            }
        }
    }

    /// Sends what waited for the rate of its connection.
    pub async fn dispatch_paced(&self) {
        let now = self.0.clock.now();
        for (connection, state) in &self.states() {
            if state.next_send(now).is_some_and(|next| next <= now) {
                // A paused connection claims nothing, so nothing waits there until the pause is over.
                state.waits_for_rate.store(false, Ordering::SeqCst);
                self.dispatch_due(connection).await;
            }
        }
    }

    /// A delivery was accepted or made due now.
    pub fn wake(&self) {
        self.states().values().for_each(|state| state.edit_due(|due| due.pending = true));
        self.0.wake.notify_one();
    }

    /// A create has ended: what did not fit beside it can begin.
    fn wake_for_slot(&self) {
        self.0.wake.notify_one();
    }

    /// Sends pending deliveries, as far as the connections admit them.
    pub async fn dispatch(&self) {
        for connection in self.0.connections.ids() {
            self.dispatch_due(&connection).await;
        }
    }

    /// The tick: retries what is due, probes failing connections, expires stale leases.
    pub async fn tick(&self) {
        self.expire_leases(Leases::Expired).await;
        for connection in self.0.connections.ids() {
            self.observe_login(&connection).await;
            self.state(&connection).edit_due(|due| due.pending = true);
            self.allow_retries(&connection);
            self.probe(&connection).await;
            self.dispatch_due(&connection).await;
        }
    }

    /// Looks up deliveries of unknown outcome, and scans for duplicates.
    pub async fn reconcile(&self) {
        self.expire_leases(Leases::Expired).await;
        for connection in self.0.connections.ids() {
            self.allow_look_ups(&connection);
            self.dispatch_due(&connection).await;
            self.scan_for_duplicates(&connection);
        }
    }

    /// Starts nothing new, and waits at most `grace` for work in progress. An interrupted attempt has an
    /// unknown outcome, which the next start reconciles.
    pub async fn shut_down(&self, grace: Duration) {
        if self.0.stopped.is_cancelled() {
            return;
        }
        self.0.closing.cancel();
        for state in self.states().values() {
            // A claim in progress still starts its deliveries; none begins after that.
            drop(state.claiming.lock().await);
        }
        self.0.tasks.close();
        if tokio::time::timeout(grace, self.0.tasks.wait()).await.is_err() {
            tracing::warn!(
                attempts = self.0.tasks.len(),
                "shutdown interrupted attempts; the next start reconciles them"
            );
        }
        self.0.stopped.cancel();
    }

    /// Completes when [`shut_down`](Self::shut_down) has: no delivery makes progress after that.
    pub async fn stopped(&self) {
        self.0.stopped.cancelled().await;
    }

    /// The current schedule.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        self.0.schedule.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the schedule.
    pub fn reschedule(&self, schedule: Schedule) {
        *self.0.schedule.write().unwrap_or_else(PoisonError::into_inner) = schedule;
        self.0.schedule_changed.notify_one();
        self.0.housekeeping_changed.notify_one();
    }

    pub fn caller_spans(&self) -> &CallerSpans {
        &self.0.caller_spans
    }

    pub fn waiters(&self) -> &Waiters {
        &self.0.waiters
    }

    /// Expires all leases of the previous process: the store has one owner, so none is valid.
    async fn recover(&self) {
        self.load_health().await;
        self.expire_leases(Leases::All).await;
        self.end_removed().await;
        self.wake();
    }

    /// Ends what a crash may have left of the deliveries of removed connections.
    async fn end_removed(&self) {
        let ended = async {
            for removed in self.0.store.removed_connections().await? {
                self.0.store.connection_removed(&removed.connection, self.0.clock.now()).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = ended.await {
            tracing::error!(error = %ErrorChain(&error), "failed to end deliveries of removed connections");
        }
    }

    async fn expire_leases(&self, leases: Leases) {
        let policy = self.schedule().policy;
        match self.0.store.expire_leases(leases, &policy, self.0.clock.now()).await {
            Ok(expired) => expired.iter().for_each(|delivery| {
                tracing::warn!(delivery = %delivery.id, state = %delivery.state, "expired a stale lease");
                attempt::log_if_failed(delivery);
                self.state(&delivery.connection).edit_due(|due| due.pending = true);
            }),
            Err(error) => {
                tracing::error!(error = %ErrorChain(&error), "failed to expire stale leases");
            }
        }
    }

    /// Often enough that the second of two empty results is not late.
    fn look_interval(&self) -> Duration {
        self.schedule().policy.bounds.look_up_interval / 2
    }
}
