//! ResolveDelivery for deliveries of unknown outcome: with the right ticket, a wrong one, or while the system
//! is unavailable.

use rhythmx_ticketing::v1::{self, DeliveryState, TicketEventKind};
use ticketing_failpoints::Point;
use ticketing_harness::{Plan, refusal};
use ticketing_simulator::Ticket;
use tonic::Code;

use super::cell::{Cell, Stage};
use super::scene::{Bounds, Scene, Site, key};

const FAMILY: &str = "resolving";

/// A key of no ticket.
const NOWHERE: &str = "NOPE-999";
/// Early duplicate scans, in ms.
const SOON: [u64; 3] = [150, 400, 800];

/// Fault of the server between two operations of the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    Restart,
    Kill,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for site in Site::ALL {
        cells.push(Cell::new(FAMILY, "resolved as no ticket", site.name(), move |stage| {
            refused(stage, site, false)
        }));
        cells.push(Cell::new(FAMILY, "resolved as another incident's ticket", site.name(), move |stage| {
            refused(stage, site, true)
        }));
        for between in [Between::Nothing, Between::Restart, Between::Kill] {
            let fault = format!("resolved unread, then corrected{}", between.name());
            cells.push(Cell::new(FAMILY, fault, site.name(), move |stage| corrected(stage, site, between)));
        }
        cells.push(Cell::new(FAMILY, "resolved unread as no ticket", site.name(), move |stage| {
            found_by_scan(stage, site)
        }));
    }
    cells
}

/// The ticket is read first: neither call changes anything, and the pending look-up finds the right one.
async fn refused(stage: Stage, site: Site, is_taken: bool) {
    let bounds = Bounds::default().with_duplicate_scans(SOON).with_attempt_deadline(600);
    let mut scene = Scene::start_in_a_process(&stage, site, bounds).await;
    let other = key(&scene.push_through("INC-0").await);
    scene.world.server.arm(Point::LookedUp);
    let id = scene.make_outcome_unknown("INC-1", true).await;
    scene.world.server.until_held(Point::LookedUp).await;
    let (named, reason) =
        if is_taken { (other.as_str(), "TICKET_IN_USE") } else { (NOWHERE, "TICKET_NOT_FOUND") };
    for allow_unverified in [false, true] {
        let refused = refusal(scene.resolve_as(&id, named, allow_unverified).await);
        refused.is(Code::FailedPrecondition, reason, &["ticket_key"]);
    }
    let delivery = scene.world.delivery(&id).await;
    assert_eq!((delivery.state(), &delivery.ticket), (DeliveryState::Reconciling, &None), "{delivery:#?}");
    scene.world.server.release();
    let delivery = scene.until_delivered_once(&id).await;
    assert_eq!((scene.sent(&delivery), scene.creates()), (1, 2), "{delivery:#?}");
    scene.world.finish().await;
}

/// An unread ticket is accepted only with the explicit flag, is marked as unverified, and can be corrected
/// once it is readable. A duplicate scan still finds the ticket of the create.
async fn corrected(stage: Stage, site: Site, between: Between) {
    let (mut scene, id, ours) = away(between.plan(&stage), site).await;
    take_unread(&mut scene, &id).await;
    between.pass(&mut scene).await;
    let delivery = scene.world.delivery(&id).await;
    assert!(is_taken_unread(&delivery), "{delivery:#?}");
    scene.simulator().faults().clear();
    let by_hand = scene.simulator().add_foreign_ticket(serde_json::Map::new());
    let corrected = scene.resolve_as(&id, &by_hand, false).await.unwrap();
    assert!(is_corrected(&corrected, &by_hand), "{corrected:#?}");
    between.pass(&mut scene).await;
    let is_known = |delivery: &v1::Delivery| duplicates(delivery) == [ours.key.as_str()];
    let delivery = scene.until(&id, "the ticket that was sent, among the duplicates", is_known).await;
    assert!(is_corrected(&delivery, &by_hand), "{delivery:#?}");
    scene.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    assert_eq!(scene.sent(&delivery), 1, "{delivery:#?}");
    scene.world.finish().await;
}

/// A duplicate scan reports the ticket that the send created; the operator then corrects the reference to it.
async fn found_by_scan(stage: Stage, site: Site) {
    let (mut scene, id, ours) = away(stage.plan(), site).await;
    take_unread(&mut scene, &id).await;
    scene.simulator().faults().clear();
    scene.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    let delivery = scene.world.delivery(&id).await;
    assert!(is_taken_unread(&delivery), "{delivery:#?}");
    assert_eq!(duplicates(&delivery), [ours.key.as_str()], "{delivery:#?}");
    let corrected = scene.resolve_as(&id, &ours.key, false).await.unwrap();
    assert!(is_corrected(&corrected, &ours.key) && corrected.duplicates.is_empty(), "{corrected:#?}");
    let delivery = scene.until_delivered_once(&id).await;
    assert_eq!(scene.sent(&delivery), 1, "{delivery:#?}");
    scene.world.finish().await;
}

/// A delivery whose create was applied and answered with a 504 before the ticket system became unavailable;
/// and its ticket.
async fn away(plan: Plan, site: Site) -> (Scene, String, Ticket) {
    // Keeps the circuit breaker closed, so that only the operator changes the delivery.
    let plan = plan.with_flag("--circuit-threshold=1000");
    let mut scene = Scene::start_on(plan, site, Bounds::default().with_duplicate_scans(SOON)).await;
    let other = key(&scene.push_through("INC-0").await);
    scene.refuse_look_ups();
    let id = scene.make_outcome_unknown("INC-1", true).await;
    let delivery = scene.world.until(&id, DeliveryState::Reconciling).await;
    let unread = refusal(scene.resolve_as(&id, NOWHERE, false).await);
    unread.is(Code::FailedPrecondition, "TICKET_UNVERIFIED", &["ticket_key"]);
    let taken = refusal(scene.resolve_as(&id, &other, true).await);
    taken.is(Code::FailedPrecondition, "TICKET_IN_USE", &["ticket_key"]);
    let ours = scene.bearing(&delivery.marker).remove(0);
    (scene, id, ours)
}

async fn take_unread(scene: &mut Scene, id: &str) {
    let taken = scene.resolve_as(id, NOWHERE, true).await.unwrap();
    assert!(is_taken_unread(&taken), "{taken:#?}");
}

fn is_taken_unread(delivery: &v1::Delivery) -> bool {
    delivery.state() == DeliveryState::Delivered && delivery.ticket_unverified && key(delivery) == NOWHERE
}

fn is_corrected(delivery: &v1::Delivery, to: &str) -> bool {
    delivery.state() == DeliveryState::Delivered && !delivery.ticket_unverified && key(delivery) == to
}

fn duplicates(delivery: &v1::Delivery) -> Vec<&str> {
    delivery.duplicates.iter().map(|ticket| ticket.key.as_str()).collect()
}

// === impl Between ===

impl Between {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Restart => ", with restarts between",
            Self::Kill => ", with kill -9 between",
        }
    }

    fn plan(self, stage: &Stage) -> Plan {
        if self == Self::Kill { stage.plan().in_a_process() } else { stage.plan() }
    }

    async fn pass(self, scene: &mut Scene) {
        match self {
            Self::Nothing => {}
            Self::Restart => scene.world.restart().await,
            Self::Kill => scene.world.crash().await,
        }
    }
}
