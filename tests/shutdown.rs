//! SIGTERM: work in progress is completed, or reconciled by the next start.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, AttemptKind, AttemptOutcome, DeliveryState, TicketSystem};
use ticketing_simulator::{Call, Effect, Rule, When};

use ticketing_harness::{Plan, World, creates, incident};

#[tokio::test]
async fn shutdown_waits_for_a_slow_create() {
    let mut world = Plan::new().in_a_process().start().await;
    let slow = Effect::Delay(Duration::from_millis(700));
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), slow));
    let pushing = push_in_background(&world, "INC-1");
    until_sent(&world).await;
    world.restart().await;
    // The caller got its response, or lost its connection; the delivery has its ticket either way.
    let _ = pushing.await.unwrap();
    let delivery = world.deliveries().await.remove(0);
    assert_eq!(delivery.state(), DeliveryState::Delivered, "{delivery:#?}");
    assert_eq!((delivery.attempts.len(), creates(&world.jira)), (1, 1));
    assert_eq!(delivery.attempts[0].outcome(), AttemptOutcome::Applied);
    world.finish().await;
}

#[tokio::test]
async fn shutdown_abandons_hanging_attempt_and_next_start_finds_it() {
    let plan = Plan::new().in_a_process().with_flag("--shutdown-grace=150ms");
    let plan = plan.with_flag("--attempt-deadline=4s").with_flag("--lease=12s");
    let mut world = plan.start().await;
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), Effect::Hang { applied: true }));
    let pushing = push_in_background(&world, "INC-1");
    until_sent(&world).await;
    let began = tokio::time::Instant::now();
    world.restart().await;
    assert!(began.elapsed() < Duration::from_secs(4), "the stop took {:?}", began.elapsed());
    let _ = pushing.await.unwrap();
    let delivery = world.until_all_delivered(1).await.remove(0);
    assert_eq!((creates(&world.jira), world.jira.tickets().len()), (1, 1), "{delivery:#?}");
    let last = delivery.attempts.last().unwrap();
    assert_eq!((last.kind(), last.outcome()), (AttemptKind::LookUp, AttemptOutcome::Found));
    world.finish().await;
}

#[tokio::test]
async fn shutdown_answers_callers_with_the_current_state() {
    let plan = Plan::new().with_flag("--shutdown-grace=150ms");
    let mut world = plan.with_flag("--attempt-deadline=4s").with_flag("--lease=12s").start().await;
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), Effect::Hang { applied: true }));
    let pushing = push_in_background(&world, "INC-1");
    until_sent(&world).await;
    world.restart().await;
    assert!(pushing.await.unwrap(), "an accepted push is no error");
    world.until_all_delivered(1).await;
    world.finish().await;
}

fn push_in_background(world: &World, id: &str) -> tokio::task::JoinHandle<bool> {
    let request = v1::CreateTicketRequest {
        incident: Some(incident(id)),
        destination: Some(TicketSystem::Jira.into()),
    };
    let mut client = world.client.clone();
    tokio::spawn(async move { client.create_ticket(request).await.is_ok() })
}

async fn until_sent(world: &World) {
    while creates(&world.jira) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
