//! Manual changes: of a ticket in its system, and of a delivery of unknown outcome by an operator.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, AttemptKind, AttemptOutcome, DeliveryState, TicketEventKind};
use ticketing_failpoints::Point;
use ticketing_simulator::{Call, Effect, When};
use tonic::Code;

use super::cell::{Cell, CellContext};
use super::site_fixture::{Bounds, Site, SiteFixture, attempts, key};

const FAMILY: &str = "manual edits";

/// Early duplicate scans, in ms.
const EARLY_SCANS: [u64; 3] = [100, 200, 400];

pub(super) fn cells() -> Vec<Cell> {
    let cells = [
        cells_for_every_site("cloned during reconciliation", cloned_during_reconciliation),
        cells_for_every_site("cloned after the delivery", cloned_after_delivery),
        cells_for_every_site("marker removed after the delivery", marker_removed_after_delivery),
        cells_for_every_site("marker removed during reconciliation", marker_removed_during_reconciliation),
        cells_for_every_site("deleted after the delivery", deleted_after_delivery),
        cells_for_every_site("deleted during reconciliation", deleted_during_reconciliation),
        cells_for_every_site(
            "resolved while a look-up is in flight, as the ticket it finds",
            resolved_as_found,
        ),
        cells_for_every_site("resolved while a look-up is in flight, as another ticket", resolved_as_another),
        cells_for_every_site("resolved while a look-up finds nothing", resolved_while_nothing_is_found),
        cells_for_every_site("cancelled while a look-up finds the ticket", cancelled_while_found),
        cells_for_every_site(
            "cancelled while a look-up finds nothing, then retried",
            cancelled_while_nothing_is_found,
        ),
        cells_for_every_site("retried while a look-up is in flight", retried_during_look_up),
        cells_for_every_site("created anyway while a look-up is in flight", create_anyway_during_look_up),
        cells_for_every_site("created anyway where there is no ticket", create_anyway_without_ticket),
        cells_for_every_site("created anyway where there is a ticket", create_anyway_with_ticket),
        cells_for_every_site(
            "cancelled, then created anyway, while a look-up finds the ticket",
            cancelled_then_create_anyway,
        ),
    ];
    cells.into_iter().flatten().chain(Site::ALL.map(moved_cell)).collect()
}

