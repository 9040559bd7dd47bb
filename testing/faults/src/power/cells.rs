//! The disk cells of the matrix: power cuts and other disk faults.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rhythmx_ticketing::v1::{self, TicketSystem};
use ticketing_disk::{Dirty, Fault};
use ticketing_harness::{WAIT_TIMEOUT, World, free_address, incident, run_program};
use ticketing_simulator::{Call, Effect, Rule, When};
use tokio::time::Instant;

use super::power_cycle::PowerCycle;
use super::{MountedDisk, Outcome, first_start};
use crate::matrix::bursts;
use crate::matrix::cell::{Cell, CellContext};

pub(super) const FAMILY: &str = "disk";
/// Time limit for the server to recover after its disk has.
pub(super) const RECOVERY: Duration = Duration::from_secs(7);
/// Number of pushes while the disk is faulty.
const PUSHES: usize = 60;
pub(super) const DATABASE: &str = "data/ticketing.db";

pub(crate) fn cells() -> Vec<Cell> {
    let full = Fault::Full { after: 30_000 };
    let failing = |dirty| Fault::SyncFails { times: 3, dirty };
    vec![
        Cell::new(FAMILY, "power cut", "pushing", cut_while_pushing),
        Cell::new(FAMILY, "power cut", "first start", cut_during_first_start),
        Cell::new(FAMILY, "disk full", "pushing", move |context| faulty(context, full)),
        Cell::new(FAMILY, "disk full", "reply read, not recorded", full_before_recording),
        Cell::new(FAMILY, "I/O error on sync, bytes kept", "pushing", move |context| {
            faulty(context, failing(Dirty::Kept))
        }),
        Cell::new(FAMILY, "I/O error on sync, bytes dropped", "pushing", move |context| {
            faulty(context, failing(Dirty::Dropped))
        }),
        Cell::new(FAMILY, "I/O error on write", "pushing", move |context| {
            faulty(context, Fault::WriteFails { times: 3 })
        }),
        Cell::new(FAMILY, "100 ms a sync", "burst", slow_syncs),
        Cell::new(FAMILY, "flipped byte", "database", flipped_byte),
        Cell::does_not_apply(
            FAMILY,
            "flipped byte",
            "write-ahead log",
            "SQLite takes a frame whose checksum is wrong for the torn end of its log, and cannot tell them apart",
        ),
    ]
}

async fn cut_while_pushing(context: CellContext) {
    let mut outcome = Outcome::default();
    PowerCycle::begin(context.plan(), 7).await.run(8, &mut outcome).await;
    assert!(outcome.acknowledged > 0, "nothing was shown: {outcome}");
    assert!(outcome.is_intact(), "{outcome}\n{:#?}", outcome.lost);
}

async fn cut_during_first_start(context: CellContext) {
    let mut outcome = Outcome::default();
    first_start::run(&|| context.plan(), 6, 7, &mut outcome).await;
    assert!(outcome.acknowledged > 0, "nothing was shown: {outcome}");
    assert!(outcome.is_intact(), "{outcome}\n{:#?}", outcome.lost);
}

/// The disk fails while incidents are pushed, and recovers. Nothing acknowledged in the meantime is lost, not
/// even if the power fails soon after.
async fn faulty(context: CellContext, fault: Fault) {
    let (mounted, mut world) = begin(&context).await;
    mounted.disk.fail(fault);
    let mut acknowledged = vec![];
    let mut refused = 0;
    for n in 0..PUSHES {
        match world.try_push(incident(&format!("INC-{n}")), TicketSystem::Jira).await {
            Ok(answer) => acknowledged.push(answer.delivery.unwrap().id),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0, "the disk fault was not noticed");
    mounted.disk.heal();
    context.recovered(until_pushes_succeed(&mut world).await, RECOVERY);
    world.server.kill_and(|| mounted.disk.cut(7)).await;
    world.server.start_again().await;
    world.client = world.server.client().await;
    for id in acknowledged {
        assert!(world.client.get_delivery(&*id).await.is_ok(), "{id} was acknowledged and is lost");
    }
    all_delivered(&mut world).await;
    world.finish().await;
}

/// Each commit takes long: a burst shares few of them.
async fn slow_syncs(context: CellContext) {
    let (mounted, world) = begin(&context).await;
    mounted.disk.fail(Fault::SlowSync(Duration::from_millis(100)));
    bursts::push_once(&world, Duration::from_secs(60)).await;
    bursts::finish(world).await;
}

/// The ticket is created when there is no disk space left to record it.
async fn full_before_recording(context: CellContext) {
    let (mounted, mut world) = begin(&context).await;
    let slow = Effect::SlowBody { bytes: 10, every: Duration::from_millis(30) };
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), slow));
    let mut client = world.client.clone().with_deadline(Duration::from_secs(2));
    let push = tokio::spawn(async move {
        let incident = Some(incident("INC-1"));
        let request = v1::CreateTicketRequest { incident, destination: Some(TicketSystem::Jira.into()) };
        client.create_ticket(request).await
    });
    world.until_tickets(TicketSystem::Jira, 1).await;
    mounted.disk.fail(Fault::Full { after: 0 });
    let _ = push.await.unwrap();
    mounted.disk.heal();
    context.recovered(until_pushes_succeed(&mut world).await, RECOVERY);
    all_delivered(&mut world).await;
    assert_eq!(world.jira.tickets().iter().filter(|ticket| !ticket.foreign).count(), 2);
    world.finish().await;
}

/// A byte of the database is wrong: the server reports it and leaves the file unchanged. With the byte
/// restored, everything is intact.
async fn flipped_byte(context: CellContext) {
    let (mounted, mut world) = begin(&context).await;
    for n in 0..10 {
        world.push(&format!("INC-{n}"), TicketSystem::Jira).await;
    }
    world.until_all_delivered(10).await;
    world.server.stop().await;
    // Offsets in the header string, in the type of the first page, and in the type of another page.
    for offset in [3, 100, 5 * 4_096] {
        mounted.disk.flip(Path::new(DATABASE), offset).unwrap();
        let data = format!("--data={}", world.server.data().display());
        let listen = format!("--listen={}", free_address());
        let ended = run_program(&["serve".to_owned(), data, listen], &[]).await;
        assert!(ended.code != Some(0) && ended.stderr.contains("damaged"), "byte {offset}: {ended:?}");
        mounted.disk.flip(Path::new(DATABASE), offset).unwrap();
    }
    world.server.start_again().await;
    world.client = world.server.client().await;
    world.until_all_delivered(10).await;
    world.finish().await;
}

/// A world whose server has its data on a simulated disk.
pub(super) async fn begin(context: &CellContext) -> (MountedDisk, World) {
    let mounted = MountedDisk::mount().expect("a disk can be mounted");
    let data: PathBuf = mounted.path().join("data");
    let world = context.plan().in_a_process().with_data(&data).start().await;
    (mounted, world)
}

/// Pushes until one is acknowledged again. Returns how long that took.
pub(super) async fn until_pushes_succeed(world: &mut World) -> Duration {
    let restored_at = Instant::now();
    let wait = async {
        while world.try_push(incident("INC-WELL"), TicketSystem::Jira).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(WAIT_TIMEOUT, wait).await.is_ok(), "the server does not get well by itself");
    restored_at.elapsed()
}

/// Waits until every delivery is delivered.
pub(super) async fn all_delivered(world: &mut World) {
    let count = world.deliveries().await.len();
    world.until_all_delivered(count).await;
}
