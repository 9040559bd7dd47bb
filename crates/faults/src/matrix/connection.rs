//! What connections suffer: cut, silent, slow, endless, or never made.

use std::time::Duration;

use ticketing_simulator::{Effect, Vendor};

use super::calls::{Storm, Struck, VENDORS, Verdict};
use super::cell::Cell;

use Verdict::{Created, DoubtfulAndAbsent, DoubtfulAndThere};

const FAMILY: &str = "connection";

const MEBIBYTE: u64 = 1 << 20;

pub(super) fn cells() -> Vec<Cell> {
    VENDORS.into_iter().flat_map(|vendor| creates(vendor).chain(reads(vendor))).collect()
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
        ("request read slowly", Effect::SlowRead { bytes: 64, every: drop }, DoubtfulAndAbsent),
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

fn slow(millis: u64) -> Effect {
    Effect::SlowBody { bytes: 1, every: Duration::from_millis(millis) }
}
