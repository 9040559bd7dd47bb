//! The health of a target: whether it is wise to send to it now.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::delivery::EventKind;
use crate::fault::{Fault, FaultKind, Scope};
use crate::policy::Bounds;

/// What is remembered of a target.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Health {
    /// Target-scoped failures since the last success.
    pub failures_in_a_row: u32,
    /// When the first attempt of these was begun.
    pub failing_since: Option<Timestamp>,
    /// No request before this: the system asked for it.
    pub throttled_until: Option<Timestamp>,
    pub condition: Condition,
    /// Since when the condition holds.
    pub since: Option<Timestamp>,
    /// The failure that brought the condition about.
    pub cause: Option<Fault>,
}

/// How a target is to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Condition {
    #[default]
    Ok,
    /// Too many failures in a row: one probe a tick.
    CircuitOpen,
    /// The last answer was 401 or 403: one probe a tick, so that no account is locked by us.
    LoginRefused,
    /// The account is locked: nothing is sent until settings change or a test passes.
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
#[derive(Debug, Clone, Copy)]
pub enum Observation<'a> {
    /// A ticket was created.
    Created,
    /// A look-up was answered: the login works, though it may not suffice to create.
    Searched,
    /// What went wrong, and when the attempt was begun.
    Failure(&'a Fault, Timestamp),
}

// === impl Health ===

impl Health {
    #[must_use]
    pub fn admission(&self, now: Timestamp) -> Admission {
        match (self.condition, self.throttled_until) {
            (Condition::Suspended, _) => Admission::Closed(None),
            (_, Some(until)) if now < until => Admission::Closed(Some(until)),
            (Condition::Ok, _) => Admission::Open,
            (Condition::CircuitOpen | Condition::LoginRefused, _) => Admission::Probe,
        }
    }

    /// The health after something was observed, and what to tell.
    #[must_use]
    pub fn observe(
        &self,
        observation: Observation<'_>,
        bounds: &Bounds,
        now: Timestamp,
    ) -> (Self, Option<EventKind>) {
        let (fault, began) = match observation {
            Observation::Created => return self.recover(now),
            Observation::Searched if self.is_login_unknown() => return self.recover(now),
            Observation::Searched => return (self.clone(), None),
            Observation::Failure(fault, began) => (fault, began),
        };
        if fault.kind.scope() == Scope::Ticket {
            return (self.clone(), None);
        }
        let mut next = self.clone();
        if fault.kind == FaultKind::RateLimited {
            next.throttled_until = Some(now + fault.retry_after.unwrap_or(bounds.look_up_interval));
            let news = self.throttled_until.is_none_or(|until| until <= now);
            return (next, news.then_some(EventKind::TargetThrottled));
        }
        if let Some(floor) = fault.retry_after {
            next.throttled_until = Some(now + floor);
        }
        next.failures_in_a_row += 1;
        next.failing_since.get_or_insert(began);
        let condition = next.condition_after(fault.kind, bounds);
        next.worsen(condition, fault, now)
    }

    /// Settings were changed or a test passed: all is forgiven, but a pause that was asked for still holds.
    #[must_use]
    pub fn forgive(&self, now: Timestamp) -> (Self, Option<EventKind>) {
        self.recover(now)
    }

    fn recover(&self, now: Timestamp) -> (Self, Option<EventKind>) {
        let throttled_until = self.throttled_until.filter(|until| now < *until);
        (Self { throttled_until, ..Self::default() }, self.recovery())
    }

    /// The login itself was refused, rather than what it may do.
    fn is_login_unknown(&self) -> bool {
        let cause = self.cause.as_ref().map(|fault| fault.kind);
        self.condition == Condition::LoginRefused && cause == Some(FaultKind::Unauthorized)
    }

    fn recovery(&self) -> Option<EventKind> {
        (self.condition != Condition::Ok).then_some(EventKind::TargetRecovered)
    }

    fn condition_after(&self, kind: FaultKind, bounds: &Bounds) -> Condition {
        match (self.condition, kind) {
            (Condition::Suspended, _) | (_, FaultKind::LockedOut) => Condition::Suspended,
            (_, FaultKind::Unauthorized | FaultKind::Forbidden) => Condition::LoginRefused,
            _ if self.failures_in_a_row >= bounds.circuit_threshold => Condition::CircuitOpen,
            (condition, _) => condition,
        }
    }

    fn worsen(mut self, condition: Condition, fault: &Fault, now: Timestamp) -> (Self, Option<EventKind>) {
        if condition == self.condition {
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

    fn after(health: &Health, kind: FaultKind) -> (Health, Option<EventKind>) {
        let fault = Fault::new(kind, "no").with_retry_after(None);
        health.observe(Observation::Failure(&fault, NOW), &Bounds::default(), NOW)
    }

    #[test]
    fn ten_failures_in_a_row_open_the_circuit_and_one_success_closes_it() {
        let mut health = Health::default();
        for _ in 0..9 {
            health = after(&health, FaultKind::ServerError).0;
        }
        assert_eq!(health.admission(NOW), Admission::Open);
        let (health, event) = after(&health, FaultKind::Connect);
        assert_eq!((health.admission(NOW), event), (Admission::Probe, Some(EventKind::TargetCircuitOpened)));
        let (health, event) = health.observe(Observation::Created, &Bounds::default(), NOW);
        assert_eq!((health.admission(NOW), event), (Admission::Open, Some(EventKind::TargetRecovered)));
    }

    #[test]
    fn a_ticket_that_is_refused_for_itself_says_nothing_about_the_target() {
        let (health, event) = after(&Health::default(), FaultKind::Rejected);
        assert_eq!((health, event), (Health::default(), None));
    }

    #[test]
    fn a_refused_login_leaves_one_probe_and_a_lock_out_leaves_none() {
        let (health, event) = after(&Health::default(), FaultKind::Unauthorized);
        assert_eq!((health.admission(NOW), event), (Admission::Probe, Some(EventKind::TargetLoginRefused)));
        let (health, event) = after(&health, FaultKind::LockedOut);
        assert_eq!(
            (health.admission(NOW), event),
            (Admission::Closed(None), Some(EventKind::TargetSuspended))
        );
        let (health, _) = after(&health, FaultKind::ServerError);
        assert_eq!(health.admission(NOW), Admission::Closed(None));
        assert_eq!(health.forgive(NOW), (Health::default(), Some(EventKind::TargetRecovered)));
    }

    #[test]
    fn a_look_up_that_is_answered_proves_the_login_but_not_the_right_to_create() {
        let searched =
            |health: &Health| health.observe(Observation::Searched, &Bounds::default(), NOW).0.condition;
        let (health, _) = after(&Health::default(), FaultKind::Unauthorized);
        assert_eq!(searched(&health), Condition::Ok);
        let (health, _) = after(&Health::default(), FaultKind::Forbidden);
        assert_eq!(searched(&health), Condition::LoginRefused);
    }

    #[test]
    fn a_throttled_target_is_left_alone_until_the_time_it_named() {
        let fault =
            Fault::new(FaultKind::RateLimited, "slow").with_retry_after(Some(Duration::from_secs(90)));
        let (health, event) =
            Health::default().observe(Observation::Failure(&fault, NOW), &Bounds::default(), NOW);
        let until = NOW + Duration::from_secs(90);
        assert_eq!(
            (health.admission(NOW), event),
            (Admission::Closed(Some(until)), Some(EventKind::TargetThrottled))
        );
        assert_eq!(health.admission(until), Admission::Open);
    }
}
