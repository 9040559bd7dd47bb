//! Subscribers that disconnect, stall, reconnect repeatedly, or are many.

use std::sync::Arc;
use std::time::Duration;

use rhythmx_ticketing::{Client, v1};
use ticketing_harness::{Subscriber, WAIT_TIMEOUT, World, after, from_oldest, refusal};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::Endpoint;

use super::cell::{Cell, CellContext};
use super::relay::Relay;

const FAMILY: &str = "streams";
/// Events of one push.
const EVENTS_PER_PUSH: usize = 3;
/// HTTP/2 stream window of a subscriber, in bytes: a few events.
const SMALL_WINDOW: u32 = 1_024;
/// Limit of the memory growth after the reconnections, in bytes: memory that the allocator retains.
const MAX_MEMORY_GROWTH: u64 = 32 * 1_024 * 1_024;
/// Number of reconnections: streams on shared connections, and streams on connections of their own.
const STREAMS: usize = 9_000;
const CONNECTIONS: usize = 1_000;

/// Ways in which a subscriber disconnects.
#[derive(Debug, Clone, Copy)]
enum Disconnect {
    CancelStream,
    ResetConnection,
}

pub(super) fn cells() -> Vec<Cell> {
    let by = |disconnect: Disconnect| move |context| disconnect_repeatedly(context, disconnect);
    vec![
        Cell::new(FAMILY, "subscriber cancels", "streaming", by(Disconnect::CancelStream)),
        Cell::new(FAMILY, "subscriber's connection is reset", "streaming", by(Disconnect::ResetConnection)),
        Cell::new(FAMILY, "40 subscribers stall", "streaming", stalled_subscribers),
        Cell::new(FAMILY, "10,000 reconnections", "streaming", many_reconnections),
        Cell::new(FAMILY, "200 subscribers at once", "streaming", many_subscribers),
    ]
}

/// Disconnects while events arrive: the next stream continues where the last one ended.
async fn disconnect_repeatedly(context: CellContext, disconnect: Disconnect) {
    const PUSHES: usize = 40;
    let mut world = context.plan().with_long_deadlines().start().await;
    let pushes = tokio::spawn(push_many(&world, PUSHES));
    let mut seen = vec![];
    let mut token = None;
    while seen.len() < PUSHES * EVENTS_PER_PUSH {
        let relay = Relay::to(&world.server).await;
        let request = token.as_deref().map_or_else(from_oldest, after);
        let mut subscriber = Subscriber::open(&relay.client().await, request).await;
        for event in subscriber.events(7.min(PUSHES * EVENTS_PER_PUSH - seen.len())).await {
            seen.push(event.sequence);
        }
        token = Some(subscriber.token.clone());
        match disconnect {
            Disconnect::CancelStream => drop(subscriber),
            Disconnect::ResetConnection => relay.cut(),
        }
    }
    assert_eq!(seen, (1..=(PUSHES * EVENTS_PER_PUSH) as u64).collect::<Vec<_>>());
    pushes.await.unwrap();
    world.until_all_delivered(PUSHES).await;
    world.finish().await;
}

/// Stalled subscribers are ended with a token to resume from, and no events are queued for them.
async fn stalled_subscribers(context: CellContext) {
    const PUSHES: usize = 150;
    let plan = context.plan().in_a_process().with_long_deadlines().with_flag("--subscriber-timeout=500ms");
    let mut world = plan.with_flag("--concurrency=16").start().await;
    let mut stalled = vec![];
    for _ in 0..40 {
        stalled.push(Subscriber::open(&with_small_window(&world).await, from_oldest()).await);
    }
    let before = world.server.memory();
    push_many(&world, PUSHES).await;
    world.until_all_delivered(PUSHES).await;
    let grown = world.server.memory().saturating_sub(before);
    assert!(grown < MAX_MEMORY_GROWTH, "{grown} bytes more");
    let began = Instant::now();
    // They read the buffered events, and then the status that ended the stream.
    world.wait(Duration::from_millis(600)).await;
    let mut ended = JoinSet::new();
    for mut subscriber in stalled {
        let client = world.client.clone();
        ended.spawn(async move {
            let status = tokio::time::timeout(WAIT_TIMEOUT, subscriber.end()).await.expect("it is ended");
            let refused = refusal::<()>(Err(status));
            refused.is(Code::ResourceExhausted, "SUBSCRIBER_TOO_SLOW", &[]);
            assert_eq!(refused.metadata["resume_token"], subscriber.token);
            let mut resumed = Subscriber::open(&client, after(&subscriber.token)).await;
            let first = resumed.event().await.sequence;
            let rest = resumed.events(PUSHES * EVENTS_PER_PUSH - usize::try_from(first).unwrap()).await;
            assert!(rest.iter().zip(first + 1..).all(|(event, number)| event.sequence == number));
        });
    }
    ended.join_all().await;
    context.recovered(began.elapsed(), WAIT_TIMEOUT);
    world.finish().await;
}