fn cells_for_every_site<F>(fault: &'static str, run: fn(CellContext, Site) -> F) -> Vec<Cell>
where
    F: Future<Output = ()> + Send + 'static,
{
    let on = |site: Site| Cell::new(FAMILY, fault, site.name(), move |context| run(context, site));
    Site::ALL.map(on).into()
}

fn moved_cell(site: Site) -> Cell {
    if site.is_jira() {
        return Cell::new(FAMILY, "moved during reconciliation", site.name(), move |context| {
            moved(context, site)
        });
    }
    let why = "a record of ServiceNow stays in its table under its sys_id";
    Cell::does_not_apply(FAMILY, "moved during reconciliation", site.name(), why)
}

/// A delivery of unknown outcome whose look-ups fail until [`restore_look_ups`] is called, so that the manual change comes
/// first.
async fn with_failing_look_ups(
    context: &CellContext,
    site: Site,
    applied: bool,
) -> (SiteFixture, v1::Delivery) {
    let mut fixture =
        SiteFixture::start(context, site, Bounds::default().with_duplicate_scans(EARLY_SCANS)).await;
    fixture.refuse_look_ups();
    let id = fixture.make_outcome_unknown("INC-1", applied).await;
    let delivery = fixture.world.until(&id, DeliveryState::Reconciling).await;
    (fixture, delivery)
}

fn restore_look_ups(fixture: &SiteFixture) {
    fixture.simulator().faults().clear();
}

/// A delivery of unknown outcome whose look-up has its reply and is held before the result is recorded.
async fn with_held_look_up(context: &CellContext, site: Site, applied: bool) -> (SiteFixture, v1::Delivery) {
    with_held_look_up_and_scans(context, site, applied, EARLY_SCANS).await
}

/// The same with other duplicate scans.
async fn with_held_look_up_and_scans(
    context: &CellContext,
    site: Site,
    applied: bool,
    duplicate_scans: [u64; 3],
) -> (SiteFixture, v1::Delivery) {
    let bounds = Bounds::default().with_duplicate_scans(duplicate_scans).with_attempt_deadline(600);
    let mut fixture = SiteFixture::start_in_a_process(context, site, bounds).await;
    fixture.world.server.arm(Point::LookedUp);
    let id = fixture.make_outcome_unknown("INC-1", applied).await;
    fixture.world.server.until_held(Point::LookedUp).await;
    let delivery = fixture.world.delivery(&id).await;
    assert_eq!(delivery.state(), DeliveryState::Reconciling, "{delivery:#?}");
    (fixture, delivery)
}

/// Releases the held look-up, and waits until its result is recorded.
async fn record_held_look_up(fixture: &mut SiteFixture, id: &str) -> v1::Delivery {
    let look_ups = |delivery: &v1::Delivery| {
        delivery.attempts.iter().filter(|attempt| attempt.kind() == AttemptKind::LookUp).count()
    };
    let before = look_ups(&fixture.world.delivery(id).await);
    fixture.world.server.release();
    fixture.until(id, "the look-up that was held", |delivery| look_ups(delivery) > before).await
}

/// Of two tickets with the marker the older one is the delivery's, and the other is reported as a duplicate.
async fn cloned_during_reconciliation(context: CellContext, site: Site) {
    let (fixture, delivery) = with_failing_look_ups(&context, site, true).await;
    let original = fixture.with_marker(&delivery.marker).remove(0).key;
    let clone = fixture.simulator().clone_ticket(&original).unwrap();
    restore_look_ups(&fixture);
    check_duplicate_reported(fixture, &delivery.id, &original, &clone).await;
}

async fn cloned_after_delivery(context: CellContext, site: Site) {
    let (mut fixture, delivery) = with_failing_look_ups(&context, site, true).await;
    restore_look_ups(&fixture);
    let original = key(&fixture.until_delivered_once(&delivery.id).await);
    let clone = fixture.simulator().clone_ticket(&original).unwrap();
    check_duplicate_reported(fixture, &delivery.id, &original, &clone).await;
}

async fn check_duplicate_reported(mut fixture: SiteFixture, id: &str, original: &str, clone: &str) {
    fixture.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    let delivery = fixture.world.until(id, DeliveryState::Delivered).await;
    let others: Vec<_> = delivery.duplicates.iter().map(|ticket| ticket.key.as_str()).collect();
    assert_eq!((key(&delivery).as_str(), others.as_slice()), (original, &[clone][..]), "{delivery:#?}");
    assert_eq!(fixture.sent(&delivery), 1);
    fixture.world.finish().await;
}

/// The delivery stays delivered: neither a duplicate scan nor a second push creates another ticket.
async fn marker_removed_after_delivery(context: CellContext, site: Site) {
    let (mut fixture, delivery) = with_failing_look_ups(&context, site, true).await;
    restore_look_ups(&fixture);
    let delivered = fixture.until_delivered_once(&delivery.id).await;
    fixture.remove_marker(&key(&delivered), &delivered.marker);
    stays_delivered(&mut fixture, &delivered).await;
    // Without markers the general checks of `finish` do not apply.
    fixture.world.close().await;
}

async fn deleted_after_delivery(context: CellContext, site: Site) {
    let (mut fixture, delivery) = with_failing_look_ups(&context, site, true).await;
    restore_look_ups(&fixture);
    let delivered = fixture.until_delivered_once(&delivery.id).await;
    assert!(fixture.simulator().delete_ticket(&key(&delivered)));
    stays_delivered(&mut fixture, &delivered).await;
    fixture.world.finish().await;
}

async fn stays_delivered(fixture: &mut SiteFixture, delivered: &v1::Delivery) {
    let scanned = |delivery: &v1::Delivery| {
        delivery.attempts.iter().filter(|attempt| attempt.kind() == AttemptKind::DuplicateScan).count() == 3
    };
    fixture.until(&delivered.id, "the last duplicate scan", scanned).await;
    let again = fixture.push("INC-1").await;
    assert!(again.already_existed, "{again:#?}");
    assert_eq!(again.delivery.unwrap().ticket, delivered.ticket);
    assert_eq!(fixture.creates(), 1);
}

/// A ticket that loses its marker before it is recorded cannot be found, so another is created. Only
/// ServiceNow with our `sys_id` still identifies it.
async fn marker_removed_during_reconciliation(context: CellContext, site: Site) {
    let (mut fixture, delivery) = with_failing_look_ups(&context, site, true).await;
    let ticket = fixture.with_marker(&delivery.marker).remove(0).key;
    fixture.remove_marker(&ticket, &delivery.marker);
    restore_look_ups(&fixture);
    let delivered = fixture.until_delivered_once(&delivery.id).await;
    let made = if site == Site::ServiceNow { 1 } else { 2 };
    assert_eq!((fixture.creates(), fixture.simulator().tickets().len()), (made, made), "{delivered:#?}");
    assert_eq!(key(&delivered) == ticket, site == Site::ServiceNow);
    fixture.world.close().await;
}

/// A ticket that is deleted before it is recorded is created again, once.
async fn deleted_during_reconciliation(context: CellContext, site: Site) {
    let (mut fixture, delivery) = with_failing_look_ups(&context, site, true).await;
    let ticket = fixture.with_marker(&delivery.marker).remove(0).key;
    assert!(fixture.simulator().delete_ticket(&ticket));
    restore_look_ups(&fixture);
    let delivered = fixture.until_delivered_once(&delivery.id).await;
    assert_eq!(fixture.sent(&delivered), 2);
    fixture.world.close().await;
}

/// A ticket that was moved to another project is still found.
async fn moved(context: CellContext, site: Site) {
    let (mut fixture, delivery) = with_failing_look_ups(&context, site, true).await;
    let ticket = fixture.with_marker(&delivery.marker).remove(0).key;
    assert!(fixture.simulator().move_ticket(&ticket, "OPS-77"));
    restore_look_ups(&fixture);
    let delivered = fixture.until_delivered_once(&delivery.id).await;
    assert_eq!((key(&delivered).as_str(), fixture.creates()), ("OPS-77", 1));
    fixture.world.finish().await;
}

/// An operator and a look-up name the same ticket: one ticket, one event.
async fn resolved_as_found(context: CellContext, site: Site) {
    let (mut fixture, delivery) = with_held_look_up(&context, site, true).await;
    let ticket = fixture.with_marker(&delivery.marker).remove(0).key;
    let resolved = fixture.resolve(&delivery.id, &ticket).await.unwrap();
    assert_eq!(resolved.state(), DeliveryState::Delivered, "{resolved:#?}");
    record_held_look_up(&mut fixture, &delivery.id).await;
    let scanned =
        |delivery: &v1::Delivery| attempts(delivery, AttemptKind::DuplicateScan, AttemptOutcome::Found) == 3;
    fixture.until(&delivery.id, "the last duplicate scan", scanned).await;
    fixture.until_delivered_once(&delivery.id).await;
    assert_eq!(fixture.creates(), 1);
    fixture.world.finish().await;
}

/// An operator names another ticket, which is recorded; a duplicate scan reports the one with the marker.
async fn resolved_as_another(context: CellContext, site: Site) {
    let (mut fixture, delivery) = with_held_look_up(&context, site, true).await;
    let named_ticket = fixture.simulator().add_foreign_ticket(serde_json::Map::new());
    fixture.resolve(&delivery.id, &named_ticket).await.unwrap();
    record_held_look_up(&mut fixture, &delivery.id).await;
    fixture.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    let delivered = fixture.world.delivery(&delivery.id).await;
    let ours = fixture.with_marker(&delivery.marker).remove(0).key;
    let others: Vec<_> = delivered.duplicates.iter().map(|ticket| ticket.key.clone()).collect();
    assert_eq!((key(&delivered), others), (named_ticket, vec![ours]), "{delivered:#?}");
    assert_eq!(fixture.creates(), 1);
    fixture.world.finish().await;
}

async fn resolved_while_nothing_is_found(context: CellContext, site: Site) {
    let (mut fixture, delivery) = with_held_look_up(&context, site, false).await;
    let named_ticket = fixture.simulator().add_foreign_ticket(serde_json::Map::new());
    fixture.resolve(&delivery.id, &named_ticket).await.unwrap();
    let delivered = record_held_look_up(&mut fixture, &delivery.id).await;
    assert_eq!(
        (delivered.state(), key(&delivered)),
        (DeliveryState::Delivered, named_ticket),
        "{delivered:#?}"
    );
    // A resolved delivery is not sent again, and can be neither cancelled nor retried.
    fixture.world.wait(Duration::from_millis(300)).await;
    assert_eq!(fixture.cancel(&delivery.id).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(fixture.retry(&delivery.id, true).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(fixture.creates(), 1);
    fixture.world.finish().await;
}

/// A ticket that the look-up found is recorded, although an operator cancelled the delivery.
async fn cancelled_while_found(context: CellContext, site: Site) {
    let (mut fixture, delivery) = with_held_look_up(&context, site, true).await;
    assert_eq!(fixture.cancel(&delivery.id).await.unwrap().state(), DeliveryState::Cancelled);
    record_held_look_up(&mut fixture, &delivery.id).await;
    fixture.until_delivered_once(&delivery.id).await;
    assert_eq!(fixture.creates(), 1);
    fixture.world.finish().await;
}

/// A cancelled delivery stays cancelled. Retried, it is looked up before it is sent.
async fn cancelled_while_nothing_is_found(context: CellContext, site: Site) {
    let (mut fixture, delivery) = with_held_look_up(&context, site, false).await;
    fixture.cancel(&delivery.id).await.unwrap();
    let cancelled = record_held_look_up(&mut fixture, &delivery.id).await;
    assert_eq!((cancelled.state(), fixture.creates()), (DeliveryState::Cancelled, 1), "{cancelled:#?}");
    fixture.retry(&delivery.id, false).await.unwrap();
    let delivered = fixture.until_delivered_once(&delivery.id).await;
    assert!(attempts(&delivered, AttemptKind::LookUp, AttemptOutcome::Absent) > 0, "{delivered:#?}");
    assert_eq!(fixture.sent(&delivered), 2);
    fixture.world.finish().await;
}

async fn retried_during_look_up(context: CellContext, site: Site) {
    let (mut fixture, delivery) = with_held_look_up(&context, site, true).await;
    fixture.world.client = fixture.world.client.clone().with_deadline(Duration::from_millis(500));
    // The call waits for the look-up until its deadline.
    let _late = fixture.retry(&delivery.id, false).await;
    fixture.world.client = fixture.world.server.client().await;
    record_held_look_up(&mut fixture, &delivery.id).await;
    fixture.until_delivered_once(&delivery.id).await;
    assert_eq!(fixture.creates(), 1);
    fixture.world.finish().await;
}

/// `create_anyway` is refused while a look-up is in flight.
async fn create_anyway_during_look_up(context: CellContext, site: Site) {
    let (mut fixture, delivery) = with_held_look_up(&context, site, true).await;
    let refused = fixture.retry(&delivery.id, true).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    record_held_look_up(&mut fixture, &delivery.id).await;
    fixture.until_delivered_once(&delivery.id).await;
    assert_eq!(fixture.creates(), 1);
    fixture.world.finish().await;
}

/// An unknown outcome that no look-up can end, and an operator who overrides it with `create_anyway`.
async fn with_overridden_outcome(
    context: &CellContext,
    site: Site,
    applied: bool,
) -> (SiteFixture, v1::Delivery) {
    let (mut fixture, delivery) = with_failing_look_ups(context, site, applied).await;
    create_anyway(&mut fixture, &delivery.id).await;
    restore_look_ups(&fixture);
    (fixture, delivery)
}

/// Retries with `create_anyway` until no look-up is in flight.
async fn create_anyway(fixture: &mut SiteFixture, id: &str) {
    let asked = async {
        while let Err(status) = fixture.retry(id, true).await {
            assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(ticketing_harness::WAIT_TIMEOUT, asked)
        .await
        .expect("a look-up is always under way");
}

async fn create_anyway_without_ticket(context: CellContext, site: Site) {
    let (mut fixture, delivery) = with_overridden_outcome(&context, site, false).await;
    let delivered = fixture.until_delivered_once(&delivery.id).await;
    assert_eq!(fixture.sent(&delivered), 2);
    fixture.world.finish().await;
}

/// The operator's `create_anyway` makes a second ticket, except on ServiceNow with our `sys_id`. A duplicate
/// scan reports it, and the delivery keeps the older one.
async fn create_anyway_with_ticket(context: CellContext, site: Site) {
    let (mut fixture, delivery) = with_overridden_outcome(&context, site, true).await;
    if site == Site::ServiceNow {
        fixture.until_delivered_once(&delivery.id).await;
        return fixture.world.finish().await;
    }
    check_second_ticket_reported(fixture, &delivery).await;
}

/// The held look-up finds the first ticket while the second is created.
async fn cancelled_then_create_anyway(context: CellContext, site: Site) {
    // No early duplicate scan: while the delivery is cancelled it would find the first ticket, and no second
    // one would be created.
    let (mut fixture, delivery) =
        with_held_look_up_and_scans(&context, site, true, [2_500, 3_000, 3_500]).await;
    fixture.cancel(&delivery.id).await.unwrap();
    fixture.inject(Call::Create, When::Next(1), Effect::Delay(Duration::from_millis(200)));
    let mut client = fixture.world.client.clone();
    let request = v1::RetryDeliveryRequest { delivery_id: delivery.id.clone(), create_anyway: true };
    let retried = tokio::spawn(async move { client.retry_delivery(request).await });
    fixture.until_creates(2).await;
    record_held_look_up(&mut fixture, &delivery.id).await;
    drop(retried.await.unwrap());
    if site == Site::ServiceNow {
        fixture.until_delivered_once(&delivery.id).await;
        return fixture.world.finish().await;
    }
    check_second_ticket_reported(fixture, &delivery).await;
}

async fn check_second_ticket_reported(mut fixture: SiteFixture, delivery: &v1::Delivery) {
    fixture.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    let tickets = fixture.with_marker(&delivery.marker);
    let keys: Vec<_> = tickets.iter().map(|ticket| ticket.key.as_str()).collect();
    let is_reported = |delivery: &v1::Delivery| key(delivery) == keys[0] && delivery.duplicates.len() == 1;
    fixture.until(&delivery.id, "the older one as the reference", is_reported).await;
    assert_eq!((keys.len(), fixture.creates()), (2, 2));
    // The operator resolves the reported duplicate.
    fixture.remove_marker(keys[1], &delivery.marker);
    fixture.world.finish().await;
}
