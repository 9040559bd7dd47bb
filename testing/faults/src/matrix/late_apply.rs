//! Creates that are applied long after their connection is closed.

use std::time::Duration;

use ticketing_harness::creates;
use ticketing_simulator::{Call, Effect, Profile, Vendor};
use tokio::time::Instant;

use super::calls::{VENDORS, Verdict, deliver, inject, name, plan, simulator, start};
use super::cell::{Cell, CellContext};

const FAMILY: &str = "late apply";

const ATTEMPT_DEADLINE: Duration = Duration::from_millis(500);
/// Server bound: how long after the deadline a request may still be applied.
const SERVER_BOUND: Duration = Duration::from_secs(3);
/// Allowance for a slow machine.
const GRACE: Duration = Duration::from_secs(4);

pub(super) fn cells() -> Vec<Cell> {
    let late = [
        ("applied late, after the connection", Duration::from_millis(200)),
        ("applied late, within the server bound", Duration::from_secs(2)),
        ("applied late, at the end of the server bound", ATTEMPT_DEADLINE + SERVER_BOUND * 9 / 10),
    ];
    let mut cells = vec![];
    for (fault, after) in late {
        for vendor in VENDORS {
            let at = format!("create, {}", name(vendor));
            let profile = Profile::of(vendor);
            cells.push(Cell::new(FAMILY, fault, at, move |context| {
                run(context, vendor, profile.clone(), after)
            }));
        }
        // This instance would not reject a second insert: only the server bound prevents a duplicate.
        let profile = Profile { ignores_sys_id: true, ..Profile::of(Vendor::ServiceNow) };
        cells.push(Cell::new(FAMILY, fault, "create, ServiceNow that ignores our sys_id", move |context| {
            run(context, Vendor::ServiceNow, profile.clone(), after)
        }));
    }
    cells
}

async fn run(context: CellContext, vendor: Vendor, profile: Profile, after: Duration) {
    let plan = plan(&context, vendor);
    let plan = match vendor {
        Vendor::ServiceNow => plan.with_servicenow(profile),
        Vendor::JiraCloud | Vendor::JiraDataCenter => plan.with_jira(vendor, profile),
    };
    let plan = plan.with_flag(&format!("--attempt-deadline={}ms", ATTEMPT_DEADLINE.as_millis()));
    let plan = plan.with_flag(&format!("--server-bound={}ms", SERVER_BOUND.as_millis()));
    let mut world = start(plan).await;
    inject(&world, vendor, Call::Create, 1, Effect::ApplyLate(after));
    let began = Instant::now();
    let delivery = deliver(&mut world, "INC-1", vendor).await;
    context.recovered(began.elapsed(), after + GRACE);
    // If the server did not wait, the late create may still be applied.
    if let Some(rest) = after.checked_sub(began.elapsed()) {
        world.wait(rest).await;
    }
    assert_eq!(creates(simulator(&world, vendor)), 1, "it was sent again: {delivery:#?}");
    Verdict::UnknownThenFound.check(&world, vendor, &delivery);
    world.finish().await;
}
