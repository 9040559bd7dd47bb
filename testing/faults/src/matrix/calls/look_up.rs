//! Answers to look-ups: an untrusted answer is neither a ticket nor a proof of absence.

use rhythmx_ticketing::v1::{AttemptKind, AttemptOutcome};
use ticketing_harness::{World, creates};
use ticketing_simulator::{Call, Effect};
use tokio::time::Instant;

use super::{CallFault, deliver, inject, outcomes, simulator};
use crate::matrix::cell::CellContext;

/// What the look-up has to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Present,
    Absent,
}

/// A create of uncertain outcome, and look-ups that are affected by the fault.
pub(super) async fn run(call_fault: &CallFault, ticket: Presence, context: &CellContext, world: &mut World) {
    let vendor = call_fault.vendor;
    call_fault.make_outcome_unknown(world).await;
    call_fault.begin(world);
    let began = Instant::now();
    let delivery = deliver(world, "INC-1", vendor).await;
    context.recovered(began.elapsed(), call_fault.time_limit());
    assert_eq!(simulator(world, vendor).tickets().len(), 2, "so many tickets: {delivery:#?}");
    let outcomes = outcomes(&delivery);
    assert_eq!(outcomes.first(), Some(&(AttemptKind::Send, AttemptOutcome::Ambiguous)), "{delivery:#?}");
    let (last, sent) = match ticket {
        Presence::Present => ((AttemptKind::LookUp, AttemptOutcome::Found), 1),
        Presence::Absent => ((AttemptKind::Send, AttemptOutcome::Applied), 2),
    };
    assert_eq!(outcomes.last(), Some(&last), "it ended otherwise: {delivery:#?}");
    assert_eq!(creates(simulator(world, vendor)), 1 + sent, "so many creates: {delivery:#?}");
}

// === impl Presence ===

impl Presence {
    /// The next create will be of unknown outcome. What the project offers is known then, so that no read before the create takes
    /// what is meant for the look-up.
    pub(super) async fn make_outcome_unknown(self, call_fault: &CallFault, world: &mut World) {
        deliver(world, "INC-0", call_fault.vendor).await;
        let uncertain = match self {
            Self::Present => Effect::ApplyThenDrop,
            Self::Absent => Effect::DropBefore,
        };
        inject(world, call_fault.vendor, Call::Create, 1, uncertain);
    }
}
