//! Faults during the migration of a database from the first schema: every delivery that was accepted under
//! the old schema is delivered once.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, AttemptKind, DeliveryState, TicketSystem};
use ticketing_disk::Fault;
use ticketing_failpoints::Point;
use ticketing_harness::{WAIT_TIMEOUT, World, make_older};
use ticketing_simulator::{Call, Effect, Reply, Rule, When};
use tokio::time::Instant;

use super::MountedDisk;
use super::cells::{FAMILY, RECOVERY};
use crate::matrix::cell::{Cell, CellContext};
use crate::matrix::process::{LEASE, SETTLE, plan};

const JIRA: TicketSystem = TicketSystem::Jira;

/// The fault.
#[derive(Debug, Clone, Copy)]
enum UpgradeFault {
    /// kill -9 before this change of the disk.
    Killed(u64),
    PowerCut(u64),
    /// The disk has space for this many bytes.
    Full(u64),
    /// The migration is complete, and nothing else has begun.
    KilledAfter,
    TerminatedAfter,
    SuspendedAfter,
}

pub(super) fn cells() -> Vec<Cell> {
    let early = [2, 8];
    let kills = early.map(UpgradeFault::Killed).into_iter().chain(early.map(UpgradeFault::PowerCut));
    let others = [
        UpgradeFault::Full(0),
        UpgradeFault::Full(9_000),
        UpgradeFault::KilledAfter,
        UpgradeFault::TerminatedAfter,
        UpgradeFault::SuspendedAfter,
    ];
    kills
        .chain(others)
        .map(|fault| Cell::new(FAMILY, fault.name(), fault.location(), move |context| run(context, fault)))
        .collect()
}

async fn run(context: CellContext, fault: UpgradeFault) {
    let (mounted, mut world) = begin(&context).await;
    fault.run(&mounted, &mut world).await;
    let restored_at = Instant::now();
    world.client = world.server.client().await;
    let states: Vec<_> = world.deliveries().await.iter().map(v1::Delivery::state).collect();
    assert_eq!(states.len(), 4, "{states:?}");
    // Makes waiting deliveries due at once.
    let settings = world.settings();
    world.configure(settings).await;
    world.until_all_delivered(4).await;
    context.recovered(restored_at.elapsed(), RECOVERY);
    assert_eq!(world.jira.tickets().len(), 4);
    world.finish().await;
}

/// A disk with the database of an old server: one delivery is delivered, one waits, and two have an unknown
/// outcome, one with a ticket and one without.
async fn begin(context: &CellContext) -> (MountedDisk, World) {
    let mut world = plan(context).start().await;
    world.push("INC-0", JIRA).await;
    world.until_all_delivered(1).await;
    world.disable_automatic_retries().await;
    let faults = world.jira.faults();
    let refused = Reply::json(400, &serde_json::json!({ "errorMessages": ["Not now."] }));
    for (nth, then) in [(1, Effect::Answer(refused)), (2, Effect::ApplyThenDrop), (3, Effect::DropBefore)] {
        faults.push(Rule::new(Call::Create, When::Nth(nth), then));
    }
    faults.push(Rule::new(Call::Search, When::Always, Effect::gateway_timeout()));
    for (id, state) in [
        ("INC-1", DeliveryState::Waiting),
        ("INC-2", DeliveryState::Reconciling),
        ("INC-3", DeliveryState::Reconciling),
    ] {
        let delivery = world.push(id, JIRA).await.delivery.unwrap();
        world.until(&delivery.id, state).await;
        if state == DeliveryState::Reconciling {
            until_looked_up(&mut world, &delivery.id).await;
        }
    }
    world.server.stop().await;
    let former = world.server.data();
    make_older(&former).await;
    let mounted = MountedDisk::mount().expect("a disk can be mounted");
    let data = mounted.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for file in std::fs::read_dir(former).unwrap().flatten() {
        std::fs::copy(file.path(), data.join(file.file_name())).unwrap();
        std::fs::File::open(data.join(file.file_name())).unwrap().sync_all().unwrap();
    }
    for folder in [&*data, mounted.path()] {
        std::fs::File::open(folder).unwrap().sync_all().unwrap();
    }
    world.server.next_start().data = Some(data);
    world.jira.faults().clear();
    (mounted, world)
}

/// Waits until a look-up was made, which fails.
async fn until_looked_up(world: &mut World, id: &str) {
    let looked_up = async {
        while !world.delivery(id).await.attempts.iter().any(|attempt| attempt.kind() == AttemptKind::LookUp) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, looked_up).await.expect("nothing is looked up");
}

// === impl UpgradeFault ===

impl UpgradeFault {
    fn name(self) -> &'static str {
        match self {
            Self::Killed(_) | Self::KilledAfter => "kill -9",
            Self::PowerCut(_) => "power cut",
            Self::Full(_) => "disk full",
            Self::TerminatedAfter => "SIGTERM",
            Self::SuspendedAfter => "SIGSTOP",
        }
    }

    fn location(self) -> String {
        match self {
            Self::Killed(changes) | Self::PowerCut(changes) => format!("schema upgrade, change {changes}"),
            Self::Full(bytes) => format!("schema upgrade, {bytes} bytes left"),
            Self::KilledAfter | Self::TerminatedAfter | Self::SuspendedAfter => {
                "schema upgrade, done".to_owned()
            }
        }
    }

    /// Starts the server, applies the fault, and starts the server again.
    async fn run(self, mounted: &MountedDisk, world: &mut World) {
        let disk = &mounted.disk;
        let server = &mut world.server;
        match self {
            Self::Killed(changes) | Self::PowerCut(changes) => {
                disk.freeze_after(changes);
                server.start_again().await;
                mounted.until_held("such change").await;
                let is_cut = matches!(self, Self::PowerCut(_));
                server.kill_and(|| if is_cut { disk.cut(changes) } else { disk.resume() }).await;
                server.start_again().await;
            }
            Self::Full(after) => {
                disk.fail(Fault::Full { after });
                server.start_again().await;
                let ended = server.until_ended().await;
                assert!(!ended.success(), "it started where there is no room: {}", server.log());
                disk.heal();
                server.start_again().await;
            }
            Self::KilledAfter => {
                hold(world).await;
                world.server.kill().await;
                world.server.release();
                world.server.start_again().await;
            }
            Self::TerminatedAfter => {
                hold(world).await;
                world.server.send_sigterm().await;
                world.server.release();
                let ended = world.server.until_ended().await;
                assert!(ended.success(), "it ended with {ended}: {}", world.server.log());
                world.server.start_again().await;
            }
            Self::SuspendedAfter => {
                hold(world).await;
                world.server.pause().await;
                tokio::time::sleep(LEASE + SETTLE).await;
                world.server.resume().await;
                world.server.release();
            }
        }
    }
}

async fn hold(world: &mut World) {
    world.server.arm(Point::Migrated);
    world.server.start_again().await;
    world.server.until_held(Point::Migrated).await;
}
