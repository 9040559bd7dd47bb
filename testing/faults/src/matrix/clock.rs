//! The wall clock is set forward or back.

use std::time::Duration;

use jiff::SignedDuration;
use rhythmx_ticketing::v1::{DeliveryState, TicketSystem};
use ticketing_simulator::{self as simulator, Call, Effect, Profile, RetryAfter, Rule, Vendor};
use tokio::time::Instant;

use super::cell::{Cell, Stage};
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
enum What {
    /// The create is applied; its reply is pending.
    Sending,
    /// The create was applied and its connection closed: unknown outcome.
    Unknown,
    /// Throttled for one second.
    Waiting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    BetweenTwoRuns,
    WhileItRuns,
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
        for what in [What::Unknown, What::Waiting] {
            cells.push(cell(name, step, When::BetweenTwoRuns, what));
        }
        for what in [What::Sending, What::Unknown, What::Waiting] {
            cells.push(cell(name, step, When::WhileItRuns, what));
        }
    }
    cells
}

fn cell(name: &str, step: SignedDuration, when: When, what: What) -> Cell {
    let fault = format!("set {name} {}", when.name());
    Cell::new(FAMILY, fault, what.name(), move |stage| set(stage, step, when, what))
}

async fn set(stage: Stage, step: SignedDuration, when: When, what: What) {
    let lagging = Profile::of(Vendor::JiraCloud).with_index_lag(INDEX_LAG);
    let plan = stage.plan().with_jira(Vendor::JiraCloud, lagging);
    let plan = plan.with_flag("--attempt-deadline=600ms").with_flag("--lease=1500ms");
    let plan = plan.with_flag(&format!("--jira-cloud-index-bound={}ms", INDEX_BOUND.as_millis()));
    let plan = if when == When::WhileItRuns { plan.in_a_process() } else { plan };
    let mut world = plan.start().await;
    world.jira.faults().push(Rule::new(Call::Create, simulator::When::Next(1), what.effect()));
    let push = held_push::begin_push(&world, "INC-1", TicketSystem::Jira);
    match what {
        What::Sending => world.until_tickets(TicketSystem::Jira, 1).await,
        What::Unknown => world.until_some(DeliveryState::Reconciling).await,
        What::Waiting => world.until_some(DeliveryState::Waiting).await,
    }
    let began = Instant::now();
    match when {
        When::WhileItRuns => world.server.set_clock(step),
        When::BetweenTwoRuns => {
            world.server.next_start().clock_set = step;
            world.restart().await;
        }
    }
    held_push::end(&mut world, push, TicketSystem::Jira).await;
    world.until_all_delivered(1).await;
    stage.recovered(began.elapsed(), LIMIT);
    assert_eq!(world.jira.tickets().len(), 1);
    world.finish().await;
}

// === impl What ===

impl What {
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

// === impl When ===

impl When {
    fn name(self) -> &'static str {
        match self {
            Self::BetweenTwoRuns => "between two runs",
            Self::WhileItRuns => "while the server runs",
        }
    }
}
