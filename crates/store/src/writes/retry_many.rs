//! A retry of many deliveries, audited as one.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use ticketing_core::delivery::{Delivery, State};
use ticketing_secrets::audit::{Actor, AuditAction, DONE, NewAuditEntry};

use crate::StoreError;
use crate::types::{DeliveryFilter, Operation};
use crate::unit_of_work::{BatchedWrite, NewOperation, ReadSet, UnitOfWork};

/// The subject of a bulk retry in the audit.
const DELIVERIES: &str = "deliveries";

/// Retries the deliveries of one page. One that no longer matches, or cannot be retried, is refused.
#[derive(Debug)]
pub(crate) struct RetryMany {
    pub(crate) delivery_ids: Vec<String>,
    pub(crate) filter: DeliveryFilter,
    /// Connections to which tickets can be pushed.
    pub(crate) enabled: Vec<String>,
    pub(crate) note: String,
    pub(crate) by: Actor,
    pub(crate) now: Timestamp,
}

impl BatchedWrite for RetryMany {
    /// The retried deliveries, and the number of refused ones.
    type Answer = (Vec<Delivery>, u32);

    const EXCLUSIVE: bool = true;

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.deliveries.extend(self.delivery_ids.iter().cloned());
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Self::Answer, StoreError> {
        let mut retried = vec![];
        let mut refused = 0;
        for id in &self.delivery_ids {
            let delivery = work.delivery(id).filter(|delivery| self.may_retry(delivery)).cloned();
            let settled = delivery.and_then(|delivery| delivery.retry(false, self.now).ok());
            let Some(settled) = settled else {
                refused += 1;
                continue;
            };
            work.changes.operations.push(NewOperation {
                delivery_id: id.clone(),
                kind: Operation::Retry { create_anyway: false }.as_str(),
                note: self.note.clone(),
                at: self.now,
            });
            retried.push(work.settle(settled, &self.note));
        }
        work.changes.audit.push(self.entry(retried.len(), refused));
        Ok((retried, refused))
    }
}

impl RetryMany {
    /// A cancelled delivery is only retried if the filter names its state.
    fn may_retry(&self, delivery: &Delivery) -> bool {
        let given_up = delivery.state == State::Cancelled && !self.filter.states.contains(&State::Cancelled);
        !given_up && self.filter.admits(delivery) && self.enabled.contains(&delivery.connection)
    }

    fn entry(&self, retried: usize, refused: u32) -> NewAuditEntry {
        let detail = json!({
            "filter": described(&self.filter), "note": self.note, "retried": retried, "refused": refused,
        });
        NewAuditEntry {
            at: self.now,
            actor: self.by.clone(),
            action: AuditAction::RetryDeliveries,
            subject: DELIVERIES.to_owned(),
            detail,
            outcome: DONE.to_owned(),
        }
    }
}

/// The fields of a filter that are set.
fn described(filter: &DeliveryFilter) -> Value {
    let states: Vec<_> = filter.states.iter().map(|state| state.as_str()).collect();
    let kinds: Vec<_> = filter.fault_kinds.iter().map(|kind| kind.as_str()).collect();
    let fields = [
        ("states", json!(states)),
        ("connections", json!(filter.connections)),
        ("incident_id", json!(filter.incident_id)),
        ("ticket_key", json!(filter.ticket_key)),
        ("fault_kinds", json!(kinds)),
        ("created_from", json!(filter.created_from)),
        ("created_until", json!(filter.created_until)),
    ];
    let is_set = |value: &Value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
    let set = fields.into_iter().filter(|(_, value)| is_set(value));
    Value::Object(set.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}
