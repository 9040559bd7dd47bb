//! What the dispatcher remembers of a target, and how it learns of its health.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use ticketing_core::fault::Fault;
use ticketing_core::system::TicketSystem;
use ticketing_core::target::{Admission, Condition, Failure, Health, Observation};
use tokio::sync::Semaphore;

use super::Dispatcher;
use ticketing_store::StoreError;

/// Look-ups at a time in one target, for so many creates: they can wait, but after an outage there are as many.
fn look_ups_beside(creates: usize) -> usize {
    creates.div_ceil(2)
}

/// One target as the dispatcher sees it.
#[derive(Debug)]
pub(super) struct TargetState {
    /// One permit for each create under way.
    pub sends: Arc<Semaphore>,
    pub look_ups: Arc<Semaphore>,
    concurrency: usize,
    /// An operator wants a try, whatever the target admits.
    pub operator_retry: AtomicBool,
    /// The pause that the system asked for was ended by an operator: what was deferred until then is not due yet.
    is_pause_cut_short: AtomicBool,
    /// The failed delivery that went ahead last to see whether the target is well.
    last_probe: Mutex<String>,
    /// One claim at a time, so that the permits are counted before the claim.
    pub claiming: tokio::sync::Mutex<()>,
    /// One observation at a time, so that the copy below is never older than the store.
    pub observing: tokio::sync::Mutex<()>,
    /// One duplicate scan at a time.
    pub scanning: tokio::sync::Mutex<()>,
    /// One ticket is read back at a time.
    pub reading_back: tokio::sync::Mutex<()>,
    health: Mutex<Health>,
    due: Mutex<Due>,
}

/// Up to when due work may be taken. The tick and the reconciler advance it; `dispatch_due` works through it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Due {
    pub retries: Option<Timestamp>,
    pub look_ups: Option<Timestamp>,
}

// === impl TargetState ===

impl TargetState {
    pub(super) fn new(concurrency: usize) -> Self {
        Self {
            sends: Arc::new(Semaphore::new(concurrency)),
            look_ups: Arc::new(Semaphore::new(look_ups_beside(concurrency))),
            concurrency,
            operator_retry: AtomicBool::new(false),
            is_pause_cut_short: AtomicBool::new(false),
            last_probe: Mutex::default(),
            claiming: tokio::sync::Mutex::new(()),
            observing: tokio::sync::Mutex::new(()),
            scanning: tokio::sync::Mutex::new(()),
            reading_back: tokio::sync::Mutex::new(()),
            health: Mutex::default(),
            due: Mutex::default(),
        }
    }

