//! ResolveDelivery for deliveries of unknown outcome: with the right ticket, a wrong one, or while the system
//! is unavailable.

use rhythmx_ticketing::v1::{self, DeliveryState, TicketEventKind};
use ticketing_failpoints::Point;
use ticketing_harness::{Plan, refusal};
use ticketing_simulator::Ticket;
use tonic::Code;

use super::cell::{Cell, CellContext};
use super::site_fixture::{Bounds, Site, SiteFixture, key};

const FAMILY: &str = "resolving";

/// A key of no ticket.
const MISSING_TICKET: &str = "NOPE-999";
/// Early duplicate scans, in ms.
const EARLY_SCANS: [u64; 3] = [150, 400, 800];

/// Fault of the server between two operations of the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interruption {
    Nothing,
    Restart,
    Kill,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for site in Site::ALL {
        cells.push(Cell::new(FAMILY, "resolved as no ticket", site.name(), move |context| {
            refuses_other_ticket(context, site, false)
        }));
        cells.push(Cell::new(FAMILY, "resolved as another incident's ticket", site.name(), move |context| {
            refuses_other_ticket(context, site, true)
        }));
        for interruption in [Interruption::Nothing, Interruption::Restart, Interruption::Kill] {
            let fault = format!("resolved unread, then corrected{}", interruption.name());
            cells.push(Cell::new(FAMILY, fault, site.name(), move |context| {
                corrects_unverified_ticket(context, site, interruption)
            }));
        }
        cells.push(Cell::new(FAMILY, "resolved unread as no ticket", site.name(), move |context| {
            found_by_scan(context, site)
        }));
    }
    cells
}

/// The ticket is read first: neither call changes anything, and the pending look-up finds the right one.
async fn refuses_other_ticket(context: CellContext, site: Site, is_taken: bool) {
    let bounds = Bounds::default().with_duplicate_scans(EARLY_SCANS).with_attempt_deadline(600);
    let mut fixture = SiteFixture::start_in_a_process(&context, site, bounds).await;
    let other = key(&fixture.push_through("INC-0").await);
    fixture.world.server.arm(Point::LookedUp);
    let id = fixture.make_outcome_unknown("INC-1", true).await;
    fixture.world.server.until_held(Point::LookedUp).await;
    let (named, reason) =
        if is_taken { (other.as_str(), "TICKET_IN_USE") } else { (MISSING_TICKET, "TICKET_NOT_FOUND") };
    for allow_unverified in [false, true] {
        let refuses_other_ticket = refusal(fixture.resolve_as(&id, named, allow_unverified).await);
        refuses_other_ticket.is(Code::FailedPrecondition, reason, &["ticket_key"]);
    }
    let delivery = fixture.world.delivery(&id).await;
    assert_eq!((delivery.state(), &delivery.ticket), (DeliveryState::Reconciling, &None), "{delivery:#?}");
    fixture.world.server.release();
    let delivery = fixture.until_delivered_once(&id).await;
    assert_eq!((fixture.sent(&delivery), fixture.creates()), (1, 2), "{delivery:#?}");
    fixture.world.finish().await;
}

/// An unread ticket is accepted only with the explicit flag, is marked as unverified, and can be corrected
/// once it is readable. A duplicate scan still finds the ticket of the create.
async fn corrects_unverified_ticket(context: CellContext, site: Site, interruption: Interruption) {
    let (mut fixture, id, ours) = during_outage(interruption.plan(&context), site).await;
    resolve_unverified(&mut fixture, &id).await;
    interruption.apply(&mut fixture).await;
    let delivery = fixture.world.delivery(&id).await;
    assert!(is_unverified(&delivery), "{delivery:#?}");
    fixture.simulator().faults().clear();
    let named_ticket = fixture.simulator().add_foreign_ticket(serde_json::Map::new());
    let corrects_unverified_ticket = fixture.resolve_as(&id, &named_ticket, false).await.unwrap();
    assert!(is_corrected(&corrects_unverified_ticket, &named_ticket), "{corrects_unverified_ticket:#?}");
    interruption.apply(&mut fixture).await;
    let is_known = |delivery: &v1::Delivery| duplicates(delivery) == [ours.key.as_str()];
    let delivery = fixture.until(&id, "the ticket that was sent, among the duplicates", is_known).await;
    assert!(is_corrected(&delivery, &named_ticket), "{delivery:#?}");
    fixture.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    assert_eq!(fixture.sent(&delivery), 1, "{delivery:#?}");
    fixture.world.finish().await;
}

