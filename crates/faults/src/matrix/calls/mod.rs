//! What goes wrong with one of the calls to a ticket system: the create, a look-up, or a read before the create.

mod create;
mod look_up;
mod prepare;

use std::time::Duration;

use rhythmx_ticketing::v1::{AttemptKind, AttemptOutcome, Delivery, DeliveryState, TicketSystem};
use ticketing_harness::{Plan, World};
use ticketing_simulator::{Call, Effect, Profile, Rule, Simulator, Vendor, When};

use super::cell::Stage;

pub(super) use self::create::{Verdict, on_create, settled_create};
pub(super) use self::look_up::{Ticket, on_look_up};
pub(super) use self::prepare::on_prepare;

pub(super) const VENDORS: [Vendor; 3] = [Vendor::JiraCloud, Vendor::JiraDataCenter, Vendor::ServiceNow];

/// After what time a request is given up. Nothing but the weather is to be slower, on a busy machine too.
pub(super) const ATTEMPT_DEADLINE: Duration = Duration::from_secs(2);
/// What proves that there is no ticket, and the retries after it: the bounds of the harness, and ticks of 60 ms.
const SETTLE: Duration = Duration::from_secs(1);
/// What this machine may be slow.
const GRACE: Duration = Duration::from_secs(4);

/// Which calls the weather strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Struck {
    Create,
    /// The search of a look-up whose ticket is there.
    Search,
    /// What a look-up asks before it says that there is no ticket.
    Proof,
    /// What is asked before a create.
    Preparation,
}

// === impl Struck ===

impl Struck {
    /// Those that only read.
    pub(super) const READS: [Self; 3] = [Self::Search, Self::Proof, Self::Preparation];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Search => "look-up",
            Self::Proof => "proof of absence",
            Self::Preparation => "preparing read",
        }
    }
}

/// Strikes calls that only read, `times` in a row. Whatever they answer, there is one ticket in the end, and nobody lends
/// a hand.
pub(super) async fn on_read(stage: Stage, vendor: Vendor, struck: Struck, effect: Effect, times: u64) {
    match struck {
        Struck::Search => on_look_up(stage, vendor, effect, times, Ticket::There).await,
        Struck::Proof => on_look_up(stage, vendor, effect, times, Ticket::NotThere).await,
        Struck::Preparation => on_prepare(stage, vendor, effect, times).await,
        Struck::Create => panic!("a create writes"),
    }
}

/// How long it may take until all is well, where the weather strikes so often.
pub(super) fn limit(times: u64) -> Duration {
    ATTEMPT_DEADLINE * u32::try_from(times).unwrap() + SETTLE + GRACE
}

/// A server, and the vendor's system behind it.
pub(super) fn plan(stage: &Stage, vendor: Vendor) -> Plan {
    let jira = if vendor == Vendor::JiraDataCenter { vendor } else { Vendor::JiraCloud };
    let plan = stage.plan().with_jira(jira, Profile::of(jira));
    plan.with_flag(&format!("--attempt-deadline={}s", ATTEMPT_DEADLINE.as_secs())).with_flag("--lease=6s")
}

pub(super) fn system(vendor: Vendor) -> TicketSystem {
    match vendor {
        Vendor::JiraCloud | Vendor::JiraDataCenter => TicketSystem::Jira,
        Vendor::ServiceNow => TicketSystem::Servicenow,
    }
}

pub(super) fn simulator(world: &World, vendor: Vendor) -> &Simulator {
    world.simulator(system(vendor))
}

/// "create, Jira Cloud".
pub(super) fn place(struck: Struck, vendor: Vendor) -> String {
    format!("{}, {}", struck.name(), name(vendor))
}

pub(super) fn name(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::JiraCloud => "Jira Cloud",
        Vendor::JiraDataCenter => "Jira Data Center",
        Vendor::ServiceNow => "ServiceNow",
    }
}

/// Pushes an incident that has met nothing bad yet, and waits until it is delivered.
pub(super) async fn deliver(world: &mut World, id: &str, vendor: Vendor) -> Delivery {
    let delivery = world.push(id, system(vendor)).await.delivery.unwrap();
    world.until(&delivery.id, DeliveryState::Delivered).await
}

pub(super) fn strike(world: &World, vendor: Vendor, on: Call, times: u64, effect: Effect) {
    simulator(world, vendor).weather().push(Rule::new(on, When::Next(times), effect));
}

/// What its attempts and look-ups were, in order.
pub(super) fn told(delivery: &Delivery) -> Vec<(AttemptKind, AttemptOutcome)> {
    delivery.attempts.iter().map(|attempt| (attempt.kind(), attempt.outcome())).collect()
}