    /// Creates and look-ups under way, or about to be.
    pub(super) fn in_flight(&self) -> usize {
        let all = self.concurrency + look_ups_beside(self.concurrency);
        all - self.sends.available_permits() - self.look_ups.available_permits()
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

    pub(super) fn due(&self) -> Due {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn edit_due(&self, edit: impl FnOnce(&mut Due)) {
        edit(&mut self.due.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

// === impl Dispatcher ===

impl Dispatcher {
    /// Whether a request may go to `target` now. A target that is switched off admits none.
    pub fn admission(&self, target: &str) -> Admission {
        if !self.0.connections.is_enabled(target) {
            return Admission::Closed(None);
        }
        match self.state(target).health().admission(self.0.clock.now()) {
            // A refused login that the health does not know of yet: the next tick tells it.
            Admission::Open if self.0.connections.login_refusal(target).is_some() => Admission::Probe,
            admission => admission,
        }
    }

    /// The health of `target` as last observed.
    pub fn health(&self, target: &str) -> Health {
        self.state(target).health()
    }

    pub(super) fn state(&self, target: &str) -> &TargetState {
        self.0.targets.get(target).expect("every delivery's target is a configured connection")
    }

    pub(super) async fn load_health(&self) {
        for target in self.0.targets.keys() {
            self.read_health(target).await;
        }
    }

    /// Takes over the health of `target` as it is stored. Pauses are capped by the current bounds.
    pub(super) async fn read_health(&self, target: &str) {
        let state = self.state(target);
        let _one_at_a_time = state.observing.lock().await;
        let bounds = self.schedule().policy.bounds.clone();
        match self.0.store.health(target).await {
            Ok(health) => state.set_health(health.bounded(&bounds, self.0.clock.now())),
            Err(error) => warn(&error, target, "failed to read the connection's health"),
        }
    }

    /// What a call of a delivery to `target` failed with, as its health takes it.
    pub(super) fn failure(
        &self,
        target: &str,
        fault: &Fault,
        began: Timestamp,
        delivery_id: &str,
    ) -> Observation {
        Observation::Failure(Failure {
            fault: fault.clone(),
            began,
            delivery_id: delivery_id.to_owned(),
            lockout_limit: self.0.connections.lockout_limit(target),
            login_refusals: self.0.connections.login_refusals(target),
        })
    }

    /// Records a refused login outside of deliveries, such as one of a preview.
    pub(super) async fn observe_login(&self, target: &str) {
        let Some(refusal) = self.0.connections.login_refusal(target) else { return };
        let is_news = match self.health(target).condition {
            Condition::Ok => true,
            Condition::LoginRefused => self.0.connections.is_near_lockout(target),
            Condition::CircuitOpen | Condition::Suspended => false,
        };
        if is_news {
            self.observe_refusal(target, &refusal.fault, refusal.began).await;
        }
    }

    /// Records a refused login of `target`.
    pub async fn observe_refusal(&self, target: &str, fault: &Fault, began: Timestamp) {
        let api = self.0.connections.current(target);
        self.observe(target, api.as_ref(), self.failure(target, fault, began, "")).await;
    }

    /// An operator wants a try of a delivery now, whatever its target admits: every wait is over, and the delivery goes ahead as
    /// the probe. Its success ends the trouble for all.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn end_pauses(&self, target: &str) -> Result<(), StoreError> {
        if self.admission(target) == Admission::Open {
            return Ok(());
        }
        let state = self.state(target);
        let _one_at_a_time = state.observing.lock().await;
        state.set_health(self.0.store.end_pauses(target, self.0.clock.now()).await?);
        state.operator_retry.store(true, Ordering::SeqCst);
        state.is_pause_cut_short.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Takes in what an attempt or a look-up said about its target. What was said by a connection that is no longer in
    /// force is no news of the present one.
    pub(super) async fn observe(
        &self,
        target: &str,
        api: Option<&Arc<dyn TicketSystem>>,
        observation: Observation,
    ) {
        let state = self.state(target);
        let _one_at_a_time = state.observing.lock().await;
        if !api.is_some_and(|api| self.0.connections.is_current(target, api)) {
            return;
        }
        let (before, bounds) = (state.health(), self.schedule().policy.bounds.clone());
        let now = self.0.clock.now();
        if before.observe(&observation, &bounds, now).0 == before {
            return;
        }
        match self.0.store.observe(target, observation, &bounds, now).await {
            Ok(health) => self.on_health_changed(target, &before, health).await,
            Err(error) => warn(&error, target, "failed to record the connection's health"),
        }
    }

    /// Whether a login of `target` was refused that the vendor can lock: only another login, a passed test or an operator's
    /// retry may have it tried as if it had never been refused.
    pub fn was_lockable_login_refused(&self, target: &str) -> bool {
        let health = self.health(target);
        let was_refused = health.login_refusals > 0
            || health.condition == Condition::Suspended
            || self.0.connections.login_refusals(target) > 0;
        was_refused && self.0.connections.lockout_limit(target).is_some()
    }

    /// Settings were changed or a test passed: the target gets another chance, and so do its deliveries. Returns how
    /// many were made due.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn reset_health(&self, target: &str) -> Result<u64, StoreError> {
        let state = self.state(target);
        let _one_at_a_time = state.observing.lock().await;
        state.set_health(self.0.store.reset_health(target, self.0.clock.now()).await?);
        state.operator_retry.store(false, Ordering::SeqCst);
        self.0.connections.reset_login(target);
        let made_due = self.0.store.target_recovered(target, self.0.clock.now()).await?;
        self.allow_look_ups(target);
        self.wake();
        Ok(made_due)
    }

    async fn on_health_changed(&self, target: &str, before: &Health, health: Health) {
        let recovered = before.condition != Condition::Ok && health.condition == Condition::Ok;
        let pause_ended = before.throttled_until.is_some() && health.throttled_until.is_none();
        if health.condition != before.condition {
            tracing::warn!(connection = %target, condition = %health.condition, "the connection's condition changed");
        }
        self.state(target).set_health(health);
        let now = self.0.clock.now();
        if pause_ended {
            // What was deferred until then is due.
            self.allow_retries(target);
            self.wake();
        }
        let cut_short = self.state(target).is_pause_cut_short.load(Ordering::SeqCst);
        let recovered = recovered || pause_ended && cut_short;
        if recovered {
            self.state(target).is_pause_cut_short.store(false, Ordering::SeqCst);
        }
        // An outage can outlast a delivery's retries without opening the circuit, if there was little to send.
        let armed = match before.failing_since.filter(|_| self.health(target).failing_since.is_none()) {
            _ if recovered => self.0.store.target_recovered(target, now).await,
            Some(outage_began) => self.0.store.outage_ended(target, outage_began, now).await,
            None => return,
        };
        match armed {
            Ok(0) => {}
            Ok(_) => self.wake(),
            Err(error) => warn(&error, target, "failed to rearm deliveries after recovery"),
        }
    }
}

pub(super) fn warn(error: &StoreError, target: &str, what: &str) {
    tracing::error!(error = error as &dyn std::error::Error, connection = %target, "{what}");
}
