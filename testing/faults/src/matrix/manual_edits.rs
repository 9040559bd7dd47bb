//! Manual changes: of a ticket in its system, and of a delivery of unknown outcome by an operator.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, AttemptKind, AttemptOutcome, DeliveryState, TicketEventKind};
use ticketing_failpoints::Point;
use ticketing_simulator::{Call, Effect, When};
use tonic::Code;

use super::cell::{Cell, Stage};
use super::scene::{Bounds, Scene, Site, attempts, key};

const FAMILY: &str = "manual edits";

/// Early duplicate scans, in ms.
const SOON: [u64; 3] = [100, 200, 400];

pub(super) fn cells() -> Vec<Cell> {
    let everywhere = [
        on_every_site("cloned during reconciliation", cloned_during_reconciliation),
        on_every_site("cloned after the delivery", cloned_afterwards),
        on_every_site("marker removed after the delivery", marker_removed_afterwards),
        on_every_site("marker removed during reconciliation", marker_removed_during_reconciliation),
        on_every_site("deleted after the delivery", deleted_afterwards),
        on_every_site("deleted during reconciliation", deleted_during_reconciliation),
        on_every_site("resolved while a look-up asks, as the ticket it finds", resolved_as_found),
        on_every_site("resolved while a look-up asks, as another ticket", resolved_as_another),
        on_every_site("resolved while a look-up finds nothing", resolved_while_nothing_is_found),
        on_every_site("cancelled while a look-up finds the ticket", cancelled_while_found),
        on_every_site(
            "cancelled while a look-up finds nothing, then retried",
            cancelled_while_nothing_is_found,
        ),
        on_every_site("retried while a look-up asks", retried_while_asked),
        on_every_site("created anyway while a look-up asks", created_anyway_while_asked),
        on_every_site("created anyway where there is no ticket", created_anyway_rightly),
        on_every_site("created anyway where there is a ticket", created_anyway_wrongly),
        on_every_site(
            "cancelled, then created anyway, while a look-up finds the ticket",
            cancelled_then_created_anyway,
        ),
    ];
    everywhere.into_iter().flatten().chain(Site::ALL.map(moved_at)).collect()
}

