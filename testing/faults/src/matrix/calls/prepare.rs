//! What is answered before the create is sent: nothing of it can make a ticket, so the create is sent once.

use rhythmx_ticketing::v1::{AttemptKind, AttemptOutcome};
use ticketing_harness::{World, creates};
use tokio::time::Instant;

use super::{Storm, deliver, simulator, told};
use crate::matrix::cell::Stage;

pub(super) async fn pass(storm: &Storm, stage: &Stage, world: &mut World) {
    let vendor = storm.vendor;
    storm.begin(world);
    let began = Instant::now();
    let delivery = deliver(world, "INC-1", vendor).await;
    stage.recovered(began.elapsed(), storm.limit());
    assert_eq!(simulator(world, vendor).tickets().len(), 1, "so many tickets: {delivery:#?}");
    let told = told(&delivery);
    let (last, before) = told.split_last().unwrap();
    assert_eq!(*last, (AttemptKind::Send, AttemptOutcome::Applied), "{delivery:#?}");
    let refused = (AttemptKind::Send, AttemptOutcome::Failed);
    assert!(before.iter().all(|attempt| *attempt == refused), "nothing was sent before: {delivery:#?}");
    assert_eq!(creates(simulator(world, vendor)), 1, "so many creates: {delivery:#?}");
}
