//! The health of a target: whether it is wise to send to it now.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::delivery::{Delivery, EventKind};
use crate::fault::{Fault, FaultKind, Scope};
use crate::policy::Bounds;

/// So many different deliveries in a row, refused with the same 401, 403 or 404 and no ticket created between them, are trouble
/// of the connection, although each refusal was taken for one of its ticket alone. A firewall or a business rule that
/// dislikes one incident does not come near it; a login that lost a right does within as many pushes.
const REFUSED_IN_A_ROW: usize = 5;
/// More failing deliveries than this are not remembered: two show that it is not one delivery's own trouble.
const FAILING: usize = 2;

/// What is remembered of a target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Health {
    /// Target-scoped failures since the last success.
    pub failures_in_a_row: u32,
    /// When the first attempt of these was begun.
    pub failing_since: Option<Timestamp>,
    /// The deliveries that failed since then; at most two.
    #[serde(default)]
    pub failing: Vec<String>,
    /// No request before this: the system asked for it. Kept after that time until a call is answered; until then one probe
    /// a tick goes out.
    pub throttled_until: Option<Timestamp>,
    pub condition: Condition,
    /// Since when the condition holds.
    pub since: Option<Timestamp>,
    /// The failure that brought the condition about.
    pub cause: Option<Fault>,
    /// Refused logins since the last success.
    #[serde(default)]
    pub login_refusals: u32,
    /// No probe before this: the login was refused, and is tried ever less often.
    #[serde(default)]
    pub probe_after: Option<Timestamp>,
    /// Refusals of single tickets that may be the connection's trouble.
    #[serde(default)]
    pub refusals: Option<Refusals>,
}

/// Tickets that were refused with the same status, with no success between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    /// 401, 403 or 404.
    pub status: u16,
    /// When the first of these attempts was begun.
    pub since: Timestamp,
    /// The deliveries, each once.
    pub deliveries: Vec<String>,
}

/// How a target is to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Condition {
    #[default]
    Ok,
    /// Too many failures in a row, or a delivery that spent its retries on them: one probe a tick. While a single delivery
    /// has failed, others are still sent at once.
    CircuitOpen,
    /// The login or its rights were refused: one probe a tick. A login that cannot lock is probed ever less often.
    LoginRefused,
    /// The account is locked or may be soon: nothing is sent until the login is changed, a test passes or an operator retries.
    Suspended,
}

/// Whether a request may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Open,
    /// One, on the processor's tick.
    Probe,
    /// None before the time given; none at all without one.
    Closed(Option<Timestamp>),
}

