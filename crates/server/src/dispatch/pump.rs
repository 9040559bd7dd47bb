//! Takes work out of the store as fast as the targets' slots allow, and no faster.

use std::sync::Arc;
use std::time::Duration;

use ticketing_core::delivery::{Delivery, State};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::target::{Admission, Condition, Health};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Dispatcher;
use super::target::{TargetState, warn};
use crate::store::{ClaimKind, Claimed};

impl Dispatcher {
    /// The tick: retries that are due by now may go.
    pub(super) fn allow_retries(&self, target: &str) {
        let now = self.0.clock.now();
        self.state(target).edit_due(|due| due.retries = Some(now));
    }

    /// The reconciler: look-ups that are due by now may go.
    pub(super) fn allow_look_ups(&self, target: &str) {
        let now = self.0.clock.now();
        self.state(target).edit_due(|due| due.look_ups = Some(now));
    }

    /// Somebody waits for this delivery: what can be done about it now is due now.
    pub(crate) fn hasten(&self, delivery: &Delivery) {
        if delivery.state == State::Reconciling {
            self.allow_look_ups(&delivery.target);
        }
        self.wake();
    }

    /// Claims and starts what may go to `target` now.
    pub(super) async fn pump(&self, target: &str) {
        let state = self.state(target);
        let _one_at_a_time = state.pumping.lock().await;
        if self.0.closing.is_cancelled() {
            return;
        }
        match self.admission(target) {
            Admission::Open => {
                self.pump_look_ups(target, state).await;
                self.pump_retries(target, state).await;
                self.pump_fresh(target, state).await;
            }
            Admission::Probe if state.health().condition == Condition::CircuitOpen => {
                self.pump_look_ups(target, state).await;
                self.put_off(target).await;
            }
            Admission::Probe | Admission::Closed(_) => self.put_off(target).await,
        }
    }

    /// One delivery, in doubt or due for a retry, to see whether the target is well again.
    pub(super) async fn probe(&self, target: &str) {
        let state = self.state(target);
        let _one_at_a_time = state.pumping.lock().await;
        if self.admission(target) != Admission::Probe || self.0.closing.is_cancelled() {
            return;
        }
        for (kind, slots) in [(ClaimKind::Due, &state.sends), (ClaimKind::Doubtful, &state.look_ups)] {
            let Some(permit) = permits(slots, 1).pop() else { return };
            if self.start(target, kind, vec![permit]).await > 0 {
                return;
            }
        }
        self.probe_with_a_failed_one(target, state).await;
    }

    /// Where all retries are spent, one that has failed for want of the target goes ahead.
    async fn probe_with_a_failed_one(&self, target: &str, state: &TargetState) {
        match self.0.store.arm_probe(target, self.0.clock.now()).await {
            Ok(0) => {}
            Ok(_) => {
                self.start(target, ClaimKind::Fresh, permits(&state.sends, 1)).await;
            }
            Err(error) => warn(&error, target, "no failed delivery could be armed"),
        }
    }

    async fn pump_fresh(&self, target: &str, state: &TargetState) {
        let permits = permits(&state.sends, usize::MAX);
        self.start(target, ClaimKind::Fresh, permits).await;
    }

    /// Retries get at most half of the free slots, so that a backlog does not keep an analyst waiting.
    async fn pump_retries(&self, target: &str, state: &TargetState) {
        if state.due().retries.is_none() {
            return;
        }
        let share = state.sends.available_permits().div_ceil(2);
        let permits = permits(&state.sends, share);
        let asked = permits.len();
        if asked > 0 && self.start(target, ClaimKind::Due, permits).await < asked {
            state.edit_due(|due| due.retries = None);
        }
    }

    async fn pump_look_ups(&self, target: &str, state: &TargetState) {
        if state.due().look_ups.is_none() {
            return;
        }
        let permits = permits(&state.look_ups, usize::MAX);
        let asked = permits.len();
        if asked > 0 && self.start(target, ClaimKind::Doubtful, permits).await < asked {
            state.edit_due(|due| due.look_ups = None);
        }
    }

    /// Claims as many deliveries as there are permits, starts each, and says how many there were.
    async fn start(&self, target: &str, kind: ClaimKind, permits: Vec<OwnedSemaphorePermit>) -> usize {
        if permits.is_empty() {
            return 0;
        }
        let (lease, now) = (self.schedule().policy.bounds.lease, self.0.clock.now());
        let count = u32::try_from(permits.len()).unwrap_or(u32::MAX);
        let claimed = match self.0.store.claim(target, kind, count, lease, now).await {
            Ok(claimed) => claimed,
            Err(error) => {
                warn(&error, target, "nothing could be claimed");
                return 0;
            }
        };
        let started = claimed.len();
        for (claimed, permit) in claimed.into_iter().zip(permits) {
            self.spawn(kind, claimed, permit);
        }
        started
    }

    fn spawn(&self, kind: ClaimKind, claimed: Claimed, permit: OwnedSemaphorePermit) {
        let dispatcher = self.clone();
        self.0.tasks.spawn(async move {
            let id = claimed.delivery.id.clone();
            match kind {
                ClaimKind::Fresh | ClaimKind::Due => dispatcher.attempt(claimed).await,
                ClaimKind::Doubtful => dispatcher.look_up(claimed).await,
            }
            drop(permit);
            dispatcher.0.waiters.notify(&id);
            dispatcher.wake();
        });
    }

    /// What is fresh waits while its target admits nothing.
    async fn put_off(&self, target: &str) {
        let now = self.0.clock.now();
        let (until, fault) = match self.admission(target) {
            Admission::Closed(Some(until)) => (until, reason(&self.health(target))),
            _ if !self.0.connections.is_enabled(target) => {
                (now + self.schedule().processor_interval, switched_off())
            }
            _ => (now + self.schedule().processor_interval, reason(&self.health(target))),
        };
        match self.0.store.defer(target, until, &fault, now).await {
            Ok(0) => {}
            Ok(_) => self.0.waiters.notify_all(),
            Err(error) => warn(&error, target, "fresh deliveries could not be put off"),
        }
    }
}

fn permits(slots: &Arc<Semaphore>, most: usize) -> Vec<OwnedSemaphorePermit> {
    let take = || slots.clone().try_acquire_owned().ok();
    std::iter::from_fn(take).take(most).collect()
}

fn reason(health: &Health) -> Fault {
    let cause = health.cause.clone();
    let throttled = || Fault::new(FaultKind::RateLimited, "the ticket system asked us to slow down");
    let mut fault = cause.unwrap_or_else(throttled);
    fault.retry_after = None::<Duration>;
    fault
}

pub(super) fn switched_off() -> Fault {
    Fault::new(FaultKind::Misconfigured, "the ticket system is switched off or lacks settings")
        .with_hint("send its settings with Configure and set enabled to true")
}
