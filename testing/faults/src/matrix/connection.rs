//! Connection faults: closed, reset, hanging, slow or never-ending.

use std::time::Duration;

use Verdict::{Created, UnknownNotReceived, UnknownThenAbsent, UnknownThenFound};
use ticketing_simulator::{Call, Effect, Vendor};

use super::calls::{
    AffectedCall, CallFault, VENDORS, Verdict, deliver, inject, name, plan, simulator, start,
};
use super::cell::{Cell, CellContext};

const FAMILY: &str = "connection";

const MEBIBYTE: u64 = 1 << 20;

pub(super) fn cells() -> Vec<Cell> {
    VENDORS
        .into_iter()
        .flat_map(|vendor| creates(vendor).chain(reads(vendor)).chain([own_connections(vendor)]))
        .collect()
}

/// Faults of the create, and the verdict that each must lead to.
fn creates(vendor: Vendor) -> impl Iterator<Item = Cell> {
    let drop = Duration::from_millis(50);
    [
        ("closed before applying", Effect::DropBefore, UnknownThenAbsent),
        ("closed after applying", Effect::ApplyThenDrop, UnknownThenFound),
        ("reset before applying", Effect::ResetBefore, UnknownThenAbsent),
        ("reset after applying", Effect::ApplyThenReset, UnknownThenFound),
        ("black hole before applying", Effect::Hang { applied: false }, UnknownThenAbsent),
        ("black hole after applying", Effect::Hang { applied: true }, UnknownThenFound),
        ("half of the request read", Effect::StopReading, UnknownThenAbsent),
        ("request read slowly", Effect::SlowRead { bytes: 64, every: drop }, UnknownNotReceived),
        ("request read a little slowly", Effect::SlowRead { bytes: 1_024, every: drop }, Created),
        ("reply at 1 byte/s", slow(1_000), UnknownThenFound),
        ("reply a little late", Effect::Delay(Duration::from_millis(300)), Created),
        ("status line only", Effect::StatusLineOnly, UnknownThenFound),
        ("half a reply, then silence", Effect::StopSending, UnknownThenFound),
        ("more announced than sent", Effect::AnnounceMore(MEBIBYTE), UnknownThenFound),
        ("truncated body", Effect::TruncatedBody, UnknownThenFound),
        ("broken chunks", Effect::BrokenChunks, UnknownThenFound),
        ("interim answer", Effect::Interim(103), Created),
        ("headers too large", Effect::LongHeader(1 << 20), UnknownThenFound),
        ("huge body", Effect::HugeBody(64 * MEBIBYTE), UnknownThenFound),
        ("gzip bomb", Effect::GzipBomb, UnknownThenFound),
        ("keep-alive, then closed", Effect::CloseIdle, Created),
    ]
    .into_iter()
    .map(move |(fault, effect, verdict)| CallFault::on_create(vendor, effect, verdict).cell(FAMILY, fault))
}

/// Faults of a read. A reply that is only late is left out, since it would have no visible effect.
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
        ("keep-alive, then closed", Effect::CloseIdle, 2),
    ];
    AffectedCall::READS.into_iter().flat_map(move |affected| {
        table.clone().into_iter().map(move |(fault, effect, times)| {
            CallFault { vendor, affected, effect, times }.cell(FAMILY, fault)
        })
    })
}

/// A create has a connection of its own, and a read is repeated on another one: a server that closes an idle connection
/// breaks neither.
fn own_connections(vendor: Vendor) -> Cell {
    let fault = "keep-alive connection closed during a POST";
    Cell::new(FAMILY, fault, format!("every call, {}", name(vendor)), move |context| {
        is_not_broken_by_idle_connections(context, vendor)
    })
}

async fn is_not_broken_by_idle_connections(context: CellContext, vendor: Vendor) {
    let mut world = start(plan(&context, vendor)).await;
    inject(&world, vendor, Call::Any, u64::MAX, Effect::CloseIdle);
    for number in 0..5 {
        let delivery = deliver(&mut world, &format!("INC-{number}"), vendor).await;
        assert_eq!(delivery.attempts.len(), 1, "a connection was closed under it: {delivery:#?}");
    }
    let creates = simulator(&world, vendor).creates();
    let answers: Vec<_> = creates.iter().map(|create| create.answered).collect();
    assert_eq!(answers, [Some(201); 5], "each create was the first request of its connection");
    world.finish().await;
}

fn slow(millis: u64) -> Effect {
    Effect::SlowBody { bytes: 1, every: Duration::from_millis(millis) }
}
