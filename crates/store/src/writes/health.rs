//! The health of connections.

use jiff::Timestamp;
use ticketing_core::health::{Health, Observation};
use ticketing_core::policy::Bounds;

use crate::StoreError;
use crate::unit_of_work::{BatchedWrite, ReadSet, UnitOfWork};

#[derive(Debug)]
pub(crate) struct Observe {
    pub(crate) connection: String,
    pub(crate) observation: Observation,
    pub(crate) bounds: Bounds,
    pub(crate) now: Timestamp,
}

/// Caps the stored pauses.
#[derive(Debug)]
pub(crate) struct BoundPauses {
    pub(crate) connection: String,
    pub(crate) bounds: Bounds,
    pub(crate) now: Timestamp,
}

#[derive(Debug)]
pub(crate) struct EndPauses {
    pub(crate) connection: String,
    pub(crate) now: Timestamp,
}

#[derive(Debug)]
pub(crate) struct ResetHealth {
    pub(crate) connection: String,
    pub(crate) now: Timestamp,
}

impl BatchedWrite for Observe {
    type Answer = Health;

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.connections.insert(self.connection.clone());
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Health, StoreError> {
        let health = work.health(&self.connection).bounded(&self.bounds, self.now);
        let (health, event) = health.observe(&self.observation, &self.bounds, self.now);
        work.set_health(&self.connection, health.clone(), event, self.now);
        Ok(health)
    }
}

impl BatchedWrite for BoundPauses {
    type Answer = Health;

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.connections.insert(self.connection.clone());
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Health, StoreError> {
        let health = work.health(&self.connection).bounded(&self.bounds, self.now);
        work.set_health(&self.connection, health.clone(), None, self.now);
        Ok(health)
    }
}

impl BatchedWrite for EndPauses {
    type Answer = Health;

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.connections.insert(self.connection.clone());
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Health, StoreError> {
        let health = work.health(&self.connection).end_pauses(self.now);
        work.set_health(&self.connection, health.clone(), None, self.now);
        Ok(health)
    }
}

impl BatchedWrite for ResetHealth {
    type Answer = Health;

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.connections.insert(self.connection.clone());
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Health, StoreError> {
        let (health, event) = work.health(&self.connection).reset_health(self.now);
        work.set_health(&self.connection, health.clone(), event, self.now);
        Ok(health)
    }
}
