//! The Rust SDK with silently failed connections, silent streams and slow subscribers; and what all SDKs have in common: Unix
//! sockets, addresses, deadlines, closing.

use std::time::Duration;

use rhythmx_ticketing::v1::{ErrorReason, StreamTicketEventsRequest, TicketEventKind, TicketSystem};
use rhythmx_ticketing::{Client, Error, Events, InvalidToken, Tls};
use ticketing_core::role::Role;
use ticketing_harness::{Plan, Relay, WAIT_TIMEOUT, World};
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

use super::sdk_rust::{push, record_promise, start_with_tokens, token};

/// Interval of bookmarks: the streams of a healthy server are never silent for long.
const SHORT_BOOKMARKS: &str = "--bookmark-interval=300ms";
/// The server's timeout for slow readers, and how long the relay's readers pause.
const SUBSCRIBER_TIMEOUT: &str = "--subscriber-timeout=1s";
const SLOW_READER_PAUSE: Duration = Duration::from_secs(2);

async fn start_world() -> World {
    let plan = Plan::new().in_a_process().with_long_deadlines().with_token_auth();
    plan.with_flag(SHORT_BOOKMARKS).with_flag(SUBSCRIBER_TIMEOUT).start().await
}

/// A client through the relay that detects dead connections within two seconds.
async fn keep_alive_client(relay: &Relay, token: &str, silence: Duration) -> Client {
    let client = Client::connect(&relay.address).await.unwrap().with_token(token).unwrap();
    client.with_keep_alive(Duration::from_secs(1), Duration::from_secs(1), silence)
}

/// Waits until the ticket of an incident is delivered, and checks that each event arrives once and in order.
async fn until_delivered_event(events: &mut Events, last: &mut u64, id: &str) {
    loop {
        let event = timeout(2 * WAIT_TIMEOUT, events.next()).await.unwrap().unwrap().unwrap();
        assert!(*last == 0 || event.sequence == *last + 1, "{} after {last}", event.sequence);
        *last = event.sequence;
        if event.incident_id == id && event.kind() == TicketEventKind::Delivered {
            return;
        }
    }
}

#[tokio::test]
async fn silently_dead_connection_is_replaced() {
    let mut world = start_world().await;
    let token = token(&mut world, Role::Admin).await;
    let relay = Relay::before(&world.server.address).await;
    let mut client = keep_alive_client(&relay, &token, Duration::from_secs(30)).await;
    client.get_status().await.unwrap();
    let mut events = client.events(StreamTicketEventsRequest::default()).await.unwrap();
    relay.swallow();
    world.push("INC-swallowed", TicketSystem::Jira).await;
    client.get_status().await.unwrap();
    until_delivered_event(&mut events, &mut 0, "INC-swallowed").await;
    record_promise("silently failed connections are replaced");
    drop(relay);
    world.finish().await;
}

#[tokio::test]
async fn silent_stream_resumes_over_a_new_connection() {
    let mut world = start_world().await;
    let token = token(&mut world, Role::Admin).await;
    let relay = Relay::before(&world.server.address).await;
    let mut client = keep_alive_client(&relay, &token, Duration::from_secs(2)).await;
    let mut events = client.events(StreamTicketEventsRequest::default()).await.unwrap();
    let before = relay.connections();
    relay.mute();
    world.push("INC-mute", TicketSystem::Jira).await;
    let mut last = 0;
    let watch = async {
        while last == 0 {
            // A canceled `next` does not restart the timeout of the stream.
            tokio::select! {
                event = events.next() => last = event.unwrap().unwrap().sequence,
                () = sleep(Duration::from_millis(100)) => {}
            }
        }
    };
    timeout(WAIT_TIMEOUT, watch).await.unwrap();
    until_delivered_event(&mut events, &mut last, "INC-mute").await;
    assert_eq!(relay.connections(), before + 1);
    record_promise("silent streams are resumed");
    world.finish().await;
}

#[tokio::test]
async fn stream_ended_for_slowness_resumes() {
    let mut world = start_world().await;
    let token = token(&mut world, Role::Admin).await;
    let relay = Relay::before(&world.server.address).await;
    relay.narrow(Some(SLOW_READER_PAUSE));
    let mut client = keep_alive_client(&relay, &token, Duration::from_secs(30)).await;
    let mut events = client.events(StreamTicketEventsRequest::default()).await.unwrap();
    // The same holds without resuming.
    let mut plain = client.stream_ticket_events(StreamTicketEventsRequest::default()).await.unwrap();
    for n in 0..30 {
        world.push(&format!("INC-slow-{n}"), TicketSystem::Jira).await;
    }
    until_delivered_event(&mut events, &mut 0, "INC-slow-29").await;
    let ended = async {
        while plain.message().await?.is_some() {}
        Ok::<_, tonic::Status>(())
    };
    let error = Error::from(timeout(WAIT_TIMEOUT, ended).await.unwrap().unwrap_err());
    assert_eq!(error.reason, Some(ErrorReason::SubscriberTooSlow), "{error}");
    record_promise("streams ended for a slow subscriber are resumed");
    world.finish().await;
}

