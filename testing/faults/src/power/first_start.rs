//! Power cuts during the first start, when the data folder, the key and the tables are incomplete.

use rhythmx_ticketing::v1;
use ticketing_disk::Random;
use ticketing_harness::{Plan, Server, World, incident};

use super::acknowledged::look_up;
use super::{MountedDisk, Outcome};

/// Upper bound of the changes of the disk during a first start.
const CHANGES: u64 = 160;

/// Plays this many first starts of new servers, with power cuts at evenly spaced changes of the disk.
pub(super) async fn run(plan: &(dyn Fn() -> Plan + Sync), starts: u64, seed: u64, outcome: &mut Outcome) {
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

/// Cuts the power of a first start after this many changes, starts again, and cuts the power after an
/// acknowledged push.
async fn play_one(world: &mut World, changes: u64, random: &mut Random, outcome: &mut Outcome) {
    let mounted = MountedDisk::mount().expect("a disk can be mounted");
    let start = ticketing_harness::Start {
        data: Some(mounted.path().join("state/data")),
        ..world.server.next_start().clone()
    };
    let mut server = Server::prepare(start);
    mounted.disk.freeze_after(changes);
    server.start_again().await;
    mounted.until_frozen().await;
    mounted.cut(&mut server, random).await;
    server.start_again().await;
    let mut client = server.client().await;
    client.configure(world.settings()).await.unwrap();
    let request = v1::CreateTicketRequest {
        incident: Some(incident(&format!("INC-FIRST-{changes}"))),
        destination: Some(v1::TicketSystem::Jira.into()),
    };
    let pushed = client.create_ticket(request).await.unwrap().delivery.unwrap();
    outcome.acknowledged += 1;
    mounted.cut(&mut server, random).await;
    server.start_again().await;
    let mut client = server.client().await;
    if look_up(&mut client, &pushed.id).await.is_none() {
        outcome.lost.push(format!("{} after a first start that was cut at change {changes}", pushed.id));
    }
    let systems = client.get_status().await.unwrap().connections;
    if !systems.iter().all(|system| system.configured) {
        outcome.lost.push(format!("the settings after a first start that was cut at change {changes}"));
    }
    server.stop().await;
    let counts = mounted.disk.counts();
    outcome.cuts += counts.cuts;
    outcome.sectors_lost += counts.sectors_lost;
}
