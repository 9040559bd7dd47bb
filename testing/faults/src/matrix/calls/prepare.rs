//! What is answered before the create is sent: nothing of it can make a ticket, so the create is sent once.

use rhythmx_ticketing::v1::{AttemptKind, AttemptOutcome};
use ticketing_harness::{World, creates};
use tokio::time::Instant;

use super::{CallFault, deliver, outcomes, simulator};
use crate::matrix::cell::CellContext;

pub(super) async fn run(call_fault: &CallFault, context: &CellContext, world: &mut World) {
    let vendor = call_fault.vendor;
    call_fault.begin(world);
    let began = Instant::now();
    let delivery = deliver(world, "INC-1", vendor).await;
    context.recovered(began.elapsed(), call_fault.time_limit());
    assert_eq!(simulator(world, vendor).tickets().len(), 1, "so many tickets: {delivery:#?}");
    let outcomes = outcomes(&delivery);
    let (last, before) = outcomes.split_last().unwrap();
    assert_eq!(*last, (AttemptKind::Send, AttemptOutcome::Applied), "{delivery:#?}");
    let refused = (AttemptKind::Send, AttemptOutcome::Failed);
    assert!(before.iter().all(|attempt| *attempt == refused), "nothing was sent before: {delivery:#?}");
    assert_eq!(creates(simulator(world, vendor)), 1, "so many creates: {delivery:#?}");
}
