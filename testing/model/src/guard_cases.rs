//! The guards of the protocol, and the effect of removing each.

use crate::guard::Guard;
use crate::promise::Violation;
use crate::setup::{Canaries, Fleet, Promise, Setup, Tickets};

/// The expected effect of removing a guard, and the explorations that show it.
#[derive(Debug, Clone)]
pub struct GuardCase {
    pub guard: Guard,
    pub verdict: Verdict,
    pub trials: Vec<GuardTrial>,
}

/// The effect on the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There are two tickets.
    Caught,
    /// None, because the named guard is sufficient.
    Covered(&'static str),
}

/// An exploration, and its expected result.
#[derive(Debug, Clone)]
pub struct GuardTrial {
    pub setup: Setup,
    /// `None` if every promise of the setup must hold.
    pub expected: Option<Violation>,
}

const TWO: Fleet = Fleet::Shared { servers: 2 };

/// Every guard, in the order in which a delivery meets them.
#[must_use]
pub fn guards() -> Vec<GuardCase> {
    let caught = |guard| {
        let setup = Setup::indexed("two servers", TWO).without(guard);
        GuardCase { guard, verdict: Verdict::Caught, trials: vec![GuardTrial::breaks(setup)] }
    };
    let at_once = Setup::immediate("two servers, a search that shows at once", TWO);
    vec![
        caught(Guard::Lease),
        lease_term(),
        caught(Guard::Epoch),
        caught(Guard::Intent),
        caught(Guard::SendDeadline),
        late_success(),
        caught(Guard::LookUp),
        GuardCase {
            guard: Guard::AskedAt,
            verdict: Verdict::Caught,
            trials: vec![GuardTrial::breaks(at_once.without(Guard::AskedAt))],
        },
        look_up_epoch(),
        GuardCase {
            guard: Guard::ServerBound,
            verdict: Verdict::Caught,
            trials: vec![
                GuardTrial::breaks(at_once.without(Guard::ServerBound)),
                GuardTrial::breaks(Setup::indexed("two servers", TWO).without(Guard::ServerBound)),
            ],
        },
        caught(Guard::IndexBound),
        second_answer(),
        canary_age(),
        search_evidence(),
    ]
}

/// If a paused worker sends after its deadline anyway: possibly a second ticket, which the duplicate scans
/// report.
#[must_use]
pub fn broken_assumptions() -> Vec<GuardTrial> {
    let paused = |setup, promise| {
        let duplicate_scans = promise != Promise::OneTicket;
        Setup { paused_writer: true, duplicate_scans, promise, ..setup }
    };
    let alone = Fleet::Alone { workers: 2 };
    let duplicate_scans = "two servers: a paused worker sends late, and duplicate scans report every ticket";
    let failed =
        "two servers: a paused worker sends late, the index lags, and duplicate scans report every ticket";
    let one_ticket =
        |name, fleet| GuardTrial::breaks(paused(Setup::indexed(name, fleet), Promise::OneTicket));
    vec![
        one_ticket("one server: a paused task sends late", alone),
        one_ticket("two servers: a paused worker sends late", TWO),
        GuardTrial::holds(paused(Setup::immediate(duplicate_scans, TWO), Promise::EveryTicketIsKnown)),
        GuardTrial::holds(paused(Setup::indexed(failed, TWO), Promise::EveryTicketIsKnown)),
    ]
}

/// Like one of several servers that each assume they own the store.
fn lease_term() -> GuardCase {
    let setup = Setup::indexed("two servers", TWO).without(Guard::LeaseTerm);
    GuardCase {
        guard: Guard::LeaseTerm,
        verdict: Verdict::Covered("by the epoch and the intent: a lease that ends early costs a look-up"),
        trials: vec![GuardTrial::holds(setup.clone()), GuardTrial::breaks(setup.without(Guard::Epoch))],
    }
}

fn late_success() -> GuardCase {
    let without = Setup::indexed("two servers", TWO).without(Guard::LateSuccess);
    let setup = Setup { promise: Promise::All, ..without.clone() };
    GuardCase {
        guard: Guard::LateSuccess,
        verdict: Verdict::Covered("by the look-up, which finds the ticket later"),
        trials: vec![GuardTrial::holds(setup), GuardTrial::breaks(without.without(Guard::LookUp))],
    }
}

fn look_up_epoch() -> GuardCase {
    let setup = Setup::indexed("two servers", TWO).without(Guard::LookUpEpoch);
    GuardCase {
        guard: Guard::LookUpEpoch,
        verdict: Verdict::Covered("by the time at which the search was asked: an old one proves nothing new"),
        trials: vec![GuardTrial::holds(setup.clone()), GuardTrial::breaks(setup.without(Guard::AskedAt))],
    }
}

/// One tick beyond the bound is less than the look-up interval.
fn second_answer() -> GuardCase {
    let mut late = Setup::indexed("two servers, an index that lags a tick beyond its bound", TWO);
    late.vendor.index_lag += 1;
    let in_time = Setup::indexed("two servers", TWO);
    GuardCase {
        guard: Guard::SecondAnswer,
        verdict: Verdict::Covered(
            "by the index bound, while the index keeps to it; it is there for when it does not",
        ),
        trials: vec![
            GuardTrial::holds(in_time.without(Guard::SecondAnswer)),
            GuardTrial::holds(late.clone()),
            GuardTrial::breaks(late.without(Guard::SecondAnswer)),
        ],
    }
}

/// An index catches up in the order of creation.
fn canary_age() -> GuardCase {
    let known = |name| Setup { canaries: Canaries::Always, ..Setup::indexed(name, TWO) };
    let mut late = known("two servers, known canaries, an index that lags far beyond its bound");
    late.vendor.index_lag = late.bounds.index + late.bounds.server + 1;
    GuardCase {
        guard: Guard::CanaryAge,
        verdict: Verdict::Covered(
            "by the index bound, while the index keeps to it; it is there for when it does not",
        ),
        trials: vec![
            GuardTrial::holds(known("two servers, known canaries").without(Guard::CanaryAge)),
            GuardTrial::holds(late.clone()),
            GuardTrial::breaks(late.without(Guard::CanaryAge)),
        ],
    }
}

/// If no search ever finds our tickets, there is at most one; whether it exists, only an operator can tell.
#[must_use]
pub fn hidden_tickets() -> Vec<GuardTrial> {
    vec![
        GuardTrial::holds(hidden(Setup::indexed("two servers, tickets that no search shows", TWO))),
        GuardTrial::holds(hidden(Setup::immediate("two servers, records that no query shows", TWO))),
    ]
}

fn search_evidence() -> GuardCase {
    let without = |trial: GuardTrial| GuardTrial::breaks(trial.setup.without(Guard::SearchEvidence));
    GuardCase {
        guard: Guard::SearchEvidence,
        verdict: Verdict::Caught,
        trials: hidden_tickets().into_iter().map(without).collect(),
    }
}

/// The account never sees the tickets that it creates, or the marker is dropped: every search is empty.
fn hidden(setup: Setup) -> Setup {
    Setup { tickets: Tickets::Hidden, promise: Promise::OneTicket, ..setup }
}

// === impl GuardTrial ===

impl GuardTrial {
    pub(crate) fn holds(setup: Setup) -> Self {
        Self { setup, expected: None }
    }

    pub(crate) fn breaks(setup: Setup) -> Self {
        Self { setup, expected: Some(Violation::SecondTicket) }
    }
}
