//! What the create is answered: what it means at first, and that in the end there is one ticket, without a hand.

use rhythmx_ticketing::v1::{AttemptKind, AttemptOutcome, Delivery};
use ticketing_harness::{World, creates};
use ticketing_simulator::Vendor;
use tokio::time::Instant;

use super::{CallFault, deliver, outcomes, simulator};
use crate::matrix::cell::CellContext;

/// What the create must be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::matrix) enum Verdict {
    /// A ticket, as usual.
    Created,
    /// Certainly no ticket: WAITING, and sent again.
    Refused,
    /// Perhaps a ticket: RECONCILING, and looked for; there is none, so it is sent again.
    UnknownThenAbsent,
    /// The same, but the request never arrived as a whole.
    UnknownNotReceived,
    /// Perhaps a ticket: RECONCILING, and looked for; there is one.
    UnknownThenFound,
    /// ServiceNow says that there is a conflict, which is held against our `sys_id` at once: there is a ticket.
    Found,
}

pub(super) async fn run(call_fault: &CallFault, verdict: Verdict, context: &CellContext, world: &mut World) {
    call_fault.begin(world);
    let began = Instant::now();
    let delivery = deliver(world, "INC-1", call_fault.vendor).await;
    context.recovered(began.elapsed(), call_fault.time_limit());
    verdict.check(world, call_fault.vendor, &delivery);
}

// === impl Verdict ===

impl Verdict {
    /// The one delivery of this world was delivered as its first create had to be taken.
    pub(in crate::matrix) fn check(self, world: &World, vendor: Vendor, delivery: &Delivery) {
        use AttemptKind::{LookUp, Send};
        use AttemptOutcome::{Ambiguous, Applied, Failed, Found};
        assert_eq!(simulator(world, vendor).tickets().len(), 1, "so many tickets: {delivery:#?}");
        let outcomes = outcomes(delivery);
        let first: &[_] = match self {
            Self::Refused => &[(Send, Failed), (Send, Applied)],
            Self::UnknownThenAbsent | Self::UnknownNotReceived | Self::UnknownThenFound => {
                &[(Send, Ambiguous)]
            }
            Self::Found | Self::Created => &[(Send, Applied)],
        };
        assert!(outcomes.starts_with(first), "it began otherwise: {delivery:#?}");
        let last = if self == Self::UnknownThenFound { (LookUp, Found) } else { (Send, Applied) };
        assert_eq!(outcomes.last(), Some(&last), "it ended otherwise: {delivery:#?}");
        let sent = if matches!(self, Self::Refused | Self::UnknownThenAbsent) { 2 } else { 1 };
        assert_eq!(creates(simulator(world, vendor)), sent, "so many creates: {delivery:#?}");
    }
}
