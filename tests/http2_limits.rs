//! Connection limits at their exact value and one beyond it, by peers with handwritten frames.

use std::net::IpAddr;
use std::time::Duration;

use rhythmx_ticketing::v1::TicketSystem;
use tokio::time::Instant;

use ticketing_harness::{Answer, Flood, HostilePeer, Plan, WAIT_TIMEOUT, World, call_head, flood, frame};

/// `:status`, as RFC 7541 writes it: 200 from the table, the others by name of the table and in Huffman's code.
const OK: &[u8] = b"\x88";
const TOO_LARGE_431: &[u8] = b"\x48\x83\x69\x90\xFF";
const UNSUPPORTED_415: &[u8] = b"\x48\x83\x68\x2D\xFF";
const REFUSED_STREAM: u32 = 7;
/// An empty message.
const EMPTY: &[u8] = &[0; 5];
/// The peers do not take part in a graceful end.
const STOPS_SOON: &str = "--shutdown-grace=1s";

async fn begins(peer: &mut HostilePeer, stream: u32, status: &[u8]) {
    match peer.answer(stream).await {
        Answer::Headers(block) => assert!(block.starts_with(status), "{block:02x?}"),
        other => panic!("{other:?}"),
    }
}

async fn peer(world: &World) -> HostilePeer {
    HostilePeer::connect(&world.server.address).await.unwrap()
}

/// Whether a new connection may send this many frames without data.
async fn may_waste(frames: usize, address: &str) -> bool {
    let mut peer = HostilePeer::connect(address).await.unwrap();
    let sent = peer.send(&Flood::Pings.frames(0).repeat(frames)).await;
    sent.is_ok() && peer.is_alive().await
}

/// Headers whose list has exactly this many bytes, as RFC 9113 counts them, including those of every call.
fn headers_of(bytes: usize) -> Vec<(String, String)> {
    let counted = |name: &str, value: &str| name.len() + value.len() + 32;
    let path = "/rhythmx.ticketing.v1.TicketingService/GetStatus";
    let call = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost")];
    let call = call.iter().chain(&[("content-type", "application/grpc"), ("te", "trailers")]);
    let mut left = bytes - call.map(|(name, value)| counted(name, value)).sum::<usize>();
    let mut further = vec![];
    while left > 0 {
        // What is left after it must be enough for another, or nothing.
        let size = if left <= 120 { left } else { 80 };
        further.push(("x-a".to_owned(), "x".repeat(size - counted("x-a", ""))));
        left -= size;
    }
    further
}

#[tokio::test]
async fn accepts_headers_up_to_their_exact_limit() {
    for limit in [1_024, 16_384] {
        let plan = Plan::new().in_a_process().with_flag(&format!("--header-list-size={limit}"));
        let mut world = plan.with_flag(STOPS_SOON).start().await;
        for (bytes, status) in [(limit, OK), (limit + 1, TOO_LARGE_431), (limit - 1, OK)] {
            let headers = headers_of(bytes);
            let further: Vec<_> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let mut peer = peer(&world).await;
            peer.call(1, "GetStatus", &further).await.unwrap();
            peer.data(1, EMPTY, true).await.unwrap();
            begins(&mut peer, 1, status).await;
            assert!(peer.is_alive().await);
        }
        world.push("INC-1", TicketSystem::Jira).await;
        world.finish().await;
    }
}

#[tokio::test]
async fn connection_has_a_limit_of_concurrent_calls() {
    let plan = Plan::new().in_a_process().with_flag("--streams-per-connection=2").with_flag(STOPS_SOON);
    let mut world = plan.start().await;
    let mut peer = peer(&world).await;
    for stream in [1, 3, 5] {
        peer.call(stream, "GetStatus", &[]).await.unwrap();
    }
    assert_eq!(peer.answer(5).await, Answer::Reset(REFUSED_STREAM));
    peer.data(1, EMPTY, true).await.unwrap();
    begins(&mut peer, 1, OK).await;
    assert!(peer.is_alive().await);
    peer.call(7, "GetStatus", &[]).await.unwrap();
    peer.data(7, EMPTY, true).await.unwrap();
    begins(&mut peer, 7, OK).await;
    // Another connection has its own budget.
    world.push("INC-1", TicketSystem::Jira).await;
    world.finish().await;
}

#[tokio::test]
async fn newcomers_displace_the_oldest_silent_connection() {
    let plan =
        Plan::new().in_a_process().with_flag("--max-connections=4").with_flag("--max-connections-per-peer=2");
    let mut world = plan.start().await;
    let address = world.server.address.clone();
    let from = |last: u8| IpAddr::from([127, 0, 0, last]);
    let mut peers = vec![];
    // One of the two of this address is that of the honest caller.
    for last in [1, 2, 2] {
        let mut peer = HostilePeer::connect_from(from(last), &address).await.unwrap();
        assert!(peer.is_alive().await);
        peers.push(peer);
    }
    // The limit of a peer, then the total limit: the peer with the most connections loses one.
    for (last, displaced, flag) in [(1, 0, "--max-connections-per-peer"), (3, 1, "--max-connections")] {
        let mut newcomer = HostilePeer::connect_from(from(last), &address).await.unwrap();
        assert!(newcomer.is_alive().await);
        peers[displaced].until_closed().await;
        assert!(world.server.log().contains(flag), "{}", world.server.log());
        peers.push(newcomer);
    }
    assert!(peers[2].is_alive().await && peers[3].is_alive().await);
    world.push("INC-1", TicketSystem::Jira).await;
    drop(peers);
    world.finish().await;
}

