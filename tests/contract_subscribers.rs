//! Many subscribers, slow subscribers, and subscribers of a stopping server.

use rhythmx_ticketing::Client;
use rhythmx_ticketing::v1::{self, TicketSystem};
use tonic::Code;
use tonic::transport::Endpoint;

use ticketing_harness::{Plan, Subscriber, WAIT_TIMEOUT, World, after, from_oldest, incident, refusal};

const MANY: usize = 50;
/// Bytes that a subscriber takes before it has to read: a few events.
const SMALL_WINDOW: u32 = 1_024;

#[tokio::test]
async fn fifty_subscribers_at_once_see_the_same() {
    let mut world = Plan::new().start().await;
    let mut all = vec![];
    for _ in 0..MANY {
        all.push(Subscriber::open(&world.client, v1::StreamTicketEventsRequest::default()).await);
    }
    for index in 0..5 {
        world.push(&format!("INC-{index}"), TicketSystem::Jira).await;
    }
    let mut tasks = tokio::task::JoinSet::new();
    for mut subscriber in all {
        tasks.spawn(async move { subscriber.events(15).await });
    }
    let expected = Subscriber::open(&world.client, from_oldest()).await.events(15).await;
    let seen = tasks.join_all().await;
    assert_eq!(seen.len(), MANY);
    assert!(seen.into_iter().all(|events| events == expected));
    world.finish().await;
}

#[tokio::test]
async fn slow_subscriber_is_ended_with_its_resume_token() {
    let mut world = Plan::new().with_flag("--subscriber-timeout=200ms").start().await;
    let mut slow = Subscriber::open(&with_small_window(&world).await, from_oldest()).await;
    let count = push_many(&mut world).await;
    // Nothing is read until the subscriber timeout must have passed; then what was sent can be read.
    let ended = async {
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        slow.end().await
    };
    let status = tokio::time::timeout(WAIT_TIMEOUT, ended).await.expect("a slow subscriber is ended");
    let refused = refusal::<()>(Err(status));
    refused.is(Code::ResourceExhausted, "SUBSCRIBER_TOO_SLOW", &[]);
    assert_eq!(
        refused.metadata["resume_token"], slow.token,
        "the token is that of the last event that arrived"
    );
    let mut resumed = Subscriber::open(&world.client, after(&slow.token)).await;
    let first = resumed.event().await.sequence;
    assert!(first > 1);
    let rest = resumed.events(usize::try_from(count - first).unwrap()).await;
    assert_eq!(rest.last().unwrap().sequence, count);
    world.finish().await;
}

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
