//! Repeated `kill -9`.

use std::time::Duration;

use rhythmx_ticketing::v1::{DeliveryState, TicketSystem};
use ticketing_simulator::{Call, Effect, Profile, Rule, Vendor, When};

use ticketing_harness::{Plan, World, push_all, state};

const PUSHES: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_among_500_pushes_to_jira_makes_each_ticket_once() {
    let mut world = with_faults(Plan::new()).await;
    let accepted = push_and_kill(&mut world, &[80, 200, 350], TicketSystem::Jira).await;
    delivered_once(&mut world, &accepted, TicketSystem::Jira).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_among_500_pushes_to_servicenow_makes_each_ticket_once() {
    let mut world = with_faults(Plan::new()).await;
    let accepted = push_and_kill(&mut world, &[120, 330], TicketSystem::Servicenow).await;
    delivered_once(&mut world, &accepted, TicketSystem::Servicenow).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_during_retries_and_look_ups_recovers_by_itself() {
    let lagging = Profile::of(Vendor::JiraCloud).with_index_lag(Duration::from_millis(150));
    let mut world = with_faults(Plan::new().with_jira(Vendor::JiraCloud, lagging)).await;
    let faults = [
        Rule::new(Call::Create, When::Next(60), Effect::apply_then_gateway_timeout()),
        Rule::new(Call::Search, When::Next(60), Effect::Delay(Duration::from_millis(40))),
    ];
    faults.into_iter().for_each(|rule| world.jira.faults().push(rule));
    let ids = ids(100);
    let answers = world.push_all(ids.clone(), TicketSystem::Jira, 16).await;
    assert!(answers.iter().all(|(_, answer)| answer.is_ok()));
    for pause in [30, 250, 90, 10, 400] {
        world.wait(Duration::from_millis(pause)).await;
        world.crash().await;
    }
    delivered_once(&mut world, &ids, TicketSystem::Jira).await;
    world.finish().await;
}

/// A server in its own process, and ticket systems that sometimes do not answer.
async fn with_faults(plan: Plan) -> World {
    // Only the faults may be slow, even on a busy machine.
    let plan = plan.with_flag("--attempt-deadline=3s").with_flag("--lease=9s");
    let world = plan.in_a_process().with_flag("--concurrency=16").start().await;
    for simulator in [&world.jira, &world.servicenow] {
        let faults = simulator.faults();
        faults.push(Rule::new(Call::Create, When::EveryNth(20), Effect::apply_then_gateway_timeout()));
        faults.push(Rule::new(Call::Create, When::EveryNth(27), Effect::DropBefore));
        faults.push(Rule::new(Call::Create, When::EveryNth(31), Effect::Delay(Duration::from_millis(300))));
    }
    world
}

/// Pushes five hundred incidents, and kills the server at certain numbers of tickets. Returns the accepted
/// incidents; the others are pushed again, as their callers would.
async fn push_and_kill(world: &mut World, kills: &[usize], system: TicketSystem) -> Vec<String> {
    let all = ids(PUSHES);
    let mut left = all.clone();
    let mut kills = kills.iter();
    while !left.is_empty() {
        let pushes = tokio::spawn({
            let client = world.client.clone();
            let left = left.clone();
            async move { push_all(&client, left, system, 24).await }
        });
        if let Some(kill) = kills.next() {
            let simulator = if system == TicketSystem::Jira { &world.jira } else { &world.servicenow };
            while simulator.tickets().len() < *kill {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            world.crash().await;
        }
        for (id, answer) in pushes.await.unwrap() {
            answer.iter().for_each(|answer| world.acknowledged.note_push(answer));
            if answer.is_ok_and(|answer| state(&answer) != DeliveryState::Cancelled) {
                left.retain(|other| *other != id);
            }
        }
    }
    all
}

async fn delivered_once(world: &mut World, accepted: &[String], system: TicketSystem) {
    let deliveries = world.until_all_delivered(accepted.len()).await;
    assert_eq!(deliveries.len(), accepted.len());
    let simulator = if system == TicketSystem::Jira { &world.jira } else { &world.servicenow };
    assert_eq!(simulator.tickets().len(), accepted.len());
}

fn ids(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("INC-{n}")).collect()
}
