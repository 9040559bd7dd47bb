//! Disk faults while the process is held at a fail point, and recovery.

use std::path::Path;
use std::time::Duration;

use rhythmx_ticketing::v1::TicketSystem;
use ticketing_disk::{Dirty, Fault};
use ticketing_failpoints::Point;
use ticketing_harness::{Plan, Server, Start, WAIT_TIMEOUT, World, free_address, incident, run_program};
use tokio::time::Instant;

use super::MountedDisk;
use super::cells::{DATABASE, until_pushes_succeed};
use crate::matrix::cell::{Cell, CellContext};
use crate::matrix::held_push::{self, fail_points};

const FAMILY: &str = "disk fault";

/// Lease of the cells: an attempt whose intent could not be written is repeated after it.
const LEASE: Duration = Duration::from_millis(1_200);
/// Allowance for a slow machine, look-ups and retries.
const GRACE: Duration = Duration::from_secs(5);
/// Offset of the type of a page that no push writes, so that the WAL has no copy of it: a page of the
/// migrations table.
const BYTE: usize = 2 * 4_096;

/// Kind of disk fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DiskFault {
    Full,
    /// Every sync fails, and Linux drops the dirty pages.
    SyncFails,
}

pub(crate) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for fault in [DiskFault::Full, DiskFault::SyncFails] {
        for (point, system, at) in points() {
            let run = move |context| faulty(context, fault, point, system);
            cells.push(Cell::new(FAMILY, fault.name(), at, run));
        }
        cells.push(Cell::new(FAMILY, fault.name(), Point::Closing.name(), move |context| {
            faulty_while_closing(context, fault)
        }));
        cells.push(Cell::new(FAMILY, fault.name(), Point::Migrated.name(), move |context| {
            faulty_in_first_start(context, fault)
        }));
    }
    for (point, system, at) in points() {
        let run = move |context| flipped(context, point, system);
        cells.push(Cell::new(FAMILY, "flipped byte, found after kill -9", at, run));
    }
    cells
}

fn points() -> impl Iterator<Item = (Point, TicketSystem, String)> {
    let systems = [TicketSystem::Jira, TicketSystem::Servicenow];
    let all = fail_points().flat_map(move |point| systems.map(|system| (point, system)));
    all.map(|(point, system)| (point, system, format!("{}, {}", point.name(), system.as_str_name())))
}

/// Pushes are refused meanwhile. Once the disk works again everything is delivered, and survives a power cut.
async fn faulty(context: CellContext, fault: DiskFault, point: Point, system: TicketSystem) {
    let (mounted, mut world) = begin(&context).await;
    let push = held_push::hold(&world, point, system).await;
    mounted.disk.fail(fault.fault());
    world.server.release();
    let refused = tokio::time::timeout(WAIT_TIMEOUT, world.try_push(incident("INC-2"), system)).await;
    refused.expect("it is answered").expect_err("the disk fault was not noticed");
    mounted.disk.heal();
    let restored_at = Instant::now();
    until_pushes_succeed(&mut world).await;
    held_push::finish(&mut world, push, system).await;
    world.push("INC-2", system).await;
    world.until_all_delivered(3).await;
    context.recovered(restored_at.elapsed(), LEASE + GRACE);
    world.server.kill_and(|| mounted.disk.cut(7)).await;
    start_again(&mut world).await;
    world.until_all_delivered(3).await;
    world.finish().await;
}

/// Data that could not be checkpointed stays in the WAL.
async fn faulty_while_closing(context: CellContext, fault: DiskFault) {
    let (mounted, mut world) = begin(&context).await;
    for n in 0..5 {
        world.push(&format!("INC-{n}"), TicketSystem::Jira).await;
    }
    world.server.arm(Point::Closing);
    world.server.send_sigterm().await;
    world.server.until_held(Point::Closing).await;
    mounted.disk.fail(fault.fault());
    world.server.release();
    world.server.until_ended().await;
    mounted.disk.heal();
    mounted.disk.cut(7);
    start_again(&mut world).await;
    world.until_all_delivered(5).await;
    world.finish().await;
}

/// A first start that cannot complete fails, and the next one completes it.
async fn faulty_in_first_start(context: CellContext, fault: DiskFault) {
    let mounted = MountedDisk::mount().expect("a disk can be mounted");
    let mut world = context.plan().in_a_process().start_unconfigured().await;
    let data = Some(mounted.path().join("data"));
    let mut server = Server::prepare(Start { data, ..world.server.next_start().clone() });
    server.arm(Point::Migrated);
    server.start_again().await;
    server.until_held(Point::Migrated).await;
    mounted.disk.fail(fault.fault());
    server.release();
    let ended = server.until_ended().await;
    assert!(!ended.success(), "it ended as if all were well: {}", server.log());
    mounted.disk.heal();
    mounted.disk.cut(7);
    server.start_again().await;
    world.client = server.client().await;
    std::mem::swap(&mut world.server, &mut server);
    server.stop().await;
    let settings = world.settings();
    world.configure(settings).await;
    world.push("INC-1", TicketSystem::Jira).await;
    world.until_all_delivered(1).await;
    world.finish().await;
}

/// The next start reports a damaged database and leaves it unchanged. After the repair the delivery
/// continues.
async fn flipped(context: CellContext, point: Point, system: TicketSystem) {
    let (mounted, mut world) = begin(&context).await;
    // The restart checkpoints the writes of the first start, so that they are not in the WAL.
    world.restart().await;
    let push = held_push::hold(&world, point, system).await;
    world.server.kill().await;
    world.server.release();
    mounted.disk.flip(Path::new(DATABASE), BYTE).unwrap();
    let data = format!("--data={}", world.server.data().display());
    let listen = format!("--listen={}", free_address());
    let ended = run_program(&["serve".to_owned(), data, listen], &[]).await;
    assert!(ended.code != Some(0) && ended.stderr.contains("damaged"), "{ended:?}");
    mounted.disk.flip(Path::new(DATABASE), BYTE).unwrap();
    start_again(&mut world).await;
    let repaired_at = Instant::now();
    held_push::finish(&mut world, push, system).await;
    world.until_all_delivered(1).await;
    context.recovered(repaired_at.elapsed(), LEASE + GRACE);
    world.finish().await;
}

async fn begin(context: &CellContext) -> (MountedDisk, World) {
    let mounted = MountedDisk::mount().expect("a disk can be mounted");
    let world = plan(context).with_data(&mounted.path().join("data")).start().await;
    (mounted, world)
}

fn plan(context: &CellContext) -> Plan {
    let plan = context.plan().in_a_process().with_flag("--duplicate-scan-delays=50ms,100ms,150ms");
    plan.with_flag("--attempt-deadline=600ms").with_flag(&format!("--lease={}ms", LEASE.as_millis()))
}

async fn start_again(world: &mut World) {
    world.server.start_again().await;
    world.client = world.server.client().await;
}

// === impl DiskFault ===

impl DiskFault {
    fn name(self) -> &'static str {
        match self {
            Self::Full => "disk full",
            Self::SyncFails => "I/O error on sync, bytes dropped",
        }
    }

    /// The fault until the disk is healed.
    fn fault(self) -> Fault {
        match self {
            Self::Full => Fault::Full { after: 0 },
            Self::SyncFails => Fault::SyncFails { times: u32::MAX, dirty: Dirty::Dropped },
        }
    }
}
