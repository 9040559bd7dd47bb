//! A thousand incidents under faults: none lost, none duplicated.

use std::time::Duration;

use rhythmx_ticketing::v1::{DeliveryState, TicketSystem};
use ticketing_simulator::{Call, Effect, Profile, Rule, Simulator, Vendor, When};

use ticketing_harness::{Plan, World};

const INCIDENTS: usize = 1_000;
const CALLERS: usize = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_pushes_to_jira_survive_lost_answers() {
    let lagging = Profile::of(Vendor::JiraCloud).with_index_lag(Duration::from_millis(200));
    let plan = Plan::new().with_jira(Vendor::JiraCloud, lagging);
    let mut world = plan
        .with_flag("--jira-cloud-index-bound=400ms")
        .with_flag("--concurrency=32")
        .with_flag("--attempt-deadline=5s")
        .with_flag("--lease=15s")
        .start()
        .await;
    world.jira.faults().push(Rule::new(
        Call::Create,
        When::EveryNth(20),
        Effect::apply_then_gateway_timeout(),
    ));
    push_a_thousand(&mut world, TicketSystem::Jira).await;
    assert_eq!(ours(&world.jira), INCIDENTS);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_pushes_to_servicenow_survive_lost_connections() {
    let mut world = Plan::new()
        .with_flag("--concurrency=32")
        .with_flag("--attempt-deadline=5s")
        .with_flag("--lease=15s")
        .start()
        .await;
    world.servicenow.faults().push(Rule::new(Call::Create, When::EveryNth(20), Effect::ApplyThenDrop));
    push_a_thousand(&mut world, TicketSystem::Servicenow).await;
    assert_eq!(ours(&world.servicenow), INCIDENTS);
    world.finish().await;
}

#[expect(clippy::print_stdout, reason = "how long it took is worth knowing")]
async fn push_a_thousand(world: &mut World, system: TicketSystem) {
    let began = tokio::time::Instant::now();
    let ids = (1..=INCIDENTS).map(|n| format!("INC-{n}")).collect();
    let answers = world.push_all(ids, system, CALLERS).await;
    let answered = began.elapsed();
    let uncertain = answers.iter().filter(|(_, answer)| {
        let state = answer.as_ref().unwrap().delivery.as_ref().unwrap().state();
        assert!(matches!(state, DeliveryState::Delivered | DeliveryState::Reconciling), "{state:?}");
        state == DeliveryState::Reconciling
    });
    let uncertain = uncertain.count();
    world.until_all_delivered(INCIDENTS).await;
    println!(
        "{system:?}: answered in {answered:?}, {uncertain} of unknown outcome; delivered in {:?}",
        began.elapsed()
    );
}

fn ours(simulator: &Simulator) -> usize {
    simulator.tickets().iter().filter(|ticket| !ticket.foreign).count()
}
