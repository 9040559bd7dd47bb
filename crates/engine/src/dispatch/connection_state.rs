//! The dispatcher's state of a connection, and its health.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use ticketing_core::concurrency::ConcurrencyLimit;
use ticketing_core::error_chain::ErrorChain;
use ticketing_core::fault::Fault;
use ticketing_core::health::{Admission, Condition, Failure, Health, Observation};
use ticketing_core::send_rate::SendRate;
use ticketing_core::system::TicketSystem;
use ticketing_store::StoreError;
use tokio::sync::Semaphore;

use super::Dispatcher;

/// Concurrent look-ups of one connection, relative to creates: they can wait, but after an outage they are as
/// many.
fn look_ups_beside(creates: usize) -> usize {
    creates.div_ceil(2)
}

/// Concurrent creates of a connection: the number adapts to what the ticket system can take.
#[derive(Debug, Clone, Copy)]
pub struct Concurrency {
    /// To begin with.
    pub start: u32,
    pub max: u32,
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct ConnectionState {
    /// One permit per create in progress, as many as the highest limit.
    pub sends: Arc<Semaphore>,
    pub look_ups: Arc<Semaphore>,
    /// How many of the creates may be in progress at present.
    limit: Mutex<ConcurrencyLimit>,
    start: usize,
    max: usize,
    /// How many creates may begin in a second.
    rate: Mutex<SendRate>,
    /// The last claim took all that the rate permitted, and there may be more.
    pub waits_for_rate: AtomicBool,
    /// Slots that were claimed while callers waited: every fourth is for what no caller waits for.
    claimed_slots: AtomicU32,
    /// Whether retries get the larger half of an odd number of slots.
    pub prefers_retries: AtomicBool,
    /// An operator requested an attempt, regardless of the health.
    pub operator_retry: AtomicBool,
    /// An operator ended the pause that the system requested: deliveries deferred until its end are not due
    /// yet.
    is_pause_cut_short: AtomicBool,
    /// The FAILED delivery that was the last probe.
    last_probe: Mutex<String>,
    /// The end of the last pause that was followed by a probe.
    probed_pause: Mutex<Option<Timestamp>>,
    /// At the end of the last pause there was nothing to probe with: the next delivery is the probe.
    pub probe_is_owed: AtomicBool,
    /// Serializes claims, so that permits are counted before the claim.
    pub claiming: tokio::sync::Mutex<()>,
    /// Serializes observations, so that the copy below is never older than the store.
    pub observing: tokio::sync::Mutex<()>,
    /// Serializes duplicate scans.
    pub scanning: tokio::sync::Mutex<()>,
    /// Serializes read-backs.
    pub reading_back: tokio::sync::Mutex<()>,
    health: Mutex<Health>,
    due: Mutex<Due>,
}

/// What is worth a claim: whether there may be pending deliveries, and the due times up to which other work is admitted.
/// A wake-up, the tick and the reconciler advance it; `dispatch_due` works through it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Due {
    pub pending: bool,
    pub retries: Option<Timestamp>,
    pub look_ups: Option<Timestamp>,
}

// === impl ConnectionState ===

impl ConnectionState {
    pub(super) fn new(concurrency: Concurrency) -> Self {
        let max = concurrency.max.max(concurrency.start) as usize;
        Self {
            sends: Arc::new(Semaphore::new(max)),
            look_ups: Arc::new(Semaphore::new(look_ups_beside(max))),
            limit: Mutex::new(ConcurrencyLimit::new(concurrency.start, concurrency.max)),
            start: concurrency.start as usize,
            max,
            rate: Mutex::default(),
            waits_for_rate: AtomicBool::new(false),
            claimed_slots: AtomicU32::new(0),
            prefers_retries: AtomicBool::new(false),
            operator_retry: AtomicBool::new(false),
            is_pause_cut_short: AtomicBool::new(false),
            last_probe: Mutex::default(),
            probed_pause: Mutex::default(),
            probe_is_owed: AtomicBool::new(false),
            claiming: tokio::sync::Mutex::new(()),
            observing: tokio::sync::Mutex::new(()),
            scanning: tokio::sync::Mutex::new(()),
            reading_back: tokio::sync::Mutex::new(()),
            health: Mutex::default(),
            due: Mutex::new(Due { pending: true, ..Due::default() }),
        }
    }

    /// Creates and look-ups in progress, or about to begin.
    pub(super) fn in_flight(&self) -> usize {
        let all = self.max + look_ups_beside(self.max);
        all - self.sends.available_permits() - self.look_ups.available_permits()
    }

    /// Creates in progress.
    pub(super) fn sends_in_flight(&self) -> usize {
        self.max - self.sends.available_permits()
    }