#[tokio::test]
async fn connects_over_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("ticketing.sock");
    let mut world = Plan::new().on_socket(&socket).with_long_deadlines().with_token_auth().start().await;
    let token = token(&mut world, Role::Admin).await;
    let client = Client::connect(format!("unix:{}", socket.display())).await.unwrap();
    let mut client = client.with_token(&token).unwrap();
    let mut events = client.events(StreamTicketEventsRequest::default()).await.unwrap();
    client.create_ticket(push("INC-unix")).await.unwrap();
    until_delivered_event(&mut events, &mut 0, "INC-unix").await;
    record_promise("unix socket");
    world.finish().await;
}

#[tokio::test]
async fn address_scheme_decides_tls() {
    for address in
        ["ticketing", "ticketing:0", "dns:///a:1", "::1:50051", "unix:relative", "http://a", "a:1/b"]
    {
        let error = Client::connect(address).await.unwrap_err();
        let expected = format!(
            "\"{address}\" is not a valid server address: expected HOST:PORT, [IPV6]:PORT or unix:/PATH"
        );
        assert_eq!(error.to_string(), expected);
        assert_eq!(Error::from(error).code, Code::InvalidArgument);
    }
    Client::connect_tls("http://localhost:1", &Tls::system()).await.unwrap_err();
    record_promise("invalid addresses are refused");
    for address in ["10.0.0.1:1", "a.example:1", "http://a.example:1", "[::2]:1"] {
        let client = Client::connect(address).await.unwrap();
        assert_eq!(client.with_token("rxt_1").unwrap_err(), InvalidToken::Unencrypted, "{address}");
    }
    for address in ["localhost:1", "[::1]:1", "unix:/a", "https://a.example:1"] {
        Client::connect(address).await.unwrap().with_token("rxt_1").unwrap();
    }
    record_promise("tokens are sent in plaintext only to the local machine");
}

#[tokio::test]
async fn deadline_is_optional_and_distinct_from_cancellation() {
    let mut world = start_with_tokens().await;
    let token = token(&mut world, Role::Admin).await;
    let client = Client::connect(&world.server.address).await.unwrap().with_token(&token).unwrap();
    let mut unlimited = client.clone().with_deadline(Duration::MAX);
    unlimited.get_status().await.unwrap();
    unlimited.events(StreamTicketEventsRequest::default()).await.unwrap();
    let error = Error::from(client.with_deadline(Duration::ZERO).get_status().await.unwrap_err());
    assert_eq!(error.code, Code::DeadlineExceeded, "{error}");
    let silent_listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    for _ in 0..30 {
        let client = Client::connect(silent_listener.local_addr().unwrap().to_string()).await.unwrap();
        let mut client = client.with_deadline(Duration::from_millis(20));
        let error = client.events(StreamTicketEventsRequest::default()).await.unwrap_err();
        assert_eq!(error.code, Code::DeadlineExceeded, "{error}");
    }
    record_promise("infinite deadlines");
    world.finish().await;
}

#[tokio::test]
async fn dropped_client_and_subscriptions_free_everything() {
    let mut world = start_with_tokens().await;
    let token = token(&mut world, Role::Admin).await;
    // Those of the start close by themselves.
    until_connections(&world, 1).await;
    let mut client = Client::connect(&world.server.address).await.unwrap().with_token(&token).unwrap();
    let events = client.events(StreamTicketEventsRequest::default()).await.unwrap();
    drop(client);
    assert_eq!(world.server.connections(), 2, "a subscription keeps its connection");
    drop(events);
    until_connections(&world, 1).await;
    record_promise("closing");
    world.finish().await;
}

/// Until the server has so many connections open.
async fn until_connections(world: &World, count: usize) {
    let began = Instant::now();
    while world.server.connections() != count {
        assert!(began.elapsed() < WAIT_TIMEOUT, "{} connections, not {count}", world.server.connections());
        sleep(Duration::from_millis(20)).await;
    }
}
