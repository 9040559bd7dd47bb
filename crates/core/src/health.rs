//! The health of a connection: circuit breaker, throttling, and lock-out protection.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::delivery::{Delivery, EventKind};
use crate::fault::{Fault, FaultKind, Scope};
use crate::policy::Bounds;

/// This many different deliveries in a row, refused with the same 401, 403 or 404 and no created ticket
/// between them, indicate trouble of the connection, although each refusal was attributed to its ticket. A
/// firewall or a business rule that rejects one incident stays far below; a login that lost a permission
/// reaches it within as many pushes.
const REFUSED_IN_A_ROW: usize = 5;
/// Maximum number of remembered failing deliveries: two prove that the trouble is not specific to one
/// delivery.
const FAILING: usize = 2;

/// The stored health of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Health {
    /// Connection-scoped failures since the last success.
    pub failures_in_a_row: u32,
    /// Start of the first of these attempts.
    pub failing_since: Option<Timestamp>,
    /// The deliveries that failed since then; at most two.
    #[serde(default)]
    pub failing: Vec<String>,
    /// No request before this time, as the system requested. Kept after that time until a call is answered;
    /// until then one probe is sent per tick.
    pub throttled_until: Option<Timestamp>,
    pub condition: Condition,
    /// Start of the condition.
    pub since: Option<Timestamp>,
    /// The failure that caused the condition.
    pub cause: Option<Fault>,
    /// Refused logins since the last success.
    #[serde(default)]
    pub login_refusals: u32,
    /// No probe before this time: the login was refused, and is probed with backoff.
    #[serde(default)]
    pub probe_after: Option<Timestamp>,
    /// Refusals of single tickets that may be caused by the connection.
    #[serde(default)]
    pub refusals: Option<Refusals>,
    /// End of the last trouble.
    #[serde(default)]
    pub recovered_at: Option<Timestamp>,
}

/// Tickets refused with the same status, without a success between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    /// 401, 403 or 404.
    pub status: u16,
    /// Start of the first of these attempts.
    pub since: Timestamp,
    /// The deliveries, each once.
    pub deliveries: Vec<String>,
}

/// The condition of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Condition {
    #[default]
    Ok,
    /// Too many consecutive failures, or a delivery that spent its retries on them: one probe per tick. While
    /// only a single delivery has failed, others are still sent at once.
    CircuitOpen,
    /// The login or its permissions were refused: one probe per tick. A login that cannot be locked is probed
    /// with backoff.
    LoginRefused,
    /// The account is locked or may soon be: nothing is sent until the login is changed, a test passes or an
    /// operator retries.
    Suspended,
}

/// Whether a request may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Open,
    /// One, on the tick.
    Probe,
    /// None before the given time; none at all without one.
    Closed(Option<Timestamp>),
}

/// Why deliveries are claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// They are due.
    Regular,
    /// One tests a connection in trouble.
    Probe,
    /// An operator requested an attempt, regardless of the connection's health.
    OperatorRetry,
}

/// The observation of a connection from an attempt or a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// A ticket was created.
    Created,
    /// A look-up was answered: the login works, though it may lack the permission to create.
    Searched,
    Failure(Failure),
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub fault: Fault,
    /// Start of the call.
    pub began: Timestamp,
    /// The delivery of the call; empty if there was none.
    pub delivery_id: String,
    /// Consecutive refused logins after which the vendor locks the account; `None` if it never does.
    pub lockout_limit: Option<u32>,
    /// Consecutive refused logins, including those not recorded in the connection's health.
    pub login_refusals: u32,
}

// === impl Health ===

impl Health {
    #[must_use]
    pub fn admission(&self, now: Timestamp) -> Admission {
        let pause = [self.throttled_until, self.probe_after].into_iter().flatten().max();
        match (self.condition, pause) {
            (Condition::Suspended, _) => Admission::Closed(None),
            (_, Some(until)) if now < until => Admission::Closed(Some(until)),
            (_, Some(_)) | (Condition::LoginRefused, None) => Admission::Probe,
            (Condition::CircuitOpen, None) if self.failing.len() == 1 => Admission::Open,
            (Condition::CircuitOpen, None) => Admission::Probe,
            (Condition::Ok, None) => Admission::Open,
        }
    }

