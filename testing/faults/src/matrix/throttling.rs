//! Throttling with a valid, an absurd, or no Retry-After.

use std::time::{Duration, SystemTime};

use rhythmx_ticketing::v1::{Delivery, DeliveryState};
use ticketing_harness::{World, creates};
use ticketing_simulator::{Effect, Reply, RetryAfter, Vendor};
use tokio::time::Instant;

use super::calls::{Storm, Struck, VENDORS, Verdict, deliver, plan, simulator, start, system};
use super::cell::{Cell, Stage};

const FAMILY: &str = "throttling";

/// Maximum pause of a connection, whatever the header says.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// Delay in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// At least this long; the server complies.
    For(Duration),
    /// No usable value: the server uses its own, short backoff.
    Nothing,
    /// An absurd value.
    TooMuch,
}

pub(super) fn cells() -> Vec<Cell> {
    VENDORS.into_iter().flat_map(cells_of).collect()
}

fn cells_of(vendor: Vendor) -> Vec<Cell> {
    let mut cells = vec![];
    for (header, effect, asks) in table(429) {
        let fault = format!("429, Retry-After {header}");
        cells.push(cell(Storm::on_create(vendor, effect.clone(), Verdict::Refused), &fault, asks));
        // The parsing of the header does not depend on the call, so reads use a few values only.
        if matches!(header, "in seconds" | "absent" | "soon" | "10^30") {
            for struck in Struck::READS {
                cells.push(cell(Storm { vendor, struck, effect: effect.clone(), times: 1 }, &fault, asks));
            }
        }
    }
    for (header, effect, asks) in table(503) {
        let fault = format!("503, Retry-After {header}");
        cells.push(cell(Storm::on_create(vendor, effect, Verdict::DoubtfulAndAbsent), &fault, asks));
    }
    let words = Effect::throttle(RetryAfter::Seconds(1));
    let storm = Storm::on_create(vendor, words, Verdict::Refused);
    cells.push(cell(storm, "429 in the vendor's words", Asks::For(Duration::from_secs(1))));
    cells
}

fn cell(storm: Storm, fault: &str, asks: Asks) -> Cell {
    match (asks, storm.struck) {
        (Asks::For(wait), Struck::Create(verdict)) => {
            Cell::new(FAMILY, fault, storm.place(), move |stage| kept(stage, storm.clone(), wait, verdict))
        }
        (Asks::Nothing | Asks::For(_), _) => storm.cell(FAMILY, fault),
        (Asks::TooMuch, _) => {
            Cell::new(FAMILY, fault, storm.place(), move |stage| left_alone(stage, storm.clone()))
        }
    }
}

/// The headers, by name.
fn table(status: u16) -> Vec<(&'static str, Effect, Asks)> {
    let says = |text: &str| Effect::Answer(page(status).header("retry-after", text));
    let date_in = |seconds| Effect::Throttle { retry_after: RetryAfter::DateIn(seconds), reason: None };
    let mut table = vec![
        ("in seconds", says("1"), Asks::For(Duration::from_secs(1))),
        ("of 0", says("0"), Asks::Nothing),
        ("absent", Effect::Answer(page(status)), Asks::Nothing),
        ("empty", says(""), Asks::Nothing),
        ("soon", says("soon"), Asks::Nothing),
        ("negative", says("-60"), Asks::Nothing),
        ("a fraction", says("1.5"), Asks::Nothing),
        ("a date in the past", says("Sun, 06 Nov 1994 08:49:37 GMT"), Asks::Nothing),
        ("10^30", says("1000000000000000000000000000000"), Asks::TooMuch),
        ("a date far ahead", says("Fri, 31 Dec 9998 23:59:59 GMT"), Asks::TooMuch),
    ];
    if status == 429 {
        // HTTP dates have whole seconds.
        table.push(("a date", date_in(2), Asks::For(Duration::from_secs(1))));
    }
    table
}

/// Nothing is sent before the requested time; after it the delivery is sent automatically.
async fn kept(stage: Stage, storm: Storm, wait: Duration, verdict: Verdict) {
    let vendor = storm.vendor;
    let mut world = start(plan(&stage, vendor)).await;
    storm.begin(&world);
    let began = Instant::now();
    let delivery = deliver(&mut world, "INC-1", vendor).await;
    assert!(began.elapsed() >= wait, "it did not wait for {wait:?}, but {:?}", began.elapsed());
    stage.recovered(began.elapsed(), wait * 2 + storm.limit());
    verdict.check(&world, vendor, &delivery);
    world.finish().await;
}

/// The connection is paused for an hour at most; until then the delivery waits.
async fn left_alone(stage: Stage, storm: Storm) {
    let vendor = storm.vendor;
    let mut world = start(plan(&stage, vendor)).await;
    storm.make_outcome_unknown(&mut world).await;
    let sent_before = creates(simulator(&world, vendor));
    storm.begin(&world);
    world.push("INC-1", system(vendor)).await;
    let delivery = until_put_off(&mut world).await;
    let wait = wait_of(&delivery).unwrap();
    assert!(wait <= MAX_RETRY_AFTER, "it waits for {wait:?}: {delivery:#?}");
    let requests = simulator(&world, vendor).requests().len();
    world.wait(Duration::from_millis(300)).await;
    assert_eq!(simulator(&world, vendor).requests().len(), requests, "it was not left alone");
    let sent = usize::from(storm.struck != Struck::Preparation);
    assert_eq!(creates(simulator(&world, vendor)) - sent_before, sent, "{delivery:#?}");
    world.finish().await;
}

/// Waits until a delivery is due in more than half an hour.
async fn until_put_off(world: &mut World) -> Delivery {
    let far = |delivery: &Delivery| wait_of(delivery).is_some_and(|wait| wait > MAX_RETRY_AFTER / 2);
    let deadline = Instant::now() + ticketing_harness::PATIENCE;
    loop {
        let deliveries = world.deliveries().await;
        if let Some(put_off) = deliveries.iter().find(|delivery| far(delivery)) {
            let waits = [DeliveryState::Waiting, DeliveryState::Reconciling];
            assert!(waits.contains(&put_off.state()), "{put_off:#?}");
            return put_off.clone();
        }
        assert!(Instant::now() < deadline, "it was not put off: {deliveries:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Time from the last update of the delivery until its next attempt.
fn wait_of(delivery: &Delivery) -> Option<Duration> {
    let moment = |at: prost_types::Timestamp| SystemTime::try_from(at).ok();
    let settled = delivery.updated_at.and_then(moment)?;
    delivery.next_attempt_at.and_then(moment)?.duration_since(settled).ok()
}

fn page(status: u16) -> Reply {
    Reply::html(status, "<html><head><title>Too much</title></head></html>")
}
