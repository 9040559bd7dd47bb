//! Limits of one peer: connections, time and memory.

use std::io::Write;
use std::time::Duration;

use prost::Message;
use rhythmx_ticketing::v1::{self, TicketSystem};
use ticketing_core::role::Role;
use tokio::task::JoinSet;
use tonic::Code;

use ticketing_harness::{
    HostilePeer, Plan, Subscriber, WAIT_TIMEOUT, World, after, call_head, frame, from_oldest, incident,
    refusal,
};

use super::access::{call, call_raw, channel, client_of};

/// Maximum growth of the server's memory by attacks.
const GROWTH: u64 = 32 * 1_024 * 1_024;
/// The peers do not take part in a graceful end.
const STOPS_SOON: &str = "--shutdown-grace=1s";
const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];

#[tokio::test]
async fn silent_connections_yield_to_callers_of_their_address() {
    // One is that of a connected caller.
    let mut world = Plan::new().in_a_process().with_flag("--max-connections-per-peer=4").start().await;
    let address = world.server.address.clone();
    let mut silent = vec![];
    for _ in 0..20 {
        silent.push(HostilePeer::silent(&address).await.unwrap());
    }
    for oldest in &mut silent[..17] {
        oldest.until_closed().await;
    }
    for _ in 0..20 {
        let mut honest = world.server.client().await;
        honest.get_status().await.unwrap();
        silent.push(HostilePeer::silent(&address).await.unwrap());
    }
    assert_eq!(world.server.log().matches("--max-connections-per-peer").count(), 1, "{}", world.server.log());
    world.push("INC-1", TicketSystem::Jira).await;
    drop(silent);
    world.finish().await;
}

#[tokio::test]
async fn header_and_idle_time_limits_close_connections() {
    let mut world =
        Plan::new().in_a_process().with_flag("--header-timeout=300ms").with_flag(STOPS_SOON).start().await;
    let address = world.server.address.clone();
    let mut idle = HostilePeer::connect(&address).await.unwrap();
    HostilePeer::silent(&address).await.unwrap().until_closed().await;
    let mut half_a_preface = HostilePeer::silent(&address).await.unwrap();
    half_a_preface.send(b"PRI * HT").await.unwrap();
    half_a_preface.until_closed().await;
    let mut half_a_head = HostilePeer::connect(&address).await.unwrap();
    assert!(half_a_head.is_alive().await);
    half_a_head.send(&frame(0x1, 0, 1, &call_head("GetStatus", &[]))).await.unwrap();
    half_a_head.until_closed().await;
    assert!(idle.is_alive().await);
    world.push("INC-1", TicketSystem::Jira).await;
    world.finish().await;
}

#[tokio::test]
async fn closes_connections_without_authenticated_call() {
    for guarded in [false, true] {
        let plan = if guarded { Plan::new().with_token_auth() } else { Plan::new() };
        let plan =
            plan.in_a_process().with_flag("--first-call-timeout=1s").with_flag("--header-timeout=500ms");
        let mut world = plan.with_flag(STOPS_SOON).start_unconfigured().await;
        let address = world.server.address.clone();
        let (_, token) = if guarded {
            client_of(&mut world, "wall", Role::Viewer).await
        } else {
            (world.client.clone(), String::new())
        };
        let mut good = HostilePeer::connect(&address).await.unwrap();
        let bearer = format!("Bearer {token}");
        good.call(1, "GetStatus", &[("authorization", &bearer)]).await.unwrap();
        good.data(1, &[0; 5], true).await.unwrap();
        good.answer(1).await;
        // A client that connects before its first call.
        let early = channel(&world).await;
        let mut silent = HostilePeer::connect(&address).await.unwrap();
        assert!(silent.is_alive().await);
        if guarded {
            let mut peer = HostilePeer::connect(&address).await.unwrap();
            peer.call(1, "GetStatus", &[]).await.unwrap();
            peer.data(1, &[0; 5], true).await.unwrap();
            peer.answer(1).await;
            peer.until_closed().await;
        }
        silent.until_closed().await;
        assert!(good.is_alive().await);
        let bearer = guarded.then_some(token.as_str());
        call(&early, "/rhythmx.ticketing.v1.TicketingService/GetStatus", bearer).await.unwrap();
        world.client.get_status().await.unwrap();
        world.close().await;
    }
}

