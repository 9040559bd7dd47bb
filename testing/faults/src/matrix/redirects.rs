//! Redirects are never followed: the other address receives no request and no credential.

use ticketing_simulator::{Effect, Profile, Simulator, Vendor};

use super::calls::{AffectedCall, CallFault, VENDORS, Verdict, plan, simulator, start};
use super::cell::{Cell, CellContext};

const FAMILY: &str = "redirects";

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];
/// A status that clients follow with a GET, and one with which they repeat the request.
const BOTH_KINDS: [u16; 2] = [302, 307];
const CREATE: AffectedCall = AffectedCall::Create(Verdict::UnknownThenAbsent);
/// A path that no ticket system has.
const PAGE: &str = "/elsewhere";

/// Target of the redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RedirectTarget {
    /// Another system that accepts the same credentials.
    OtherHost,
    /// Another page of the same host, to which a client would send the credentials.
    SameHost,
    /// No `Location` header.
    NoLocation,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for vendor in VENDORS {
        cells.extend(STATUSES.map(|status| cell(vendor, CREATE, status, RedirectTarget::OtherHost)));
        for affected in AffectedCall::READS {
            cells.extend(BOTH_KINDS.map(|status| cell(vendor, affected, status, RedirectTarget::OtherHost)));
        }
        for affected in [CREATE, AffectedCall::Search] {
            cells.push(cell(vendor, affected, 307, RedirectTarget::SameHost));
            cells.push(cell(vendor, affected, 302, RedirectTarget::NoLocation));
        }
    }
    cells
}

fn cell(vendor: Vendor, affected: AffectedCall, status: u16, to: RedirectTarget) -> Cell {
    // Placeholder: `run` sets the effect once it knows the address of the other system.
    let call_fault =
        CallFault { vendor, affected, effect: Effect::EmptyBody { status, applied: false }, times: 1 };
    let fault = format!("redirect {status} {}", to.name());
    Cell::new(FAMILY, fault, call_fault.location(), move |context| {
        run(context, call_fault.clone(), status, to)
    })
}

async fn run(context: CellContext, mut call_fault: CallFault, status: u16, to: RedirectTarget) {
    let vendor = call_fault.vendor;
    let mut world = start(plan(&context, vendor)).await;
    let other = Simulator::start(vendor, Profile::of(vendor)).await.unwrap();
    let location = match to {
        RedirectTarget::OtherHost => Some(format!("{}{PAGE}", other.base_url())),
        RedirectTarget::SameHost => Some(PAGE.to_owned()),
        RedirectTarget::NoLocation => None,
    };
    if let Some(location) = location {
        call_fault.effect = Effect::Redirect { status, location };
    }
    call_fault.run(&context, &mut world).await;
    let requests = other.requests();
    assert!(requests.is_empty(), "it was followed: {requests:#?}");
    let followed = simulator(&world, vendor).requests().into_iter().find(|request| request.path == PAGE);
    assert!(followed.is_none(), "it was followed: {followed:#?}");
    world.finish().await;
}

// === impl RedirectTarget ===

impl RedirectTarget {
    fn name(self) -> &'static str {
        match self {
            Self::OtherHost => "to another host",
            Self::SameHost => "to the same host",
            Self::NoLocation => "without a location",
        }
    }
}
