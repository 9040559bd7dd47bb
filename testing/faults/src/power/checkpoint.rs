//! Faults during a checkpoint of SQLite's WAL.
//!
//! A checkpoint runs within a commit once the WAL is long, and only checkpoints write to the main file. The
//! disk freezes at such a write until the fault is injected.

use std::time::Duration;

use rhythmx_ticketing::v1::TicketSystem;
use ticketing_disk::{Dirty, DiskOperation, Fault};
use ticketing_harness::World;
use tokio::time::Instant;

use super::MountedDisk;
use super::cells::{FAMILY, RECOVERY, all_delivered};
use crate::matrix::cell::{Cell, CellContext};
use crate::matrix::process::{GRACE, LEASE, SETTLE, plan};
use crate::matrix::push_load::PushLoad;

/// Suffix of the main file, which the WAL and the `-shm` file do not have.
const MAIN_FILE: &str = ".db";
const CALLERS: usize = 8;
/// Minimum number of pushes after the fault.
const PUSHES_AFTER: usize = 16;

/// The fault.
#[derive(Debug, Clone, Copy)]
enum CheckpointFault {
    Killed,
    PowerCut,
    Terminated,
    /// Suspended for longer than its lease.
    Suspended,
    Full,
    WriteFails,
    SyncFails(Dirty),
}

pub(super) fn cells() -> Vec<Cell> {
    let faults = [
        CheckpointFault::Killed,
        CheckpointFault::PowerCut,
        CheckpointFault::Terminated,
        CheckpointFault::Suspended,
        CheckpointFault::Full,
        CheckpointFault::WriteFails,
        CheckpointFault::SyncFails(Dirty::Kept),
        CheckpointFault::SyncFails(Dirty::Dropped),
    ];
    let cell = |fault: CheckpointFault| {
        Cell::new(FAMILY, fault.name(), "checkpoint", move |context| run(context, fault))
    };
    faults.map(cell).to_vec()
}

async fn run(context: CellContext, fault: CheckpointFault) {
    let mounted = MountedDisk::mount().expect("a disk can be mounted");
    let plan = plan(&context).with_data(&mounted.path().join("data")).with_flag("--concurrency=16");
    let mut world = plan.start().await;
    mounted.disk.freeze_at(fault.operation(), MAIN_FILE);
    let load = PushLoad::begin(&world, CALLERS);
    mounted.until_held("checkpoint").await;
    let limit = LEASE + SETTLE + GRACE + if fault.is_disk_fault() { RECOVERY } else { Duration::ZERO };
    let fault_at = Instant::now();
    fault.run(&mounted, &mut world, &load).await;
    load.until_started(PUSHES_AFTER).await;
    let pushed = load.finish().await;
    world.until_all_delivered(pushed).await;
    context.recovered(fault_at.elapsed(), limit);
    // A power cut shows that everything acknowledged is durable.
    world.server.kill_and(|| mounted.disk.cut(7)).await;
    world.server.start_again().await;
    world.client = world.server.client().await;
    all_delivered(&mut world).await;
    assert_eq!(world.simulator(TicketSystem::Jira).tickets().len(), pushed);
    world.finish().await;
}

// === impl CheckpointFault ===

impl CheckpointFault {
    fn name(self) -> &'static str {
        match self {
            Self::Killed => "kill -9",
            Self::PowerCut => "power cut",
            Self::Terminated => "SIGTERM",
            Self::Suspended => "SIGSTOP",
            Self::Full => "disk full",
            Self::WriteFails => "I/O error on write",
            Self::SyncFails(Dirty::Kept) => "I/O error on sync, bytes kept",
            Self::SyncFails(Dirty::Dropped) => "I/O error on sync, bytes dropped",
        }
    }

    /// A checkpoint ends with a sync of the main file.
    fn operation(self) -> DiskOperation {
        if matches!(self, Self::SyncFails(_)) { DiskOperation::Sync } else { DiskOperation::Write }
    }

    fn is_disk_fault(self) -> bool {
        matches!(self, Self::Full | Self::WriteFails | Self::SyncFails(_))
    }

    /// Applies the fault while the disk is frozen, and then resumes the disk.
    async fn run(self, mounted: &MountedDisk, world: &mut World, load: &PushLoad) {
        let disk = &mounted.disk;
        match self {
            Self::Killed => {
                world.server.kill_and(|| disk.resume()).await;
                world.server.start_again().await;
            }
            Self::PowerCut => {
                world.server.kill_and(|| disk.cut(11)).await;
                world.server.start_again().await;
            }
            Self::Terminated => {
                world.server.send_sigterm().await;
                disk.resume();
                let ended = world.server.until_ended().await;
                assert!(ended.success(), "it ended with {ended}: {}", world.server.log());
                world.server.start_again().await;
            }
            Self::Suspended => {
                world.server.pause().await;
                disk.resume();
                tokio::time::sleep(LEASE + SETTLE).await;
                world.server.resume().await;
            }
            Self::Full => {
                disk.fail(Fault::Full { after: 0 });
                disk.resume();
                // The WAL cannot be reset, and has no space to grow.
                load.until_refused(1).await;
                disk.heal();
            }
            Self::WriteFails => {
                disk.fail_only(MAIN_FILE, Fault::WriteFails { times: 3 });
                disk.resume();
            }
            Self::SyncFails(dirty) => {
                disk.fail_only(MAIN_FILE, Fault::SyncFails { times: 1, dirty });
                disk.resume();
            }
        }
        world.client = world.server.client().await;
    }
}
