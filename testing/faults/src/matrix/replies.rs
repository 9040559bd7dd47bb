//! Every status and malformed body that a ticket system can reply with, to a create and to the reads around
//! it.

use Verdict::{Found, Refused, UnknownThenAbsent, UnknownThenFound};
use serde_json::json;
use ticketing_simulator::{Effect, Reply, Vendor};

use super::calls::{AffectedCall, CallFault, VENDORS, Verdict};
use super::cell::Cell;

const FAMILY: &str = "replies";

/// Statuses of a definite failure.
const REFUSALS: [u16; 6] = [400, 401, 403, 404, 413, 422];
/// Statuses of an unknown outcome.
const UNKNOWN_OUTCOMES: [u16; 8] = [202, 204, 408, 409, 500, 502, 503, 504];

pub(super) fn cells() -> Vec<Cell> {
    VENDORS.into_iter().flat_map(|vendor| creates(vendor).chain(reads(vendor))).collect()
}

fn creates(vendor: Vendor) -> impl Iterator<Item = Cell> {
    let mut table: Vec<(String, Effect, Verdict)> = vec![];
    table.extend(REFUSALS.map(|code| (code.to_string(), status(code), Refused)));
    for code in UNKNOWN_OUTCOMES {
        table.push((format!("{code} before applying"), status(code), UnknownThenAbsent));
        let at_once = code == 409 && vendor == Vendor::ServiceNow;
        let verdict = if at_once { Found } else { UnknownThenFound };
        table.push((format!("{code} after applying"), Effect::ApplyThenAnswer(page(code)), verdict));
    }
    for (applied, verdict, when) in
        [(false, UnknownThenAbsent, "before applying"), (true, UnknownThenFound, "after applying")]
    {
        table.push((format!("garbage 201 {when}"), Effect::Garbage { status: 201, applied }, verdict));
        table.push((format!("empty 201 {when}"), Effect::EmptyBody { status: 201, applied }, verdict));
    }
    let malformed = [
        ("201 of another vendor", Effect::ForeignSuccess),
        ("201 with an empty object", Effect::Answer(Reply::json(201, &json!({})))),
        ("201 HTML", Effect::Html { status: 201 }),
        ("200 HTML", Effect::Html { status: 200 }),
        ("200 with an empty object", Effect::Answer(Reply::json(200, &json!({})))),
    ];
    table.extend(malformed.map(|(name, effect)| (name.to_owned(), effect, UnknownThenAbsent)));
    if vendor != Vendor::ServiceNow {
        table.push(("200 with a refused login".to_owned(), Effect::authenticated_failed(), Refused));
    }
    table.into_iter().map(move |(fault, effect, verdict)| {
        CallFault::on_create(vendor, effect, verdict).cell(FAMILY, fault)
    })
}

fn reads(vendor: Vendor) -> impl Iterator<Item = Cell> {
    let statuses = REFUSALS.into_iter().chain(UNKNOWN_OUTCOMES).map(|code| (code.to_string(), status(code)));
    let malformed = [
        ("201", Effect::Answer(Reply::json(201, &json!({ "result": [] })))),
        ("garbage 200", Effect::Garbage { status: 200, applied: false }),
        ("empty 200", Effect::EmptyBody { status: 200, applied: false }),
        ("201 of another vendor", Effect::ForeignSuccess),
        ("200 HTML", Effect::Html { status: 200 }),
        ("200 with an empty object", Effect::Answer(Reply::json(200, &json!({})))),
        ("200 with null", Effect::Answer(Reply::json(200, &json!(null)))),
        ("200 with a list", Effect::Answer(Reply::json(200, &json!([])))),
    ];
    let malformed = malformed.map(|(name, effect)| (name.to_owned(), effect));
    let table: Vec<_> = statuses.chain(malformed).collect();
    AffectedCall::READS.into_iter().flat_map(move |affected| {
        // A second refused login in a row would suspend a login that the vendor can lock.
        let is_lockable = vendor == Vendor::ServiceNow;
        let times = move |fault: &str| match affected {
            AffectedCall::Search if !(is_lockable && fault == "401") => 2,
            _ => 1,
        };
        let cell = move |(fault, effect): (String, Effect)| {
            CallFault { vendor, affected, effect, times: times(&fault) }.cell(FAMILY, fault)
        };
        table.clone().into_iter().map(cell)
    })
}

fn status(status: u16) -> Effect {
    Effect::Answer(page(status))
}

/// An HTML page of a proxy or gateway.
fn page(status: u16) -> Reply {
    Reply::html(status, "<html><head><title>A page</title></head><body></body></html>")
}
