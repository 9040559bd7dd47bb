//! What a look-up is answered: nothing that it can not trust is taken for a ticket, or for a proof that there is none.

use rhythmx_ticketing::v1::{AttemptKind, AttemptOutcome};
use ticketing_harness::creates;
use ticketing_simulator::{Call, Effect, Vendor};
use tokio::time::Instant;

use super::{deliver, limit, plan, simulator, strike, told};
use crate::matrix::cell::Stage;

/// What the look-up has to find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::matrix) enum Ticket {
    There,
    NotThere,
}

/// A create of doubtful outcome, and look-ups that are struck `times` in a row.
pub(in crate::matrix) async fn on_look_up(
    stage: Stage,
    vendor: Vendor,
    effect: Effect,
    times: u64,
    ticket: Ticket,
) {
    let mut world = plan(&stage, vendor).start().await;
    // What the project offers is known now, so that no read before the create takes what is meant for the look-up.
    deliver(&mut world, "INC-0", vendor).await;
    let doubtful = match ticket {
        Ticket::There => Effect::ApplyThenDrop,
        Ticket::NotThere => Effect::DropBefore,
    };
    strike(&world, vendor, Call::Create, 1, doubtful);
    strike(&world, vendor, asked(vendor, ticket), times, effect);
    let began = Instant::now();
    let delivery = deliver(&mut world, "INC-1", vendor).await;
    stage.recovered(began.elapsed(), limit(times));
    let told = told(&delivery);
    assert_eq!(told.first(), Some(&(AttemptKind::Create, AttemptOutcome::Ambiguous)), "{delivery:#?}");
    let (last, sent) = match ticket {
        Ticket::There => ((AttemptKind::LookUp, AttemptOutcome::Found), 1),
        Ticket::NotThere => ((AttemptKind::Create, AttemptOutcome::Created), 2),
    };
    assert_eq!(told.last(), Some(&last), "it ended otherwise: {delivery:#?}");
    assert_eq!(creates(simulator(&world, vendor)), 1 + sent, "so many creates: {delivery:#?}");
    assert_eq!(simulator(&world, vendor).tickets().len(), 2, "so many tickets: {delivery:#?}");
    world.finish().await;
}

/// The call that finds the ticket; or, where there is none, the one that must be answered too before that is believed:
/// Jira is asked whether it shows us the project at all, ServiceNow whether it has a record with our `sys_id`.
fn asked(vendor: Vendor, ticket: Ticket) -> Call {
    match (ticket, vendor) {
        (Ticket::There, _) => Call::Search,
        (Ticket::NotThere, Vendor::JiraCloud | Vendor::JiraDataCenter) => Call::Meta,
        (Ticket::NotThere, Vendor::ServiceNow) => Call::Read,
    }
}
