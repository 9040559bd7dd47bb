//! The health of targets.

use jiff::Timestamp;
use ticketing_core::policy::Bounds;
use ticketing_core::target::{Health, Observation};

use crate::store::StoreError;
use crate::store::unit_of_work::{BatchedWrite, ReadSet, UnitOfWork};

#[derive(Debug)]
pub(in crate::store) struct Observe {
    pub(in crate::store) target: String,
    pub(in crate::store) observation: Observation,
    pub(in crate::store) bounds: Bounds,
    pub(in crate::store) now: Timestamp,
}

#[derive(Debug)]
pub(in crate::store) struct EndPauses {
    pub(in crate::store) target: String,
    pub(in crate::store) now: Timestamp,
}

#[derive(Debug)]
pub(in crate::store) struct ResetHealth {
    pub(in crate::store) target: String,
    pub(in crate::store) now: Timestamp,
}

impl BatchedWrite for Observe {
    type Answer = Health;

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.targets.insert(self.target.clone());
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Health, StoreError> {
        let health = work.health(&self.target).bounded(&self.bounds, self.now);
        let (health, event) = health.observe(&self.observation, &self.bounds, self.now);
        work.set_health(&self.target, health.clone(), event, self.now);
        Ok(health)
    }
}

impl BatchedWrite for EndPauses {
    type Answer = Health;

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.targets.insert(self.target.clone());
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Health, StoreError> {
        let health = work.health(&self.target).end_pauses(self.now);
        work.set_health(&self.target, health.clone(), None, self.now);
        Ok(health)
    }
}

impl BatchedWrite for ResetHealth {
    type Answer = Health;

    fn read_set(&self, read_set: &mut ReadSet) {
        read_set.targets.insert(self.target.clone());
    }

    fn apply(&self, work: &mut UnitOfWork) -> Result<Health, StoreError> {
        let (health, event) = work.health(&self.target).reset_health(self.now);
        work.set_health(&self.target, health.clone(), event, self.now);
        Ok(health)
    }
}
