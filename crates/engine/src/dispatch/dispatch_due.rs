//! Claims due deliveries within the concurrency limit of each connection (backpressure).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ticketing_core::delivery::{Delivery, State};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::health::{Admission, Condition, Health, Purpose};
use ticketing_store::{ClaimError, ClaimKind, ClaimRequest, Claimed, Preparer};
use tokio::sync::OwnedSemaphorePermit;

use super::Dispatcher;
use super::connection_state::{ConnectionState, warn};
use super::prepare::Sender;

/// Candidates for a probe, in this order.
const PROBES: [ClaimKind; 3] = [ClaimKind::Fresh, ClaimKind::Due, ClaimKind::Uncertain];

/// A pause that is too brief to record it for each delivery that waits for its end, and to answer callers before.
const BRIEF_PAUSE: Duration = Duration::from_secs(5);

/// The calls of a connection, each with a limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallKind {
    Create,
    LookUp,
}

// === impl CallKind ===

impl CallKind {
    fn of(claimed: ClaimKind) -> Self {
        match claimed {
            ClaimKind::Fresh | ClaimKind::Due => Self::Create,
            ClaimKind::Uncertain => Self::LookUp,
        }
    }
}

// === impl Dispatcher ===

impl Dispatcher {
    /// The tick: admits retries that are due by now.
    pub(super) fn allow_retries(&self, connection: &str) {
        let now = self.0.clock.now();
        self.state(connection).edit_due(|due| due.retries = Some(now));
    }

    /// The reconciler: admits look-ups that are due by now.
    pub(super) fn allow_look_ups(&self, connection: &str) {
        let now = self.0.clock.now();
        self.state(connection).edit_due(|due| due.look_ups = Some(now));
    }

    /// A caller waits for this delivery: makes it due now.
    pub fn expedite(&self, delivery: &Delivery) {
        if delivery.state == State::Reconciling {
            self.allow_look_ups(&delivery.connection);
        }
        self.wake();
    }

    /// Claims and starts what `connection` admits now.
    pub(super) async fn dispatch_due(&self, connection: &str) {
        let state = &*self.state(connection);
        let _one_at_a_time = state.claiming.lock().await;
        if self.0.closing.is_cancelled() {
            return;
        }
        let admission = self.admission(connection);
        let has_operator_retry =
            state.operator_retry.load(Ordering::SeqCst) && self.0.connections.is_enabled(connection);
        if has_operator_retry && admission != Admission::Open {
            self.send_operator_retry(connection, state).await;
        }
        match admission {
            Admission::Open => {
                self.dispatch_look_ups(connection, state).await;
                let retries = self.dispatch_fresh_first(connection, state).await;
                self.dispatch_retries(connection, state, retries).await;
                self.start_pending(connection, state, usize::MAX).await;
            }
            Admission::Probe if state.health().condition == Condition::CircuitOpen => {
                self.dispatch_look_ups(connection, state).await;
                self.defer(connection).await;
            }
            Admission::Probe if state.probe_is_owed.load(Ordering::SeqCst) => {
                let started = self.start_one(connection, Purpose::Probe, &PROBES).await;
                state.probe_is_owed.store(!started, Ordering::SeqCst);
                self.defer(connection).await;
            }
            Admission::Probe | Admission::Closed(_) => self.defer(connection).await,
        }
    }

    /// Sends one delivery as the probe of a failing connection: a pending one, else the one longest due, else one
    /// that has FAILED. Returns whether there was one.
    pub(super) async fn probe(&self, connection: &str) -> bool {
        let state = &*self.state(connection);
        let _one_at_a_time = state.claiming.lock().await;
        if self.0.closing.is_cancelled() || !self.0.connections.is_enabled(connection) {
            return false;
        }
        match self.admission(connection) {
            Admission::Closed(_) => false,
            // Other deliveries are sent when due; a FAILED one still needs its probe.
            Admission::Open if self.health(connection).is_probed(self.0.clock.now()) => {
                self.probe_with_failed_delivery(connection, state).await
            }
            Admission::Open => false,
            Admission::Probe => {
                self.0.connections.permit_login_probe(connection);
                self.start_one(connection, Purpose::Probe, &PROBES).await
                    || self.probe_with_failed_delivery(connection, state).await
            }
        }
    }

    /// The delivery that an operator retries, regardless of the connection's health.
    async fn send_operator_retry(&self, connection: &str, state: &ConnectionState) {
        self.0.connections.reset_login(connection);
        let kinds = [ClaimKind::Fresh, ClaimKind::Uncertain];
        if self.start_one(connection, Purpose::OperatorRetry, &kinds).await {
            state.operator_retry.store(false, Ordering::SeqCst);
        }
    }