    /// Whether deliveries may be claimed: to be looked up, or to be sent. Look-ups do not wait for the circuit.
    #[must_use]
    pub fn permits(&self, purpose: Purpose, is_look_up: bool, now: Timestamp) -> bool {
        match (purpose, self.admission(now)) {
            (Purpose::OperatorRetry, _) | (_, Admission::Open) | (Purpose::Probe, Admission::Probe) => true,
            (Purpose::Regular, Admission::Probe) => is_look_up && self.condition == Condition::CircuitOpen,
            (_, Admission::Closed(_)) => false,
        }
    }

    /// Whether a tick sends a probe.
    #[must_use]
    pub fn is_probed(&self, now: Timestamp) -> bool {
        match self.admission(now) {
            Admission::Probe => true,
            Admission::Open => self.condition == Condition::CircuitOpen,
            Admission::Closed(_) => false,
        }
    }

    /// The health after an observation, and the events to publish.
    #[must_use]
    pub fn observe(
        &self,
        observation: &Observation,
        bounds: &Bounds,
        now: Timestamp,
    ) -> (Self, Option<EventKind>) {
        match observation {
            Observation::Created => self.recover(now),
            Observation::Searched if self.is_login_rejected() => self.recover(now),
            Observation::Searched => (self.clone().answered(now), None),
            Observation::Failure(failure) if failure.fault.kind.scope() == Scope::Ticket => {
                self.ticket_refused(failure, now)
            }
            Observation::Failure(failure) if failure.fault.kind == FaultKind::RateLimited => {
                let mut next = self.clone();
                let asked = failure.fault.retry_after.unwrap_or(bounds.look_up_interval);
                next.throttled_until = Some(now + bounds.cap_retry_after(asked));
                let news = self.throttled_until.is_none_or(|until| until <= now);
                (next, news.then_some(EventKind::ConnectionThrottled))
            }
            Observation::Failure(failure) => self.failed(failure, bounds, now),
        }
    }

    /// A delivery FAILED in an attempt that began at `began`. If the connection was the cause and no ticket was
    /// created between its last two attempts, possibly no other delivery will show that the connection has
    /// recovered: so it is probed from now on. The same applies if the connection recovered during the last
    /// attempt, too late for it.
    #[must_use]
    pub fn retries_spent(
        &self,
        delivery: &Delivery,
        began: Timestamp,
        now: Timestamp,
    ) -> (Self, Option<EventKind>) {
        let was_too_early = self.recovered_at.is_some_and(|recovered_at| began < recovered_at);
        let in_a_row = self.failures_in_a_row > 0 && self.failures_in_a_row >= delivery.failures.min(2);
        let fault = delivery.last_error.as_ref().map(|error| &error.fault);
        match fault.filter(|fault| fault.kind.scope() == Scope::Connection) {
            Some(fault) if (in_a_row || was_too_early) && self.condition == Condition::Ok => {
                self.clone().worsen(Condition::CircuitOpen, fault, now)
            }
            _ => (self.clone(), None),
        }
    }

    /// The settings were changed or a test passed: clears every condition and pause.
    #[must_use]
    pub fn reset_health(&self, now: Timestamp) -> (Self, Option<EventKind>) {
        (Self { recovered_at: Some(now), ..Self::default() }, self.recovery())
    }

    /// An operator's retry ends every pause; the next success ends the condition.
    #[must_use]
    pub fn end_pauses(&self, now: Timestamp) -> Self {
        let throttled_until = self.throttled_until.map(|until| until.min(now));
        Self { throttled_until, probe_after: None, ..self.clone() }
    }