    /// The number of creates that may be in progress at present.
    pub(super) fn limit(&self) -> usize {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner).get()
    }

    pub(super) fn adapt(&self, adapt: impl FnOnce(&mut ConcurrencyLimit)) {
        adapt(&mut self.limit.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn rate<T>(&self, edit: impl FnOnce(&mut SendRate) -> T) -> T {
        edit(&mut self.rate.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many of so many slots are for what no caller waits for: one of four, also if slots are claimed one by one.
    pub(super) fn share_of_others(&self, slots: u32) -> u32 {
        let before = self.claimed_slots.fetch_add(slots, Ordering::SeqCst) % 4;
        (before + slots) / 4
    }

    /// Creates that may begin now, as far as those in progress are concerned.
    pub(super) fn free_sends(&self) -> usize {
        self.limit().saturating_sub(self.sends_in_flight())
    }

    /// When a create that waits for the rate may begin, if one does.
    pub(super) fn next_send(&self, now: Timestamp) -> Option<Timestamp> {
        let waits = self.waits_for_rate.load(Ordering::SeqCst);
        waits.then(|| self.rate(|rate| rate.next(now)).unwrap_or(now))
    }

    /// Look-ups that may begin now: never fewer than to begin with, so that one that hangs does not delay all others.
    pub(super) fn free_look_ups(&self) -> usize {
        let in_flight = look_ups_beside(self.max) - self.look_ups.available_permits();
        look_ups_beside(self.limit().max(self.start)).saturating_sub(in_flight)
    }

    pub(super) fn last_probe(&self) -> String {
        self.last_probe.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_last_probe(&self, delivery_id: String) {
        *self.last_probe.lock().unwrap_or_else(PoisonError::into_inner) = delivery_id;
    }

    pub(super) fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_health(&self, health: Health) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    /// The end of the pause that the ticket system requested, until it was followed by a probe.
    pub(super) fn pause_end(&self) -> Option<Timestamp> {
        let probed = *self.probed_pause.lock().unwrap_or_else(PoisonError::into_inner);
        self.health().throttled_until.filter(|end| Some(*end) != probed)
    }

    pub(super) fn set_probed_pause(&self, end: Timestamp) {
        *self.probed_pause.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    pub(super) fn due(&self) -> Due {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn edit_due(&self, edit: impl FnOnce(&mut Due)) {
        edit(&mut self.due.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

// === impl Dispatcher ===

impl Dispatcher {
    /// Whether a request to `connection` is admitted now. A disabled connection admits none.
    pub fn admission(&self, connection: &str) -> Admission {
        if !self.0.connections.is_enabled(connection) {
            return Admission::Closed(None);
        }
        match self.state(connection).health().admission(self.0.clock.now()) {
            // A refused login that the health does not include yet: the next tick records it.
            Admission::Open if self.0.connections.login_refusal(connection).is_some() => Admission::Probe,
            admission => admission,
        }
    }

    /// The number of creates that may be in progress at present.
    pub fn concurrency_limit(&self, connection: &str) -> usize {
        self.state(connection).limit()
    }

    /// The health of `connection` as last observed.
    pub fn health(&self, connection: &str) -> Health {
        self.state(connection).health()
    }

    /// The state of a connection. A new one admits what may be pending.
    pub(super) fn state(&self, connection: &str) -> Arc<ConnectionState> {
        let known = self.0.states.read().unwrap_or_else(PoisonError::into_inner).get(connection).cloned();
        known.unwrap_or_else(|| {
            let mut states = self.0.states.write().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(ConnectionState::new(self.0.settings.concurrency));
            states.entry(connection.to_owned()).or_insert_with(new).clone()
        })
    }

    /// The states of all connections.
    pub(super) fn states(&self) -> HashMap<String, Arc<ConnectionState>> {
        self.0.states.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets the state of a connection that was removed.
    pub fn forget(&self, connection: &str) {
        self.0.states.write().unwrap_or_else(PoisonError::into_inner).remove(connection);
    }

    pub(super) async fn load_health(&self) {
        for connection in self.0.connections.ids() {
            self.read_health(&connection).await;
        }
    }

    /// Loads the stored health of `connection`. Pauses are capped by the current bounds.
    pub(super) async fn read_health(&self, connection: &str) {
        let state = self.state(connection);
        let _one_at_a_time = state.observing.lock().await;
        let bounds = self.schedule().policy.bounds.clone();
        match self.0.store.bound_pauses(connection, &bounds, self.0.clock.now()).await {
            Ok(health) => state.set_health(health),
            Err(error) => warn(&error, connection, "failed to read the connection's health"),
        }
    }

    /// The failure of a call of a delivery, as an observation of `connection`.
    pub(super) fn failure(
        &self,
        connection: &str,
        fault: &Fault,
        began: Timestamp,
        delivery_id: &str,
    ) -> Observation {
        Observation::Failure(Failure {
            fault: fault.clone(),
            began,
            delivery_id: delivery_id.to_owned(),
            lockout_limit: self.0.connections.lockout_limit(connection),
            login_refusals: self.0.connections.login_refusals(connection),
        })
    }

    /// Records a refused login outside of deliveries, for example of a preview.
    pub(super) async fn observe_login(&self, connection: &str) {
        let Some(refusal) = self.0.connections.login_refusal(connection) else { return };
        let is_news = match self.health(connection).condition {
            Condition::Ok => true,
            Condition::LoginRefused => self.0.connections.is_near_lockout(connection),
            Condition::CircuitOpen | Condition::Suspended => false,
        };
        if is_news {
            self.observe_refusal(connection, &refusal.fault, refusal.began).await;
        }
    }

    /// Records a refused login of `connection`.
    pub async fn observe_refusal(&self, connection: &str, fault: &Fault, began: Timestamp) {
        let api = self.0.connections.current(connection);
        self.observe(connection, api.as_ref(), self.failure(connection, fault, began, "")).await;
    }

    /// An operator requests an attempt now, regardless of the connection's health: ends every wait, and the
    /// delivery is sent as the probe. Its success ends the trouble for all.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn end_pauses(&self, connection: &str) -> Result<(), StoreError> {
        if self.admission(connection) == Admission::Open {
            return Ok(());
        }
        let state = self.state(connection);
        let _one_at_a_time = state.observing.lock().await;
        state.set_health(self.0.store.end_pauses(connection, self.0.clock.now()).await?);
        state.operator_retry.store(true, Ordering::SeqCst);
        state.is_pause_cut_short.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Records an observation from an attempt or a look-up. Observations of a connection that is no longer
    /// active are ignored.
    pub(super) async fn observe(
        &self,
        connection: &str,
        api: Option<&Arc<dyn TicketSystem>>,
        observation: Observation,
    ) {
        let state = self.state(connection);
        let _one_at_a_time = state.observing.lock().await;
        if !api.is_some_and(|api| self.0.connections.is_current(connection, api)) {
            return;
        }
        let before = state.health();
        let bounds = self.schedule().policy.bounds.clone();
        let now = self.0.clock.now();
        if before.observe(&observation, &bounds, now).0 == before {
            return;
        }
        match self.0.store.observe(connection, observation, &bounds, now).await {
            Ok(health) => self.on_health_changed(connection, &before, health).await,
            Err(error) => warn(&error, connection, "failed to record the connection's health"),
        }
    }

    /// Whether a lockable login of `connection` was refused: only another login, a passed test or an operator's
    /// retry may use it without restrictions again.
    pub fn was_lockable_login_refused(&self, connection: &str) -> bool {
        let health = self.health(connection);
        let was_refused = health.login_refusals > 0
            || health.condition == Condition::Suspended
            || self.0.connections.login_refusals(connection) > 0;
        was_refused && self.0.connections.lockout_limit(connection).is_some()
    }

    /// The settings were changed or a test passed: resets the health and makes deliveries due. Returns their
    /// number.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn reset_health(&self, connection: &str) -> Result<u64, StoreError> {
        let state = self.state(connection);
        let _one_at_a_time = state.observing.lock().await;
        state.set_health(self.0.store.reset_health(connection, self.0.clock.now()).await?);
        state.operator_retry.store(false, Ordering::SeqCst);
        self.0.connections.reset_login(connection);
        let made_due = self.0.store.connection_recovered(connection, self.0.clock.now()).await?;
        self.allow_look_ups(connection);
        self.wake();
        Ok(made_due)
    }

    async fn on_health_changed(&self, connection: &str, before: &Health, health: Health) {
        let recovered = before.condition != Condition::Ok && health.condition == Condition::Ok;
        let pause_ended = before.throttled_until.is_some() && health.throttled_until.is_none();
        if health.condition != before.condition {
            tracing::warn!(%connection, condition = %health.condition, "the connection's condition changed");
        }
        self.state(connection).set_health(health);
        let now = self.0.clock.now();
        if pause_ended {
            // Deliveries that were deferred until then are due.
            self.allow_retries(connection);
            self.wake();
        }
        let cut_short = self.state(connection).is_pause_cut_short.load(Ordering::SeqCst);
        let recovered = recovered || pause_ended && cut_short;
        if recovered {
            self.state(connection).is_pause_cut_short.store(false, Ordering::SeqCst);
        }
        // An outage can outlast a delivery's retries without opening the circuit, if little was sent.
        let armed = match before.failing_since.filter(|_| self.health(connection).failing_since.is_none()) {
            _ if recovered => self.0.store.connection_recovered(connection, now).await,
            Some(outage_began) => self.0.store.outage_ended(connection, outage_began, now).await,
            None => return,
        };
        match armed {
            Ok(0) => {}
            Ok(_) => self.wake(),
            Err(error) => warn(&error, connection, "failed to rearm deliveries after recovery"),
        }
    }
}

pub(super) fn warn(error: &StoreError, connection: &str, what: &str) {
    tracing::error!(error = %ErrorChain(error), %connection, "{what}");
}
