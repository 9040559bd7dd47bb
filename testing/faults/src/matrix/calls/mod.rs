//! What goes wrong with one of the calls to a ticket system: the create, a look-up, or a read before the create.

mod create;
mod look_up;
mod prepare;

use std::time::Duration;

use rhythmx_ticketing::v1::{
    AttemptKind, AttemptOutcome, ConfigureRequest, Delivery, DeliveryState, TicketSystem,
};
use ticketing_harness::{Plan, World, retry};
use ticketing_simulator::{Call, Effect, Profile, Rule, Simulator, Vendor, When};

use self::look_up::Presence;
use super::cell::{Cell, CellContext};

pub(super) use self::create::Verdict;

pub(super) const VENDORS: [Vendor; 3] = [Vendor::JiraCloud, Vendor::JiraDataCenter, Vendor::ServiceNow];

/// Time limit of a request: long enough for a busy machine, so that only the injected faults exceed it.
const ATTEMPT_DEADLINE: Duration = Duration::from_millis(1_200);
/// What proves that there is no ticket, and the retries after it: the bounds of the harness, look-ups and ticks.
const PROOF_TIME: Duration = Duration::from_secs(1);
/// Allowance for a slow machine.
const GRACE: Duration = Duration::from_secs(5);

/// The calls that a fault affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AffectedCall {
    /// The create; what it must be taken for then.
    Create(Verdict),
    /// The search of a look-up whose ticket is there.
    Search,
    /// What a look-up asks before it says that there is no ticket.
    Proof,
    /// What is asked before a create.
    Preparation,
}

/// Calls to a vendor's system that go wrong.
#[derive(Debug, Clone)]
pub(super) struct CallFault {
    pub(super) vendor: Vendor,
    pub(super) affected: AffectedCall,
    pub(super) effect: Effect,
    /// Number of consecutive calls.
    pub(super) times: u64,
}

// === impl AffectedCall ===

impl AffectedCall {
    /// Those that only read.
    pub(super) const READS: [Self; 3] = [Self::Search, Self::Proof, Self::Preparation];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Search => "look-up",
            Self::Proof => "proof of absence",
            Self::Preparation => "preparing read",
        }
    }

    /// The calls that are it. Before a ticket is said not to exist, Jira is asked whether it shows us the project at
    /// all, and ServiceNow whether it has a record with our `sys_id`.
    pub(super) fn call(self, vendor: Vendor) -> Call {
        match self {
            Self::Create(_) => Call::Create,
            Self::Search => Call::Search,
            Self::Proof if vendor == Vendor::ServiceNow => Call::Read,
            Self::Proof | Self::Preparation => Call::Meta,
        }
    }
}

// === impl CallFault ===

impl CallFault {
    /// One create, which must be taken for `verdict`.
    pub(super) fn on_create(vendor: Vendor, effect: Effect, verdict: Verdict) -> Self {
        Self { vendor, affected: AffectedCall::Create(verdict), effect, times: 1 }
    }

    /// The cell in which this happens.
    pub(super) fn cell(self, family: &'static str, fault: impl Into<String>) -> Cell {
        let at = self.location();
        Cell::new(family, fault, at, move |context| {
            let call_fault = self.clone();
            async move {
                let mut world = start(plan(&context, call_fault.vendor)).await;
                call_fault.run(&context, &mut world).await;
                world.finish().await;
            }
        })
    }

    /// "create, Jira Cloud".
    pub(super) fn location(&self) -> String {
        format!("{}, {}", self.affected.name(), name(self.vendor))
    }

    /// Pushes an incident while the fault is active: one ticket results, without an operator.
    pub(super) async fn run(&self, context: &CellContext, world: &mut World) {
        match self.affected {
            AffectedCall::Create(verdict) => create::run(self, verdict, context, world).await,
            AffectedCall::Search => look_up::run(self, Presence::Present, context, world).await,
            AffectedCall::Proof => look_up::run(self, Presence::Absent, context, world).await,
            AffectedCall::Preparation => prepare::run(self, context, world).await,
        }
    }

    /// Where look-ups are affected, there is one to come: the next create will be of unknown outcome.
    pub(super) async fn make_outcome_unknown(&self, world: &mut World) {
        match self.affected {
            AffectedCall::Search => Presence::Present.make_outcome_unknown(self, world).await,
            AffectedCall::Proof => Presence::Absent.make_outcome_unknown(self, world).await,
            AffectedCall::Create(_) | AffectedCall::Preparation => {}
        }
    }

    /// Time limit of the recovery.
    pub(super) fn time_limit(&self) -> Duration {
        ATTEMPT_DEADLINE * u32::try_from(self.times).unwrap() + PROOF_TIME + GRACE
    }

    /// Injects the fault from now on.
    pub(super) fn begin(&self, world: &World) {
        inject(world, self.vendor, self.affected.call(self.vendor), self.times, self.effect.clone());
    }
}

/// A server, and the vendor's system behind it.
pub(super) fn plan(context: &CellContext, vendor: Vendor) -> Plan {
    let jira = if vendor == Vendor::JiraDataCenter { vendor } else { Vendor::JiraCloud };
    let plan = context.plan().with_jira(jira, Profile::of(jira));
    let plan = plan.with_flag(&format!("--attempt-deadline={}ms", ATTEMPT_DEADLINE.as_millis()));
    plan.with_flag("--lease=6s").with_flag("--look-up-interval=150ms")
}

/// Starts it with slow ticks: what is only waited for costs little then, and hundreds of cells wait.
pub(super) async fn start(plan: Plan) -> World {
    let mut world = plan.start_unconfigured().await;
    let settings = ConfigureRequest { retry: Some(retry(60, 3_600, 150)), ..world.settings() };
    world.configure(settings).await;
    world
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

pub(super) fn name(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::JiraCloud => "Jira Cloud",
        Vendor::JiraDataCenter => "Jira Data Center",
        Vendor::ServiceNow => "ServiceNow",
    }
}

/// Pushes an incident, and waits until it is delivered.
pub(super) async fn deliver(world: &mut World, id: &str, vendor: Vendor) -> Delivery {
    let delivery = world.push(id, system(vendor)).await.delivery.unwrap();
    world.until(&delivery.id, DeliveryState::Delivered).await
}

pub(super) fn inject(world: &World, vendor: Vendor, on: Call, times: u64, effect: Effect) {
    simulator(world, vendor).faults().push(Rule::new(on, When::Next(times), effect));
}

/// From now on no look-up finds anything: none is to end the unknown outcome before what the cell is about has begun.
pub(super) fn inject_into_early_look_ups(world: &World, vendor: Vendor, effect: Effect) {
    let rule = Rule::new(Call::Search, When::Always, effect);
    simulator(world, vendor).faults().push_optional(rule, "there may be no look-up so early");
}

/// Kind and outcome of each of its attempts and look-ups, in order.
pub(super) fn outcomes(delivery: &Delivery) -> Vec<(AttemptKind, AttemptOutcome)> {
    delivery.attempts.iter().map(|attempt| (attempt.kind(), attempt.outcome())).collect()
}