#[tokio::test]
async fn flooding_peer_is_restricted_and_others_are_served() {
    const FLOODS: usize = 60;
    let plan = Plan::new().in_a_process().with_flag("--control-frames=1000").with_flag(STOPS_SOON);
    let mut world = plan.start().await;
    let address = world.server.address.clone();
    let mut floods = 0;
    while may_waste(100, &address).await {
        floods += 1;
        assert!(floods < FLOODS, "it may reconnect without limit");
        let mut peer = peer(&world).await;
        let short_of_the_limit = Flood::Pings.frames(0).repeat(900);
        match floods % 3 {
            0 => drop(flood(&address, Flood::Settings, 20_000).await.unwrap()),
            1 if peer.send(&short_of_the_limit).await.is_ok() && peer.is_alive().await => peer.reset(),
            _ => drop(peer.send(&short_of_the_limit).await),
        }
    }
    assert!(floods > 5, "restricted after {floods} floods");
    // Callers of the same address can connect, and existing ones are unaffected.
    for _ in 0..10 {
        world.server.client().await.get_status().await.unwrap();
    }
    world.push("INC-1", TicketSystem::Jira).await;
    let refilled = async {
        while !may_waste(100, &address).await {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(2 * WAIT_TIMEOUT, refilled).await.expect("the budget does not refill");
    world.finish().await;
}

#[tokio::test]
async fn caller_may_reconnect_at_once_after_broken_connections() {
    let plan = Plan::new().in_a_process().with_flag("--max-connections-per-peer=2").with_flag(STOPS_SOON);
    let mut world = plan.start().await;
    let internal_error = [[0; 4], [0, 0, 0, 2]].concat();
    let half_a_frame = [0, 0, 9];
    // One slot is that of the honest caller. If the other were blocked for a while each time, this would take
    // too long.
    let breaking = async {
        let mut broken = 0;
        while broken < 40 {
            let Ok(mut peer) = HostilePeer::connect(&world.server.address).await else { continue };
            // The slot may not be free yet.
            if !peer.is_alive().await {
                continue;
            }
            peer.call(1, "StreamTicketEvents", &[]).await.unwrap();
            match broken % 4 {
                0 => {
                    peer.data(1, EMPTY, true).await.unwrap();
                    begins(&mut peer, 1, OK).await;
                }
                1 => peer.send(&frame(0x7, 0, 0, &internal_error)).await.unwrap(),
                2 => peer.send(&half_a_frame).await.unwrap(),
                _ => {}
            }
            if broken % 3 == 0 {
                drop(peer);
            } else {
                peer.reset();
            }
            broken += 1;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, breaking).await.expect("places of connections that broke are free");
    world.push("INC-1", TicketSystem::Jira).await;
    world.finish().await;
}

#[tokio::test]
async fn closes_connection_past_its_age_and_grace() {
    let age = Duration::from_millis(500);
    let grace = Duration::from_millis(700);
    let plan = Plan::new().in_a_process().with_flag("--connection-age=500ms");
    let mut world = plan.with_flag("--connection-age-grace=700ms").with_flag(STOPS_SOON).start().await;
    let mut idle = peer(&world).await;
    let begun = Instant::now();
    let mut busy = peer(&world).await;
    // Its message never arrives.
    busy.call(1, "SubmitIncident", &[]).await.unwrap();
    idle.until_closed().await;
    // It sends GOAWAY, and continues with existing streams.
    let received = busy.until_closed().await;
    let goodbye = 0x7;
    let kept = begun.elapsed();
    assert!(kept >= age.mul_f64(0.9) + grace, "cut off after {kept:?}");
    assert!(kept < age * 2 + grace + Duration::from_secs(5), "cut off after {kept:?}");
    let mut frames = received.as_slice();
    let mut kinds = vec![];
    while let [a, b, c, kind, ..] = *frames {
        kinds.push(kind);
        frames = &frames[9 + u32::from_be_bytes([0, a, b, c]) as usize..];
    }
    assert!(kinds.contains(&goodbye), "{kinds:?}");
    world.client = world.server.client().await;
    world.push("INC-1", TicketSystem::Jira).await;
    world.finish().await;
}

#[tokio::test]
async fn answers_requests_that_are_not_grpc() {
    for plan in [Plan::new(), Plan::new().with_token_auth()] {
        let mut world = plan.in_a_process().with_flag(STOPS_SOON).start().await;
        let head = call_head("Configure", &[]);
        let grpc = b"application/grpc";
        let at = head.windows(grpc.len()).position(|window| window == grpc).unwrap();
        for kind in [
            "text/plain",
            "application/json",
            "application/x-www-form-urlencoded",
            "application/grpc-web",
            "",
        ] {
            let length = u8::try_from(kind.len()).unwrap();
            let other = [&head[..at - 1], &[length], kind.as_bytes(), &head[at + grpc.len()..]].concat();
            let mut peer = peer(&world).await;
            peer.send(&frame(0x1, 0x5, 1, &other)).await.unwrap();
            begins(&mut peer, 1, UNSUPPORTED_415).await;
        }
        // A request of a browser: GET is 2 in the table, POST is 3.
        let mut peer = peer(&world).await;
        peer.send(&frame(0x1, 0x5, 1, &[&[0x82], &head[1..]].concat())).await.unwrap();
        begins(&mut peer, 1, UNSUPPORTED_415).await;
        world.push("INC-1", TicketSystem::Jira).await;
        world.finish().await;
    }
}