/// Each reconnection resumes from another token: the next event follows, and the server retains no memory of
/// it.
async fn many_reconnections(context: CellContext) {
    const PUSHES: usize = 30;
    let mut world = context.plan().in_a_process().with_long_deadlines().start().await;
    push_many(&world, PUSHES).await;
    world.until_all_delivered(PUSHES).await;
    let all =
        Arc::new(Subscriber::open(&world.client, from_oldest()).await.events(PUSHES * EVENTS_PER_PUSH).await);
    // Warm-up, so that one-time allocations are not measured.
    reconnect_many(&world, &all, STREAMS / 20, CONNECTIONS / 20).await;
    let before = (world.server.memory(), world.server.connections());
    reconnect_many(&world, &all, STREAMS, CONNECTIONS).await;
    let closed = async {
        // The last connections may not be closed yet.
        while world.server.connections() > before.1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        tokio::time::timeout(WAIT_TIMEOUT, closed).await.is_ok(),
        "{} connections are open",
        world.server.connections()
    );
    let grown = world.server.memory().saturating_sub(before.0);
    assert!(grown < MAX_MEMORY_GROWTH, "{grown} bytes more");
    world.finish().await;
}

async fn reconnect_many(world: &World, all: &Arc<Vec<v1::TicketEvent>>, streams: usize, connections: usize) {
    const WORKERS: usize = 16;
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let all = all.clone();
        let kept = world.server.client().await;
        let address = format!("http://{}", world.server.address);
        workers.spawn(async move {
            for n in (worker..streams + connections).step_by(WORKERS) {
                let client =
                    if n < streams { kept.clone() } else { Client::connect(&address).await.unwrap() };
                let from = &all[n % (all.len() - 1)];
                let next = &all[n % (all.len() - 1) + 1];
                let mut subscriber = Subscriber::open(&client, after(&from.resume_token)).await;
                assert_eq!(&subscriber.event().await, next);
            }
        });
    }
    workers.join_all().await;
}

async fn many_subscribers(context: CellContext) {
    const SUBSCRIBERS: usize = 200;
    const STREAMS_PER_CONNECTION: usize = 50;
    const PUSHES: usize = 20;
    let mut world = context.plan().with_long_deadlines().start().await;
    let mut subscribers = JoinSet::new();
    for _ in 0..SUBSCRIBERS / STREAMS_PER_CONNECTION {
        let client = world.server.client().await;
        for _ in 0..STREAMS_PER_CONNECTION {
            let request = v1::StreamTicketEventsRequest::default();
            let mut subscriber = Subscriber::open(&client, request).await;
            subscribers.spawn(async move { subscriber.events(PUSHES * EVENTS_PER_PUSH).await });
        }
    }
    push_many(&world, PUSHES).await;
    world.until_all_delivered(PUSHES).await;
    let all = Subscriber::open(&world.client, from_oldest()).await.events(PUSHES * EVENTS_PER_PUSH).await;
    assert!(subscribers.join_all().await.iter().all(|events| *events == all), "they see the same");
    world.finish().await;
}

/// Pushes this many incidents to Jira, eight at a time; all must succeed.
fn push_many(world: &World, count: usize) -> impl Future<Output = ()> + Send + 'static {
    let client = world.client.clone();
    let acknowledged = world.acknowledged.clone();
    async move {
        let ids = (0..count).map(|n| format!("INC-{n}")).collect();
        for (id, answer) in ticketing_harness::push_all(&client, ids, v1::TicketSystem::Jira, 8).await {
            acknowledged.note_push(&answer.unwrap_or_else(|status| panic!("{id}: {status:?}")));
        }
    }
}

/// A client with a flow-control window of a few events.
async fn with_small_window(world: &World) -> Client {
    let endpoint = Endpoint::from_shared(format!("http://{}", world.server.address)).unwrap();
    Client::over(endpoint.initial_stream_window_size(SMALL_WINDOW).connect().await.unwrap())
}
