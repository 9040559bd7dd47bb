//! Operations of operators, audited.

use jiff::Timestamp;
use serde_json::{Value, json};
use ticketing_core::delivery::{Delivery, Resolution};
use ticketing_core::policy::Policy;
use ticketing_core::system::TicketRef;
use ticketing_secrets::audit::{Actor, DONE, NewAuditEntry};

use crate::StoreError;
use crate::types::{NamedTicket, OperateError, Operation};
use crate::unit_of_work::{BatchedWrite, NewOperation, ReadSet, UnitOfWork};

#[derive(Debug)]
pub(crate) struct Operate {
    pub(crate) delivery_id: String,
    pub(crate) operation: Operation,
    pub(crate) note: String,
    pub(crate) by: Actor,
    pub(crate) policy: Policy,
    pub(crate) now: Timestamp,
}

impl BatchedWrite for Operate {
    type Answer = Result<Delivery, OperateError>;

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.deliveries.insert(self.delivery_id.clone());
        if let Operation::Resolve(NamedTicket { ticket, markers, .. }) = &self.operation {
            read_set.ticket_ids.extend(Some(ticket.id.clone()).filter(|id| !id.is_empty()));
            read_set.ticket_keys.insert(ticket.key.clone());
            read_set.markers.extend(markers.iter().map(ToString::to_string));
        }
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Self::Answer, StoreError> {
        let Some(delivery) = work.delivery(&self.delivery_id).cloned() else {
            return Ok(Err(OperateError::NotFound));
        };
        let former = delivery.ticket.clone();
        let settled = match &self.operation {
            Operation::Retry { create_anyway } => delivery.retry(*create_anyway, self.now),
            Operation::Cancel => delivery.cancel(&self.policy, self.now),
            Operation::Resolve(named) => {
                if let Some(owner) = owner(work, &delivery, named) {
                    return Ok(Err(OperateError::TicketInUse(owner)));
                }
                delivery.resolve(named.ticket.clone(), named.resolution, &self.policy, self.now)
            }
        };
        let settled = match settled {
            Ok(settled) => settled,
            Err(refused) => return Ok(Err(OperateError::Refused(refused))),
        };
        work.changes.operations.push(NewOperation {
            delivery_id: self.delivery_id.clone(),
            kind: self.operation.as_str(),
            note: self.note.clone(),
            at: self.now,
        });
        work.changes.audit.push(self.entry(former));
        Ok(Ok(work.settle(settled, &self.note)))
    }
}

/// The incident that owns the ticket, if it is another one than the delivery's.
fn owner(work: &UnitOfWork, delivery: &Delivery, named: &NamedTicket) -> Option<String> {
    let others = work.deliveries().filter(|other| other.id != delivery.id);
    let owners = others.filter(|other| {
        other.ticket.as_ref().is_some_and(|ticket| ticket.is_same(&named.ticket))
            || named.markers.contains(&other.marker)
    });
    owners.map(|owner| owner.incident_id.clone()).min()
}

impl Operate {
    fn entry(&self, former: Option<TicketRef>) -> NewAuditEntry {
        NewAuditEntry {
            at: self.now,
            actor: self.by.clone(),
            action: self.operation.audited_as(),
            subject: self.delivery_id.clone(),
            detail: self.detail(former),
            outcome: DONE.to_owned(),
        }
    }

    fn detail(&self, former: Option<TicketRef>) -> Value {
        match &self.operation {
            Operation::Resolve(named) => json!({
                "note": self.note,
                "ticket": named.ticket.key,
                "former_ticket": former.map(|former| former.bounded().key),
                "verified": named.resolution == Resolution::Verified,
            }),
            Operation::Retry { .. } | Operation::Cancel => json!({ "note": self.note, "ticket": null }),
        }
    }
}
