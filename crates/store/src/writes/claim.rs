//! Claims deliveries and expires leases.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::Timestamp;
use ticketing_core::clock::to_stored_resolution;
use ticketing_core::delivery::{Delivery, State};
use ticketing_core::incident::Incident;
use ticketing_core::policy::Policy;
use ticketing_core::system::TicketDraft;
use ticketing_failpoints::Point;

use crate::StoreError;
use crate::claims::{ClaimError, ClaimKind, ClaimRequest, Claimed, Prepared};
use crate::types::{AssumedSend, IntendError, Intent, Leases};
use crate::unit_of_work::{BatchedWrite, ReadSet, Selection, SelectionLimit, UnitOfWork};

#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) request: ClaimRequest,
    pub(crate) now: Timestamp,
}

#[derive(Debug)]
pub(crate) struct ExpireLeases {
    pub(crate) leases: Leases,
    pub(crate) limit: u32,
    pub(crate) policy: Policy,
    pub(crate) now: Timestamp,
}

#[derive(Debug)]
pub(crate) struct Intend {
    pub(crate) intent: Intent,
    pub(crate) now: Timestamp,
}

#[derive(Debug)]
pub(crate) struct AssumeSent {
    pub(crate) what: AssumedSend,
    pub(crate) restored_at: Timestamp,
    pub(crate) policy: Policy,
    pub(crate) now: Timestamp,
}

// === impl Claim ===

impl BatchedWrite for Claim {
    type Answer = Result<Vec<Claimed>, ClaimError>;

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.connections.insert(self.request.connection.clone());
        let ClaimRequest { connection, kind, limit, preferred, .. } = &self.request;
        let selection =
            Selection::Claimable { connection: connection.clone(), kind: *kind, named: preferred.clone() };
        let until = (*kind != ClaimKind::Fresh).then_some(self.now);
        read_set.select(selection, SelectionLimit { until, limit: *limit });
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Self::Answer, StoreError> {
        if let Some(refused) = self.refusal(work) {
            return Ok(Err(refused));
        }
        let mut due: Vec<&Delivery> = work.deliveries().filter(|delivery| self.admits(delivery)).collect();
        due.sort_by(|one, other| (one.due_at, &one.id).cmp(&(other.due_at, &other.id)));
        let limit = self.request.limit as usize;
        let (mut order, mut others): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|delivery| self.request.preferred.contains(&delivery.id));
        // Preferred ones up to the share of the others, then the others, then the preferred ones that are left.
        let for_others = (self.request.for_others as usize).min(others.len()).min(limit);
        let left_over = order.split_off(order.len().min(limit - for_others));
        order.append(&mut others);
        order.extend(left_over);
        let mut chosen = vec![];
        for delivery in order.into_iter().take(limit) {
            // A row that was loaded for another reason has no snapshot in memory: the next claim takes it.
            let Some(body) = work.snapshot(&delivery.incident_id, delivery.incident_revision) else {
                continue;
            };
            let incident: Incident = match serde_json::from_str(body) {
                Ok(incident) => incident,
                // It must not delay the others.
                Err(error) => {
                    tracing::error!(delivery = %delivery.id, %error, "the stored incident cannot be read: nothing is sent");
                    continue;
                }
            };
            chosen.push((delivery.clone(), TicketDraft { incident, marker: delivery.marker.clone() }));
        }
        let claimed = chosen.into_iter().map(|(delivery, draft)| {
            let counted_from = self.counted_from(&delivery);
            let mut settled = delivery.claim(self.request.lease, self.now);
            let prepared = self.prepare(&settled.delivery, &draft).and_then(|prepared| {
                let epoch = settled.delivery.epoch;
                settled.delivery =
                    settled.delivery.clone().intend(epoch, prepared.send.clone(), self.now)?.delivery;
                Some(prepared)
            });
            Claimed { delivery: work.settle(settled, ""), draft, prepared, counted_from }
        });
        Ok(Ok(claimed.collect()))
    }

    fn fail_point(&self, claimed: &Self::Answer) -> Option<Point> {
        let claimed = claimed.as_ref().ok()?;
        claimed.iter().any(|claimed| claimed.prepared.is_some()).then_some(Point::IntentOpen)
    }
}

