//! Redirects are never followed: the other address receives no request and no credential.

use ticketing_simulator::{Effect, Profile, Simulator, Vendor};

use super::calls::{Storm, Struck, VENDORS, Verdict, plan, simulator, start};
use super::cell::{Cell, Stage};

const FAMILY: &str = "redirects";

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];
/// A status that clients follow with a GET, and one with which they repeat the request.
const BOTH_KINDS: [u16; 2] = [302, 307];
const CREATE: Struck = Struck::Create(Verdict::DoubtfulAndAbsent);
/// A path that no ticket system has.
const PAGE: &str = "/elsewhere";

/// Target of the redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    /// Another system that accepts the same credentials.
    Elsewhere,
    /// Another page of the same host, to which a client would send the credentials.
    SameHost,
    /// No `Location` header.
    Nowhere,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for vendor in VENDORS {
        cells.extend(STATUSES.map(|status| cell(vendor, CREATE, status, To::Elsewhere)));
        for struck in Struck::READS {
            cells.extend(BOTH_KINDS.map(|status| cell(vendor, struck, status, To::Elsewhere)));
        }
        for struck in [CREATE, Struck::Search] {
            cells.push(cell(vendor, struck, 307, To::SameHost));
            cells.push(cell(vendor, struck, 302, To::Nowhere));
        }
    }
    cells
}

fn cell(vendor: Vendor, struck: Struck, status: u16, to: To) -> Cell {
    // Placeholder: `play` sets the effect once it knows the address of the other system.
    let storm = Storm { vendor, struck, effect: Effect::EmptyBody { status, applied: false }, times: 1 };
    let fault = format!("redirect {status} {}", to.name());
    Cell::new(FAMILY, fault, storm.place(), move |stage| play(stage, storm.clone(), status, to))
}

async fn play(stage: Stage, mut storm: Storm, status: u16, to: To) {
    let vendor = storm.vendor;
    let mut world = start(plan(&stage, vendor)).await;
    let elsewhere = Simulator::start(vendor, Profile::of(vendor)).await.unwrap();
    let location = match to {
        To::Elsewhere => Some(format!("{}{PAGE}", elsewhere.base_url())),
        To::SameHost => Some(PAGE.to_owned()),
        To::Nowhere => None,
    };
    if let Some(location) = location {
        storm.effect = Effect::Redirect { status, location };
    }
    storm.pass(&stage, &mut world).await;
    let heard = elsewhere.requests();
    assert!(heard.is_empty(), "it was followed: {heard:#?}");
    let followed = simulator(&world, vendor).requests().into_iter().find(|request| request.path == PAGE);
    assert!(followed.is_none(), "it was followed: {followed:#?}");
    world.finish().await;
}

// === impl To ===

impl To {
    fn name(self) -> &'static str {
        match self {
            Self::Elsewhere => "to elsewhere",
            Self::SameHost => "to the same host",
            Self::Nowhere => "to nowhere",
        }
    }
}
