//! Subscribers that are slow, and those of a stopping server.

use rhythmx_ticketing::Client;
use rhythmx_ticketing::v1::{TicketEvent, TicketSystem};
use tonic::Code;
use tonic::transport::Endpoint;

use ticketing_harness::{Plan, Subscriber, World, after, from_oldest, incident, refusal};

/// Bytes that a subscriber takes before it has to read: a few events.
const SMALL_WINDOW: u32 = 1_024;

#[tokio::test]
async fn shutdown_ends_streams_with_their_last_token() {
    let mut world = Plan::new().in_a_process().start().await;
    let mut stream = Subscriber::open(&world.client, from_oldest()).await;
    world.push("INC-1", TicketSystem::Jira).await;
    stream.events(3).await;
    let last = stream.token.clone();
    let ended = tokio::spawn(async move { stream.end().await });
    world.restart().await;
    let refused = refusal::<()>(Err(ended.await.unwrap()));
    refused.is(Code::Unavailable, "SHUTTING_DOWN", &[]);
    assert!(refused.has_retry_delay);
    assert_eq!(refused.metadata["resume_token"], last);
    let mut resumed = Subscriber::open(&world.client, after(&last)).await;
    world.push("INC-2", TicketSystem::Jira).await;
    assert_eq!(resumed.event().await.sequence, 4);
    world.finish().await;
}

#[tokio::test]
async fn unread_subscriber_does_not_delay_shutdown() {
    let mut world = Plan::new().with_flag("--shutdown-grace=500ms").start().await;
    let stalled = Subscriber::open(&with_small_window(&world).await, from_oldest()).await;
    push_many(&mut world).await;
    world.server.stop().await;
    drop(stalled);
    world.server.start_again().await;
    world.client = world.server.client().await;
    world.finish().await;
}

#[tokio::test]
async fn slow_subscriber_neither_delays_others_nor_misses_events() {
    let mut world = Plan::new().start().await;
    let mut slow = Subscriber::open(&with_small_window(&world).await, from_oldest()).await;
    let mut fast = Subscriber::open(&world.client, from_oldest()).await;
    let mut seen = vec![];
    for index in 0..10 {
        world.push(&format!("INC-{index}"), TicketSystem::Jira).await;
        let expected: Vec<u64> = (3 * index + 1..=3 * index + 3).collect();
        assert_eq!(sequences(&fast.events(3).await), expected);
        // The slow one reads one event while three are made.
        seen.extend(sequences(&slow.events(1).await));
    }
    seen.extend(sequences(&slow.events(20).await));
    assert_eq!(seen, (1..=30).collect::<Vec<_>>());
    world.finish().await;
}

fn sequences(events: &[TicketEvent]) -> Vec<u64> {
    events.iter().map(|event| event.sequence).collect()
}

/// A client that is sent no more than a few events ahead of its reading.
async fn with_small_window(world: &World) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{}", world.server.address)).unwrap();
    let endpoint = endpoint.initial_stream_window_size(SMALL_WINDOW);
    Client::over(endpoint.connect().await.unwrap())
}

/// Makes many events, and returns their number.
async fn push_many(world: &mut World) -> u64 {
    for index in 0..10 {
        world.try_push(incident(&format!("INC-{index}")), TicketSystem::Jira).await.unwrap();
    }
    30
}