    /// Starts one delivery of the first kind that has one.
    async fn start_one(&self, connection: &str, purpose: Purpose, kinds: &[ClaimKind]) -> bool {
        for kind in kinds {
            let permits = self.permits(connection, CallKind::of(*kind), 1);
            if self.start(connection, purpose, *kind, permits).await.is_some_and(|started| started > 0) {
                return true;
            }
        }
        false
    }

    /// If all retries are spent, one that FAILED because of the connection is the probe, each in its turn.
    async fn probe_with_failed_delivery(&self, connection: &str, state: &ConnectionState) -> bool {
        let permits = self.permits(connection, CallKind::Create, 1);
        if permits.is_empty() {
            return false;
        }
        match self.0.store.arm_probe(connection, &state.last_probe(), self.0.clock.now()).await {
            Ok(None) => false,
            Ok(Some(delivery_id)) => {
                state.set_last_probe(delivery_id);
                let started = self.start(connection, Purpose::Probe, ClaimKind::Fresh, permits).await;
                started.is_some_and(|started| started > 0)
            }
            Err(error) => {
                warn(&error, connection, "failed to rearm a failed delivery as a probe");
                false
            }
        }
    }

    /// Starts pending deliveries, if there may be any.
    async fn start_pending(&self, connection: &str, state: &ConnectionState, most: usize) {
        // Before the claim: what is accepted during it is noticed.
        let mut had_pending = false;
        state.edit_due(|due| had_pending = std::mem::take(&mut due.pending));
        if had_pending && self.start_creates(connection, ClaimKind::Fresh, most).await {
            state.edit_due(|due| due.pending = true);
        }
    }

    /// Deliveries requested by an analyst, or never attempted, precede retries, which keep half of the free
    /// slots; of an odd number, they get the larger half every second time. Returns the number of slots for retries.
    async fn dispatch_fresh_first(&self, connection: &str, state: &ConnectionState) -> usize {
        let free_slots = self.free_slots(connection, CallKind::Create);
        if free_slots > 0 && state.due().retries.is_some() {
            let prefers_retries = state.prefers_retries.fetch_not(Ordering::SeqCst);
            let share = if prefers_retries { free_slots / 2 } else { free_slots.div_ceil(2) };
            self.start_pending(connection, state, share).await;
        }
        free_slots.div_ceil(2)
    }

    /// Retries get at most half of the free slots, so that a backlog does not delay analysts.
    async fn dispatch_retries(&self, connection: &str, state: &ConnectionState, share: usize) {
        if state.due().retries.is_none() {
            return;
        }
        if !self.start_creates(connection, ClaimKind::Due, share).await {
            state.edit_due(|due| due.retries = None);
        }
    }

    async fn dispatch_look_ups(&self, connection: &str, state: &ConnectionState) {
        if state.due().look_ups.is_none() {
            return;
        }
        // If calls are scarce, creates get half of them.
        let most = match self.0.connections.lockout_limit(connection) {
            Some(_) => self.free_slots(connection, CallKind::LookUp).div_ceil(2),
            None => usize::MAX,
        };
        let permits = self.permits(connection, CallKind::LookUp, most);
        let asked = permits.len();
        let started = self.start(connection, Purpose::Regular, ClaimKind::Uncertain, permits).await;
        if started.is_some_and(|started| started < asked) {
            state.edit_due(|due| due.look_ups = None);
        }
    }

    /// Number of calls that may begin now. A lockable login has fewer calls in flight than would lock it.
    fn free_slots(&self, connection: &str, calls: CallKind) -> usize {
        let state = self.state(connection);
        let limit = self.0.connections.lockout_limit(connection);
        let most = limit.map_or(usize::MAX, |limit| limit.saturating_sub(1).max(1) as usize);
        let free = match calls {
            CallKind::Create => state.free_sends(),
            CallKind::LookUp => state.free_look_ups(),
        };
        free.min(most.saturating_sub(state.in_flight()))
    }

    fn permits(&self, connection: &str, calls: CallKind, most: usize) -> Vec<OwnedSemaphorePermit> {
        let state = self.state(connection);
        let slots = match calls {
            CallKind::Create => &state.sends,
            CallKind::LookUp => &state.look_ups,
        };
        let take = || slots.clone().try_acquire_owned().ok();
        std::iter::from_fn(take).take(most.min(self.free_slots(connection, calls))).collect()
    }

    /// Starts at most `most` creates, as the rate permits; a probe does not wait for the rate. Returns whether there may be
    /// more to claim.
    async fn start_creates(&self, connection: &str, kind: ClaimKind, most: usize) -> bool {
        let state = self.state(connection);
        let free = most.min(self.free_slots(connection, CallKind::Create));
        let paced = free.min(state.rate(|rate| rate.available(self.0.clock.now())));
        let permits = self.permits(connection, CallKind::Create, paced);
        let asked = permits.len();
        let started = self.start(connection, Purpose::Regular, kind, permits).await;
        let has_more = started.is_none_or(|started| started == asked);
        if has_more && paced < free {
            state.waits_for_rate.store(true, Ordering::SeqCst);
        }
        has_more
    }