    /// The health with every stored pause capped by the current bounds.
    #[must_use]
    pub fn bounded(self, bounds: &Bounds, now: Timestamp) -> Self {
        let bounded = |until: Option<Timestamp>| until.map(|until| until.min(now + bounds.max_retry_after));
        Self {
            throttled_until: bounded(self.throttled_until),
            probe_after: bounded(self.probe_after),
            ..self
        }
    }

    fn recover(&self, now: Timestamp) -> (Self, Option<EventKind>) {
        let throttled_until = self.throttled_until.filter(|until| now < *until);
        let was_well = self.condition == Condition::Ok && self.failing_since.is_none();
        let recovered_at = if was_well { self.recovered_at } else { Some(now) };
        (Self { throttled_until, recovered_at, ..Self::default() }, self.recovery())
    }

    /// The system answered, and not with 429: a pause that has passed is over.
    fn answered(mut self, now: Timestamp) -> Self {
        self.throttled_until = self.throttled_until.filter(|until| now < *until);
        self
    }

    /// Whether the login itself was refused, rather than its permissions.
    fn is_login_rejected(&self) -> bool {
        let cause = self.cause.as_ref().map(|fault| fault.kind);
        self.condition == Condition::LoginRefused && cause == Some(FaultKind::Unauthorized)
    }

    fn recovery(&self) -> Option<EventKind> {
        (self.condition != Condition::Ok).then_some(EventKind::ConnectionRecovered)
    }

    fn failed(&self, failure: &Failure, bounds: &Bounds, now: Timestamp) -> (Self, Option<EventKind>) {
        let mut next = self.clone();
        if let Some(floor) = failure.fault.retry_after {
            next.throttled_until = Some(now + bounds.cap_retry_after(floor));
        }
        next.failures_in_a_row += 1;
        next.failing_since.get_or_insert(failure.began);
        let id = &failure.delivery_id;
        if next.failing.len() < FAILING && !id.is_empty() && !next.failing.contains(id) {
            next.failing.push(id.clone());
        }
        if failure.fault.kind == FaultKind::Unauthorized {
            let wait = bounds.login_probe_delay(next.login_refusals);
            next.login_refusals += 1;
            next.probe_after = failure.lockout_limit.is_none().then(|| now + wait);
        }
        let condition = next.condition_after(failure, bounds);
        next.worsen(condition, &failure.fault, now)
    }

    /// A refusal of one ticket says nothing about the connection, unless other tickets are refused in the same
    /// way.
    fn ticket_refused(&self, failure: &Failure, now: Timestamp) -> (Self, Option<EventKind>) {
        let Some(status) = failure.fault.status else { return (self.clone(), None) };
        let mut next = self.clone().answered(now);
        if !failure.fault.may_be_of_connection() || failure.delivery_id.is_empty() {
            next.refusals = None;
            return (next, None);
        }
        let known = next.refusals.take().filter(|known| known.status == status);
        let mut refusals =
            known.unwrap_or_else(|| Refusals { status, since: failure.began, deliveries: vec![] });
        if !refusals.deliveries.contains(&failure.delivery_id) {
            refusals.deliveries.push(failure.delivery_id.clone());
        }
        if refusals.deliveries.len() < REFUSED_IN_A_ROW {
            next.refusals = Some(refusals);
            return (next, None);
        }
        next.failing_since.get_or_insert(refusals.since);
        next.failing = refusals.deliveries.into_iter().take(FAILING).collect();
        let condition = if next.condition == Condition::Ok { Condition::CircuitOpen } else { next.condition };
        next.worsen(condition, &failure.fault, now)
    }

    fn condition_after(&self, failure: &Failure, bounds: &Bounds) -> Condition {
        match (self.condition, failure.fault.kind) {
            (Condition::Suspended, _) | (_, FaultKind::LockedOut) => Condition::Suspended,
            (_, FaultKind::Unauthorized) if self.may_lock_soon(failure) => Condition::Suspended,
            (_, FaultKind::Unauthorized | FaultKind::Forbidden) => Condition::LoginRefused,
            _ if self.failures_in_a_row >= bounds.circuit_threshold => Condition::CircuitOpen,
            (condition, _) => condition,
        }
    }

