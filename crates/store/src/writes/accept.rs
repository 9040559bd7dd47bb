//! Accepts an incident as deliveries.

use jiff::Timestamp;
use ticketing_core::delivery::operate::NewDelivery;
use ticketing_core::delivery::{Delivery, Settled};
use ticketing_core::marker::Marker;
use ticketing_core::namespace::Namespace;
use ticketing_failpoints::Point;

use crate::StoreError;
use crate::types::{AcceptConnection, AcceptError, Accepted, Requester};
use crate::unit_of_work::{BatchedWrite, ReadSet, UnitOfWork};

#[derive(Debug)]
pub(crate) struct Accept {
    pub(crate) incident_id: String,
    /// The incident as JSON.
    pub(crate) body: String,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) expedite: bool,
    pub(crate) by: Requester,
    pub(crate) now: Timestamp,
}

/// A connection, and the ID and marker of a new delivery to it.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) connection: AcceptConnection,
    pub(crate) id: String,
    pub(crate) marker: Marker,
}

impl Wanted {
    /// Whether the settings were changed since the caller saw that the connection takes pushes.
    fn is_outdated(&self, work: &UnitOfWork) -> bool {
        work.settings_revision(&self.connection.connection) != self.connection.settings_revision
    }
}

impl BatchedWrite for Accept {
    type Answer = Result<Vec<Accepted>, AcceptError>;

    const FAIL_POINT: Option<Point> = Some(Point::AcceptOpen);

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.incidents.insert(self.incident_id.clone());
        read_set.connections.extend(self.wanted.iter().map(|wanted| wanted.connection.connection.clone()));
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Self::Answer, StoreError> {
        // In the accepting transaction, so that only one of two concurrent callers becomes the owner of a new
        // incident.
        let Some(owner) = self.owner(work) else { return Ok(Err(AcceptError::OwnedByOther)) };
        if self.wanted.iter().any(|wanted| wanted.is_outdated(work)) {
            return Ok(Err(AcceptError::SettingsChanged));
        }
        let newest = work.newest_revision(&self.incident_id);
        let known = work.is_content(&self.incident_id, newest, &self.body)?;
        let revision = if known { newest } else { newest + 1 };
        let updated = self.update_snapshots(revision, work);
        let accepted: Vec<_> =
            self.wanted.iter().map(|wanted| self.accept(wanted, revision, &owner, &updated, work)).collect();
        let used = !updated.is_empty() || accepted.iter().any(|accepted| !accepted.existed);
        // Unknown, or removed.
        if used && work.snapshot(&self.incident_id, revision).is_none() {
            work.add_snapshot(&self.incident_id, revision, &self.body, self.now);
        }
        Ok(Ok(accepted))
    }
}

impl Accept {
    /// The namespace of the incident; `None` if the caller may not act on it.
    fn owner(&self, work: &UnitOfWork) -> Option<Namespace> {
        let known = work.of_incident(&self.incident_id).first().map(|delivery| delivery.namespace.clone());
        let owner = known.unwrap_or_else(|| self.by.namespace.clone());
        (!self.by.is_confined || owner == self.by.namespace).then_some(owner)
    }

    /// Updates every delivery of the incident that can still take the newest snapshot. Returns their IDs.
    fn update_snapshots(&self, revision: u32, work: &mut UnitOfWork) -> Vec<String> {
        let deliveries: Vec<Delivery> = work.of_incident(&self.incident_id).into_iter().cloned().collect();
        let updated: Vec<Settled> = deliveries
            .into_iter()
            .filter_map(|delivery| delivery.update_snapshot(revision, self.now))
            .collect();
        updated.into_iter().map(|settled| work.settle(settled, "").id).collect()
    }

    fn accept(
        &self,
        wanted: &Wanted,
        revision: u32,
        owner: &Namespace,
        updated: &[String],
        work: &mut UnitOfWork,
    ) -> Accepted {
        let deliveries = work.of_incident(&self.incident_id);
        let existing = deliveries
            .into_iter()
            .find(|delivery| delivery.connection == wanted.connection.connection)
            .cloned();
        let Some(existing) = existing else {
            let delivery =
                work.insert(Delivery::accept(self.new_delivery(wanted, revision, owner), self.now));
            return Accepted { delivery, existed: false, snapshot_updated: false };
        };
        let snapshot_updated = updated.contains(&existing.id);
        let expedited = if self.expedite { existing.clone().expedite(self.now) } else { None };
        let delivery = expedited.map_or(existing, |settled| work.settle(settled, ""));
        Accepted { delivery, existed: true, snapshot_updated }
    }

    fn new_delivery(&self, wanted: &Wanted, revision: u32, owner: &Namespace) -> NewDelivery {
        NewDelivery {
            id: wanted.id.clone(),
            incident_id: self.incident_id.clone(),
            incident_revision: revision,
            connection: wanted.connection.connection.clone(),
            system: wanted.connection.system,
            trigger: wanted.connection.trigger,
            marker: wanted.marker.clone(),
            requested_by: self.by.name.clone(),
            namespace: owner.clone(),
        }
    }
}
