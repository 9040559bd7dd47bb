//! Operations on a delivery: by an operator, a repeated request, or the recovery of its connection.

use jiff::Timestamp;

use super::{Delivery, EventKind, Resolution, Settled, State, Trigger};
use crate::marker::Marker;
use crate::namespace::Namespace;
use crate::policy::Policy;
use crate::system::{System, TicketRef};

/// The input for a new delivery.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// A UUID.
    pub id: String,
    pub incident_id: String,
    pub incident_revision: u32,
    pub connection: String,
    pub system: System,
    pub trigger: Trigger,
    pub marker: Marker,
    /// The caller that requests it.
    pub requested_by: String,
    /// The namespace of its incident.
    pub namespace: Namespace,
}

/// Why an operation on a delivery is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    #[error("the delivery is {0} and cannot be {1}")]
    WrongState(State, &'static str),
    /// Retention removed the content of the incident.
    #[error("the content of the incident was removed by retention")]
    ContentRemoved,
}

impl Delivery {
    /// A newly accepted delivery.
    #[must_use]
    pub fn accept(new: NewDelivery, now: Timestamp) -> Settled {
        let delivery = Self {
            id: new.id,
            incident_id: new.incident_id,
            incident_revision: new.incident_revision,
            connection: new.connection,
            system: new.system,
            trigger: new.trigger,
            marker: new.marker,
            requested_by: new.requested_by,
            namespace: new.namespace,
            state: State::Pending,
            epoch: 0,
            lease_until: None,
            failures: 0,
            failing_since: None,
            due_at: Some(now),
            send: None,
            unknown_outcome: None,
            uncertain_sends: vec![],
            absences: vec![],
            duplicate_scan: None,
            ticket: None,
            resolution: None,
            duplicates: vec![],
            adjustments: vec![],
            last_error: None,
            content_removed_at: None,
            created_at: now,
            updated_at: now,
        };
        Settled { delivery, events: vec![EventKind::Accepted] }
    }

    /// Switches to a newer snapshot of the incident, unless a send may already have created a ticket; `None`
    /// if it is too late. A delivery whose content was removed takes any snapshot, and can then be retried again.
    #[must_use]
    pub fn update_snapshot(mut self, revision: u32, now: Timestamp) -> Option<Settled> {
        let is_open = matches!(self.state, State::Pending | State::Waiting | State::Failed)
            && self.unknown_outcome.is_none();
        let is_newer = is_open && revision > self.incident_revision;
        let is_needed =
            self.content_removed_at.is_some() && matches!(self.state, State::Failed | State::Cancelled);
        if !is_newer && !is_needed {
            return None;
        }
        self.incident_revision = revision;
        self.content_removed_at = None;
        self.updated_at = now;
        Some(Settled { delivery: self, events: vec![EventKind::SnapshotUpdated] })
    }

    /// A repeated request makes a waiting or failed delivery due now. `None` if nothing changes.
    #[must_use]
    pub fn expedite(self, now: Timestamp) -> Option<Settled> {
        match self.state {
            _ if self.content_removed_at.is_some() => None,
            State::Waiting | State::Failed => Some(self.rearm(now)),
            State::Reconciling if self.lease_until.is_none() => Some(self.look_up_now(now)),
            State::Reconciling | State::Pending | State::Attempting | State::Delivered | State::Cancelled => {
                None
            }
        }
    }

    /// An operator requests another attempt. With `create_anyway` an unknown outcome is discarded, because
    /// the operator has checked: nothing else ends an outcome that no look-up can resolve.
    ///
    /// # Errors
    /// If the ticket already exists, an attempt is in progress, or retention removed the content of the incident.
    pub fn retry(mut self, create_anyway: bool, now: Timestamp) -> Result<Settled, OperationError> {
        if self.content_removed_at.is_some() && self.state != State::Delivered {
            return Err(OperationError::ContentRemoved);
        }
        if create_anyway && self.unknown_outcome.is_some() {
            if self.lease_until.is_some() {
                return Err(OperationError::WrongState(
                    self.state,
                    "created anyway while it is being looked for: try again",
                ));
            }
            self.record_absence(now);
            self.unknown_outcome = None;
            return Ok(self.rearm(now));
        }
        match self.state {
            State::Waiting | State::Failed => Ok(self.rearm(now)),
            State::Cancelled if self.unknown_outcome.is_some() => {
                let mut settled = self.look_up_now(now);
                settled.events = vec![EventKind::Rearmed];
                Ok(settled)
            }
            State::Cancelled => Ok(self.rearm(now)),
            State::Reconciling if self.lease_until.is_none() => Ok(self.look_up_now(now)),
            State::Pending | State::Reconciling => Ok(Settled { delivery: self, events: vec![] }),
            state @ (State::Attempting | State::Delivered) => {
                Err(OperationError::WrongState(state, "retried"))
            }
        }
    }

