//! The wall clock is set forward or back.

use std::time::Duration;

use jiff::SignedDuration;
use rhythmx_ticketing::v1::{DeliveryState, TicketSystem};
use ticketing_simulator::{self as simulator, Call, Effect, Profile, RetryAfter, Rule, Vendor};
use tokio::time::Instant;

use super::cell::{Cell, CellContext};
use super::held_push;

const FAMILY: &str = "clock";

/// The index bound: long enough that a server that trusts the wall clock would prove absence too early.
const INDEX_BOUND: Duration = Duration::from_millis(1_500);
/// Actual lag of the index.
const INDEX_LAG: Duration = Duration::from_millis(1_000);
/// Time limit for recovery after the bounds, however the clock is set.
const LIMIT: Duration = Duration::from_secs(8);

/// State of the delivery when the clock is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeliveryPhase {
    /// The create is applied; its reply is pending.
    Sending,
    /// The create was applied and its connection closed: unknown outcome.
    Unknown,
    /// Throttled for one second.
    Waiting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClockChange {
    BetweenRuns,
    WhileRunning,
}

pub(super) fn cells() -> Vec<Cell> {
    let hour = SignedDuration::from_hours(1);
    let steps = [
        ("an hour forward", hour),
        ("an hour back", -hour),
        ("twenty days forward", hour * 24 * 20),
        ("twenty days back", -hour * 24 * 20),
    ];
    let mut cells = vec![];
    for (name, step) in steps {
        for what in [DeliveryPhase::Unknown, DeliveryPhase::Waiting] {
            cells.push(cell(name, step, ClockChange::BetweenRuns, what));
        }
        for what in [DeliveryPhase::Sending, DeliveryPhase::Unknown, DeliveryPhase::Waiting] {
            cells.push(cell(name, step, ClockChange::WhileRunning, what));
        }
    }
    cells
}

fn cell(name: &str, step: SignedDuration, when: ClockChange, what: DeliveryPhase) -> Cell {
    let fault = format!("set {name} {}", when.name());
    Cell::new(FAMILY, fault, what.name(), move |context| set(context, step, when, what))
}

async fn set(context: CellContext, step: SignedDuration, when: ClockChange, what: DeliveryPhase) {
    let lagging = Profile::of(Vendor::JiraCloud).with_index_lag(INDEX_LAG);
    let plan = context.plan().with_jira(Vendor::JiraCloud, lagging);
    let plan = plan.with_flag("--attempt-deadline=600ms").with_flag("--lease=1500ms");
    let plan = plan.with_flag(&format!("--jira-cloud-index-bound={}ms", INDEX_BOUND.as_millis()));
    let plan = if when == ClockChange::WhileRunning { plan.in_a_process() } else { plan };
    let mut world = plan.start().await;
    world.jira.faults().push(Rule::new(Call::Create, simulator::When::Next(1), what.effect()));
    let push = held_push::begin_push(&world, "INC-1", TicketSystem::Jira);
    match what {
        DeliveryPhase::Sending => world.until_tickets(TicketSystem::Jira, 1).await,
        DeliveryPhase::Unknown => world.until_some(DeliveryState::Reconciling).await,
        DeliveryPhase::Waiting => world.until_some(DeliveryState::Waiting).await,
    }
    let began = Instant::now();
    match when {
        ClockChange::WhileRunning => world.server.set_clock(step),
        ClockChange::BetweenRuns => {
            world.server.next_start().clock_set = step;
            world.restart().await;
        }
    }
    held_push::finish(&mut world, push, TicketSystem::Jira).await;
    world.until_all_delivered(1).await;
    context.recovered(began.elapsed(), LIMIT);
    assert_eq!(world.jira.tickets().len(), 1);
    world.finish().await;
}

// === impl DeliveryPhase ===

impl DeliveryPhase {
    fn effect(self) -> Effect {
        match self {
            Self::Sending => Effect::Hang { applied: true },
            Self::Unknown => Effect::ApplyThenDrop,
            Self::Waiting => Effect::throttle(RetryAfter::Seconds(1)),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sending => "the create hangs",
            Self::Unknown => "unknown outcome",
            Self::Waiting => "waiting, throttled",
        }
    }
}

// === impl ClockChange ===

impl ClockChange {
    fn name(self) -> &'static str {
        match self {
            Self::BetweenRuns => "between two runs",
            Self::WhileRunning => "while the server runs",
        }
    }
}
