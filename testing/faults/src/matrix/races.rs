//! Two workers on one delivery: a slow one whose lease expired, and its successor.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, AttemptKind, AttemptOutcome, DeliveryState, FaultKind, TicketEventKind};
use ticketing_failpoints::Point;
use ticketing_simulator::{Call, Effect, When};

use super::cell::{Cell, CellContext};
use super::site_fixture::{Bounds, FOREVER, Site, SiteFixture, attempts, key, status};

const FAMILY: &str = "races";

/// Early duplicate scans, in ms.
const EARLY_SCANS: [u64; 3] = [100, 200, 400];

/// Long enough for the first create to arrive on a busy machine.
const ATTEMPT_DEADLINE: u64 = 700;

/// Result of the attempt that is recorded too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StaleResult {
    Refused,
    /// Unknown outcome.
    Ambiguous,
}

/// State of a delivery whose first create made a ticket, by the time that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InterimState {
    Unknown,
    Found,
    Cancelled,
    ResolvedAsSame,
    ResolvedAsAnother,
    /// A second create, since the index hid the ticket beyond its bound.
    CreatedAgain,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for site in Site::ALL {
        for (fault, stale) in [
            ("stale claim settles a refusal", StaleResult::Refused),
            ("stale claim settles an unknown outcome", StaleResult::Ambiguous),
        ] {
            cells.push(Cell::new(FAMILY, fault, site.name(), move |context| {
                stale_claim(context, site, stale)
            }));
        }
        for point in [Point::Claimed, Point::IntentCommitted] {
            let at = format!("{}, {}", point.name(), site.name());
            cells.push(Cell::new(FAMILY, "paused worker", at, move |context| {
                paused_worker(context, site, point)
            }));
        }
        cells.push(Cell::new(FAMILY, "paused look-up", site.name(), move |context| {
            paused_look_up(context, site)
        }));
        for (fault, meanwhile) in [
            ("late success, reconciling meanwhile", InterimState::Unknown),
            ("late success, found meanwhile", InterimState::Found),
            ("late success, cancelled meanwhile", InterimState::Cancelled),
            ("late success, resolved as this ticket meanwhile", InterimState::ResolvedAsSame),
            ("late success, resolved as another meanwhile", InterimState::ResolvedAsAnother),
            ("late success, created again meanwhile", InterimState::CreatedAgain),
        ] {
            if meanwhile == InterimState::CreatedAgain && !site.is_jira() {
                let why = "ServiceNow shows at once what was made, so nothing is made again";
                cells.push(Cell::does_not_apply(FAMILY, fault, site.name(), why));
                continue;
            }
            cells.push(Cell::new(FAMILY, fault, site.name(), move |context| {
                late_success(context, site, meanwhile)
            }));
        }
    }
    cells
}

fn bounds() -> Bounds {
    Bounds::default().with_attempt_deadline(ATTEMPT_DEADLINE)
}

/// The first attempt has its reply, and is held before it is recorded until its lease has expired and another
/// attempt is in flight. Its stale result must change nothing.
async fn stale_claim(context: CellContext, site: Site, stale: StaleResult) {
    let mut fixture = SiteFixture::start_in_a_process(&context, site, bounds()).await;
    fixture.inject(Call::Create, When::Nth(1), status(if stale == StaleResult::Refused { 400 } else { 500 }));
    fixture.inject(Call::Create, When::Nth(2), Effect::Delay(Duration::from_millis(450)));
    fixture.world.server.arm(Point::ReplyRead);
    let _push = fixture.begin_push("INC-1");
    fixture.world.server.until_held(Point::ReplyRead).await;
    let id = fixture.the_delivery().await;
    fixture.until_creates(2).await;
    fixture.world.server.release();
    let outcome =
        if stale == StaleResult::Refused { AttemptOutcome::Failed } else { AttemptOutcome::Ambiguous };
    let recorded = |delivery: &v1::Delivery| attempts(delivery, AttemptKind::Send, outcome) > 0;
    let delivery = fixture.until(&id, "the result of the first attempt", recorded).await;
    let busy = matches!(delivery.state(), DeliveryState::Attempting | DeliveryState::Delivered);
    // On a busy machine the second create may have timed out and recorded that itself.
    assert!(
        busy || creates_ended(&delivery) > 1,
        "it was moved by an attempt that had lost its claim: {delivery:#?}"
    );
    fixture.until_delivered_once(&id).await;
    fixture.world.finish().await;
}

/// The first attempt is suspended for longer than its lease and the proof of absence. Another attempt
/// delivers. The resumed attempt must not send.
async fn paused_worker(context: CellContext, site: Site, point: Point) {
    let mut fixture = SiteFixture::start_in_a_process(&context, site, bounds()).await;
    fixture.world.server.arm(point);
    let _push = fixture.begin_push("INC-1");
    fixture.world.server.until_held(point).await;
    let id = fixture.the_delivery().await;
    fixture.until_delivered_once(&id).await;
    fixture.world.server.release();
    // Without an intent there is no attempt to record.
    if point == Point::IntentCommitted {
        let ended = |delivery: &v1::Delivery| creates_ended(delivery) > 1;
        let delivery = fixture.until(&id, "the end of the paused attempt", ended).await;
        let last = delivery.attempts.last().and_then(|attempt| attempt.fault.as_ref());
        assert!(last.is_some_and(|fault| fault.kind() == FaultKind::TooLate), "{delivery:#?}");
    }
    fixture.world.wait(Duration::from_millis(200)).await;
    assert_eq!(fixture.creates(), 1);
    fixture.until_delivered_once(&id).await;
    fixture.world.finish().await;
}

