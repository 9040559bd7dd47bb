//! What is answered before the create is sent: nothing of it can make a ticket, so the create is sent once.

use rhythmx_ticketing::v1::{AttemptKind, AttemptOutcome};
use ticketing_harness::creates;
use ticketing_simulator::{Call, Effect, Vendor};
use tokio::time::Instant;

use super::{deliver, limit, plan, simulator, strike, told};
use crate::matrix::cell::Stage;

/// The reads before the create are struck `times` in a row.
pub(in crate::matrix) async fn on_prepare(stage: Stage, vendor: Vendor, effect: Effect, times: u64) {
    let mut world = plan(&stage, vendor).start().await;
    strike(&world, vendor, Call::Meta, times, effect);
    let began = Instant::now();
    let delivery = deliver(&mut world, "INC-1", vendor).await;
    stage.recovered(began.elapsed(), limit(times));
    let told = told(&delivery);
    let (last, before) = told.split_last().unwrap();
    assert_eq!(*last, (AttemptKind::Create, AttemptOutcome::Created), "{delivery:#?}");
    let refused = (AttemptKind::Create, AttemptOutcome::Failed);
    assert!(before.iter().all(|attempt| *attempt == refused), "nothing was sent before: {delivery:#?}");
    assert_eq!(creates(simulator(&world, vendor)), 1, "so many creates: {delivery:#?}");
    assert_eq!(simulator(&world, vendor).tickets().len(), 1, "so many tickets: {delivery:#?}");
    world.finish().await;
}
