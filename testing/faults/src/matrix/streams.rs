//! Subscribers that disconnect, stall, reconnect repeatedly, or are many.

use std::sync::Arc;
use std::time::Duration;

use rhythmx_ticketing::{Client, v1};
use ticketing_harness::{PATIENCE, Subscriber, World, after, from_oldest, refusal};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::Endpoint;

use super::cell::{Cell, Stage};
use super::relay::Relay;

const FAMILY: &str = "streams";
/// Events of one push.
const STORY: usize = 3;
/// HTTP/2 stream window of a subscriber, in bytes: a few events.
const SMALL_WINDOW: u32 = 1_024;
/// Limit of the memory growth after the reconnections, in bytes: memory that the allocator retains.
const MORE_MEMORY: u64 = 32 * 1_024 * 1_024;
/// Reconnections of one storm: streams on shared connections, and streams on connections of their own.
const STREAMS: usize = 9_000;
const CONNECTIONS: usize = 1_000;

/// Ways in which a subscriber disconnects.
#[derive(Debug, Clone, Copy)]
enum Gone {
    CancelsTheStream,
    ResetsTheConnection,
}

pub(super) fn cells() -> Vec<Cell> {
    let gone = |gone: Gone| move |stage| go_away(stage, gone);
    vec![
        Cell::new(FAMILY, "subscriber cancels", "streaming", gone(Gone::CancelsTheStream)),
        Cell::new(FAMILY, "subscriber's connection is reset", "streaming", gone(Gone::ResetsTheConnection)),
        Cell::new(FAMILY, "40 subscribers take nothing", "streaming", stall),
        Cell::new(FAMILY, "10,000 reconnections", "streaming", reconnect),
        Cell::new(FAMILY, "200 subscribers at once", "streaming", crowd),
    ]
}

/// Disconnects while events arrive: the next stream continues where the last one ended.
async fn go_away(stage: Stage, gone: Gone) {
    const PUSHES: usize = 40;
    let mut world = stage.plan().with_long_deadlines().start().await;
    let pushes = tokio::spawn(push_many(&world, PUSHES));
    let (mut seen, mut token) = (vec![], None);
    while seen.len() < PUSHES * STORY {
        let relay = Relay::to(&world.server).await;
        let request = token.as_deref().map_or_else(from_oldest, after);
        let mut subscriber = Subscriber::open(&relay.client().await, request).await;
        for event in subscriber.events(7.min(PUSHES * STORY - seen.len())).await {
            seen.push(event.sequence);
        }
        token = Some(subscriber.token.clone());
        match gone {
            Gone::CancelsTheStream => drop(subscriber),
            Gone::ResetsTheConnection => relay.cut(),
        }
    }
    assert_eq!(seen, (1..=(PUSHES * STORY) as u64).collect::<Vec<_>>());
    pushes.await.unwrap();
    world.until_all_delivered(PUSHES).await;
    world.finish().await;
}

/// Stalled subscribers are ended with a token to resume from, and no events are queued for them.
async fn stall(stage: Stage) {
    const PUSHES: usize = 150;
    let plan = stage.plan().in_a_process().with_long_deadlines().with_flag("--subscriber-timeout=500ms");
    let mut world = plan.with_flag("--concurrency=16").start().await;
    let mut stalled = vec![];
    for _ in 0..40 {
        stalled.push(Subscriber::open(&with_small_window(&world).await, from_oldest()).await);
    }
    let before = world.server.memory();
    push_many(&world, PUSHES).await;
    world.until_all_delivered(PUSHES).await;
    let grown = world.server.memory().saturating_sub(before);
    assert!(grown < MORE_MEMORY, "{grown} bytes more");
    let began = Instant::now();
    // They read the buffered events, and then the status that ended the stream.
    world.wait(Duration::from_millis(600)).await;
    let mut ended = JoinSet::new();
    for mut subscriber in stalled {
        let client = world.client.clone();
        ended.spawn(async move {
            let status = tokio::time::timeout(PATIENCE, subscriber.end()).await.expect("it is ended");
            let refused = refusal::<()>(Err(status));
            refused.is(Code::ResourceExhausted, "SUBSCRIBER_TOO_SLOW", &[]);
            assert_eq!(refused.metadata["resume_token"], subscriber.token);
            let mut resumed = Subscriber::open(&client, after(&subscriber.token)).await;
            let first = resumed.event().await.sequence;
            let rest = resumed.events(PUSHES * STORY - usize::try_from(first).unwrap()).await;
            assert!(rest.iter().zip(first + 1..).all(|(event, number)| event.sequence == number));
        });
    }
    ended.join_all().await;
    stage.recovered(began.elapsed(), PATIENCE);
    world.finish().await;
}