/// A look-up returns "not found", and is held until its lease has expired, others have proven absence, and
/// the next create has an unknown outcome: its result applies to the first create only.
async fn paused_look_up(context: CellContext, site: Site) {
    let mut fixture = SiteFixture::start_in_a_process(&context, site, bounds()).await;
    fixture.inject(Call::Create, When::Nth(1), Effect::gateway_timeout());
    fixture.inject(Call::Create, When::Nth(2), Effect::apply_then_gateway_timeout());
    fixture.world.server.arm(Point::LookedUp);
    let _push = fixture.begin_push("INC-1");
    fixture.world.server.until_held(Point::LookedUp).await;
    let id = fixture.the_delivery().await;
    fixture.simulator().set_index_lag(Duration::from_millis(100));
    fixture.until_creates(2).await;
    fixture.world.server.release();
    fixture.until_delivered_once(&id).await;
    assert_eq!(fixture.creates(), 2);
    fixture.world.finish().await;
}

/// The first create made a ticket, and the attempt that knows it is held until its lease has expired. In
/// whatever state the delivery is then, the ticket is recorded: as the delivery's, or as a duplicate.
async fn late_success(context: CellContext, site: Site, meanwhile: InterimState) {
    let mut fixture = SiteFixture::start_in_a_process(&context, site, meanwhile.bounds()).await;
    if meanwhile == InterimState::CreatedAgain {
        fixture.simulator().set_index_lag(FOREVER);
    } else if meanwhile != InterimState::Found {
        fixture.refuse_look_ups();
    }
    fixture.world.server.arm(Point::ReplyRead);
    let _push = fixture.begin_push("INC-1");
    fixture.world.server.until_held(Point::ReplyRead).await;
    let id = fixture.the_delivery().await;
    let first = fixture.simulator().tickets().remove(0).key;
    let named_ticket = meanwhile.bring_about(&mut fixture, &id, &first).await;
    fixture.world.server.release();
    let known = |delivery: &v1::Delivery| attempts(delivery, AttemptKind::Send, AttemptOutcome::Applied) > 0;
    fixture.until(&id, "the ticket that was made first", known).await;
    fixture.simulator().faults().clear();
    match named_ticket {
        Some(named_ticket) => {
            let delivery = fixture.world.until(&id, DeliveryState::Delivered).await;
            assert_eq!((key(&delivery), others(&delivery)), (named_ticket, vec![first]), "{delivery:#?}");
            fixture.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
        }
        None if meanwhile == InterimState::CreatedAgain => {
            return check_duplicate_reported(fixture, &id).await;
        }
        None => drop(fixture.until_delivered_once(&id).await),
    }
    assert_eq!(fixture.creates(), 1);
    fixture.world.finish().await;
}

async fn check_duplicate_reported(mut fixture: SiteFixture, id: &str) {
    fixture.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    fixture.simulator().set_index_lag(Duration::ZERO);
    let scanned =
        |delivery: &v1::Delivery| attempts(delivery, AttemptKind::DuplicateScan, AttemptOutcome::Found) > 0;
    let delivery = fixture.until(id, "a duplicate scan that finds both", scanned).await;
    let keys: Vec<_> = fixture.simulator().tickets().into_iter().map(|ticket| ticket.key).collect();
    assert_eq!((key(&delivery), others(&delivery)), (keys[0].clone(), keys[1..].to_vec()), "{delivery:#?}");
    assert_eq!(fixture.creates(), 2);
    // The operator resolves the reported duplicate.
    fixture.remove_marker(&keys[1], &delivery.marker);
    fixture.world.finish().await;
}

fn creates_ended(delivery: &v1::Delivery) -> usize {
    delivery.attempts.iter().filter(|attempt| attempt.kind() == AttemptKind::Send).count()
}

fn others(delivery: &v1::Delivery) -> Vec<String> {
    delivery.duplicates.iter().map(|ticket| ticket.key.clone()).collect()
}

// === impl InterimState ===

impl InterimState {
    fn bounds(self) -> Bounds {
        match self {
            // Duplicate scans after the late result.
            Self::CreatedAgain => bounds().with_duplicate_scans([1_000, 1_500, 2_000]),
            // No duplicate scan before the late result.
            Self::Cancelled => bounds(),
            _ => bounds().with_duplicate_scans(EARLY_SCANS),
        }
    }

    /// Brings the delivery into this state. Returns the ticket that an operator named, if it is not the
    /// created one.
    async fn bring_about(self, fixture: &mut SiteFixture, id: &str, made: &str) -> Option<String> {
        if self != Self::Found && self != Self::CreatedAgain {
            fixture.world.until(id, DeliveryState::Reconciling).await;
        }
        match self {
            Self::Unknown => {}
            Self::Found | Self::CreatedAgain => drop(fixture.world.until(id, DeliveryState::Delivered).await),
            Self::Cancelled => drop(fixture.cancel(id).await.unwrap()),
            Self::ResolvedAsSame => drop(fixture.resolve(id, made).await.unwrap()),
            Self::ResolvedAsAnother => {
                let named_ticket = fixture.simulator().add_foreign_ticket(serde_json::Map::new());
                fixture.resolve(id, &named_ticket).await.unwrap();
                return Some(named_ticket);
            }
        }
        None
    }
}
