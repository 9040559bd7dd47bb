//! Changes many deliveries of one connection, in chunks.

use jiff::Timestamp;
use ticketing_core::delivery::{Delivery, Settled, State};
use ticketing_core::fault::Fault;

use crate::StoreError;
use crate::unit_of_work::{BatchedWrite, ReadSet, Selection, SelectionLimit, UnitOfWork};

/// One chunk of a connection's deliveries.
#[derive(Debug)]
pub(crate) struct ChangeDeliveries {
    pub(crate) connection: String,
    pub(crate) state: State,
    pub(crate) change: DeliveriesChange,
    /// The ID of the last delivery of the previous chunk; empty for the first.
    pub(crate) after: String,
    pub(crate) limit: u32,
    pub(crate) now: Timestamp,
}

/// Ends the duplicate scans of deliveries whose connection was removed.
#[derive(Debug)]
pub(crate) struct EndScans {
    pub(crate) delivery_ids: Vec<String>,
    pub(crate) now: Timestamp,
}

#[derive(Debug, Clone)]
pub(crate) enum DeliveriesChange {
    /// The connection admits nothing: pending deliveries wait.
    Defer { due_at: Timestamp, fault: Fault },
    /// The connection's settings were changed, or it has recovered.
    Recover,
    /// The first ticket was created since then.
    EndOutage { outage_began: Timestamp },
    /// The search is known to find our tickets: unproven deliveries are looked up now.
    SearchProven,
    /// One delivery that FAILED because of the connection is rearmed as a probe.
    Probe,
    /// The connection was removed: nothing is sent or looked up any more.
    Remove,
}

/// The result of a chunk.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) changed: u64,
    /// Start of the next chunk; `None` if this was the last.
    pub(crate) next: Option<String>,
    /// The delivery that was armed as a probe.
    pub(crate) probe: Option<String>,
}

impl BatchedWrite for ChangeDeliveries {
    type Answer = Chunk;

    const EXCLUSIVE: bool = true;

    fn read_set(&self, read_set: &mut ReadSet) {
        let connection = self.connection.clone();
        let after = self.after.clone();
        let failing_since = match self.change {
            DeliveriesChange::EndOutage { outage_began } => Some(outage_began),
            DeliveriesChange::Defer { .. }
            | DeliveriesChange::Recover
            | DeliveriesChange::SearchProven
            | DeliveriesChange::Probe
            | DeliveriesChange::Remove => None,
        };
        let selection = Selection::OfConnection { connection, state: self.state, after, failing_since };
        read_set.select(selection, SelectionLimit { until: None, limit: self.limit });
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Chunk, StoreError> {
        let mut chunk: Vec<Delivery> = work.deliveries().cloned().collect();
        chunk.sort_by(|one, other| one.id.cmp(&other.id));
        let full = chunk.len() == self.limit as usize;
        let next = chunk.last().filter(|_| full).map(|delivery| delivery.id.clone());
        let mut changed = 0;
        for delivery in chunk {
            if let Some(settled) = self.change.apply(delivery, self.now) {
                let delivery = work.settle(settled, "");
                changed += 1;
                if matches!(self.change, DeliveriesChange::Probe) {
                    return Ok(Chunk { changed, next: None, probe: Some(delivery.id) });
                }
            }
        }
        Ok(Chunk { changed, next, probe: None })
    }
}

impl BatchedWrite for EndScans {
    type Answer = u64;

    const EXCLUSIVE: bool = true;

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.deliveries.extend(self.delivery_ids.iter().cloned());
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<u64, StoreError> {
        let deliveries: Vec<Delivery> = work.deliveries().cloned().collect();
        let ended = deliveries.into_iter().filter_map(|delivery| delivery.connection_removed(self.now));
        Ok(ended.map(|settled| work.settle(settled, "")).count() as u64)
    }
}

impl DeliveriesChange {
    /// The affected states.
    pub(crate) fn states(&self) -> &'static [State] {
        match self {
            Self::Defer { .. } => &[State::Pending],
            Self::Recover => &[State::Waiting, State::Reconciling, State::Failed],
            Self::SearchProven => &[State::Reconciling],
            Self::EndOutage { .. } | Self::Probe | Self::Remove => &[State::Failed],
        }
    }

    fn apply(&self, delivery: Delivery, now: Timestamp) -> Option<Settled> {
        match self {
            Self::Defer { due_at, fault } => Some(delivery.defer(fault.clone(), *due_at, now)),
            Self::Recover => delivery.connection_recovered(now),
            Self::EndOutage { outage_began } => delivery.outage_ended(*outage_began, now),
            Self::SearchProven => delivery.search_proven(now),
            Self::Probe => delivery.rearm_as_probe(now),
            Self::Remove => delivery.connection_removed(now),
        }
    }
}
