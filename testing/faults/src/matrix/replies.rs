//! Every status and every strange body that a ticket system can answer with, to a create and to the reads around it.

use Verdict::{DoubtfulAndAbsent, DoubtfulAndThere, Found, Refused};
use serde_json::json;
use ticketing_simulator::{Effect, Reply, Vendor};

use super::calls::{Storm, Struck, VENDORS, Verdict};
use super::cell::Cell;

const FAMILY: &str = "replies";

/// Statuses that say that nothing was made, and can be believed.
const REFUSALS: [u16; 6] = [400, 401, 403, 404, 413, 422];
/// Statuses that leave a doubt.
const DOUBTS: [u16; 8] = [202, 204, 408, 409, 500, 502, 503, 504];

pub(super) fn cells() -> Vec<Cell> {
    VENDORS.into_iter().flat_map(|vendor| creates(vendor).chain(reads(vendor))).collect()
}

fn creates(vendor: Vendor) -> impl Iterator<Item = Cell> {
    let mut table: Vec<(String, Effect, Verdict)> = vec![];
    table.extend(REFUSALS.map(|code| (code.to_string(), status(code), Refused)));
    for code in DOUBTS {
        table.push((format!("{code} before applying"), status(code), DoubtfulAndAbsent));
        let at_once = code == 409 && vendor == Vendor::ServiceNow;
        let verdict = if at_once { Found } else { DoubtfulAndThere };
        table.push((format!("{code} after applying"), Effect::ApplyThenAnswer(page(code)), verdict));
    }
    for (applied, verdict, when) in
        [(false, DoubtfulAndAbsent, "before applying"), (true, DoubtfulAndThere, "after applying")]
    {
        table.push((format!("garbage 201 {when}"), Effect::Garbage { status: 201, applied }, verdict));
        table.push((format!("empty 201 {when}"), Effect::EmptyBody { status: 201, applied }, verdict));
    }
    let strange = [
        ("foreign 201", Effect::ForeignSuccess),
        ("hollow 201", Effect::Answer(Reply::json(201, &json!({})))),
        ("201 HTML", Effect::Html { status: 201 }),
        ("200 HTML", Effect::Html { status: 200 }),
        ("hollow 200", Effect::Answer(Reply::json(200, &json!({})))),
    ];
    table.extend(strange.map(|(name, effect)| (name.to_owned(), effect, DoubtfulAndAbsent)));
    if vendor != Vendor::ServiceNow {
        table.push(("200 with a refused login".to_owned(), Effect::authenticated_failed(), Refused));
    }
    table
        .into_iter()
        .map(move |(fault, effect, verdict)| Storm::on_create(vendor, effect, verdict).cell(FAMILY, fault))
}

fn reads(vendor: Vendor) -> impl Iterator<Item = Cell> {
    let statuses = REFUSALS.into_iter().chain(DOUBTS).map(|code| (code.to_string(), status(code)));
    let strange = [
        ("201", Effect::Answer(Reply::json(201, &json!({ "result": [] })))),
        ("garbage 200", Effect::Garbage { status: 200, applied: false }),
        ("empty 200", Effect::EmptyBody { status: 200, applied: false }),
        ("foreign 201", Effect::ForeignSuccess),
        ("200 HTML", Effect::Html { status: 200 }),
        ("hollow 200", Effect::Answer(Reply::json(200, &json!({})))),
        ("200 with null", Effect::Answer(Reply::json(200, &json!(null)))),
        ("200 with a list", Effect::Answer(Reply::json(200, &json!([])))),
    ];
    let strange = strange.map(|(name, effect)| (name.to_owned(), effect));
    let table: Vec<_> = statuses.chain(strange).collect();
    Struck::READS.into_iter().flat_map(move |struck| {
        // A second refused login in a row would suspend one that its vendor can lock.
        let is_lockable = vendor == Vendor::ServiceNow;
        let times = move |fault: &str| match struck {
            Struck::Search if !(is_lockable && fault == "401") => 2,
            _ => 1,
        };
        let cell = move |(fault, effect): (String, Effect)| {
            Storm { vendor, struck, effect, times: times(&fault) }.cell(FAMILY, fault)
        };
        table.clone().into_iter().map(cell)
    })
}

fn status(status: u16) -> Effect {
    Effect::Answer(page(status))
}

/// What something before a ticket system answers.
fn page(status: u16) -> Reply {
    Reply::html(status, "<html><head><title>A page</title></head><body></body></html>")
}
