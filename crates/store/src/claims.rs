//! Claims of deliveries, and creates that are prepared while they are claimed.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::delivery::Delivery;
use ticketing_core::delivery::settle::SendIntent;
use ticketing_core::health::Purpose;
use ticketing_core::system::{Rendered, TicketDraft};

use crate::StoreError;

/// In which state deliveries are claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimKind {
    /// Pending: to be sent as soon as possible.
    Fresh,
    /// Waiting, and due for a retry.
    Due,
    /// Of unknown outcome, and due for a look-up.
    Uncertain,
}

/// Which deliveries to claim.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    pub connection: String,
    /// The settings of the connection that the claimant works with; 0 if none were ever saved.
    pub settings_revision: u32,
    pub purpose: Purpose,
    pub kind: ClaimKind,
    pub limit: u32,
    /// The IDs of deliveries that are taken first.
    pub preferred: Vec<String>,
    /// How many of the limit are for the others, if there are so many.
    pub for_others: u32,
    pub lease: Duration,
    /// Prepares creates, so that their intents become durable with the claim.
    pub preparer: Option<Arc<dyn Preparer>>,
}

/// Why nothing was claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    #[error("the settings of the connection were changed")]
    SettingsChanged,
    #[error("the health of the connection admits no call now")]
    NotAdmitted,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Prepares a create from what is in memory.
pub trait Preparer: Send + Sync + Debug {
    /// What to send for a claimed delivery; `None` if that takes a call to the ticket system or a search before.
    fn prepare(&self, delivery: &Delivery, draft: &TicketDraft) -> Option<Prepared>;
}

/// A create that may be sent as soon as its intent is durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    pub rendered: Rendered,
    pub send: SendIntent,
}

/// A delivery that its claimant owns until the lease expires, with the snapshot to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    pub delivery: Delivery,
    pub draft: TicketDraft,
    /// The create whose intent is durable already.
    pub prepared: Option<Prepared>,
    /// Start of the delay of the next retry.
    pub counted_from: Timestamp,
}
