//! The clock on the wall is set, forward and back.

use std::time::Duration;

use jiff::SignedDuration;
use rhythmx_ticketing::v1::{DeliveryState, TicketSystem};
use ticketing_simulator::{Call, Effect, Profile, RetryAfter, Rule, Vendor, When};
use tokio::time::Instant;

use super::cell::{Cell, Stage};

const FAMILY: &str = "clock";

/// The index bound: so long that a clock that is trusted too much proves an absence before its time.
const INDEX_BOUND: Duration = Duration::from_millis(1_500);
/// How long the index really lags.
const INDEX_LAG: Duration = Duration::from_millis(1_000);
/// Everything is well again after the bounds, whatever the clock says.
const LIMIT: Duration = Duration::from_secs(8);

/// What lies in the database when the clock is set.
#[derive(Debug, Clone, Copy)]
enum What {
    /// Applied, and not answered.
    InDoubt,
    /// Throttled for a second.
    Waiting,
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
        for what in [What::InDoubt, What::Waiting] {
            let fault = format!("set {name} between two runs");
            cells.push(Cell::new(FAMILY, fault, what.name(), move |stage| set(stage, what, step)));
        }
    }
    cells.push(Cell::does_not_apply(
        FAMILY,
        "set while the server runs",
        "everywhere",
        "the wall is read once, at the start; after that time is counted since boot",
    ));
    cells
}

async fn set(stage: Stage, what: What, step: SignedDuration) {
    let lagging = Profile::of(Vendor::JiraCloud).with_index_lag(INDEX_LAG);
    let plan = stage.plan().with_jira(Vendor::JiraCloud, lagging);
    let plan = plan.with_flag(&format!("--jira-cloud-index-bound={}ms", INDEX_BOUND.as_millis()));
    let mut world = plan.start().await;
    let then = match what {
        What::InDoubt => Effect::ApplyThenDrop,
        What::Waiting => Effect::throttle(RetryAfter::Seconds(1)),
    };
    world.jira.weather().push(Rule::new(Call::Create, When::Next(1), then));
    world.push("INC-1", TicketSystem::Jira).await;
    let state =
        if matches!(what, What::InDoubt) { DeliveryState::Reconciling } else { DeliveryState::Waiting };
    world.until_some(state).await;
    world.server.next_start().clock_set = step;
    let began = Instant::now();
    world.restart().await;
    world.until_all_delivered(1).await;
    stage.recovered(began.elapsed(), LIMIT);
    assert_eq!(world.jira.tickets().len(), 1);
    world.finish().await;
}

// === impl What ===

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::InDoubt => "in doubt",
            Self::Waiting => "waiting, throttled",
        }
    }
}
