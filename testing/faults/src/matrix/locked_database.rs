//! Another process keeps the database locked for less than, or longer than, the busy timeout.

use std::time::Duration;

use rhythmx_ticketing::v1::TicketSystem;
use ticketing_failpoints::Point;
use ticketing_harness::{Plan, WAIT_TIMEOUT, World, free_address, incident, run_program};
use tokio::time::Instant;
use tonic::Code;

use super::cell::{Cell, CellContext};
use super::held_push::{self, fail_points};
use super::other_process::{self, OtherProcess};

const FAMILY: &str = "locked database";

/// Lease of the cells: an attempt whose intent could not be written is repeated after it.
const LEASE: Duration = Duration::from_millis(1_200);
/// Allowance for a slow machine, look-ups and retries.
const GRACE: Duration = Duration::from_secs(3);
/// Duration of a lock that the busy timeout covers.
const SHORT_LOCK: Duration = Duration::from_millis(150);

/// Duration of the lock, compared with the busy timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LockDuration {
    /// The server waits; callers only see a delay.
    Shorter,
    /// Pushes are refused meanwhile.
    Longer,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for lock in [LockDuration::Shorter, LockDuration::Longer] {
        for point in fail_points() {
            for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
                let at = format!("{}, {}", point.name(), system.as_str_name());
                let run = move |context| locked(context, lock, point, system);
                cells.push(Cell::new(FAMILY, lock.name(), at, run));
            }
        }
        cells.push(Cell::new(FAMILY, lock.name(), Point::Closing.name(), move |context| {
            locked_while_closing(context, lock)
        }));
    }
    cells.push(Cell::new(FAMILY, LockDuration::Shorter.name(), "start", start_waits_for_lock));
    cells.push(Cell::new(FAMILY, LockDuration::Longer.name(), "start", start_serves_reads_only));
    cells.push(Cell::new(
        FAMILY,
        "exclusive lock wanted by another process",
        "while serving",
        refuses_exclusive_lock,
    ));
    cells.push(Cell::new(FAMILY, "exclusive lock held by another process", "start", reports_exclusive_lock));
    cells
}

/// A push is held at a point, another process locks the database, and the push continues; a second push
/// arrives meanwhile.
async fn locked(context: CellContext, lock: LockDuration, point: Point, system: TicketSystem) {
    let mut world = lock.plan(&context).start().await;
    let held = held_push::hold(&world, point, system).await;
    let other = OtherProcess::open(&world.server);
    if held_push::has_open_transaction(point) {
        assert!(!other.try_write_lock(), "the server has a transaction open, and another process may write");
        world.server.release();
    }
    let other = other.until_write_lock().await;
    world.server.release();
    let freed = push_while_locked(&mut world, lock, other, system).await;
    held_push::finish(&mut world, held, system).await;
    world.until_all_delivered(2).await;
    context.recovered(freed.elapsed(), LEASE + GRACE);
    assert_eq!(world.simulator(system).tickets().len(), 2);
    let log = world.server.log();
    assert_eq!(
        log.contains("another process holds"),
        lock == LockDuration::Longer,
        "the lock was met: {log}"
    );
    world.finish().await;
}

/// Pushes a second incident while the database is locked, and returns when the lock was released.
async fn push_while_locked(
    world: &mut World,
    lock: LockDuration,
    other: OtherProcess,
    system: TicketSystem,
) -> Instant {
    let push = held_push::begin_push(world, "INC-2", system);
    if lock == LockDuration::Shorter {
        world.wait(SHORT_LOCK).await;
        assert!(!push.is_finished(), "it was written to a database that is locked");
        drop(other);
        let freed = Instant::now();
        world.acknowledged.note_push(&push.await.unwrap().expect("the server waits"));
        return freed;
    }
    let answer = tokio::time::timeout(WAIT_TIMEOUT, push).await.expect("it is answered").unwrap();
    assert_eq!(answer.expect_err("the database is locked").code(), Code::Unavailable);
    drop(other);
    let freed = Instant::now();
    world.push("INC-2", system).await;
    freed
}

/// The WAL cannot be checkpointed; the next start reads it.
async fn locked_while_closing(context: CellContext, lock: LockDuration) {
    let mut world = lock.plan(&context).start().await;
    for n in 0..5 {
        world.push(&format!("INC-{n}"), TicketSystem::Jira).await;
    }
    world.server.arm(Point::Closing);
    world.server.send_sigterm().await;
    world.server.until_held(Point::Closing).await;
    let other = OtherProcess::open(&world.server);
    assert!(other.try_write_lock());
    world.server.release();
    if lock == LockDuration::Shorter {
        world.wait(SHORT_LOCK).await;
        drop(other);
    }
    let ended = world.server.until_ended().await;
    assert!(ended.success(), "it ended with {ended}: {}", world.server.log());
    world.server.start_again().await;
    world.client = world.server.client().await;
    world.until_all_delivered(5).await;
    world.finish().await;
}

