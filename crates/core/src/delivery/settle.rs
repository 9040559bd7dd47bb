//! From the claim to the outcome of an attempt.

use std::time::Duration;

use jiff::Timestamp;

use super::{Delivery, DuplicateScan, EventKind, LastError, Outcome, Send, Settled, State, UnknownOutcome};
use crate::fault::{Fault, FaultKind};
use crate::limits::MAX_DUPLICATES;
use crate::policy::Policy;
use crate::system::bounded_adjustments;
use crate::system::{Adjustment, Authorship, Created, Destination, TicketRef};

/// A create that is about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendIntent {
    pub destination: Destination,
    /// The account that creates the ticket, and the issue type.
    pub made_by: Authorship,
    /// Index bound of the destination's search.
    pub index_bound: Duration,
    /// The send deadline: no byte of the request is sent later.
    pub deadline: Timestamp,
    /// Whether the description contains the marker.
    pub marker_in_text: bool,
    /// What was cut or dropped during rendering.
    pub adjustments: Vec<Adjustment>,
}

impl Delivery {
    /// Claims the delivery for one attempt, or for one look-up if it has an unknown outcome.
    #[must_use]
    pub fn claim(mut self, lease: Duration, now: Timestamp) -> Settled {
        self.epoch += 1;
        let searching = self.state == State::Reconciling;
        let (state, events): (_, &[EventKind]) =
            if searching { (self.state, &[]) } else { (State::Attempting, &[EventKind::AttemptStarted]) };
        let mut claimed = self.transition(state, now, events);
        claimed.delivery.lease_until = Some(now + lease);
        claimed.delivery.due_at = None;
        claimed
    }

    /// Fixes what the holder of `epoch` may send, where and until when; `None` if the lease was lost.
    #[must_use]
    pub fn intend(mut self, epoch: u32, intent: SendIntent, now: Timestamp) -> Option<Settled> {
        if self.state != State::Attempting || !self.is_held(epoch, now) {
            return None;
        }
        let SendIntent { destination, made_by, index_bound, deadline, marker_in_text, adjustments } = intent;
        self.send = Some(Send {
            epoch,
            at: now,
            deadline,
            destination,
            made_by,
            index_bound,
            marker_in_text,
            counted_from: None,
            is_assumed: false,
        });
        self.adjustments = bounded_adjustments(adjustments);
        self.updated_at = now;
        Some(Settled { delivery: self, events: vec![] })
    }

    /// Records how the attempt of `epoch` ended; `None` if the lease was superseded. A created ticket is
    /// always recorded, even after the lease was lost. The delay of the next retry counts from
    /// `counted_from`: the tick that claimed the attempt, or acceptance for the first one. Counted from the
    /// failure, each retry would just miss its tick. `random` is 0 to 1.
    #[must_use]
    pub fn settle(
        self,
        epoch: u32,
        outcome: Outcome,
        policy: &Policy,
        counted_from: Timestamp,
        now: Timestamp,
        random: f64,
    ) -> Option<Settled> {
        if let Outcome::Sent(Ok(created)) = outcome {
            return self.record_created(created, policy, now);
        }
        if self.state != State::Attempting || self.epoch != epoch {
            return None;
        }
        Some(match outcome {
            Outcome::Sent(Err(fault)) if fault.is_ambiguous() => {
                self.outcome_unknown(Some((fault, counted_from)), policy, now)
            }
            Outcome::NotSent(fault) | Outcome::Sent(Err(fault)) => {
                self.refused(fault, policy, counted_from, now, random)
            }
            Outcome::Sent(Ok(_)) => unreachable!("recorded above"),
        })
    }

    /// Records that an attempt of `epoch` failed on a login that is suspended since: it spends no retry, and
    /// waits until the suspension is lifted. `None` if the lease was lost.
    #[must_use]
    pub fn hold(mut self, epoch: u32, fault: Fault, policy: &Policy, now: Timestamp) -> Option<Settled> {
        if self.state != State::Attempting || self.epoch != epoch {
            return None;
        }
        self.last_error = Some(LastError { fault, ambiguous: false, at: now });
        Some(self.wait_or_fail(Some(now + policy.retry.delay(1, 0.0)), policy, now))
    }

    /// Expires a stale lease; `None` while the lease is valid.
    #[must_use]
    pub fn expire_lease(mut self, policy: &Policy, now: Timestamp) -> Option<Settled> {
        if self.lease_until.is_none_or(|until| now < until) {
            return None;
        }
        let sent = self.send.as_ref().is_some_and(|send| send.epoch == self.epoch);
        Some(match self.state {
            State::Attempting if sent => self.outcome_unknown(None, policy, now),
            State::Attempting => {
                self.due_at = Some(now);
                self.transition(State::Pending, now, &[EventKind::Rearmed])
            }
            _ => {
                self.due_at = Some(now);
                let state = self.state;
                self.transition(state, now, &[])
            }
        })
    }

