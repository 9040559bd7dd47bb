//! What the create is answered: what it means at first, and that in the end there is one ticket, without a hand.

use rhythmx_ticketing::v1::{AttemptKind, AttemptOutcome, Delivery};
use ticketing_harness::{World, creates};
use ticketing_simulator::{Call, Effect, Vendor};
use tokio::time::Instant;

use super::{deliver, limit, plan, simulator, strike, told};
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
    /// Perhaps a ticket: RECONCILING, and looked for; there is one.
    DoubtfulAndThere,
    /// ServiceNow says that there is a conflict, which is held against our `sys_id` at once: there is a ticket.
    Found,
}

pub(in crate::matrix) async fn on_create(stage: Stage, vendor: Vendor, effect: Effect, verdict: Verdict) {
    let mut world = plan(&stage, vendor).start().await;
    strike(&world, vendor, Call::Create, 1, effect);
    let began = Instant::now();
    let delivery = deliver(&mut world, "INC-1", vendor).await;
    stage.recovered(began.elapsed(), limit(1));
    settled_create(&world, vendor, &delivery, verdict);
    world.finish().await;
}

/// One delivery was delivered: as its first create had to be taken.
pub(in crate::matrix) fn settled_create(
    world: &World,
    vendor: Vendor,
    delivery: &Delivery,
    verdict: Verdict,
) {
    use AttemptKind::{Create, LookUp};
    use AttemptOutcome::{Ambiguous, Created, Failed, Found};
    let told = told(delivery);
    let first: &[_] = match verdict {
        Verdict::Refused => &[(Create, Failed), (Create, Created)],
        Verdict::DoubtfulAndAbsent | Verdict::DoubtfulAndThere => &[(Create, Ambiguous)],
        Verdict::Found | Verdict::Created => &[(Create, Created)],
    };
    assert!(told.starts_with(first), "it began otherwise: {delivery:#?}");
    let last = if verdict == Verdict::DoubtfulAndThere { (LookUp, Found) } else { (Create, Created) };
    assert_eq!(told.last(), Some(&last), "it ended otherwise: {delivery:#?}");
    let sent = if matches!(verdict, Verdict::Refused | Verdict::DoubtfulAndAbsent) { 2 } else { 1 };
    assert_eq!(creates(simulator(world, vendor)), sent, "so many creates: {delivery:#?}");
    assert_eq!(simulator(world, vendor).tickets().len(), 1, "so many tickets: {delivery:#?}");
}