impl Claim {
    /// Another server may have changed what the claimant knows of the connection.
    fn refusal(&self, work: &UnitOfWork) -> Option<ClaimError> {
        let ClaimRequest { connection, settings_revision, purpose, kind, .. } = &self.request;
        if work.settings_revision(connection) != *settings_revision {
            return Some(ClaimError::SettingsChanged);
        }
        let is_look_up = *kind == ClaimKind::Uncertain;
        let is_permitted = work.health(connection).permits(*purpose, is_look_up, self.now);
        (!is_permitted).then_some(ClaimError::NotAdmitted)
    }

    /// The create to send. An incident whose rendering panics must not keep the others from being claimed.
    fn prepare(&self, delivery: &Delivery, draft: &TicketDraft) -> Option<Prepared> {
        let preparer = self.request.preparer.as_ref()?;
        catch_unwind(AssertUnwindSafe(|| preparer.prepare(delivery, draft))).ok().flatten()
    }

    /// A pending delivery was due when it was accepted.
    fn counted_from(&self, delivery: &Delivery) -> Timestamp {
        let accepted_at = delivery.due_at.filter(|_| self.request.kind == ClaimKind::Fresh);
        accepted_at.map_or(self.now, |at| at.min(self.now))
    }

    fn admits(&self, delivery: &Delivery) -> bool {
        let state = match self.request.kind {
            ClaimKind::Fresh => State::Pending,
            ClaimKind::Due => State::Waiting,
            ClaimKind::Uncertain => State::Reconciling,
        };
        delivery.connection == self.request.connection && delivery.is_claimable(state, self.now)
    }
}

// === impl ExpireLeases ===

impl BatchedWrite for ExpireLeases {
    type Answer = Vec<Delivery>;

    const EXCLUSIVE: bool = true;

    fn read_set(&self, read_set: &mut ReadSet) {
        let until = (!self.takes_all()).then_some(self.now);
        read_set.select(Selection::Leased, SelectionLimit { until, limit: self.limit });
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Vec<Delivery>, StoreError> {
        let leased: Vec<Delivery> =
            work.deliveries().filter(|delivery| delivery.lease_until.is_some()).cloned().collect();
        let expired = leased.into_iter().filter_map(|mut delivery| {
            if self.takes_all() {
                delivery.lease_until = Some(to_stored_resolution(self.now));
            }
            delivery.expire_lease(&self.policy, self.now)
        });
        let expired: Vec<_> = expired.collect();
        Ok(expired.into_iter().map(|settled| work.settle(settled, "")).collect())
    }
}

impl ExpireLeases {
    /// Whether all leases are expired, including valid ones.
    fn takes_all(&self) -> bool {
        self.leases == Leases::All
    }
}

// === impl Intend ===

impl BatchedWrite for Intend {
    type Answer = Result<Delivery, IntendError>;

    const FAIL_POINT: Option<Point> = Some(Point::IntentOpen);

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.deliveries.insert(self.intent.delivery_id.clone());
        read_set.connections_of_deliveries = true;
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Self::Answer, StoreError> {
        let Intent { delivery_id, settings_revision, epoch, send } = self.intent.clone();
        let delivery = work.delivery(&delivery_id).cloned();
        let connection = delivery.as_ref().map(|delivery| delivery.connection.clone()).unwrap_or_default();
        let Some(settled) = delivery.and_then(|delivery| delivery.intend(epoch, send, self.now)) else {
            return Ok(Err(IntendError::LeaseLost));
        };
        if work.settings_revision(&connection) != settings_revision {
            return Ok(Err(IntendError::SettingsChanged));
        }
        Ok(Ok(work.settle(settled, "")))
    }
}

// === impl AssumeSent ===

impl BatchedWrite for AssumeSent {
    type Answer = Option<Delivery>;

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.deliveries.insert(self.what.delivery_id.clone());
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Option<Delivery>, StoreError> {
        let AssumedSend { delivery_id, epoch, place } = self.what.clone();
        let Some(delivery) = work.delivery(&delivery_id).cloned() else { return Ok(None) };
        let settled = delivery.assume_sent(epoch, place, self.restored_at, &self.policy, self.now);
        Ok(settled.map(|settled| work.settle(settled, "")))
    }
}