/// A duplicate scan reports the ticket that the send created; the operator then corrects the reference to it.
async fn found_by_scan(context: CellContext, site: Site) {
    let (mut fixture, id, ours) = during_outage(context.plan(), site).await;
    resolve_unverified(&mut fixture, &id).await;
    fixture.simulator().faults().clear();
    fixture.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    let delivery = fixture.world.delivery(&id).await;
    assert!(is_unverified(&delivery), "{delivery:#?}");
    assert_eq!(duplicates(&delivery), [ours.key.as_str()], "{delivery:#?}");
    let corrects_unverified_ticket = fixture.resolve_as(&id, &ours.key, false).await.unwrap();
    assert!(
        is_corrected(&corrects_unverified_ticket, &ours.key)
            && corrects_unverified_ticket.duplicates.is_empty(),
        "{corrects_unverified_ticket:#?}"
    );
    let delivery = fixture.until_delivered_once(&id).await;
    assert_eq!(fixture.sent(&delivery), 1, "{delivery:#?}");
    fixture.world.finish().await;
}

/// A delivery whose create was applied and answered with a 504 before the ticket system became unavailable;
/// and its ticket.
async fn during_outage(plan: Plan, site: Site) -> (SiteFixture, String, Ticket) {
    // Keeps the circuit breaker closed, so that only the operator changes the delivery.
    let plan = plan.with_flag("--circuit-threshold=1000");
    let mut fixture =
        SiteFixture::start_on(plan, site, Bounds::default().with_duplicate_scans(EARLY_SCANS)).await;
    let other = key(&fixture.push_through("INC-0").await);
    fixture.refuse_look_ups();
    let id = fixture.make_outcome_unknown("INC-1", true).await;
    let delivery = fixture.world.until(&id, DeliveryState::Reconciling).await;
    let unread = refusal(fixture.resolve_as(&id, MISSING_TICKET, false).await);
    unread.is(Code::FailedPrecondition, "TICKET_UNVERIFIED", &["ticket_key"]);
    let taken = refusal(fixture.resolve_as(&id, &other, true).await);
    taken.is(Code::FailedPrecondition, "TICKET_IN_USE", &["ticket_key"]);
    let ours = fixture.with_marker(&delivery.marker).remove(0);
    (fixture, id, ours)
}

async fn resolve_unverified(fixture: &mut SiteFixture, id: &str) {
    let taken = fixture.resolve_as(id, MISSING_TICKET, true).await.unwrap();
    assert!(is_unverified(&taken), "{taken:#?}");
}

fn is_unverified(delivery: &v1::Delivery) -> bool {
    delivery.state() == DeliveryState::Delivered
        && delivery.ticket_unverified
        && key(delivery) == MISSING_TICKET
}

fn is_corrected(delivery: &v1::Delivery, to: &str) -> bool {
    delivery.state() == DeliveryState::Delivered && !delivery.ticket_unverified && key(delivery) == to
}

fn duplicates(delivery: &v1::Delivery) -> Vec<&str> {
    delivery.duplicates.iter().map(|ticket| ticket.key.as_str()).collect()
}

// === impl Interruption ===

impl Interruption {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Restart => ", with restarts between",
            Self::Kill => ", with kill -9 between",
        }
    }

    fn plan(self, context: &CellContext) -> Plan {
        if self == Self::Kill { context.plan().in_a_process() } else { context.plan() }
    }

    async fn apply(self, fixture: &mut SiteFixture) {
        match self {
            Self::Nothing => {}
            Self::Restart => fixture.world.restart().await,
            Self::Kill => fixture.world.crash().await,
        }
    }
}