fn on_every_site<F>(fault: &'static str, play: fn(Stage, Site) -> F) -> Vec<Cell>
where
    F: Future<Output = ()> + Send + 'static,
{
    let on = |site: Site| Cell::new(FAMILY, fault, site.name(), move |stage| play(stage, site));
    Site::ALL.map(on).into()
}

fn moved_at(site: Site) -> Cell {
    if site.is_jira() {
        return Cell::new(FAMILY, "moved during reconciliation", site.name(), move |stage| {
            moved(stage, site)
        });
    }
    let why = "a record of ServiceNow stays in its table under its sys_id";
    Cell::does_not_apply(FAMILY, "moved during reconciliation", site.name(), why)
}

/// A delivery of unknown outcome whose look-ups fail until [`see`] is called, so that the manual change comes
/// first.
async fn blind(stage: &Stage, site: Site, applied: bool) -> (Scene, v1::Delivery) {
    let mut scene = Scene::start(stage, site, Bounds::default().with_duplicate_scans(SOON)).await;
    scene.refuse_look_ups();
    let id = scene.make_outcome_unknown("INC-1", applied).await;
    let delivery = scene.world.until(&id, DeliveryState::Reconciling).await;
    (scene, delivery)
}

fn see(scene: &Scene) {
    scene.simulator().faults().clear();
}

/// A delivery of unknown outcome whose look-up has its reply and is held before the result is recorded.
async fn looked_up(stage: &Stage, site: Site, applied: bool) -> (Scene, v1::Delivery) {
    looked_up_and_scanned(stage, site, applied, SOON).await
}

/// The same with other duplicate scans.
async fn looked_up_and_scanned(
    stage: &Stage,
    site: Site,
    applied: bool,
    duplicate_scans: [u64; 3],
) -> (Scene, v1::Delivery) {
    let bounds = Bounds::default().with_duplicate_scans(duplicate_scans).with_attempt_deadline(600);
    let mut scene = Scene::start_in_a_process(stage, site, bounds).await;
    scene.world.server.arm(Point::LookedUp);
    let id = scene.make_outcome_unknown("INC-1", applied).await;
    scene.world.server.until_held(Point::LookedUp).await;
    let delivery = scene.world.delivery(&id).await;
    assert_eq!(delivery.state(), DeliveryState::Reconciling, "{delivery:#?}");
    (scene, delivery)
}

/// Releases the held look-up, and waits until its result is recorded.
async fn let_it_be_recorded(scene: &mut Scene, id: &str) -> v1::Delivery {
    let look_ups = |delivery: &v1::Delivery| {
        delivery.attempts.iter().filter(|attempt| attempt.kind() == AttemptKind::LookUp).count()
    };
    let before = look_ups(&scene.world.delivery(id).await);
    scene.world.server.release();
    scene.until(id, "the look-up that was held", |delivery| look_ups(delivery) > before).await
}

/// Of two tickets with the marker the older one is the delivery's, and the other is reported as a duplicate.
async fn cloned_during_reconciliation(stage: Stage, site: Site) {
    let (scene, delivery) = blind(&stage, site, true).await;
    let original = scene.bearing(&delivery.marker).remove(0).key;
    let clone = scene.simulator().clone_ticket(&original).unwrap();
    see(&scene);
    told_of(scene, &delivery.id, &original, &clone).await;
}

async fn cloned_afterwards(stage: Stage, site: Site) {
    let (mut scene, delivery) = blind(&stage, site, true).await;
    see(&scene);
    let original = key(&scene.until_delivered_once(&delivery.id).await);
    let clone = scene.simulator().clone_ticket(&original).unwrap();
    told_of(scene, &delivery.id, &original, &clone).await;
}

async fn told_of(mut scene: Scene, id: &str, original: &str, clone: &str) {
    scene.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    let delivery = scene.world.until(id, DeliveryState::Delivered).await;
    let others: Vec<_> = delivery.duplicates.iter().map(|ticket| ticket.key.as_str()).collect();
    assert_eq!((key(&delivery).as_str(), others.as_slice()), (original, &[clone][..]), "{delivery:#?}");
    assert_eq!(scene.sent(&delivery), 1);
    scene.world.finish().await;
}

/// The delivery stays delivered: neither a duplicate scan nor a second push creates another ticket.
async fn marker_removed_afterwards(stage: Stage, site: Site) {
    let (mut scene, delivery) = blind(&stage, site, true).await;
    see(&scene);
    let delivered = scene.until_delivered_once(&delivery.id).await;
    scene.remove_marker(&key(&delivered), &delivered.marker);
    stays_delivered(&mut scene, &delivered).await;
    // Without markers the general checks of `finish` do not apply.
    scene.world.close().await;
}

async fn deleted_afterwards(stage: Stage, site: Site) {
    let (mut scene, delivery) = blind(&stage, site, true).await;
    see(&scene);
    let delivered = scene.until_delivered_once(&delivery.id).await;
    assert!(scene.simulator().delete_ticket(&key(&delivered)));
    stays_delivered(&mut scene, &delivered).await;
    scene.world.finish().await;
}

async fn stays_delivered(scene: &mut Scene, delivered: &v1::Delivery) {
    let swept = |delivery: &v1::Delivery| {
        delivery.attempts.iter().filter(|attempt| attempt.kind() == AttemptKind::DuplicateScan).count() == 3
    };
    scene.until(&delivered.id, "the last sweep", swept).await;
    let again = scene.push("INC-1").await;
    assert!(again.already_existed, "{again:#?}");
    assert_eq!(again.delivery.unwrap().ticket, delivered.ticket);
    assert_eq!(scene.creates(), 1);
}

/// A ticket that loses its marker before it is recorded cannot be found, so another is created. Only
/// ServiceNow with our `sys_id` still identifies it.
async fn marker_removed_during_reconciliation(stage: Stage, site: Site) {
    let (mut scene, delivery) = blind(&stage, site, true).await;
    let ticket = scene.bearing(&delivery.marker).remove(0).key;
    scene.remove_marker(&ticket, &delivery.marker);
    see(&scene);
    let delivered = scene.until_delivered_once(&delivery.id).await;
    let made = if site == Site::ServiceNow { 1 } else { 2 };
    assert_eq!((scene.creates(), scene.simulator().tickets().len()), (made, made), "{delivered:#?}");
    assert_eq!(key(&delivered) == ticket, site == Site::ServiceNow);
    scene.world.close().await;
}

/// A ticket that is deleted before it is recorded is created again, once.
async fn deleted_during_reconciliation(stage: Stage, site: Site) {
    let (mut scene, delivery) = blind(&stage, site, true).await;
    let ticket = scene.bearing(&delivery.marker).remove(0).key;
    assert!(scene.simulator().delete_ticket(&ticket));
    see(&scene);
    let delivered = scene.until_delivered_once(&delivery.id).await;
    assert_eq!(scene.sent(&delivered), 2);
    scene.world.close().await;
}

/// A ticket that was moved to another project is still found.
async fn moved(stage: Stage, site: Site) {
    let (mut scene, delivery) = blind(&stage, site, true).await;
    let ticket = scene.bearing(&delivery.marker).remove(0).key;
    assert!(scene.simulator().move_ticket(&ticket, "OPS-77"));
    see(&scene);
    let delivered = scene.until_delivered_once(&delivery.id).await;
    assert_eq!((key(&delivered).as_str(), scene.creates()), ("OPS-77", 1));
    scene.world.finish().await;
}

/// An operator and a look-up name the same ticket: one ticket, one event.
async fn resolved_as_found(stage: Stage, site: Site) {
    let (mut scene, delivery) = looked_up(&stage, site, true).await;
    let ticket = scene.bearing(&delivery.marker).remove(0).key;
    let resolved = scene.resolve(&delivery.id, &ticket).await.unwrap();
    assert_eq!(resolved.state(), DeliveryState::Delivered, "{resolved:#?}");
    let_it_be_recorded(&mut scene, &delivery.id).await;
    let swept =
        |delivery: &v1::Delivery| attempts(delivery, AttemptKind::DuplicateScan, AttemptOutcome::Found) == 3;
    scene.until(&delivery.id, "the last sweep", swept).await;
    scene.until_delivered_once(&delivery.id).await;
    assert_eq!(scene.creates(), 1);
    scene.world.finish().await;
}

/// An operator names another ticket, which is recorded; a duplicate scan reports the one with the marker.
async fn resolved_as_another(stage: Stage, site: Site) {
    let (mut scene, delivery) = looked_up(&stage, site, true).await;
    let by_hand = scene.simulator().add_foreign_ticket(serde_json::Map::new());
    scene.resolve(&delivery.id, &by_hand).await.unwrap();
    let_it_be_recorded(&mut scene, &delivery.id).await;
    scene.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    let delivered = scene.world.delivery(&delivery.id).await;
    let ours = scene.bearing(&delivery.marker).remove(0).key;
    let others: Vec<_> = delivered.duplicates.iter().map(|ticket| ticket.key.clone()).collect();
    assert_eq!((key(&delivered), others), (by_hand, vec![ours]), "{delivered:#?}");
    assert_eq!(scene.creates(), 1);
    scene.world.finish().await;
}

async fn resolved_while_nothing_is_found(stage: Stage, site: Site) {
    let (mut scene, delivery) = looked_up(&stage, site, false).await;
    let by_hand = scene.simulator().add_foreign_ticket(serde_json::Map::new());
    scene.resolve(&delivery.id, &by_hand).await.unwrap();
    let delivered = let_it_be_recorded(&mut scene, &delivery.id).await;
    assert_eq!((delivered.state(), key(&delivered)), (DeliveryState::Delivered, by_hand), "{delivered:#?}");
    // A resolved delivery is not sent again, and can be neither cancelled nor retried.
    scene.world.wait(Duration::from_millis(300)).await;
    assert_eq!(scene.cancel(&delivery.id).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(scene.retry(&delivery.id, true).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(scene.creates(), 1);
    scene.world.finish().await;
}

/// A ticket that the look-up found is recorded, although an operator cancelled the delivery.
async fn cancelled_while_found(stage: Stage, site: Site) {
    let (mut scene, delivery) = looked_up(&stage, site, true).await;
    assert_eq!(scene.cancel(&delivery.id).await.unwrap().state(), DeliveryState::Cancelled);
    let_it_be_recorded(&mut scene, &delivery.id).await;
    scene.until_delivered_once(&delivery.id).await;
    assert_eq!(scene.creates(), 1);
    scene.world.finish().await;
}

/// A cancelled delivery stays cancelled. Retried, it is looked up before it is sent.
async fn cancelled_while_nothing_is_found(stage: Stage, site: Site) {
    let (mut scene, delivery) = looked_up(&stage, site, false).await;
    scene.cancel(&delivery.id).await.unwrap();
    let cancelled = let_it_be_recorded(&mut scene, &delivery.id).await;
    assert_eq!((cancelled.state(), scene.creates()), (DeliveryState::Cancelled, 1), "{cancelled:#?}");
    scene.retry(&delivery.id, false).await.unwrap();
    let delivered = scene.until_delivered_once(&delivery.id).await;
    assert!(attempts(&delivered, AttemptKind::LookUp, AttemptOutcome::Absent) > 0, "{delivered:#?}");
    assert_eq!(scene.sent(&delivered), 2);
    scene.world.finish().await;
}

async fn retried_while_asked(stage: Stage, site: Site) {
    let (mut scene, delivery) = looked_up(&stage, site, true).await;
    scene.world.client = scene.world.client.clone().with_deadline(Duration::from_millis(500));
    // The call waits for the look-up until its deadline.
    let _late = scene.retry(&delivery.id, false).await;
    scene.world.client = scene.world.server.client().await;
    let_it_be_recorded(&mut scene, &delivery.id).await;
    scene.until_delivered_once(&delivery.id).await;
    assert_eq!(scene.creates(), 1);
    scene.world.finish().await;
}

/// `create_anyway` is refused while a look-up is in flight.
async fn created_anyway_while_asked(stage: Stage, site: Site) {
    let (mut scene, delivery) = looked_up(&stage, site, true).await;
    let refused = scene.retry(&delivery.id, true).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    let_it_be_recorded(&mut scene, &delivery.id).await;
    scene.until_delivered_once(&delivery.id).await;
    assert_eq!(scene.creates(), 1);
    scene.world.finish().await;
}

/// An unknown outcome that no look-up can end, and an operator who overrides it with `create_anyway`.
async fn undecided(stage: &Stage, site: Site, applied: bool) -> (Scene, v1::Delivery) {
    let (mut scene, delivery) = blind(stage, site, applied).await;
    created_anyway(&mut scene, &delivery.id).await;
    see(&scene);
    (scene, delivery)
}

/// Retries with `create_anyway` until no look-up is in flight.
async fn created_anyway(scene: &mut Scene, id: &str) {
    let asked = async {
        while let Err(status) = scene.retry(id, true).await {
            assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(ticketing_harness::PATIENCE, asked).await.expect("a look-up is always under way");
}

async fn created_anyway_rightly(stage: Stage, site: Site) {
    let (mut scene, delivery) = undecided(&stage, site, false).await;
    let delivered = scene.until_delivered_once(&delivery.id).await;
    assert_eq!(scene.sent(&delivered), 2);
    scene.world.finish().await;
}

/// The operator's `create_anyway` makes a second ticket, except on ServiceNow with our `sys_id`. A duplicate
/// scan reports it, and the delivery keeps the older one.
async fn created_anyway_wrongly(stage: Stage, site: Site) {
    let (mut scene, delivery) = undecided(&stage, site, true).await;
    if site == Site::ServiceNow {
        scene.until_delivered_once(&delivery.id).await;
        return scene.world.finish().await;
    }
    two_by_an_operators_word(scene, &delivery).await;
}

/// The held look-up finds the first ticket while the second is created.
async fn cancelled_then_created_anyway(stage: Stage, site: Site) {
    // No early duplicate scan: while the delivery is cancelled it would find the first ticket, and no second
    // one would be created.
    let (mut scene, delivery) = looked_up_and_scanned(&stage, site, true, [2_500, 3_000, 3_500]).await;
    scene.cancel(&delivery.id).await.unwrap();
    scene.inject(Call::Create, When::Next(1), Effect::Delay(Duration::from_millis(200)));
    let mut client = scene.world.client.clone();
    let request = v1::RetryDeliveryRequest { delivery_id: delivery.id.clone(), create_anyway: true };
    let retried = tokio::spawn(async move { client.retry_delivery(request).await });
    scene.until_creates(2).await;
    let_it_be_recorded(&mut scene, &delivery.id).await;
    drop(retried.await.unwrap());
    if site == Site::ServiceNow {
        scene.until_delivered_once(&delivery.id).await;
        return scene.world.finish().await;
    }
    two_by_an_operators_word(scene, &delivery).await;
}

async fn two_by_an_operators_word(mut scene: Scene, delivery: &v1::Delivery) {
    scene.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    let tickets = scene.bearing(&delivery.marker);
    let keys: Vec<_> = tickets.iter().map(|ticket| ticket.key.as_str()).collect();
    let is_told = |delivery: &v1::Delivery| key(delivery) == keys[0] && delivery.duplicates.len() == 1;
    scene.until(&delivery.id, "the older one as the reference", is_told).await;
    assert_eq!((keys.len(), scene.creates()), (2, 2));
    // The operator resolves the reported duplicate.
    scene.remove_marker(keys[1], &delivery.marker);
    scene.world.finish().await;
}