    /// One more refusal could lock the account, or the one further probe was refused, too.
    fn may_lock_soon(&self, failure: &Failure) -> bool {
        let Some(limit) = failure.lockout_limit else { return false };
        let was_probe = self.is_login_rejected() && self.since.is_some_and(|since| since < failure.began);
        was_probe || failure.login_refusals.max(self.login_refusals) + 1 >= limit
    }

    fn worsen(mut self, condition: Condition, fault: &Fault, now: Timestamp) -> (Self, Option<EventKind>) {
        if condition == self.condition {
            if condition == Condition::LoginRefused {
                self.cause = Some(fault.clone());
            }
            return (self, None);
        }
        self.condition = condition;
        self.since = Some(now);
        self.cause = Some(fault.clone());
        let event = match condition {
            Condition::Ok => None,
            Condition::CircuitOpen => Some(EventKind::ConnectionCircuitOpened),
            Condition::LoginRefused => Some(EventKind::ConnectionLoginRefused),
            Condition::Suspended => Some(EventKind::ConnectionSuspended),
        };
        (self, event)
    }
}

// === impl Condition ===

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "OK",
            Self::CircuitOpen => "CIRCUIT_OPEN",
            Self::LoginRefused => "LOGIN_REFUSED",
            Self::Suspended => "SUSPENDED",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn at(seconds: u64) -> Timestamp {
        NOW + Duration::from_secs(seconds)
    }

    fn failure(fault: Fault, delivery: &str, began: Timestamp, lockout_limit: Option<u32>) -> Observation {
        let delivery_id = delivery.to_owned();
        let login_refusals = 0;
        Observation::Failure(Failure { fault, began, delivery_id, lockout_limit, login_refusals })
    }

    fn observed(health: &Health, observation: &Observation, now: Timestamp) -> (Health, Option<EventKind>) {
        health.observe(observation, &Bounds::default(), now)
    }

    fn after(health: &Health, kind: FaultKind, delivery: &str) -> (Health, Option<EventKind>) {
        observed(health, &failure(Fault::new(kind, "no"), delivery, NOW, None), NOW)
    }

    fn refused(health: &Health, delivery: &str, status: u16) -> (Health, Option<EventKind>) {
        let fault = Fault::new(FaultKind::Rejected, "no").with_status(status);
        observed(health, &failure(fault, delivery, NOW, None), NOW)
    }

    fn accepted() -> Delivery {
        let key = crate::marker::InstallationKey::new([7; 32]);
        let new = crate::delivery::operate::NewDelivery {
            id: "a".to_owned(),
            incident_id: "INC-1".to_owned(),
            incident_revision: 1,
            connection: "jira".to_owned(),
            system: crate::system::System::Jira,
            trigger: crate::delivery::Trigger::Manual,
            marker: crate::marker::Marker::derive(&key, "INC-1", "jira"),
            namespace: Default::default(),
            requested_by: String::new(),
        };
        Delivery::accept(new, NOW).delivery
    }

    /// After a refused login of a lockable account.
    fn unauthorized(health: &Health, began: u64, now: u64, limit: u32) -> Health {
        let fault = Fault::new(FaultKind::Unauthorized, "no");
        observed(health, &failure(fault, "a", at(began), Some(limit)), at(now)).0
    }

    fn throttled(seconds: u64) -> Health {
        let fault =
            Fault::new(FaultKind::RateLimited, "slow").with_retry_after(Some(Duration::from_secs(seconds)));
        let (health, event) = observed(&Health::default(), &failure(fault, "a", NOW, None), NOW);
        assert_eq!(event, Some(EventKind::ConnectionThrottled));
        health
    }

    #[test]
    fn ten_failures_open_circuit_and_success_closes_it() {
        let mut health = Health::default();
        for delivery in ["a", "b", "a", "b", "a", "b", "a", "b", "a"] {
            health = after(&health, FaultKind::ServerError, delivery).0;
        }
        assert_eq!(health.admission(NOW), Admission::Open);
        let (health, event) = after(&health, FaultKind::Connect, "b");
        assert_eq!(
            (health.admission(NOW), event),
            (Admission::Probe, Some(EventKind::ConnectionCircuitOpened))
        );
        let (health, event) = observed(&health, &Observation::Created, NOW);
        assert_eq!((health.admission(NOW), event), (Admission::Open, Some(EventKind::ConnectionRecovered)));
    }

    #[test]
    fn spent_retries_open_the_circuit_of_a_quiet_connection() {
        let spent = |failures, kind| {
            let mut delivery = accepted();
            delivery.failures = failures;
            delivery.last_error =
                Some(crate::delivery::LastError { fault: Fault::new(kind, "no"), ambiguous: false, at: NOW });
            delivery
        };
        let mut health = Health::default();
        for _ in 0..3 {
            health = after(&health, FaultKind::ServerError, "a").0;
        }
        let (opened, event) = health.retries_spent(&spent(3, FaultKind::ServerError), NOW, NOW);
        assert_eq!(
            (opened.condition, event),
            (Condition::CircuitOpen, Some(EventKind::ConnectionCircuitOpened))
        );
        assert!(opened.is_probed(NOW));
        assert_eq!(health.retries_spent(&spent(3, FaultKind::Rejected), NOW, NOW), (health, None));
        // A ticket was created between its last two attempts.
        let (one, _) = after(&Health::default(), FaultKind::ServerError, "a");
        assert_eq!(one.retries_spent(&spent(3, FaultKind::ServerError), NOW, NOW), (one.clone(), None));
        // It was created during its last one.
        let recovered = Health { recovered_at: Some(at(1)), ..one };
        let (opened, _) = recovered.retries_spent(&spent(3, FaultKind::ServerError), NOW, at(2));
        assert_eq!(opened.condition, Condition::CircuitOpen);
    }

    #[test]
    fn one_failing_delivery_does_not_delay_others() {
        let mut health = Health::default();
        for _ in 0..10 {
            health = after(&health, FaultKind::ServerError, "a").0;
        }
        assert_eq!((health.condition, health.admission(NOW)), (Condition::CircuitOpen, Admission::Open));
        let (health, _) = after(&health, FaultKind::ServerError, "b");
        assert_eq!(health.admission(NOW), Admission::Probe);
    }

    #[test]
    fn ticket_refusal_leaves_health_unchanged() {
        let (health, event) = after(&Health::default(), FaultKind::Rejected, "a");
        assert_eq!((health, event), (Health::default(), None));
        let mut health = Health::default();
        for _ in 0..20 {
            health = refused(&health, "a", 403).0;
        }
        assert_eq!(health.admission(NOW), Admission::Open);
    }

    #[test]
    fn five_tickets_refused_alike_open_the_circuit() {
        let mut health = Health::default();
        for delivery in ["a", "b", "c", "d"] {
            health = refused(&health, delivery, 403).0;
        }
        assert_eq!(health.admission(NOW), Admission::Open);
        let interrupted = [refused(&health, "e", 401).0, observed(&health, &Observation::Created, NOW).0];
        for health in interrupted {
            assert_eq!(refused(&health, "f", 403).0.admission(NOW), Admission::Open);
        }
        let (health, event) = refused(&health, "e", 403);
        assert_eq!(
            (health.admission(NOW), event),
            (Admission::Probe, Some(EventKind::ConnectionCircuitOpened))
        );
        let recovered = Health { recovered_at: Some(NOW), ..Health::default() };
        assert_eq!(observed(&health, &Observation::Created, NOW).0, recovered);
    }

    #[test]
    fn lockout_permits_no_probe() {
        let (health, event) = after(&Health::default(), FaultKind::LockedOut, "a");
        assert_eq!(
            (health.admission(NOW), event),
            (Admission::Closed(None), Some(EventKind::ConnectionSuspended))
        );
        let (health, _) = after(&health, FaultKind::ServerError, "a");
        assert_eq!(health.admission(NOW), Admission::Closed(None));
        assert_eq!(
            health.reset_health(NOW),
            (Health { recovered_at: Some(NOW), ..Health::default() }, Some(EventKind::ConnectionRecovered))
        );
    }

    #[test]
    fn lockable_login_gets_one_further_probe() {
        let health = unauthorized(&Health::default(), 0, 1, 5);
        assert_eq!((health.condition, health.admission(at(1))), (Condition::LoginRefused, Admission::Probe));
        // Begun before the first was known.
        let health = unauthorized(&health, 0, 2, 5);
        assert_eq!(health.condition, Condition::LoginRefused);
        assert_eq!(unauthorized(&health, 120, 121, 5).condition, Condition::Suspended);
    }

    #[test]
    fn refusals_in_flight_suspend_before_the_lockout_limit() {
        let health = unauthorized(&Health::default(), 0, 1, 3);
        assert_eq!(health.condition, Condition::LoginRefused);
        assert_eq!(unauthorized(&health, 0, 1, 3).condition, Condition::Suspended);
    }

    #[test]
    fn unobserved_refusals_count_against_lockout_limit() {
        let failure = Failure {
            fault: Fault::new(FaultKind::Unauthorized, "no"),
            began: NOW,
            delivery_id: "a".to_owned(),
            lockout_limit: Some(5),
            login_refusals: 4,
        };
        let health = observed(&Health::default(), &Observation::Failure(failure), NOW).0;
        assert_eq!(health.condition, Condition::Suspended);
    }

    #[test]
    fn login_that_cannot_lock_is_probed_with_backoff() {
        let mut health = Health::default();
        let mut waits = vec![];
        for _ in 0..9 {
            health = after(&health, FaultKind::Unauthorized, "a").0;
            let Admission::Closed(Some(until)) = health.admission(NOW) else { panic!("{health:?}") };
            assert_eq!(health.admission(until), Admission::Probe);
            waits.push(until.duration_since(NOW).as_secs());
        }
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
        assert_eq!(health.condition, Condition::LoginRefused);
    }

    #[test]
    fn answered_look_up_proves_login_but_not_create_right() {
        let searched = |health: &Health| observed(health, &Observation::Searched, NOW).0.condition;
        let (health, _) = after(&Health::default(), FaultKind::Unauthorized, "a");
        assert_eq!(searched(&health), Condition::Ok);
        let (health, _) = after(&Health::default(), FaultKind::Forbidden, "a");
        assert_eq!(searched(&health), Condition::LoginRefused);
    }

    #[test]
    fn sends_one_probe_after_throttling_pause() {
        let health = throttled(90);
        assert_eq!(health.admission(NOW), Admission::Closed(Some(at(90))));
        assert_eq!(health.admission(at(90)), Admission::Probe);
        assert_eq!(observed(&health, &Observation::Created, NOW).0, health, "it was sent before the pause");
        for answer in [Observation::Created, Observation::Searched] {
            assert_eq!(observed(&health, &answer, at(90)).0, Health::default());
        }
    }

    #[test]
    fn caps_pauses_at_an_hour() {
        let health = throttled(86_400);
        assert_eq!(health.throttled_until, Some(at(3_600)));
        let stored = Health { throttled_until: Some(at(86_400)), ..Health::default() };
        assert_eq!(stored.bounded(&Bounds::default(), NOW).throttled_until, Some(at(3_600)));
    }

    #[test]
    fn operators_retry_ends_every_wait() {
        assert_eq!(throttled(90).end_pauses(NOW).admission(NOW), Admission::Probe);
        let (health, _) = after(&Health::default(), FaultKind::Unauthorized, "a");
        assert_eq!(health.end_pauses(NOW).admission(NOW), Admission::Probe);
    }
}
