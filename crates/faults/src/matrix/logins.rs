//! A login that is refused, and an account that is locked: whoever goes on asking locks the account for good.

use std::time::Duration;

use rhythmx_ticketing::v1::{ConfigureRequest, TargetConditionKind};
use ticketing_failpoints::Point;
use ticketing_harness::retry;
use ticketing_simulator::{Call, Effect, Rule, Vendor, When};

use super::calls::{VENDORS, name, plan, simulator, start, system};
use super::cell::{Cell, Stage};
use super::doubt::status;
use super::held;

const FAMILY: &str = "logins";

/// Incidents that are pushed while the target is to be left alone.
const PUSHES: usize = 20;
/// Between two ticks, in milliseconds: longer than a cell.
const TICK: i32 = 600_000;
/// What would be asked all the same is asked within this time.
const SOON: Duration = Duration::from_millis(500);

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for vendor in VENDORS {
        for (fault, refusal, becomes) in [
            ("login refused, and many pushes", status(401), TargetConditionKind::LoginRefused),
            ("account locked, and many pushes", locked(), TargetConditionKind::Suspended),
        ] {
            if vendor == Vendor::ServiceNow && becomes == TargetConditionKind::Suspended {
                let why = "ServiceNow answers a locked account as it answers any refused login";
                cells.push(Cell::does_not_apply(FAMILY, fault, name(vendor), why));
                continue;
            }
            cells.push(Cell::new(FAMILY, fault, name(vendor), move |stage| {
                left_alone(stage, vendor, refusal.clone(), becomes)
            }));
        }
    }
    for vendor in [Vendor::JiraCloud, Vendor::JiraDataCenter] {
        cells.push(Cell::new(FAMILY, "account locked, and a retry is due", name(vendor), move |stage| {
            not_asked_again(stage, vendor)
        }));
    }
    cells
}

/// When the refusal is on record the target is known to be locked: no tick finds the one without the other.
async fn not_asked_again(stage: Stage, vendor: Vendor) {
    let mut world = start(plan(&stage, vendor).in_a_process()).await;
    simulator(&world, vendor).weather().push(Rule::new(Call::Any, When::Next(1), locked()));
    world.server.arm(Point::Recorded);
    let push = held::begin_push(&world, "INC-1", system(vendor));
    world.server.until_held(Point::Recorded).await;
    let asked = simulator(&world, vendor).requests().len();
    world.while_nothing_happens_for(SOON).await;
    assert_eq!(simulator(&world, vendor).requests().len(), asked, "it was asked again");
    world.server.release();
    held::end(&mut world, push, system(vendor)).await;
    world.test_passes(system(vendor)).await;
    world.until_all_delivered(1).await;
    world.finish().await;
}

/// After one refusal nothing but a probe a tick is asked any more, however much is pushed, until a person has tested the connection. What was
/// pushed meanwhile is delivered then.
async fn left_alone(stage: Stage, vendor: Vendor, refusal: Effect, becomes: TargetConditionKind) {
    let mut world = start(plan(&stage, vendor)).await;
    let ticks = ConfigureRequest { retry: Some(retry(60, TICK, TICK)), ..Default::default() };
    world.configure(ticks).await;
    simulator(&world, vendor).weather().push(Rule::new(Call::Any, When::Always, refusal));
    world.push("INC-0", system(vendor)).await;
    world.until_target(system(vendor), becomes).await;
    let asked = simulator(&world, vendor).requests().len();
    for n in 1..=PUSHES {
        world.push(&format!("INC-{n}"), system(vendor)).await;
    }
    world.while_nothing_happens_for(SOON).await;
    let asked_since = simulator(&world, vendor).requests().len() - asked;
    // The tick that was due when the interval was made longer still comes, with its one probe.
    assert!(asked_since <= 1, "the login was tried {asked_since} times more");
    simulator(&world, vendor).weather().clear();
    world.test_passes(system(vendor)).await;
    world.until_all_delivered(1 + PUSHES).await;
    world.finish().await;
}

fn locked() -> Effect {
    Effect::captcha("https://jira.example/login.jsp")
}
