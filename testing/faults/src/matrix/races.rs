//! Two workers on one delivery: a slow one whose lease expired, and its successor.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, AttemptKind, AttemptOutcome, DeliveryState, FaultKind, TicketEventKind};
use ticketing_failpoints::Point;
use ticketing_simulator::{Call, Effect, When};

use super::cell::{Cell, Stage};
use super::scene::{Bounds, FOREVER, Scene, Site, attempts, key, status};

const FAMILY: &str = "races";

/// Early duplicate scans, in ms.
const SOON: [u64; 3] = [100, 200, 400];

/// Long enough for the first create to arrive on a busy machine.
const ATTEMPT_DEADLINE: u64 = 700;

/// Result of the attempt that is recorded too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stale {
    Refused,
    /// Unknown outcome.
    Ambiguous,
}

/// State of a delivery whose first create made a ticket, by the time that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Unknown,
    Found,
    Cancelled,
    ResolvedAsIt,
    ResolvedAsAnother,
    /// A second create, since the index hid the ticket beyond its bound.
    MadeAgain,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for site in Site::ALL {
        for (fault, stale) in [
            ("stale claim settles a refusal", Stale::Refused),
            ("stale claim settles an unknown outcome", Stale::Ambiguous),
        ] {
            cells.push(Cell::new(FAMILY, fault, site.name(), move |stage| stale_claim(stage, site, stale)));
        }
        for point in [Point::Claimed, Point::IntentCommitted] {
            let at = format!("{}, {}", point.name(), site.name());
            cells
                .push(Cell::new(FAMILY, "paused worker", at, move |stage| paused_worker(stage, site, point)));
        }
        cells
            .push(Cell::new(FAMILY, "paused look-up", site.name(), move |stage| paused_look_up(stage, site)));
        for (fault, meanwhile) in [
            ("late success, reconciling meanwhile", Meanwhile::Unknown),
            ("late success, found meanwhile", Meanwhile::Found),
            ("late success, cancelled meanwhile", Meanwhile::Cancelled),
            ("late success, resolved as it meanwhile", Meanwhile::ResolvedAsIt),
            ("late success, resolved as another meanwhile", Meanwhile::ResolvedAsAnother),
            ("late success, made again meanwhile", Meanwhile::MadeAgain),
        ] {
            if meanwhile == Meanwhile::MadeAgain && !site.is_jira() {
                let why = "ServiceNow shows at once what was made, so nothing is made again";
                cells.push(Cell::does_not_apply(FAMILY, fault, site.name(), why));
                continue;
            }
            cells.push(Cell::new(FAMILY, fault, site.name(), move |stage| {
                late_success(stage, site, meanwhile)
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
async fn stale_claim(stage: Stage, site: Site, stale: Stale) {
    let mut scene = Scene::start_in_a_process(&stage, site, bounds()).await;
    scene.inject(Call::Create, When::Nth(1), status(if stale == Stale::Refused { 400 } else { 500 }));
    scene.inject(Call::Create, When::Nth(2), Effect::Delay(Duration::from_millis(450)));
    scene.world.server.arm(Point::ReplyRead);
    let _push = scene.begin_push("INC-1");
    scene.world.server.until_held(Point::ReplyRead).await;
    let id = scene.the_delivery().await;
    scene.until_creates(2).await;
    scene.world.server.release();
    let outcome = if stale == Stale::Refused { AttemptOutcome::Failed } else { AttemptOutcome::Ambiguous };
    let recorded = |delivery: &v1::Delivery| attempts(delivery, AttemptKind::Send, outcome) > 0;
    let delivery = scene.until(&id, "what the first attempt has to say", recorded).await;
    let busy = matches!(delivery.state(), DeliveryState::Attempting | DeliveryState::Delivered);
    // On a busy machine the second create may have timed out and recorded that itself.
    assert!(
        busy || creates_ended(&delivery) > 1,
        "it was moved by an attempt that had lost its claim: {delivery:#?}"
    );
    scene.until_delivered_once(&id).await;
    scene.world.finish().await;
}

/// The first attempt is suspended for longer than its lease and the proof of absence. Another attempt
/// delivers. The resumed attempt must not send.
async fn paused_worker(stage: Stage, site: Site, point: Point) {
    let mut scene = Scene::start_in_a_process(&stage, site, bounds()).await;
    scene.world.server.arm(point);
    let _push = scene.begin_push("INC-1");
    scene.world.server.until_held(point).await;
    let id = scene.the_delivery().await;
    scene.until_delivered_once(&id).await;
    scene.world.server.release();
    // Without an intent there is no attempt to record.
    if point == Point::IntentCommitted {
        let ended = |delivery: &v1::Delivery| creates_ended(delivery) > 1;
        let delivery = scene.until(&id, "the end of the attempt that slept", ended).await;
        let last = delivery.attempts.last().and_then(|attempt| attempt.fault.as_ref());
        assert!(last.is_some_and(|fault| fault.kind() == FaultKind::TooLate), "{delivery:#?}");
    }
    scene.world.wait(Duration::from_millis(200)).await;
    assert_eq!(scene.creates(), 1);
    scene.until_delivered_once(&id).await;
    scene.world.finish().await;
}

/// A look-up returns "not found", and is held until its lease has expired, others have proven absence, and
/// the next create has an unknown outcome: its result applies to the first create only.
async fn paused_look_up(stage: Stage, site: Site) {
    let mut scene = Scene::start_in_a_process(&stage, site, bounds()).await;
    scene.inject(Call::Create, When::Nth(1), Effect::gateway_timeout());
    scene.inject(Call::Create, When::Nth(2), Effect::apply_then_gateway_timeout());
    scene.world.server.arm(Point::LookedUp);
    let _push = scene.begin_push("INC-1");
    scene.world.server.until_held(Point::LookedUp).await;
    let id = scene.the_delivery().await;
    scene.simulator().set_index_lag(Duration::from_millis(100));
    scene.until_creates(2).await;
    scene.world.server.release();
    scene.until_delivered_once(&id).await;
    assert_eq!(scene.creates(), 2);
    scene.world.finish().await;
}

/// The first create made a ticket, and the attempt that knows it is held until its lease has expired. In
/// whatever state the delivery is then, the ticket is recorded: as the delivery's, or as a duplicate.
async fn late_success(stage: Stage, site: Site, meanwhile: Meanwhile) {
    let mut scene = Scene::start_in_a_process(&stage, site, meanwhile.bounds()).await;
    if meanwhile == Meanwhile::MadeAgain {
        scene.simulator().set_index_lag(FOREVER);
    } else if meanwhile != Meanwhile::Found {
        scene.refuse_look_ups();
    }
    scene.world.server.arm(Point::ReplyRead);
    let _push = scene.begin_push("INC-1");
    scene.world.server.until_held(Point::ReplyRead).await;
    let id = scene.the_delivery().await;
    let first = scene.simulator().tickets().remove(0).key;
    let by_hand = meanwhile.play(&mut scene, &id, &first).await;
    scene.world.server.release();
    let known = |delivery: &v1::Delivery| attempts(delivery, AttemptKind::Send, AttemptOutcome::Applied) > 0;
    scene.until(&id, "the ticket that was made first", known).await;
    scene.simulator().faults().clear();
    match by_hand {
        Some(by_hand) => {
            let delivery = scene.world.until(&id, DeliveryState::Delivered).await;
            assert_eq!((key(&delivery), others(&delivery)), (by_hand, vec![first]), "{delivery:#?}");
            scene.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
        }
        None if meanwhile == Meanwhile::MadeAgain => return two_are_told_of(scene, &id).await,
        None => drop(scene.until_delivered_once(&id).await),
    }
    assert_eq!(scene.creates(), 1);
    scene.world.finish().await;
}

async fn two_are_told_of(mut scene: Scene, id: &str) {
    scene.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    scene.simulator().set_index_lag(Duration::ZERO);
    let swept =
        |delivery: &v1::Delivery| attempts(delivery, AttemptKind::DuplicateScan, AttemptOutcome::Found) > 0;
    let delivery = scene.until(id, "a sweep that sees both", swept).await;
    let keys: Vec<_> = scene.simulator().tickets().into_iter().map(|ticket| ticket.key).collect();
    assert_eq!((key(&delivery), others(&delivery)), (keys[0].clone(), keys[1..].to_vec()), "{delivery:#?}");
    assert_eq!(scene.creates(), 2);
    // The operator resolves the reported duplicate.
    scene.remove_marker(&keys[1], &delivery.marker);
    scene.world.finish().await;
}

fn creates_ended(delivery: &v1::Delivery) -> usize {
    delivery.attempts.iter().filter(|attempt| attempt.kind() == AttemptKind::Send).count()
}

fn others(delivery: &v1::Delivery) -> Vec<String> {
    delivery.duplicates.iter().map(|ticket| ticket.key.clone()).collect()
}

// === impl Meanwhile ===

impl Meanwhile {
    fn bounds(self) -> Bounds {
        match self {
            // Duplicate scans after the late result.
            Self::MadeAgain => bounds().with_duplicate_scans([1_000, 1_500, 2_000]),
            // No duplicate scan before the late result.
            Self::Cancelled => bounds(),
            _ => bounds().with_duplicate_scans(SOON),
        }
    }

    /// Brings the delivery into this state. Returns the ticket that an operator named, if it is not the
    /// created one.
    async fn play(self, scene: &mut Scene, id: &str, made: &str) -> Option<String> {
        if self != Self::Found && self != Self::MadeAgain {
            scene.world.until(id, DeliveryState::Reconciling).await;
        }
        match self {
            Self::Unknown => {}
            Self::Found | Self::MadeAgain => drop(scene.world.until(id, DeliveryState::Delivered).await),
            Self::Cancelled => drop(scene.cancel(id).await.unwrap()),
            Self::ResolvedAsIt => drop(scene.resolve(id, made).await.unwrap()),
            Self::ResolvedAsAnother => {
                let by_hand = scene.simulator().add_foreign_ticket(serde_json::Map::new());
                scene.resolve(id, &by_hand).await.unwrap();
                return Some(by_hand);
            }
        }
        None
    }
}
