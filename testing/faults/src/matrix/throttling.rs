//! Throttling with a valid, an absurd, or no Retry-After.

use std::time::{Duration, SystemTime};

use rhythmx_ticketing::v1::{Delivery, DeliveryState};
use ticketing_harness::{World, creates};
use ticketing_simulator::{Effect, Reply, RetryAfter, Vendor};
use tokio::time::Instant;

use super::calls::{AffectedCall, CallFault, VENDORS, Verdict, deliver, plan, simulator, start, system};
use super::cell::{Cell, CellContext};

const FAMILY: &str = "throttling";

/// Maximum pause of a connection, whatever the header says.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// Delay in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestedDelay {
    /// At least this long; the server complies.
    AtLeast(Duration),
    /// No usable value: the server uses its own, short backoff.
    Unusable,
    /// An absurd value.
    TooLong,
}

pub(super) fn cells() -> Vec<Cell> {
    VENDORS.into_iter().flat_map(cells_of).collect()
}

fn cells_of(vendor: Vendor) -> Vec<Cell> {
    let mut cells = vec![];
    for (header, effect, delay) in table(429) {
        let fault = format!("429, Retry-After {header}");
        cells.push(cell(CallFault::on_create(vendor, effect.clone(), Verdict::Refused), &fault, delay));
        // The parsing of the header does not depend on the call, so reads use a few values only.
        if matches!(header, "in seconds" | "absent" | "soon" | "10^30") {
            for affected in AffectedCall::READS {
                cells.push(cell(
                    CallFault { vendor, affected, effect: effect.clone(), times: 1 },
                    &fault,
                    delay,
                ));
            }
        }
    }
    for (header, effect, delay) in table(503) {
        let fault = format!("503, Retry-After {header}");
        cells.push(cell(CallFault::on_create(vendor, effect, Verdict::UnknownThenAbsent), &fault, delay));
    }
    let vendor_reply = Effect::throttle(RetryAfter::Seconds(1));
    let call_fault = CallFault::on_create(vendor, vendor_reply, Verdict::Refused);
    cells.push(cell(
        call_fault,
        "429 in the vendor's format",
        RequestedDelay::AtLeast(Duration::from_secs(1)),
    ));
    cells
}

fn cell(call_fault: CallFault, fault: &str, delay: RequestedDelay) -> Cell {
    match (delay, call_fault.affected) {
        (RequestedDelay::AtLeast(wait), AffectedCall::Create(verdict)) => {
            Cell::new(FAMILY, fault, call_fault.location(), move |context| {
                waits_as_requested(context, call_fault.clone(), wait, verdict)
            })
        }
        (RequestedDelay::Unusable | RequestedDelay::AtLeast(_), _) => call_fault.cell(FAMILY, fault),
        (RequestedDelay::TooLong, _) => Cell::new(FAMILY, fault, call_fault.location(), move |context| {
            pauses_connection(context, call_fault.clone())
        }),
    }
}

/// The headers, by name.
fn table(status: u16) -> Vec<(&'static str, Effect, RequestedDelay)> {
    let with_retry_after = |text: &str| Effect::Answer(page(status).header("retry-after", text));
    let date_in = |seconds| Effect::Throttle { retry_after: RetryAfter::DateIn(seconds), reason: None };
    let mut table = vec![
        ("in seconds", with_retry_after("1"), RequestedDelay::AtLeast(Duration::from_secs(1))),
        ("of 0", with_retry_after("0"), RequestedDelay::Unusable),
        ("absent", Effect::Answer(page(status)), RequestedDelay::Unusable),
        ("empty", with_retry_after(""), RequestedDelay::Unusable),
        ("soon", with_retry_after("soon"), RequestedDelay::Unusable),
        ("negative", with_retry_after("-60"), RequestedDelay::Unusable),
        ("a fraction", with_retry_after("1.5"), RequestedDelay::Unusable),
        ("a date in the past", with_retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), RequestedDelay::Unusable),
        ("10^30", with_retry_after("1000000000000000000000000000000"), RequestedDelay::TooLong),
        ("a date far ahead", with_retry_after("Fri, 31 Dec 9998 23:59:59 GMT"), RequestedDelay::TooLong),
    ];
    if status == 429 {
        // HTTP dates have whole seconds.
        table.push(("a date", date_in(2), RequestedDelay::AtLeast(Duration::from_secs(1))));
    }
    table
}

/// Nothing is sent before the requested time; after it the delivery is sent automatically.
async fn waits_as_requested(context: CellContext, call_fault: CallFault, wait: Duration, verdict: Verdict) {
    let vendor = call_fault.vendor;
    let mut world = start(plan(&context, vendor)).await;
    call_fault.begin(&world);
    let began = Instant::now();
    let delivery = deliver(&mut world, "INC-1", vendor).await;
    assert!(began.elapsed() >= wait, "it did not wait for {wait:?}, but {:?}", began.elapsed());
    context.recovered(began.elapsed(), wait * 2 + call_fault.time_limit());
    verdict.check(&world, vendor, &delivery);
    world.finish().await;
}

/// The connection is paused for an hour at most; until then the delivery waits.
async fn pauses_connection(context: CellContext, call_fault: CallFault) {
    let vendor = call_fault.vendor;
    let mut world = start(plan(&context, vendor)).await;
    call_fault.make_outcome_unknown(&mut world).await;
    let sent_before = creates(simulator(&world, vendor));
    call_fault.begin(&world);
    world.push("INC-1", system(vendor)).await;
    let delivery = until_deferred(&mut world).await;
    let wait = wait_of(&delivery).unwrap();
    assert!(wait <= MAX_RETRY_AFTER, "it waits for {wait:?}: {delivery:#?}");
    let requests = simulator(&world, vendor).requests().len();
    world.wait(Duration::from_millis(300)).await;
    assert_eq!(simulator(&world, vendor).requests().len(), requests, "something was sent during the pause");
    let sent = usize::from(call_fault.affected != AffectedCall::Preparation);
    assert_eq!(creates(simulator(&world, vendor)) - sent_before, sent, "{delivery:#?}");
    world.finish().await;
}

/// Waits until a delivery is due in more than half an hour.
async fn until_deferred(world: &mut World) -> Delivery {
    let far = |delivery: &Delivery| wait_of(delivery).is_some_and(|wait| wait > MAX_RETRY_AFTER / 2);
    let deadline = Instant::now() + ticketing_harness::WAIT_TIMEOUT;
    loop {
        let deliveries = world.deliveries().await;
        if let Some(deferred) = deliveries.iter().find(|delivery| far(delivery)) {
            let waits = [DeliveryState::Waiting, DeliveryState::Reconciling];
            assert!(waits.contains(&deferred.state()), "{deferred:#?}");
            return deferred.clone();
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
