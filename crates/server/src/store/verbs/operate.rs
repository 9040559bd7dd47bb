//! The operator's hands, audited.

use jiff::Timestamp;
use serde_json::json;
use ticketing_core::delivery::Delivery;
use ticketing_core::policy::Policy;

use crate::store::StoreError;
use crate::store::audit::{Actor, DONE, NewAuditEntry};
use crate::store::types::{OperateError, Operation};
use crate::store::work::{Needs, NewOperation, Verb, Work};

#[derive(Debug)]
pub(in crate::store) struct Operate {
    pub(in crate::store) delivery_id: String,
    pub(in crate::store) operation: Operation,
    pub(in crate::store) note: String,
    pub(in crate::store) by: Actor,
    pub(in crate::store) policy: Policy,
    pub(in crate::store) now: Timestamp,
}

impl Verb for Operate {
    type Answer = Result<Delivery, OperateError>;

    fn needs(&self, needs: &mut Needs) {
        needs.deliveries.insert(self.delivery_id.clone());
    }

    fn apply(&self, work: &mut Work) -> Result<Self::Answer, StoreError> {
        let Some(delivery) = work.delivery(&self.delivery_id).cloned() else {
            return Ok(Err(OperateError::NotFound));
        };
        let settled = match &self.operation {
            Operation::Retry { create_anyway } => delivery.retry(*create_anyway, self.now),
            Operation::Cancel => delivery.cancel(&self.policy, self.now),
            Operation::Resolve(ticket) => delivery.resolve(ticket.clone(), &self.policy, self.now),
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
        work.changes.audit.push(self.entry());
        Ok(Ok(work.settle(settled, &self.note)))
    }
}

impl Operate {
    fn entry(&self) -> NewAuditEntry {
        let ticket = match &self.operation {
            Operation::Resolve(ticket) => Some(ticket.key.as_str()),
            Operation::Retry { .. } | Operation::Cancel => None,
        };
        NewAuditEntry {
            at: self.now,
            actor: self.by.clone(),
            action: self.operation.audited_as(),
            subject: self.delivery_id.clone(),
            detail: json!({ "note": self.note, "ticket": ticket }),
            outcome: DONE.to_owned(),
        }
    }
}
