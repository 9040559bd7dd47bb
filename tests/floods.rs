//! HTTP/2 floods: the connections of these peers are closed, and all other peers are served.

use rhythmx_ticketing::v1::TicketSystem;

use ticketing_harness::{Flood, HostilePeer, Plan, flood};

/// Maximum growth of the server's memory by floods.
const GROWTH: u64 = 32 * 1_024 * 1_024;
const MAX_FRAMES: u32 = 20_000;

#[tokio::test]
async fn flood_closes_the_connection_of_its_peer_only() {
    let mut world = Plan::new().in_a_process().start().await;
    world.push("INC-0", TicketSystem::Jira).await;
    let before = world.server.memory();
    let address = world.server.address.clone();
    for kind in Flood::ALL {
        let attack = tokio::spawn({
            let address = address.clone();
            async move { flood(&address, kind, MAX_FRAMES).await.unwrap() }
        });
        for number in 0..3 {
            world.push(&format!("INC-{kind:?}-{number}"), TicketSystem::Jira).await;
        }
        let flooded = attack.await.unwrap();
        assert!(flooded.closed, "{kind:?}: {flooded:?}");
        println!("{kind:?}: closed after {} frames or less", flooded.sent);
    }
    let grown = world.server.peak_memory().saturating_sub(before);
    assert!(grown < GROWTH, "{grown} bytes");
    world.finish().await;
}

#[tokio::test]
async fn occasional_cancellations_are_no_flood() {
    let world = Plan::new().in_a_process().with_flag("--shutdown-grace=1s").start().await;
    let mut fickle = HostilePeer::connect(&world.server.address).await.unwrap();
    for round in 0..30 {
        let calls: Vec<u8> = (0..30).flat_map(|number| Flood::Resets.frames(30 * round + number)).collect();
        fickle.send(&calls).await.unwrap();
        assert!(fickle.is_alive().await);
    }
    world.finish().await;
}