    /// Claims as many deliveries as there are permits, starts each, and returns their number; `None` if the claim was
    /// refused, and can be repeated once this server knows of the change.
    async fn start(
        &self,
        connection: &str,
        purpose: Purpose,
        kind: ClaimKind,
        permits: Vec<OwnedSemaphorePermit>,
    ) -> Option<usize> {
        if permits.is_empty() {
            return Some(0);
        }
        let lease = self.schedule().policy.bounds.lease;
        let now = self.0.clock.now();
        let count = u32::try_from(permits.len()).unwrap_or(u32::MAX);
        let is_fresh = kind == ClaimKind::Fresh;
        let preferred = if is_fresh { self.0.waiters.waited_for(connection) } else { vec![] };
        let for_others = if preferred.is_empty() { 0 } else { self.state(connection).share_of_others(count) };
        let known = self.0.connections.get(connection)?;
        let is_create = CallKind::of(kind) == CallKind::Create;
        let in_force = known.in_force().filter(|_| is_create);
        let preparer = in_force.map(|in_force| self.preparer(in_force, now));
        let request = ClaimRequest {
            connection: connection.to_owned(),
            settings_revision: known.settings_revision,
            purpose,
            kind,
            limit: count,
            preferred,
            for_others,
            lease,
            preparer: preparer.clone().map(|preparer| preparer as Arc<dyn Preparer>),
        };
        let claimed = match self.0.store.claim(request, now).await {
            Ok(claimed) => claimed,
            Err(ClaimError::Store(error)) => {
                warn(&error, connection, "failed to claim deliveries");
                self.state(connection).edit_due(|due| due.pending = true);
                return Some(0);
            }
            // The new settings come into force in a moment.
            Err(ClaimError::SettingsChanged) => return None,
            Err(ClaimError::NotAdmitted) => {
                self.read_health(connection).await;
                return None;
            }
        };
        let started = claimed.len();
        if CallKind::of(kind) == CallKind::Create {
            self.state(connection).rate(|rate| rate.spend(started));
        }
        let tick = self.state(connection).due().retries.filter(|_| kind == ClaimKind::Due);
        for (mut claimed, permit) in claimed.into_iter().zip(permits) {
            // The tick may be some time ago, if all slots were taken.
            claimed.counted_from = tick.unwrap_or(claimed.counted_from);
            let sender = preparer.as_ref().map(|preparer| preparer.sender(&claimed.delivery.id));
            self.spawn(kind, claimed, sender, permit);
        }
        Some(started)
    }

    /// `sender` is of the claimed create, if it was prepared.
    fn spawn(&self, kind: ClaimKind, claimed: Claimed, sender: Option<Sender>, permit: OwnedSemaphorePermit) {
        let dispatcher = self.clone();
        self.0.tasks.spawn(async move {
            let id = claimed.delivery.id.clone();
            match kind {
                ClaimKind::Fresh | ClaimKind::Due => dispatcher.attempt(claimed, sender).await,
                ClaimKind::Uncertain => dispatcher.look_up(claimed).await,
            }
            drop(permit);
            dispatcher.0.waiters.notify(&id);
            match kind {
                ClaimKind::Fresh | ClaimKind::Due => dispatcher.wake_for_slot(),
                // A look-up can make its delivery pending.
                ClaimKind::Uncertain => dispatcher.wake(),
            }
        });
    }

    /// Pending deliveries wait while their connection admits none. They stay as they are during a brief pause and the
    /// probe after a pause, and while the connection is switched off.
    async fn defer(&self, connection: &str) {
        let now = self.0.clock.now();
        let condition = self.health(connection).condition;
        let until = match self.admission(connection) {
            Admission::Closed(Some(until)) if until <= now + BRIEF_PAUSE => return,
            Admission::Probe if condition == Condition::Ok => return,
            _ if !self.0.connections.is_enabled(connection) => return,
            Admission::Closed(Some(until)) => until,
            _ => now + self.schedule().processor_interval,
        };
        let fault = reason(&self.health(connection));
        match self.0.store.defer(connection, until, &fault, now).await {
            Ok(0) => {}
            Ok(_) => self.0.waiters.notify_all(),
            Err(error) => warn(&error, connection, "failed to defer pending deliveries"),
        }
    }
}

fn reason(health: &Health) -> Fault {
    let cause = health.cause.clone();
    let throttled = || Fault::new(FaultKind::RateLimited, "the ticket system requested a pause");
    let mut fault = cause.unwrap_or_else(throttled);
    fault.retry_after = None::<Duration>;
    fault
}

pub(super) fn connection_disabled() -> Fault {
    Fault::new(FaultKind::Misconfigured, "the ticket system is switched off or lacks settings")
        .with_hint("send its settings with Configure and set enabled to true")
}
