//! Prepares creates: what is sent, and the intent to send it.
//!
//! If all that a ticket depends on is in memory, it is rendered while its delivery is claimed, so that one transaction
//! makes the claim and the intent durable. Otherwise the claim comes first, and the intent follows when it is rendered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::delivery::Delivery;
use ticketing_core::delivery::settle::SendIntent;
use ticketing_core::system::{Dialing, Rendered, TicketDraft, TicketSystem};
use ticketing_store::{Prepared, Preparer};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Dispatcher;
use crate::connections::InForce;

/// How long one claim may render tickets: other writes wait for it. Those that are left are rendered after the claim.
const MAX_RENDERING: Duration = Duration::from_millis(10);

/// Prepares creates for one ticket system without a call to it.
#[derive(Debug)]
pub(super) struct FromMemory {
    in_force: InForce,
    restored_at: Option<Timestamp>,
    deadline: Timestamp,
    /// Of the first ticket.
    rendering_since: OnceLock<Instant>,
    runtime: Handle,
    /// The network connections of prepared creates, by delivery. They are opened while claim and intent commit.
    dialings: Mutex<HashMap<String, Dialing>>,
}

/// The ticket system that a create was prepared for, and the network connection that is being opened to it.
#[derive(Debug)]
pub(super) struct Sender {
    in_force: InForce,
    dialing: Dialing,
}

// === impl FromMemory ===

impl Preparer for FromMemory {
    /// After a restore a ticket may exist that the store does not know: then it is searched for first.
    fn prepare(&self, delivery: &Delivery, draft: &TicketDraft) -> Option<Prepared> {
        if self.restored_at.is_some_and(|at| delivery.may_have_unrecorded_ticket(at)) {
            return None;
        }
        if self.rendering_since.get_or_init(Instant::now).elapsed() > MAX_RENDERING {
            return None;
        }
        let api = &self.in_force.api;
        let rendered = api.prepare_from_memory(draft)?;
        let send = send_intent(api.as_ref(), &rendered, self.deadline);
        let _within = self.runtime.enter();
        // A batch that failed is prepared again.
        self.dialings().entry(delivery.id.clone()).or_insert_with(|| api.dial());
        Some(Prepared { rendered, send })
    }
}

impl FromMemory {
    /// How the create of a claimed delivery is sent, if it was prepared. Network connections that are not taken are
    /// closed.
    pub(super) fn sender(&self, delivery: &str) -> Sender {
        let dialing = self.dialings().remove(delivery).unwrap_or_default();
        Sender { in_force: self.in_force.clone(), dialing }
    }

    fn dialings(&self) -> MutexGuard<'_, HashMap<String, Dialing>> {
        self.dialings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Sender ===

impl Sender {
    pub(super) fn into_parts(self) -> (InForce, Dialing) {
        (self.in_force, self.dialing)
    }
}

impl Dispatcher {
    /// Prepares creates that are claimed at `now`.
    pub(super) fn preparer(&self, in_force: InForce, now: Timestamp) -> Arc<FromMemory> {
        Arc::new(FromMemory {
            in_force,
            restored_at: self.0.store.installation().restored_at,
            deadline: now + self.schedule().policy.bounds.attempt_deadline,
            rendering_since: OnceLock::new(),
            runtime: Handle::current(),
            dialings: Mutex::default(),
        })
    }
}

/// The intent to send a rendered ticket.
pub(super) fn send_intent(api: &dyn TicketSystem, rendered: &Rendered, deadline: Timestamp) -> SendIntent {
    SendIntent {
        destination: api.destination(),
        made_by: api.made_by(),
        index_bound: api.visibility().index_bound(),
        deadline,
        marker_in_text: rendered.marker_in_text,
        adjustments: rendered.adjustments.clone(),
    }
}
