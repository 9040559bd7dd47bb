//! What connections suffer: cut, silent, slow, endless, or never made.

use std::time::Duration;

use Verdict::{Created, DoubtfulAndAbsent, DoubtfulAndThere, DoubtfulAndUnread};
use ticketing_simulator::{Call, Effect, Point, Vendor};

use super::calls::{Storm, Struck, VENDORS, Verdict, deliver, name, plan, simulator, start, strike};
use super::cell::{Cell, Stage};

const FAMILY: &str = "connection";

const MEBIBYTE: u64 = 1 << 20;

pub(super) fn cells() -> Vec<Cell> {
    VENDORS
        .into_iter()
        .flat_map(|vendor| creates(vendor).chain(reads(vendor)).chain([alone(vendor)]))
        .collect()
}

/// What happens to the create, and what it must be taken for.
fn creates(vendor: Vendor) -> impl Iterator<Item = Cell> {
    let drop = Duration::from_millis(50);
    [
        ("closed before applying", Effect::DropBefore, DoubtfulAndAbsent),
        ("closed after applying", Effect::ApplyThenDrop, DoubtfulAndThere),
        ("reset before applying", Effect::ResetBefore, DoubtfulAndAbsent),
        ("reset after applying", Effect::ApplyThenReset, DoubtfulAndThere),
        ("black hole before applying", Effect::Hang { applied: false }, DoubtfulAndAbsent),
        ("black hole after applying", Effect::Hang { applied: true }, DoubtfulAndThere),
        ("request read half", Effect::StopReading, DoubtfulAndAbsent),
        ("request read slowly", Effect::SlowRead { bytes: 64, every: drop }, DoubtfulAndUnread),
        ("request read a little slowly", Effect::SlowRead { bytes: 1_024, every: drop }, Created),
        ("reply at 1 byte/s", slow(1_000), DoubtfulAndThere),
        ("reply a little late", Effect::Delay(Duration::from_millis(300)), Created),
        ("status line only", Effect::StatusLineOnly, DoubtfulAndThere),
        ("half a reply, then silence", Effect::StopSending, DoubtfulAndThere),
        ("more announced than sent", Effect::AnnounceMore(MEBIBYTE), DoubtfulAndThere),
        ("truncated body", Effect::TruncatedBody, DoubtfulAndThere),
        ("broken chunks", Effect::BrokenChunks, DoubtfulAndThere),
        ("interim answer", Effect::Interim(103), Created),
        ("headers too large", Effect::LongHeader(1 << 20), DoubtfulAndThere),
        ("huge body", Effect::HugeBody(64 * MEBIBYTE), DoubtfulAndThere),
        ("gzip bomb", Effect::GzipBomb, DoubtfulAndThere),
        ("kept alive, then closed", Effect::CloseIdle, Created),
    ]
    .into_iter()
    .map(move |(fault, effect, verdict)| Storm::on_create(vendor, effect, verdict).cell(FAMILY, fault))
}

/// What happens to a read. One whose answer is only late is not there: nothing would be seen of it.
fn reads(vendor: Vendor) -> impl Iterator<Item = Cell> {
    let table = [
        ("closed", Effect::DropBefore, 2),
        ("reset", Effect::ResetBefore, 2),
        ("black hole", Effect::Hang { applied: false }, 1),
        ("reply at 1 byte/s", slow(1_000), 1),
        ("status line only", Effect::StatusLineOnly, 1),
        ("half a reply, then silence", Effect::StopSending, 1),
        ("more announced than sent", Effect::AnnounceMore(MEBIBYTE), 1),
        ("truncated body", Effect::TruncatedBody, 2),
        ("broken chunks", Effect::BrokenChunks, 2),
        ("interim answer", Effect::Interim(103), 2),
        ("headers too large", Effect::LongHeader(1 << 20), 2),
        ("huge body", Effect::HugeBody(64 * MEBIBYTE), 2),
        ("gzip bomb", Effect::GzipBomb, 1),
        ("kept alive, then closed", Effect::CloseIdle, 2),
    ];
    Struck::READS.into_iter().flat_map(move |struck| {
        table
            .clone()
            .into_iter()
            .map(move |(fault, effect, times)| Storm { vendor, struck, effect, times }.cell(FAMILY, fault))
    })
}

/// No connection is kept for the next request, so that none can be closed under one: each comes over its own.
fn alone(vendor: Vendor) -> Cell {
    let fault = "kept-alive connection closed under a POST";
    Cell::new(FAMILY, fault, format!("every call, {}", name(vendor)), move |stage| {
        each_over_its_own(stage, vendor)
    })
}

async fn each_over_its_own(stage: Stage, vendor: Vendor) {
    let mut world = start(plan(&stage, vendor)).await;
    strike(&world, vendor, Call::Any, u64::MAX, Effect::CloseIdle);
    for number in 0..5 {
        let delivery = deliver(&mut world, &format!("INC-{number}"), vendor).await;
        assert_eq!(delivery.attempts.len(), 1, "a connection was closed under it: {delivery:#?}");
    }
    let system = simulator(&world, vendor);
    let (connections, requests) =
        (system.reached(Call::Connection, Point::Accepted), system.requests().len());
    assert_eq!(connections, requests as u64, "so many connections for so many requests");
    world.finish().await;
}

fn slow(millis: u64) -> Effect {
    Effect::SlowBody { bytes: 1, every: Duration::from_millis(millis) }
}