    /// An operator cancels the delivery. Possible sends stay recorded, so that a later retry searches for the
    /// ticket first.
    ///
    /// # Errors
    /// If the ticket already exists or an attempt is in progress.
    pub fn cancel(mut self, policy: &Policy, now: Timestamp) -> Result<Settled, OperationError> {
        match self.state {
            State::Pending | State::Waiting | State::Reconciling | State::Failed => {
                self.schedule_duplicate_scans(policy, now);
                Ok(self.transition(State::Cancelled, now, &[EventKind::Cancelled]))
            }
            State::Cancelled => Ok(Settled { delivery: self, events: vec![] }),
            state @ (State::Attempting | State::Delivered) => {
                Err(OperationError::WrongState(state, "cancelled"))
            }
        }
    }

    /// Its connection was removed; `None` if nothing is left to end.
    #[must_use]
    pub fn connection_removed(mut self, now: Timestamp) -> Option<Settled> {
        let had_scan = self.duplicate_scan.take().is_some();
        match self.state {
            State::Failed => Some(self.transition(State::Cancelled, now, &[EventKind::Cancelled])),
            state if had_scan => Some(self.transition(state, now, &[])),
            _ => None,
        }
    }

    /// An operator names the ticket. A repeated call corrects a ticket that an operator named before, but not
    /// one that was created or found. Sends of unknown outcome are still scanned for duplicates.
    ///
    /// # Errors
    /// If another ticket was created or found, or an attempt is in progress.
    pub fn resolve(
        mut self,
        ticket: TicketRef,
        resolution: Resolution,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Settled, OperationError> {
        if self.state == State::Attempting || (self.state == State::Delivered && self.resolution.is_none()) {
            return Err(OperationError::WrongState(self.state, "resolved"));
        }
        if self.ticket.as_ref() == Some(&ticket) && self.resolution == Some(resolution) {
            return Ok(Settled { delivery: self, events: vec![] });
        }
        self.schedule_duplicate_scans(policy, now);
        self.duplicates.retain(|other| other.id != ticket.id || ticket.id.is_empty());
        self.ticket = Some(ticket);
        self.resolution = Some(resolution);
        self.unknown_outcome = None;
        Ok(self.transition(State::Delivered, now, &[EventKind::Resolved]))
    }

    /// The settings of the connection were changed, or it recovered some time ago: waiting deliveries become due,
    /// and deliveries that failed because of the connection are rearmed. `None` if the delivery is not affected.
    #[must_use]
    pub fn connection_recovered(self, now: Timestamp) -> Option<Settled> {
        match self.state {
            State::Waiting => Some(self.rearm(now)),
            State::Failed if self.may_recover() => Some(self.rearm(now)),
            State::Reconciling if self.lease_until.is_none() => Some(self.look_up_now(now)),
            _ => None,
        }
    }

    /// A ticket was created, the first since `outage_began`: rearms deliveries that failed because of the
    /// connection, and only since then. A delivery that failed while others succeeded would fail again.
    #[must_use]
    pub fn outage_ended(self, outage_began: Timestamp, now: Timestamp) -> Option<Settled> {
        let within = self.failing_since.is_some_and(|since| since >= outage_began);
        let concerned = self.state == State::Failed && self.may_recover() && within;
        concerned.then(|| self.rearm(now))
    }

    /// Rearms a failed delivery as a probe, if no other delivery can test the connection. A failed probe becomes
    /// FAILED again at once, so that the next tick can send another one: its retries stay spent.
    #[must_use]
    pub fn rearm_as_probe(mut self, now: Timestamp) -> Option<Settled> {
        if self.state != State::Failed || !self.may_recover() {
            return None;
        }
        self.due_at = Some(now);
        Some(self.transition(State::Pending, now, &[EventKind::Rearmed]))
    }

    /// Whether it failed because of the connection, and can still be sent. Whether a refusal concerned only the ticket
    /// becomes known once the connection has recovered.
    fn may_recover(&self) -> bool {
        let has_content = self.content_removed_at.is_none();
        has_content && self.last_error.as_ref().is_some_and(|error| error.fault.may_be_of_connection())
    }

    /// Makes it pending. A delivery that had spent its retries gets all of them again.
    fn rearm(mut self, now: Timestamp) -> Settled {
        if matches!(self.state, State::Failed | State::Cancelled) {
            self.failures = 0;
            self.failing_since = None;
        }
        self.due_at = Some(now);
        self.transition(State::Pending, now, &[EventKind::Rearmed])
    }

    fn look_up_now(mut self, now: Timestamp) -> Settled {
        self.due_at = Some(now);
        self.transition(State::Reconciling, now, &[])
    }
}