/// The server starts, and calls wait until the lock is released.
async fn start_waits_for_lock(context: CellContext) {
    let (mut world, other) = kill_and_lock(&context, LockDuration::Shorter).await;
    world.server.start_again().await;
    world.wait(SHORT_LOCK).await;
    assert!(world.server.is_running(), "it did not wait: {}", world.server.log());
    drop(other);
    let freed = Instant::now();
    world.client = world.server.client().await;
    world.push("INC-2", TicketSystem::Jira).await;
    world.until_all_delivered(3).await;
    context.recovered(freed.elapsed(), LEASE + GRACE);
    world.finish().await;
}

/// The server starts, serves reads, and refuses writes until the lock is released.
async fn start_serves_reads_only(context: CellContext) {
    let (mut world, other) = kill_and_lock(&context, LockDuration::Longer).await;
    world.server.start_again().await;
    world.client = world.server.client().await;
    assert_eq!(world.deliveries().await.len(), 2);
    let refused = world.try_push(incident("INC-2"), TicketSystem::Jira).await;
    assert_eq!(refused.expect_err("the database is locked").code(), Code::Unavailable);
    drop(other);
    let freed = Instant::now();
    world.push("INC-2", TicketSystem::Jira).await;
    world.until_all_delivered(3).await;
    context.recovered(freed.elapsed(), LEASE + GRACE);
    world.finish().await;
}

/// A server that was killed before it recorded the second of two tickets, and another process that has locked
/// its database since.
async fn kill_and_lock(context: &CellContext, lock: LockDuration) -> (World, OtherProcess) {
    let mut world = lock.plan(context).start().await;
    world.push("INC-0", TicketSystem::Jira).await;
    let push = held_push::hold(&world, Point::ReplyRead, TicketSystem::Jira).await;
    world.server.kill().await;
    world.server.release();
    push.await.unwrap().expect_err("its server was killed");
    let other = OtherProcess::open(&world.server);
    assert!(other.try_write_lock());
    (world, other)
}

/// No other process gets an exclusive lock while the server has the database open.
async fn refuses_exclusive_lock(context: CellContext) {
    let mut world = context.plan().in_a_process().start().await;
    world.push("INC-1", TicketSystem::Jira).await;
    assert!(other_process::lock_exclusively(&world.server).is_none(), "it was given away");
    world.try_push(incident("INC-2"), TicketSystem::Jira).await.unwrap();
    world.until_all_delivered(2).await;
    world.finish().await;
}

/// The server reports the lock and exits; it starts once the lock is released.
async fn reports_exclusive_lock(context: CellContext) {
    let mut world = context.plan().in_a_process().start().await;
    world.push("INC-1", TicketSystem::Jira).await;
    world.server.stop().await;
    let lock = other_process::lock_exclusively(&world.server).expect("no other process has it");
    let data = format!("--data={}", world.server.data().display());
    let listen = format!("--listen={}", free_address());
    let arguments = ["serve".to_owned(), data.clone(), listen, "--busy-timeout=100ms".to_owned()];
    let ended = run_program(&arguments, &[]).await;
    assert!(ended.code != Some(0) && ended.stderr.contains("another server uses"), "{ended:?}");
    drop(lock);
    world.server.start_again().await;
    world.client = world.server.client().await;
    world.until_all_delivered(1).await;
    world.finish().await;
}

// === impl LockDuration ===

impl LockDuration {
    fn name(self) -> &'static str {
        match self {
            Self::Shorter => "locked for less than the busy timeout",
            Self::Longer => "locked for longer than the busy timeout",
        }
    }

    fn plan(self, context: &CellContext) -> Plan {
        let plan = context.plan().in_a_process().with_flag("--duplicate-scan-delays=50ms,100ms,150ms");
        let plan = plan.with_flag("--attempt-deadline=600ms");
        let plan = plan.with_flag(&format!("--lease={}ms", LEASE.as_millis()));
        match self {
            Self::Shorter => plan.with_flag("--busy-timeout=10s"),
            Self::Longer => plan.with_flag("--busy-timeout=100ms"),
        }
    }
}
