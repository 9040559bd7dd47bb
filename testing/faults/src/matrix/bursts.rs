//! Bursts of incidents while something is slow: each becomes one ticket, whether a caller waits for it or not.

use std::time::Duration;

use rhythmx_ticketing::v1::stream_ticket_events_response::Message;
use rhythmx_ticketing::{Client, v1};
use ticketing_harness::{World, incident};
use ticketing_simulator::{Call, Effect, Rule, When};
use tokio::task::JoinSet;
use tonic::Code;

use super::cell::{Cell, CellContext};

const FAMILY: &str = "bursts";
const INCIDENTS: usize = 120;
/// Callers of each incident.
const CALLERS: usize = 8;
/// Longer than all calls take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

pub(super) fn cells() -> Vec<Cell> {
    vec![
        Cell::new(FAMILY, "every fourth create takes 20 times as long", "120 incidents", uneven_creates),
        Cell::new(FAMILY, "callers give up after 1 s", "8 callers of each incident", impatient_callers),
        Cell::new(FAMILY, "a subscriber reads one event a second", "120 incidents", slow_reader),
    ]
}

async fn uneven_creates(context: CellContext) {
    let world = context.plan().with_long_deadlines().start().await;
    delay_creates(&world, When::EveryNth(4), Duration::from_secs(1));
    delay_creates(&world, When::Always, Duration::from_millis(50));
    push_once(&world, DEADLINE).await;
    finish(world).await;
}

/// Those that gave up repeat their calls: what was accepted before is not created again.
async fn impatient_callers(context: CellContext) {
    let world = context.plan().with_long_deadlines().start().await;
    delay_creates(&world, When::Always, Duration::from_millis(300));
    let mut gave_up = 0;
    for outcome in push_by_all(&world, Duration::from_secs(1)).await {
        gave_up += usize::from(outcome.is_err_and(|code| code == Code::DeadlineExceeded));
    }
    assert!(gave_up > 0, "every call was answered within a second");
    push_once(&world, DEADLINE).await;
    finish(world).await;
}

/// Neither the pushes nor another subscriber wait for it.
async fn slow_reader(context: CellContext) {
    let world = context.plan().start().await;
    let subscribe = |mut client: Client| async move {
        let request = v1::StreamTicketEventsRequest::default();
        client.stream_ticket_events(request).await.expect("a subscription begins")
    };
    let mut slow = subscribe(world.client.clone()).await;
    let mut quick = subscribe(world.client.clone()).await;
    let reading = tokio::spawn(async move {
        while let Ok(Some(_)) = slow.message().await {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    push_once(&world, DEADLINE).await;
    let mut delivered = 0;
    while delivered < INCIDENTS {
        let message = quick.message().await.expect("the stream goes on").expect("the stream goes on");
        if let Some(Message::Event(event)) = message.message {
            delivered += usize::from(event.kind() == v1::TicketEventKind::Delivered);
        }
    }
    reading.abort();
    finish(world).await;
}

/// Creates each incident with one call.
pub(crate) async fn push_once(world: &World, deadline: Duration) {
    for outcome in push(world, 1, deadline).await {
        outcome.expect("every call is answered");
    }
}

async fn push_by_all(world: &World, deadline: Duration) -> Vec<Result<(), Code>> {
    push(world, CALLERS, deadline).await
}

/// Creates each incident with as many calls, all at once.
async fn push(world: &World, callers: usize, deadline: Duration) -> Vec<Result<(), Code>> {
    let mut calls = JoinSet::new();
    for _ in 0..callers {
        let client = world.server.client().await.with_deadline(deadline);
        for n in 0..INCIDENTS {
            let mut client = client.clone();
            let acknowledged = world.acknowledged.clone();
            calls.spawn(async move {
                let request = v1::CreateTicketRequest {
                    incident: Some(incident(&format!("INC-{n}"))),
                    destination: Some(v1::TicketSystem::Jira.into()),
                };
                let answer = client.create_ticket(request).await.map_err(|status| status.code())?;
                acknowledged.note_push(&answer);
                Ok(())
            });
        }
    }
    calls.join_all().await
}

fn delay_creates(world: &World, when: When, delay: Duration) {
    world.jira.faults().push(Rule::new(Call::Create, when, Effect::Delay(delay)));
}

/// Everything is delivered, with one ticket for each incident.
pub(crate) async fn finish(mut world: World) {
    world.until_all_delivered(INCIDENTS).await;
    assert_eq!(world.jira.tickets().len(), INCIDENTS);
    world.finish().await;
}
