//! The health of targets.

use jiff::Timestamp;
use ticketing_core::policy::Bounds;
use ticketing_core::target::{Health, Observation};

use crate::store::StoreError;
use crate::store::types::Observed;
use crate::store::work::{Needs, Verb, Work};

#[derive(Debug)]
pub(in crate::store) struct Observe {
    pub(in crate::store) target: String,
    pub(in crate::store) observed: Observed,
    pub(in crate::store) bounds: Bounds,
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
        let observation = match &self.observed {
            Observed::Created => Observation::Created,
            Observed::Searched => Observation::Searched,
            Observed::Failure(fault, began) => Observation::Failure(fault, *began),
        };
        let (health, event) = work.health(&self.target).observe(observation, &self.bounds, self.now);
        work.set_health(&self.target, health.clone(), event, self.now);
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
