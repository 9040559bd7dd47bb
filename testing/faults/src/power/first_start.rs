//! Power cuts during the first start, when folder, key and tables are incomplete.

use rhythmx_ticketing::v1;
use ticketing_disk::Random;
use ticketing_harness::{Plan, Server, World, incident};

use super::acknowledged::look_up;
use super::{Mounted, Outcome};

/// A first start makes fewer changes than this.
const CHANGES: u64 = 160;

/// Plays so many first starts, each of a server of its own, with the power gone at changes that lie evenly apart.
pub(super) async fn play(plan: &(dyn Fn() -> Plan + Sync), starts: u64, seed: u64, outcome: &mut Outcome) {
    if starts == 0 {
        return;
    }
    let mut random = Random::new(seed);
    let mut world = plan().in_a_process().start_unconfigured().await;
    let first = random.below(usize::try_from(CHANGES / starts).unwrap_or_default().max(1)) as u64;
    for start in 0..starts {
        play_one(&mut world, first + start * CHANGES / starts, &mut random, outcome).await;
    }
    world.finish().await;
}

/// One first start that is cut after so many changes, the start after it, and a cut once something was acknowledged.
async fn play_one(world: &mut World, changes: u64, random: &mut Random, outcome: &mut Outcome) {
    let mounted = Mounted::mount().expect("a disk can be mounted");
    let start = ticketing_harness::Start {
        data: Some(mounted.path().join("state/data")),
        ..world.server.next_start().clone()
    };
    let mut server = Server::prepare(start);
    mounted.disk.stand_still_after(changes);
    server.start_again().await;
    mounted.until_still().await;
    mounted.cut(&mut server, random).await;
    server.start_again().await;
    let mut client = server.client().await;
    client.configure(world.settings()).await.unwrap();
    let request = v1::CreateTicketRequest {
        incident: Some(incident(&format!("INC-FIRST-{changes}"))),
        destination: Some(v1::TicketSystem::Jira.into()),
    };
    let told = client.create_ticket(request).await.unwrap().delivery.unwrap();
    outcome.acknowledged += 1;
    mounted.cut(&mut server, random).await;
    server.start_again().await;
    let mut client = server.client().await;
    if look_up(&mut client, &told.id).await.is_none() {
        outcome.gone.push(format!("{} after a first start that was cut at change {changes}", told.id));
    }
    let systems = client.get_status().await.unwrap().connections;
    if !systems.iter().all(|system| system.configured) {
        outcome.gone.push(format!("the settings after a first start that was cut at change {changes}"));
    }
    server.stop().await;
    let counts = mounted.disk.counts();
    outcome.cuts += counts.cuts;
    outcome.forgotten += counts.sectors_forgotten;
}
