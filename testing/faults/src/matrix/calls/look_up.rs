//! Answers to look-ups: an untrusted answer is neither a ticket nor a proof of absence.

use rhythmx_ticketing::v1::{AttemptKind, AttemptOutcome};
use ticketing_harness::{World, creates};
use ticketing_simulator::{Call, Effect};
use tokio::time::Instant;

use super::{Storm, deliver, simulator, strike, told};
use crate::matrix::cell::Stage;

/// What the look-up has to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ticket {
    There,
    NotThere,
}

/// A create of uncertain outcome, and look-ups that are struck.
pub(super) async fn pass(storm: &Storm, ticket: Ticket, stage: &Stage, world: &mut World) {
    let vendor = storm.vendor;
    storm.make_outcome_unknown(world).await;
    storm.begin(world);
    let began = Instant::now();
    let delivery = deliver(world, "INC-1", vendor).await;
    stage.recovered(began.elapsed(), storm.limit());
    assert_eq!(simulator(world, vendor).tickets().len(), 2, "so many tickets: {delivery:#?}");
    let told = told(&delivery);
    assert_eq!(told.first(), Some(&(AttemptKind::Send, AttemptOutcome::Ambiguous)), "{delivery:#?}");
    let (last, sent) = match ticket {
        Ticket::There => ((AttemptKind::LookUp, AttemptOutcome::Found), 1),
        Ticket::NotThere => ((AttemptKind::Send, AttemptOutcome::Applied), 2),
    };
    assert_eq!(told.last(), Some(&last), "it ended otherwise: {delivery:#?}");
    assert_eq!(creates(simulator(world, vendor)), 1 + sent, "so many creates: {delivery:#?}");
}

// === impl Ticket ===

impl Ticket {
    /// The next create will be of unknown outcome. What the project offers is known then, so that no read before the create takes
    /// what is meant for the look-up.
    pub(super) async fn make_outcome_unknown(self, storm: &Storm, world: &mut World) {
        deliver(world, "INC-0", storm.vendor).await;
        let uncertain = match self {
            Self::There => Effect::ApplyThenDrop,
            Self::NotThere => Effect::DropBefore,
        };
        strike(world, storm.vendor, Call::Create, 1, uncertain);
    }
}
