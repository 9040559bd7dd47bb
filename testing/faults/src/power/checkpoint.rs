//! Faults during a checkpoint of SQLite's WAL.
//!
//! A checkpoint runs within a commit once the WAL is long, and only checkpoints write to the main file. The
//! disk freezes at such a write until the fault has struck.

use std::time::Duration;

use rhythmx_ticketing::v1::TicketSystem;
use ticketing_disk::{Dirty, DiskOperation, Fault};
use ticketing_harness::World;
use tokio::time::Instant;

use super::Mounted;
use super::cells::{FAMILY, RECOVERY, all_delivered};
use crate::matrix::cell::{Cell, Stage};
use crate::matrix::flow::Flow;
use crate::matrix::process::{GRACE, LEASE, SETTLE, plan};

/// Suffix of the main file, which the WAL and the `-shm` file do not have.
const MAIN_FILE: &str = ".db";
const CALLERS: usize = 8;
/// Minimum number of pushes after the fault.
const AFTER: usize = 16;

/// The fault.
#[derive(Debug, Clone, Copy)]
enum Strike {
    Killed,
    PowerCut,
    AskedToStop,
    /// Suspended for longer than its lease.
    Asleep,
    Full,
    Writes,
    Syncs(Dirty),
}

pub(super) fn cells() -> Vec<Cell> {
    let strikes = [
        Strike::Killed,
        Strike::PowerCut,
        Strike::AskedToStop,
        Strike::Asleep,
        Strike::Full,
        Strike::Writes,
        Strike::Syncs(Dirty::Kept),
        Strike::Syncs(Dirty::Dropped),
    ];
    let cell =
        |strike: Strike| Cell::new(FAMILY, strike.name(), "checkpoint", move |stage| play(stage, strike));
    strikes.map(cell).to_vec()
}

async fn play(stage: Stage, strike: Strike) {
    let mounted = Mounted::mount().expect("a disk can be mounted");
    let plan = plan(&stage).with_data(&mounted.path().join("data")).with_flag("--concurrency=16");
    let mut world = plan.start().await;
    mounted.disk.stand_still_at(strike.operation(), MAIN_FILE);
    let flow = Flow::begin(&world, CALLERS);
    mounted.until_held("checkpoint").await;
    let limit = LEASE + SETTLE + GRACE + if strike.is_of_the_disk() { RECOVERY } else { Duration::ZERO };
    let struck = Instant::now();
    strike.play(&mounted, &mut world, &flow).await;
    flow.until_more(AFTER).await;
    let pushed = flow.end().await;
    world.until_all_delivered(pushed).await;
    stage.recovered(struck.elapsed(), limit);
    // A power cut shows that everything acknowledged is durable.
    world.server.kill_and(|| mounted.disk.cut(7)).await;
    world.server.start_again().await;
    world.client = world.server.client().await;
    all_delivered(&mut world).await;
    assert_eq!(world.simulator(TicketSystem::Jira).tickets().len(), pushed);
    world.finish().await;
}

// === impl Strike ===

impl Strike {
    fn name(self) -> &'static str {
        match self {
            Self::Killed => "kill -9",
            Self::PowerCut => "power cut",
            Self::AskedToStop => "SIGTERM",
            Self::Asleep => "SIGSTOP",
            Self::Full => "disk full",
            Self::Writes => "I/O error on write",
            Self::Syncs(Dirty::Kept) => "I/O error on sync, bytes kept",
            Self::Syncs(Dirty::Dropped) => "I/O error on sync, bytes dropped",
        }
    }

    /// A checkpoint ends with a sync of the main file.
    fn operation(self) -> DiskOperation {
        if matches!(self, Self::Syncs(_)) { DiskOperation::Sync } else { DiskOperation::Write }
    }

    fn is_of_the_disk(self) -> bool {
        matches!(self, Self::Full | Self::Writes | Self::Syncs(_))
    }

    /// Applies the fault while the disk is frozen, and then resumes the disk.
    async fn play(self, mounted: &Mounted, world: &mut World, flow: &Flow) {
        let disk = &mounted.disk;
        match self {
            Self::Killed => {
                world.server.kill_and(|| disk.go_on()).await;
                world.server.start_again().await;
            }
            Self::PowerCut => {
                world.server.kill_and(|| disk.cut(11)).await;
                world.server.start_again().await;
            }
            Self::AskedToStop => {
                world.server.ask_to_stop().await;
                disk.go_on();
                let ended = world.server.until_ended().await;
                assert!(ended.success(), "it ended with {ended}: {}", world.server.log());
                world.server.start_again().await;
            }
            Self::Asleep => {
                world.server.pause().await;
                disk.go_on();
                tokio::time::sleep(LEASE + SETTLE).await;
                world.server.go_on().await;
            }
            Self::Full => {
                disk.fail(Fault::Full { after: 0 });
                disk.go_on();
                // The WAL cannot be reset, and has no space to grow.
                flow.until_refused(1).await;
                disk.heal();
            }
            Self::Writes => {
                disk.fail_only(MAIN_FILE, Fault::WriteFails { times: 3 });
                disk.go_on();
            }
            Self::Syncs(dirty) => {
                disk.fail_only(MAIN_FILE, Fault::SyncFails { times: 1, dirty });
                disk.go_on();
            }
        }
        world.client = world.server.client().await;
    }
}
