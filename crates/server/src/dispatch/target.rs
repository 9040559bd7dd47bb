//! What the dispatcher remembers of a target, and how it learns of its health.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use ticketing_core::fault::Fault;
use ticketing_core::system::TicketSystem;
use ticketing_core::target::{Admission, Condition, Failure, Health, Observation};
use ticketing_failpoints::{Guard, is_removed};
use tokio::sync::Semaphore;

use super::Dispatcher;
use crate::store::StoreError;

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
    pub lifted: AtomicBool,
    /// The pause that the system asked for was ended by an operator: what was put off until then is not due yet.
    is_pause_cut_short: AtomicBool,
    /// The failed delivery that went ahead last to see whether the target is well.
    last_probe: Mutex<String>,
    /// One claim at a time, so that the permits are counted before the claim.
    pub pumping: tokio::sync::Mutex<()>,
    /// One observation at a time, so that the copy below is never older than the store.
    pub observing: tokio::sync::Mutex<()>,
    /// One sweep at a time.
    pub sweeping: tokio::sync::Mutex<()>,
    /// One ticket is read back at a time.
    pub reading_back: tokio::sync::Mutex<()>,
    health: Mutex<Health>,
    due: Mutex<Due>,
}

/// Up to when due work may be taken. The tick and the reconciler move it; the pump works it off.
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
            lifted: AtomicBool::new(false),
            is_pause_cut_short: AtomicBool::new(false),
            last_probe: Mutex::default(),
            pumping: tokio::sync::Mutex::new(()),
            observing: tokio::sync::Mutex::new(()),
            sweeping: tokio::sync::Mutex::new(()),
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
    pub(crate) fn admission(&self, target: &str) -> Admission {
        if !self.0.connections.is_enabled(target) {
            return Admission::Closed(None);
        }
        let mut health = self.state(target).health();
        if is_removed(Guard::LoginStop) {
            health.condition = Condition::Ok;
            health.probe_after = None;
        }
        match health.admission(self.0.clock.now()) {
            // A refused login that the health does not know of yet: the next tick tells it.
            Admission::Open if self.0.connections.login_refusal(target).is_some() => Admission::Probe,
            admission => admission,
        }
    }

    /// The health of `target` as last observed.
    pub(crate) fn health(&self, target: &str) -> Health {
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

    /// Takes over the health of `target` as it is stored. No pause is longer than is believed now.
    pub(super) async fn read_health(&self, target: &str) {
        let state = self.state(target);
        let _one_at_a_time = state.observing.lock().await;
        let bounds = self.schedule().policy.bounds.clone();
        match self.0.store.health(target).await {
            Ok(health) => state.set_health(health.bounded(&bounds, self.0.clock.now())),
            Err(error) => warn(&error, target, "failed to read its health"),
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

    /// Takes note of a refused login that no delivery met, such as one of a preview.
    pub(super) async fn observe_login(&self, target: &str) {
        let Some(refusal) = self.0.connections.login_refusal(target) else { return };
        let may_lock_soon = self
            .0
            .connections
            .lockout_limit(target)
            .is_some_and(|limit| self.0.connections.login_refusals(target) + 1 >= limit);
        let condition = self.health(target).condition;
        if condition == Condition::Ok || condition == Condition::LoginRefused && may_lock_soon {
            self.observe_refusal(target, &refusal.fault, refusal.began).await;
        }
    }

    /// Takes note that the login of `target` was refused to somebody.
    pub(crate) async fn observe_refusal(&self, target: &str, fault: &Fault, began: Timestamp) {
        let api = self.0.connections.current(target);
        self.observe(target, api.as_ref(), self.failure(target, fault, began, "")).await;
    }

    /// An operator wants a try of a delivery now, whatever its target admits: every wait is over, and the delivery goes ahead as
    /// the probe. Its success ends the trouble for all.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub(crate) async fn lift(&self, target: &str) -> Result<(), StoreError> {
        if self.admission(target) == Admission::Open {
            return Ok(());
        }
        let state = self.state(target);
        let _one_at_a_time = state.observing.lock().await;
        state.set_health(self.0.store.lift(target, self.0.clock.now()).await?);
        state.lifted.store(true, Ordering::SeqCst);
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
            Ok(health) => self.became(target, &before, health).await,
            Err(error) => warn(&error, target, "its health could not be recorded"),
        }
    }

    /// Whether the vendor counts refused logins of the account of `target`, which it can lock: only another login or a passed
    /// test may have it tried as if nothing had been refused.
    pub(crate) fn is_near_lockout(&self, target: &str) -> bool {
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
    /// If the store can not be written.
    pub(crate) async fn forgive(&self, target: &str) -> Result<u64, StoreError> {
        let state = self.state(target);
        let _one_at_a_time = state.observing.lock().await;
        state.set_health(self.0.store.forgive(target, self.0.clock.now()).await?);
        state.lifted.store(false, Ordering::SeqCst);
        self.0.connections.forgive_login(target);
        let made_due = self.0.store.target_recovered(target, self.0.clock.now()).await?;
        self.allow_look_ups(target);
        self.wake();
        Ok(made_due)
    }

    async fn became(&self, target: &str, before: &Health, health: Health) {
        let recovered = before.condition != Condition::Ok && health.condition == Condition::Ok;
        let pause_ended = before.throttled_until.is_some() && health.throttled_until.is_none();
        if health.condition != before.condition {
            tracing::warn!(connection = %target, condition = %health.condition, "the target's condition changed");
        }
        self.state(target).set_health(health);
        let now = self.0.clock.now();
        if recovered {
            self.0.connections.reopen_login(target);
        }
        if pause_ended {
            // What was put off until then is due.
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
            Err(error) => warn(&error, target, "its deliveries could not be armed again"),
        }
    }
}

pub(super) fn warn(error: &StoreError, target: &str, what: &str) {
    tracing::error!(error = error as &dyn std::error::Error, connection = %target, "{what}");
}
