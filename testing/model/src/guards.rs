//! The guards of the protocol, and what becomes of it without each.

use std::fmt;

use crate::promise::Violation;
use crate::setup::{Fleet, Promise, Setup, Tickets, Witnesses};

/// One guard of the protocol. Each can be taken away by what the model's world tells the decision functions, or does
/// not ask them; the functions themselves are never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The intent is durable before the first byte.
    Intent,
    /// What is of unknown outcome is looked for before it is sent again.
    LookUp,
    /// "Not found" proves nothing before the search must show what was made.
    IndexBound,
    /// "Not found" proves nothing while a request may still be applied.
    ServerBound,
    /// No request leaves after the deadline of its intent.
    SendDeadline,
    /// Only the newest claim may intend and settle.
    Epoch,
    /// Only the newest claim may end a doubt by what it did not find.
    LookUpEpoch,
    /// A search proves what was so when it was asked, not when its answer is recorded.
    AskedAt,
    /// A ticket that was made is recorded even by one who has lost the claim.
    LateSuccess,
    /// What is claimed is not claimed again until its lease was ended.
    Lease,
    /// A lease is not ended before its time.
    LeaseTerm,
    /// Where a search lags, one empty answer is not enough: a witness, or a second one.
    SecondAnswer,
    /// A witness was made when nothing of the uncertain send could be applied any more.
    WitnessAge,
    /// An empty answer counts only where the search is known to show tickets of ours.
    SearchEvidence,
}

/// What is expected of the protocol without a guard, and the explorations that show it.
#[derive(Debug, Clone)]
pub struct GuardCase {
    pub guard: Guard,
    pub verdict: Verdict,
    pub trials: Vec<GuardTrial>,
}

/// What becomes of the protocol without a guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There are two tickets.
    Caught,
    /// Nothing, as long as something else holds, which is said.
    Covered(&'static str),
}

/// One exploration, and what it must find.
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
        witness_age(),
        search_evidence(),
    ]
}

/// What comes of it where a paused worker sends after its deadline all the same: maybe a second ticket, of which the
/// duplicate scans report, and never one that is unknown.
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

/// As one of several servers that wrongly believed the store its own.
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

/// An index is brought up to date in the order in which tickets were made.
fn witness_age() -> GuardCase {
    let known = |name| Setup { canaries: Witnesses::Always, ..Setup::indexed(name, TWO) };
    let mut late = known("two servers, known canaries, an index that lags far beyond its bound");
    late.vendor.index_lag = late.bounds.index + late.bounds.server + 1;
    GuardCase {
        guard: Guard::WitnessAge,
        verdict: Verdict::Covered(
            "by the index bound, while the index keeps to it; it is there for when it does not",
        ),
        trials: vec![
            GuardTrial::holds(known("two servers, known canaries").without(Guard::WitnessAge)),
            GuardTrial::holds(late.clone()),
            GuardTrial::breaks(late.without(Guard::WitnessAge)),
        ],
    }
}

/// Where no search ever shows a ticket of ours, there is one at most; whether there is one, only a person can tell.
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

/// The account never sees what it creates, or the marker never stays: every search is empty.
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

// === impl Guard ===

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Intent => "the durable intent",
            Self::LookUp => "the look-up",
            Self::IndexBound => "the index bound",
            Self::ServerBound => "the server bound",
            Self::SendDeadline => "the send deadline",
            Self::Epoch => "the epoch",
            Self::LookUpEpoch => "the epoch of a look-up",
            Self::AskedAt => "the time at which a search was asked",
            Self::LateSuccess => "the record of a late success",
            Self::Lease => "the lease",
            Self::LeaseTerm => "the term of the lease",
            Self::SecondAnswer => "the second answer",
            Self::WitnessAge => "the age of a witness",
            Self::SearchEvidence => "the evidence of the search",
        })
    }
}
