//! What the server acknowledged: it must never be lost afterwards.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rhythmx_ticketing::v1;

/// The deliveries in answers to callers; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Acknowledged(Arc<Mutex<BTreeMap<String, String>>>);

// === impl Acknowledged ===

impl Acknowledged {
    /// A caller received this delivery.
    pub fn note(&self, delivery: &v1::Delivery) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(delivery.id.clone(), format!("{} for {}", delivery.incident_id, delivery.connection));
    }

    /// A caller received this answer.
    pub fn note_push(&self, answer: &v1::CreateTicketResponse) {
        answer.delivery.iter().for_each(|delivery| self.note(delivery));
    }

    /// A caller received this answer.
    pub fn note_submission(&self, answer: &v1::SubmitIncidentResponse) {
        answer
            .results
            .iter()
            .filter_map(|result| result.delivery.as_ref())
            .for_each(|delivery| self.note(delivery));
    }

    /// Number of deliveries.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Each of them is among `deliveries`, for the incident and the connection that it was accepted for.
    pub(crate) fn check(&self, deliveries: &[v1::Delivery]) {
        let kept: BTreeMap<_, _> =
            deliveries.iter().map(|d| (&d.id, format!("{} for {}", d.incident_id, d.connection))).collect();
        for (id, what) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            assert_eq!(kept.get(id), Some(what), "the acknowledged delivery {id} is lost");
        }
    }
}
