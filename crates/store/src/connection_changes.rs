//! Changes all deliveries of a connection in some state, in transactions of bounded size.

use jiff::Timestamp;
use ticketing_core::delivery::State;
use ticketing_core::fault::Fault;

use super::writes::change_deliveries::{ChangeDeliveries, DeliveriesChange, EndScans};
use super::{Store, StoreError};

/// Maximum number of deliveries per transaction.
pub(super) const CHUNK: u32 = 500;

// === impl Store ===

impl Store {
    /// Defers all pending deliveries of a connection that admits none. Returns their number.
    pub async fn defer(
        &self,
        connection: &str,
        due_at: Timestamp,
        fault: &Fault,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.change(connection, &DeliveriesChange::Defer { due_at, fault: fault.clone() }, now).await
    }

    /// Makes all deliveries due that waited for a connection or failed because of it. Returns their number.
    pub async fn connection_recovered(&self, connection: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.change(connection, &DeliveriesChange::Recover, now).await
    }

    /// Rearms deliveries that failed because of a connection since `outage_began`, now that it created a ticket
    /// again. Returns their number.
    pub async fn outage_ended(
        &self,
        connection: &str,
        outage_began: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.change(connection, &DeliveriesChange::EndOutage { outage_began }, now).await
    }

    /// Ends what is left of the deliveries of a connection that was removed: FAILED ones become CANCELLED, and duplicate
    /// scans end. Returns their number.
    pub async fn connection_removed(&self, connection: &str, now: Timestamp) -> Result<u64, StoreError> {
        let mut changed = self.change(connection, &DeliveriesChange::Remove, now).await?;
        loop {
            let scanned = self.due_duplicate_scans(connection, Timestamp::MAX, CHUNK).await?;
            if scanned.is_empty() {
                return Ok(changed);
            }
            let delivery_ids = scanned.into_iter().map(|delivery| delivery.id).collect();
            changed += self.write(EndScans { delivery_ids, now }).await?;
        }
    }

    /// Makes deliveries with unproven absence in a connection due, now that its search is known to find our
    /// tickets. Returns their number.
    pub async fn search_proven(&self, connection: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.change(connection, &DeliveriesChange::SearchProven, now).await
    }

    /// Rearms one delivery that failed because of a connection, as a probe: the next one by ID after `after`, or
    /// else the first, so that all take turns. Returns its ID; `None` if there is none.
    pub async fn arm_probe(
        &self,
        connection: &str,
        after: &str,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let starts = if after.is_empty() { vec![""] } else { vec![after, ""] };
        for start in starts {
            let mut from = Some(start.to_owned());
            while let Some(after) = from {
                let connection = connection.to_owned();
                let change = DeliveriesChange::Probe;
                let write =
                    ChangeDeliveries { connection, state: State::Failed, change, after, limit: CHUNK, now };
                let chunk = self.write(write).await?;
                if chunk.probe.is_some() {
                    return Ok(chunk.probe);
                }
                from = chunk.next;
            }
        }
        Ok(None)
    }

    async fn change(
        &self,
        connection: &str,
        change: &DeliveriesChange,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut changed = 0;
        for state in change.states() {
            let mut after = Some(String::new());
            while let Some(from) = after {
                let connection = connection.to_owned();
                let change = change.clone();
                let write =
                    ChangeDeliveries { connection, state: *state, change, after: from, limit: CHUNK, now };
                let chunk = self.write(write).await?;
                changed += chunk.changed;
                after = chunk.next;
            }
        }
        Ok(changed)
    }
}
