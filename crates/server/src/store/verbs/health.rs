//! The health of targets.

use jiff::Timestamp;
use ticketing_core::policy::Bounds;
use ticketing_core::target::{Health, Observation};

use crate::store::StoreError;
use crate::store::work::{Needs, Verb, Work};

#[derive(Debug)]
pub(in crate::store) struct Observe {
    pub(in crate::store) target: String,
    pub(in crate::store) observation: Observation,
    pub(in crate::store) bounds: Bounds,
    pub(in crate::store) now: Timestamp,
}

#[derive(Debug)]
pub(in crate::store) struct Lift {
    pub(in crate::store) target: String,
    pub(in crate::store) now: Timestamp,
}

#[derive(Debug)]
pub(in crate::store) struct Forgive {
    pub(in crate::store) target: String,
    pub(in crate::store) now: Timestamp,
}

impl Verb for Observe {
    type Answer = Health;

    fn needs(&self, needs: &mut Needs) {
        needs.targets.insert(self.target.clone());
    }

    fn apply(&self, work: &mut Work) -> Result<Health, StoreError> {
        let health = work.health(&self.target).bounded(&self.bounds, self.now);
        let (health, event) = health.observe(&self.observation, &self.bounds, self.now);
        work.set_health(&self.target, health.clone(), event, self.now);
        Ok(health)
    }
}

impl Verb for Lift {
    type Answer = Health;

    fn needs(&self, needs: &mut Needs) {
        needs.targets.insert(self.target.clone());
    }

    fn apply(&self, work: &mut Work) -> Result<Health, StoreError> {
        let health = work.health(&self.target).lift(self.now);
        work.set_health(&self.target, health.clone(), None, self.now);
        Ok(health)
    }
}

impl Verb for Forgive {
    type Answer = Health;

    fn needs(&self, needs: &mut Needs) {
        needs.targets.insert(self.target.clone());
    }

    fn apply(&self, work: &mut Work) -> Result<Health, StoreError> {
        let (health, event) = work.health(&self.target).forgive(self.now);
        work.set_health(&self.target, health.clone(), event, self.now);
        Ok(health)
    }
}