/// Each reconnection resumes from another token: the next event follows, and the server retains no memory of
/// it.
async fn reconnect(stage: Stage) {
    const PUSHES: usize = 30;
    let mut world = stage.plan().in_a_process().with_long_deadlines().start().await;
    push_many(&world, PUSHES).await;
    world.until_all_delivered(PUSHES).await;
    let all = Arc::new(Subscriber::open(&world.client, from_oldest()).await.events(PUSHES * STORY).await);
    // Warm-up, so that one-time allocations are not measured.
    storm(&world, &all, STREAMS / 20, CONNECTIONS / 20).await;
    let before = (world.server.memory(), world.server.connections());
    storm(&world, &all, STREAMS, CONNECTIONS).await;
    let closed = async {
        // The last connections may not be closed yet.
        while world.server.connections() > before.1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, closed).await.is_ok(),
        "{} connections are open",
        world.server.connections()
    );
    let grown = world.server.memory().saturating_sub(before.0);
    assert!(grown < MORE_MEMORY, "{grown} bytes more");
    world.finish().await;
}

async fn storm(world: &World, all: &Arc<Vec<v1::TicketEvent>>, streams: usize, connections: usize) {
    const AT_A_TIME: usize = 16;
    let mut storm = JoinSet::new();
    for worker in 0..AT_A_TIME {
        let (all, kept) = (all.clone(), world.server.client().await);
        let address = format!("http://{}", world.server.address);
        storm.spawn(async move {
            for n in (worker..streams + connections).step_by(AT_A_TIME) {
                let client =
                    if n < streams { kept.clone() } else { Client::connect(&address).await.unwrap() };
                let (from, next) = (&all[n % (all.len() - 1)], &all[n % (all.len() - 1) + 1]);
                let mut subscriber = Subscriber::open(&client, after(&from.resume_token)).await;
                assert_eq!(&subscriber.event().await, next);
            }
        });
    }
    storm.join_all().await;
}

async fn crowd(stage: Stage) {
    const SUBSCRIBERS: usize = 200;
    const ON_ONE_CONNECTION: usize = 50;
    const PUSHES: usize = 20;
    let mut world = stage.plan().with_long_deadlines().start().await;
    let mut subscribers = JoinSet::new();
    for _ in 0..SUBSCRIBERS / ON_ONE_CONNECTION {
        let client = world.server.client().await;
        for _ in 0..ON_ONE_CONNECTION {
            let request = v1::StreamTicketEventsRequest::default();
            let mut subscriber = Subscriber::open(&client, request).await;
            subscribers.spawn(async move { subscriber.events(PUSHES * STORY).await });
        }
    }
    push_many(&world, PUSHES).await;
    world.until_all_delivered(PUSHES).await;
    let all = Subscriber::open(&world.client, from_oldest()).await.events(PUSHES * STORY).await;
    assert!(subscribers.join_all().await.iter().all(|events| *events == all), "they see the same");
    world.finish().await;
}

/// Pushes this many incidents to Jira, eight at a time; all must succeed.
fn push_many(world: &World, count: usize) -> impl Future<Output = ()> + Send + 'static {
    let (client, acknowledged) = (world.client.clone(), world.acknowledged.clone());
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
