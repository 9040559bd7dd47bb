//! What the create is answered: what it means at first, and that in the end there is one ticket, without a hand.

use rhythmx_ticketing::v1::{AttemptKind, AttemptOutcome, Delivery};
use ticketing_harness::{World, creates};
use ticketing_simulator::Vendor;
use tokio::time::Instant;

use super::{Storm, deliver, simulator, told};
use crate::matrix::cell::Stage;

/// What the create must be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::matrix) enum Verdict {
    /// A ticket, as usual.
    Created,
    /// Certainly no ticket: WAITING, and sent again.
    Refused,
    /// Perhaps a ticket: RECONCILING, and looked for; there is none, so it is sent again.
    DoubtfulAndAbsent,
    /// The same, but the request never arrived as a whole.
    DoubtfulAndUnread,
    /// Perhaps a ticket: RECONCILING, and looked for; there is one.
    DoubtfulAndThere,
    /// ServiceNow says that there is a conflict, which is held against our `sys_id` at once: there is a ticket.
    Found,
}

pub(super) async fn pass(storm: &Storm, verdict: Verdict, stage: &Stage, world: &mut World) {
    storm.begin(world);
    let began = Instant::now();
    let delivery = deliver(world, "INC-1", storm.vendor).await;
    stage.recovered(began.elapsed(), storm.limit());
    verdict.check(world, storm.vendor, &delivery);
}

// === impl Verdict ===

impl Verdict {
    /// The one delivery of this world was delivered as its first create had to be taken.
    pub(in crate::matrix) fn check(self, world: &World, vendor: Vendor, delivery: &Delivery) {
        use AttemptKind::{LookUp, Send};
        use AttemptOutcome::{Ambiguous, Applied, Failed, Found};
        assert_eq!(simulator(world, vendor).tickets().len(), 1, "so many tickets: {delivery:#?}");
        let told = told(delivery);
        let first: &[_] = match self {
            Self::Refused => &[(Send, Failed), (Send, Applied)],
            Self::DoubtfulAndAbsent | Self::DoubtfulAndUnread | Self::DoubtfulAndThere => {
                &[(Send, Ambiguous)]
            }
            Self::Found | Self::Created => &[(Send, Applied)],
        };
        assert!(told.starts_with(first), "it began otherwise: {delivery:#?}");
        let last = if self == Self::DoubtfulAndThere { (LookUp, Found) } else { (Send, Applied) };
        assert_eq!(told.last(), Some(&last), "it ended otherwise: {delivery:#?}");
        let sent = if matches!(self, Self::Refused | Self::DoubtfulAndAbsent) { 2 } else { 1 };
        assert_eq!(creates(simulator(world, vendor)), sent, "so many creates: {delivery:#?}");
    }
}