/// What an attempt or a look-up says about its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// A ticket was created.
    Created,
    /// A look-up was answered: the login works, though it may not suffice to create.
    Searched,
    Failure(Failure),
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub fault: Fault,
    /// When the call was begun.
    pub began: Timestamp,
    /// The delivery that it was made for; empty where it was made for none.
    pub delivery_id: String,
    /// After how many refused logins in a row the vendor locks the account; `None` if it never does.
    pub lockout_limit: Option<u32>,
    /// Refused logins in a row, those included that the target did not hear of.
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

    /// Whether a tick sends a probe.
    #[must_use]
    pub fn is_probed(&self, now: Timestamp) -> bool {
        match self.admission(now) {
            Admission::Probe => true,
            Admission::Open => self.condition == Condition::CircuitOpen,
            Admission::Closed(_) => false,
        }
    }

    /// The health after something was observed, and what to tell.
    #[must_use]
    pub fn observe(
        &self,
        observation: &Observation,
        bounds: &Bounds,
        now: Timestamp,
    ) -> (Self, Option<EventKind>) {
        match observation {
            Observation::Created => self.recover(now),
            Observation::Searched if self.is_login_unknown() => self.recover(now),
            Observation::Searched => (self.clone().answered(now), None),
            Observation::Failure(failure) if failure.fault.kind.scope() == Scope::Ticket => {
                self.ticket_refused(failure, now)
            }
            Observation::Failure(failure) if failure.fault.kind == FaultKind::RateLimited => {
                let mut next = self.clone();
                let asked = failure.fault.retry_after.unwrap_or(bounds.look_up_interval);
                next.throttled_until = Some(now + bounds.believed(asked));
                let news = self.throttled_until.is_none_or(|until| until <= now);
                (next, news.then_some(EventKind::TargetThrottled))
            }
            Observation::Failure(failure) => self.failed(failure, bounds, now),
        }
    }

    /// A delivery failed for good. If that was for want of the target and no ticket was created between its last two
    /// attempts, nothing else may come along to show that the target is well again: it is probed from now on.
    #[must_use]
    pub fn retries_spent(&self, delivery: &Delivery, now: Timestamp) -> (Self, Option<EventKind>) {
        let in_a_row = self.failures_in_a_row > 0 && self.failures_in_a_row >= delivery.failures.min(2);
        let fault = delivery.last_error.as_ref().map(|error| &error.fault);
        match fault.filter(|fault| fault.kind.scope() == Scope::Target) {
            Some(fault) if in_a_row && self.condition == Condition::Ok => {
                self.clone().worsen(Condition::CircuitOpen, fault, now)
            }
            _ => (self.clone(), None),
        }
    }

    /// Settings were changed or a test passed: all is forgiven, a pause that was asked for, too.
    #[must_use]
    pub fn forgive(&self) -> (Self, Option<EventKind>) {
        (Self::default(), self.recovery())
    }

    /// An operator wants a try now: every pause is over, and the next success shows whether the trouble is, too.
    #[must_use]
    pub fn lift(&self, now: Timestamp) -> Self {
        let throttled_until = self.throttled_until.map(|until| until.min(now));
        Self { throttled_until, probe_after: None, ..self.clone() }
    }

    /// The health with no pause longer than is believed now, whatever was believed when it was stored.
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
        (Self { throttled_until, ..Self::default() }, self.recovery())
    }

    /// The system answered, and not with 429: a pause that has passed is over.
    fn answered(mut self, now: Timestamp) -> Self {
        self.throttled_until = self.throttled_until.filter(|until| now < *until);
        self
    }

    /// The login itself was refused, rather than what it may do.
    fn is_login_unknown(&self) -> bool {
        let cause = self.cause.as_ref().map(|fault| fault.kind);
        self.condition == Condition::LoginRefused && cause == Some(FaultKind::Unauthorized)
    }

    fn recovery(&self) -> Option<EventKind> {
        (self.condition != Condition::Ok).then_some(EventKind::TargetRecovered)
    }

    fn failed(&self, failure: &Failure, bounds: &Bounds, now: Timestamp) -> (Self, Option<EventKind>) {
        let mut next = self.clone();
        if let Some(floor) = failure.fault.retry_after {
            next.throttled_until = Some(now + bounds.believed(floor));
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

    /// A refusal of one ticket says nothing about the target, unless other tickets are refused alike.
    fn ticket_refused(&self, failure: &Failure, now: Timestamp) -> (Self, Option<EventKind>) {
        let Some(status) = failure.fault.status else { return (self.clone(), None) };
        let mut next = self.clone().answered(now);
        if !failure.fault.may_be_of_target() || failure.delivery_id.is_empty() {
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
        let was_probe = self.is_login_unknown() && self.since.is_some_and(|since| since < failure.began);
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
            Condition::CircuitOpen => Some(EventKind::TargetCircuitOpened),
            Condition::LoginRefused => Some(EventKind::TargetLoginRefused),
            Condition::Suspended => Some(EventKind::TargetSuspended),
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
        let (delivery_id, login_refusals) = (delivery.to_owned(), 0);
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
            target: "jira".to_owned(),
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
        assert_eq!(event, Some(EventKind::TargetThrottled));
        health
    }

    #[test]
    fn ten_failures_in_a_row_open_the_circuit_and_one_success_closes_it() {
        let mut health = Health::default();
        for delivery in ["a", "b", "a", "b", "a", "b", "a", "b", "a"] {
            health = after(&health, FaultKind::ServerError, delivery).0;
        }
        assert_eq!(health.admission(NOW), Admission::Open);
        let (health, event) = after(&health, FaultKind::Connect, "b");
        assert_eq!((health.admission(NOW), event), (Admission::Probe, Some(EventKind::TargetCircuitOpened)));
        let (health, event) = observed(&health, &Observation::Created, NOW);
        assert_eq!((health.admission(NOW), event), (Admission::Open, Some(EventKind::TargetRecovered)));
    }

    #[test]
    fn spent_retries_open_the_circuit_of_a_quiet_target() {
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
        let (opened, event) = health.retries_spent(&spent(3, FaultKind::ServerError), NOW);
        assert_eq!((opened.condition, event), (Condition::CircuitOpen, Some(EventKind::TargetCircuitOpened)));
        assert!(opened.is_probed(NOW));
        assert_eq!(health.retries_spent(&spent(3, FaultKind::Rejected), NOW), (health, None));
        // A ticket was created between its last two attempts.
        let (one, _) = after(&Health::default(), FaultKind::ServerError, "a");
        assert_eq!(one.retries_spent(&spent(3, FaultKind::ServerError), NOW), (one, None));
    }

    #[test]
    fn one_failing_delivery_does_not_hold_up_others() {
        let mut health = Health::default();
        for _ in 0..10 {
            health = after(&health, FaultKind::ServerError, "a").0;
        }
        assert_eq!((health.condition, health.admission(NOW)), (Condition::CircuitOpen, Admission::Open));
        let (health, _) = after(&health, FaultKind::ServerError, "b");
        assert_eq!(health.admission(NOW), Admission::Probe);
    }

    #[test]
    fn a_ticket_that_is_refused_for_itself_says_nothing_about_the_target() {
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
        assert_eq!((health.admission(NOW), event), (Admission::Probe, Some(EventKind::TargetCircuitOpened)));
        assert_eq!(observed(&health, &Observation::Created, NOW).0, Health::default());
    }

    #[test]
    fn a_lock_out_leaves_no_probe() {
        let (health, event) = after(&Health::default(), FaultKind::LockedOut, "a");
        assert_eq!(
            (health.admission(NOW), event),
            (Admission::Closed(None), Some(EventKind::TargetSuspended))
        );
        let (health, _) = after(&health, FaultKind::ServerError, "a");
        assert_eq!(health.admission(NOW), Admission::Closed(None));
        assert_eq!(health.forgive(), (Health::default(), Some(EventKind::TargetRecovered)));
    }

    #[test]
    fn a_lockable_login_gets_one_further_probe() {
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
    fn refusals_that_the_target_did_not_hear_of_count_against_the_lockout_limit() {
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
    fn a_login_that_cannot_lock_is_probed_with_backoff() {
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
    fn a_look_up_that_is_answered_proves_the_login_but_not_the_right_to_create() {
        let searched = |health: &Health| observed(health, &Observation::Searched, NOW).0.condition;
        let (health, _) = after(&Health::default(), FaultKind::Unauthorized, "a");
        assert_eq!(searched(&health), Condition::Ok);
        let (health, _) = after(&Health::default(), FaultKind::Forbidden, "a");
        assert_eq!(searched(&health), Condition::LoginRefused);
    }

    #[test]
    fn after_the_pause_of_a_throttled_target_one_probe_shows_the_way() {
        let health = throttled(90);
        assert_eq!(health.admission(NOW), Admission::Closed(Some(at(90))));
        assert_eq!(health.admission(at(90)), Admission::Probe);
        assert_eq!(observed(&health, &Observation::Created, NOW).0, health, "it was sent before the pause");
        for answer in [Observation::Created, Observation::Searched] {
            assert_eq!(observed(&health, &answer, at(90)).0, Health::default());
        }
    }

    #[test]
    fn no_pause_is_believed_beyond_an_hour() {
        let health = throttled(86_400);
        assert_eq!(health.throttled_until, Some(at(3_600)));
        let stored = Health { throttled_until: Some(at(86_400)), ..Health::default() };
        assert_eq!(stored.bounded(&Bounds::default(), NOW).throttled_until, Some(at(3_600)));
    }

    #[test]
    fn an_operators_retry_ends_every_wait() {
        assert_eq!(throttled(90).lift(NOW).admission(NOW), Admission::Probe);
        let (health, _) = after(&Health::default(), FaultKind::Unauthorized, "a");
        assert_eq!(health.lift(NOW).admission(NOW), Admission::Probe);
    }
}
