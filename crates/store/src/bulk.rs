//! Changes to every delivery of a target that is in some state, in transactions of a bounded size.

use jiff::Timestamp;
use ticketing_core::delivery::State;
use ticketing_core::fault::Fault;

use super::writes::bulk::{Bulk, BulkChange};
use super::{Store, StoreError};

/// How many deliveries one transaction changes where a batched write changes very many.
pub(super) const CHUNK: u32 = 500;

// === impl Store ===

impl Store {
    /// Defers all pending deliveries of a target that admits none. Returns their number.
    pub async fn defer(
        &self,
        target: &str,
        due_at: Timestamp,
        fault: &Fault,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.bulk(target, &BulkChange::Defer { due_at, fault: fault.clone() }, now).await
    }

    /// Makes everything of a target due that waited for it or failed for want of it: how many there were.
    pub async fn target_recovered(&self, target: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.bulk(target, &BulkChange::Recover, now).await
    }

    /// Arms again what failed for want of a target since `outage_began`, now that it made a ticket again: how many there
    /// were.
    pub async fn outage_ended(
        &self,
        target: &str,
        outage_began: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.bulk(target, &BulkChange::EndOutage { outage_began }, now).await
    }

    /// Makes due what could not be proven absent in a target, now that its search is known to show tickets of ours: how
    /// many there were.
    pub async fn search_proven(&self, target: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.bulk(target, &BulkChange::SearchProven, now).await
    }

    /// Arms again one delivery that failed for want of a target, to see whether it is well: the next one by ID after `after`,
    /// or else the first, so that each has its turn. Its ID; `None` if there is none.
    pub async fn arm_probe(
        &self,
        target: &str,
        after: &str,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let starts = if after.is_empty() { vec![""] } else { vec![after, ""] };
        for start in starts {
            let mut from = Some(start.to_owned());
            while let Some(after) = from {
                let (target, change) = (target.to_owned(), BulkChange::Probe);
                let write = Bulk { target, state: State::Failed, change, after, limit: CHUNK, now };
                let chunk = self.write(write).await?;
                if chunk.probe.is_some() {
                    return Ok(chunk.probe);
                }
                from = chunk.next;
            }
        }
        Ok(None)
    }

    async fn bulk(&self, target: &str, change: &BulkChange, now: Timestamp) -> Result<u64, StoreError> {
        let mut changed = 0;
        for state in change.states() {
            let mut after = Some(String::new());
            while let Some(from) = after {
                let (target, change) = (target.to_owned(), change.clone());
                let write = Bulk { target, state: *state, change, after: from, limit: CHUNK, now };
                let chunk = self.write(write).await?;
                changed += chunk.changed;
                after = chunk.next;
            }
        }
        Ok(changed)
    }
}