#[tokio::test]
async fn failed_connections_are_logged_in_summary() {
    let mut world = Plan::new().in_a_process().start().await;
    for _ in 0..200 {
        let mut garbage = HostilePeer::silent(&world.server.address).await.unwrap();
        garbage.send(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        garbage.until_closed().await;
    }
    let logged = async {
        while !world.server.log().contains("suppressed log lines about failed connections") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, logged).await.expect("nothing is logged about them");
    let log = world.server.log();
    let lines = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!(lines("the connection was closed"), 1, "{log}");
    // One per 5 s that this took.
    assert!(lines("further connections") < 10, "{log}");
    world.push("INC-1", TicketSystem::Jira).await;
    world.finish().await;
}

#[tokio::test]
async fn aged_connection_ends_streams_with_their_token() {
    let mut world = Plan::new().in_a_process().with_flag("--connection-age=400ms").start().await;
    let mut request = from_oldest();
    let mut seen = vec![];
    let mut number = 0;
    while seen.len() < 6 {
        let mut subscriber = Subscriber::open(&world.client, request).await;
        number += 1;
        world.push(&format!("INC-{number}"), TicketSystem::Jira).await;
        let end = loop {
            match subscriber.next().await {
                Ok(rhythmx_ticketing::v1::stream_ticket_events_response::Message::Event(event)) => {
                    seen.push(event.sequence);
                }
                Ok(_bookmark) => {}
                Err(status) => break status,
            }
        };
        let refused = refusal::<()>(Err(end));
        refused.is(Code::Unavailable, "CONNECTION_ENDING", &[]);
        assert_eq!(refused.metadata["resume_token"], subscriber.token);
        request = after(&subscriber.token);
    }
    let all: std::collections::HashSet<_> = seen.iter().collect();
    assert_eq!(all.len(), seen.len(), "none is logged twice");
    world.finish().await;
}

#[tokio::test]
async fn exhausted_memory_budget_refuses_with_retry_info() {
    let plan = Plan::new().in_a_process().with_flag("--request-memory=8").with_flag("--request-timeout=2s");
    let mut world = plan.with_flag(STOPS_SOON).start().await;
    let mut greedy = HostilePeer::connect(&world.server.address).await.unwrap();
    // Each counts with its maximum size.
    for stream in [1, 3] {
        greedy.call(stream, "SubmitIncident", &[("grpc-encoding", "gzip")]).await.unwrap();
    }
    assert!(greedy.is_alive().await);
    let wait = async {
        loop {
            let refused = world.client.submit_incident(incident("INC-1")).await;
            if refused.is_err() {
                return refusal(refused);
            }
        }
    };
    let refused = tokio::time::timeout(WAIT_TIMEOUT, wait).await.expect("the memory is not bounded");
    refused.is(Code::ResourceExhausted, "BUSY", &[]);
    assert!(refused.has_retry_delay);
    // Requests that do not arrive in time are aborted.
    let wait = async { while world.client.submit_incident(incident("INC-1")).await.is_err() {} };
    tokio::time::timeout(WAIT_TIMEOUT, wait).await.expect("the memory comes back");
    assert!(greedy.is_alive().await);
    world.push("INC-2", TicketSystem::Jira).await;
    world.finish().await;
}

#[tokio::test]
async fn requests_that_grow_when_decoded_stay_within_the_budget() {
    // One caller may hold half of it.
    let plan = Plan::new().in_a_process().with_flag("--request-memory=32");
    let mut world = plan.with_flag(STOPS_SOON).start().await;
    let before = settled(&mut world).await;
    // Two bytes each on the wire, and a struct each in memory.
    let firing_rules = vec![v1::FiringRule::default(); 1_000_000];
    let incident = v1::Incident { firing_rules, ..Default::default() };
    let message = v1::SubmitIncidentRequest { incident: Some(incident) }.encode_to_vec();
    let mut calls = JoinSet::new();
    for _ in 0..32 {
        let channel = channel(&world).await;
        let message = message.clone();
        calls.spawn(async move {
            let path = "/rhythmx.ticketing.v1.TicketingService/SubmitIncident";
            refusal(call_raw(&channel, path, message).await)
        });
    }
    for refused in calls.join_all().await {
        assert!(["REQUEST_TOO_LARGE", "BUSY"].contains(&refused.reason.as_str()), "{refused:?}");
    }
    world.push("INC-1", TicketSystem::Jira).await;
    let grown = world.server.peak_memory().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes");
    world.finish().await;
}

#[tokio::test]
async fn declared_lengths_and_bombs_use_no_memory() {
    let mut world = Plan::new().in_a_process().with_flag(STOPS_SOON).start().await;
    let before = settled(&mut world).await;
    let mut liar = HostilePeer::connect(&world.server.address).await.unwrap();
    for stream in (1..100).step_by(2) {
        // 4 GiB by the header and by the prefix of the message; then 4 MiB by the prefix, without data.
        let (length, prefix) = if stream % 4 == 1 { (1_u64 << 32, [0xFF; 4]) } else { (0, [0, 0x40, 0, 0]) };
        let length = length.to_string();
        let further: &[(&str, &str)] = if stream % 4 == 1 { &[("content-length", &length)] } else { &[] };
        liar.call(stream, "SubmitIncident", further).await.unwrap();
        liar.data(stream, &[&[0][..], &prefix, b"x"].concat(), false).await.unwrap();
    }
    assert!(liar.is_alive().await);
    let bomb = bomb();
    let mut bombers = vec![];
    for _ in 0..32 {
        // A connection may send 64 KiB before the first window update.
        let mut bomber = HostilePeer::connect(&world.server.address).await.unwrap();
        bomber.call(1, "SubmitIncident", &[("grpc-encoding", "gzip")]).await.unwrap();
        let pieces: Vec<_> = bomb.chunks(16_000).collect();
        for (number, piece) in pieces.iter().enumerate() {
            bomber.data(1, piece, number + 1 == pieces.len()).await.unwrap();
        }
        bombers.push(bomber);
    }
    for mut bomber in bombers {
        assert!(bomber.is_alive().await);
    }
    world.push("INC-1", TicketSystem::Jira).await;
    let grown = world.server.peak_memory().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes");
    world.finish().await;
}

#[tokio::test]
async fn unread_responses_are_bounded() {
    let mut world = Plan::new().in_a_process().with_flag(STOPS_SOON).start().await;
    for number in 0..40 {
        world.push(&format!("INC-{number}"), TicketSystem::Jira).await;
    }
    let before = settled(&mut world).await;
    let no_window = [&INITIAL_WINDOW_SIZE[..], &[0; 4]].concat();
    let mut sleepers = vec![];
    for _ in 0..10 {
        let settings = frame(0x4, 0, 0, &no_window);
        let mut sleeper = HostilePeer::connect_with(&world.server.address, &settings).await.unwrap();
        for stream in (1..200).step_by(2) {
            sleeper.call(stream, "ListDeliveries", &[]).await.unwrap();
            sleeper.data(stream, &[0, 0, 0, 0, 0], true).await.unwrap();
        }
        sleepers.push(sleeper);
    }
    world.push("INC-40", TicketSystem::Jira).await;
    let grown = world.server.peak_memory().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes");
    world.finish().await;
}

/// Memory of the server after it has worked.
async fn settled(world: &mut World) -> u64 {
    for number in 0..5 {
        world.push(&format!("INC-settling-{number}"), TicketSystem::Servicenow).await;
    }
    world.wait(Duration::from_millis(100)).await;
    world.server.memory()
}

/// A message of a few dozen kilobytes that unpacks to 48 MiB.
fn bomb() -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..48).for_each(|_| packed.write_all(&zeros).unwrap());
    let packed = packed.finish().unwrap();
    let length = u32::try_from(packed.len()).unwrap().to_be_bytes();
    [&[1][..], &length, &packed].concat()
}
