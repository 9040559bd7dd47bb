//! The health of targets.

use jiff::Timestamp;
use ticketing_core::policy::Bounds;
use ticketing_core::target::{Health, Observation};

use crate::StoreError;
use crate::unit_of_work::{BatchedWrite, ReadSet, UnitOfWork};

#[derive(Debug)]
pub(crate) struct Observe {
    pub(crate) target: String,
    pub(crate) observation: Observation,
    pub(crate) bounds: Bounds,
    pub(crate) now: Timestamp,
}

#[derive(Debug)]
pub(crate) struct EndPauses {
    pub(crate) target: String,
    pub(crate) now: Timestamp,
}

#[derive(Debug)]
pub(crate) struct ResetHealth {
    pub(crate) target: String,
    pub(crate) now: Timestamp,
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