    /// Defers an attempt that the health of the connection does not admit. It uses no retry.
    #[must_use]
    pub fn defer(mut self, fault: Fault, due_at: Timestamp, now: Timestamp) -> Settled {
        self.due_at = Some(due_at);
        self.last_error = Some(LastError { fault, ambiguous: false, at: now });
        self.transition(State::Waiting, now, &[EventKind::Waiting])
    }

    pub(super) fn delivered(
        mut self,
        ticket: TicketRef,
        adjustments: Vec<Adjustment>,
        policy: &Policy,
        now: Timestamp,
    ) -> Settled {
        self.schedule_duplicate_scans(policy, now);
        self.ticket = Some(ticket);
        self.adjustments.extend(adjustments);
        self.adjustments = bounded_adjustments(self.adjustments);
        self.unknown_outcome = None;
        self.transition(State::Delivered, now, &[EventKind::Delivered])
    }

    /// Schedules scans if the delivery ever had an unknown outcome: a duplicate may appear after every bound.
    pub(super) fn schedule_duplicate_scans(&mut self, policy: &Policy, now: Timestamp) {
        if !self.uncertain_sends.is_empty() {
            self.duplicate_scan = Some(DuplicateScan {
                step: 0,
                due_at: now + policy.bounds.duplicate_scan_delays[0],
                from: now,
            });
        }
    }

    fn record_created(mut self, created: Created, policy: &Policy, now: Timestamp) -> Option<Settled> {
        match &self.ticket {
            Some(known) if known.id == created.ticket.id && self.resolution.is_none() => None,
            // An operator named it, possibly by its key alone.
            Some(known)
                if known.id == created.ticket.id
                    || (known.id.is_empty() && known.key == created.ticket.key) =>
            {
                self.ticket = Some(created.ticket);
                self.resolution = None;
                self.updated_at = now;
                Some(Settled { delivery: self, events: vec![] })
            }
            Some(_) if self.duplicates.iter().any(|other| other.id == created.ticket.id) => None,
            Some(_) if self.duplicates.len() >= MAX_DUPLICATES => None,
            Some(_) => {
                self.duplicates.push(created.ticket);
                self.updated_at = now;
                Some(Settled { delivery: self, events: vec![EventKind::DuplicateFound] })
            }
            None => Some(self.delivered(created.ticket, created.adjustments, policy, now)),
        }
    }

    fn outcome_unknown(
        mut self,
        failure: Option<(Fault, Timestamp)>,
        policy: &Policy,
        now: Timestamp,
    ) -> Settled {
        let mut floor = Duration::ZERO;
        let mut counted_from = None;
        if let Some((fault, from)) = failure {
            floor = policy.bounds.cap_retry_after(fault.retry_after.unwrap_or_default());
            counted_from = Some(from);
            self.count_failure(now);
            self.last_error = Some(LastError { fault, ambiguous: true, at: now });
        }
        if let Some(send) =
            self.send.as_ref().filter(|send| !self.uncertain_sends.contains(&send.destination))
        {
            self.uncertain_sends.push(send.destination.clone());
        }
        self.unknown_outcome = Some(UnknownOutcome { counted_from, ..UnknownOutcome::new(now) });
        self.due_at = Some(self.next_look_up(policy, now).max(now + floor));
        self.transition(State::Reconciling, now, &[EventKind::Reconciling])
    }

    fn refused(
        mut self,
        fault: Fault,
        policy: &Policy,
        counted_from: Timestamp,
        now: Timestamp,
        random: f64,
    ) -> Settled {
        let spends =
            !matches!(fault.kind, FaultKind::RateLimited | FaultKind::LockedOut | FaultKind::TooLate);
        let floor = policy.bounds.cap_retry_after(fault.retry_after.unwrap_or_default());
        self.last_error = Some(LastError { fault, ambiguous: false, at: now });
        if spends {
            self.count_failure(now);
        }
        let delay = match spends {
            true => policy.retry.after_failure(self.failures, random),
            false if floor.is_zero() => Some(policy.retry.delay(1, random)),
            false => Some(Duration::ZERO),
        };
        self.wait_or_fail(delay.map(|delay| (counted_from + delay).max(now + floor)), policy, now)
    }

    fn count_failure(&mut self, now: Timestamp) {
        self.failures += 1;
        self.failing_since.get_or_insert(now);
    }

    /// Waits until `due_at`, or becomes FAILED if it is `None`.
    pub(super) fn wait_or_fail(
        mut self,
        due_at: Option<Timestamp>,
        policy: &Policy,
        now: Timestamp,
    ) -> Settled {
        self.unknown_outcome = None;
        self.due_at = due_at;
        match due_at {
            Some(_) => self.transition(State::Waiting, now, &[EventKind::Waiting]),
            None => {
                self.schedule_duplicate_scans(policy, now);
                self.transition(State::Failed, now, &[EventKind::Failed])
            }
        }
    }
}
