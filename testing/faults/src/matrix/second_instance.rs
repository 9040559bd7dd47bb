//! A second server on the same data folder is refused with an error that names the folder, and changes
//! nothing.

use std::path::Path;
use std::time::Duration;

use rhythmx_ticketing::v1::{DeliveryState, TicketSystem};
use ticketing_harness::{Server, Start, WAIT_TIMEOUT, World};

use super::cell::{Cell, CellContext};

const FAMILY: &str = "second instance";
const FAULT: &str = "second server";
/// A cell that `faults bugs` plays by this name.
const LOCK_REMOVED: &str = "the lock file removed";
/// The lock file beside the database, held by the running server.
const LOCK_FILE: &str = "ticketing.db.lock";

/// State of the first server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Running,
    Suspended,
}

pub(super) fn cells() -> Vec<Cell> {
    vec![
        Cell::new(FAMILY, FAULT, "beside a running server", |context| {
            start_beside(context, First::Running, false)
        }),
        Cell::new(FAMILY, FAULT, "beside a suspended server", |context| {
            start_beside(context, First::Suspended, false)
        }),
        Cell::new(FAMILY, FAULT, "by another name of the folder", |context| {
            start_beside(context, First::Running, true)
        }),
        Cell::new(FAMILY, FAULT, LOCK_REMOVED, lock_file_removed),
        Cell::new(FAMILY, FAULT, "both at once on a new folder", both_at_once),
        Cell::new(FAMILY, FAULT, "after kill -9 of the first", after_kill),
    ]
}

async fn start_beside(context: CellContext, first: First, by_another_name: bool) {
    let mut world = context.plan().in_a_process().start().await;
    world.push("INC-1", TicketSystem::Jira).await;
    if first == First::Suspended {
        world.server.pause().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let other_name = folder.path().join("other");
    let data = world.server.data();
    std::os::unix::fs::symlink(&data, &other_name).unwrap();
    let mut second = second_server(&mut world, if by_another_name { &other_name } else { &data });
    second.start_again().await;
    check_refused(&mut second).await;
    if first == First::Suspended {
        world.server.resume().await;
    }
    check_first_unharmed(world).await;
}

/// The lock file was removed while the server runs.
async fn lock_file_removed(context: CellContext) {
    let mut world = context.plan().in_a_process().start().await;
    world.push("INC-1", TicketSystem::Jira).await;
    let data = world.server.data();
    std::fs::remove_file(data.join(LOCK_FILE)).expect("there is a lock file to remove");
    let mut second = second_server(&mut world, &data);
    second.start_again().await;
    check_refused(&mut second).await;
    assert!(world.server.is_running(), "the first one has ended: {}", world.server.log());
    check_first_unharmed(world).await;
}

/// Of two servers that start at once, one serves.
async fn both_at_once(context: CellContext) {
    let mut world = context.plan().in_a_process().start_unconfigured().await;
    let folder = tempfile::tempdir().unwrap();
    let mut both = [second_server(&mut world, folder.path()), second_server(&mut world, folder.path())];
    for server in &mut both {
        server.start_again().await;
    }
    let one_ended = async {
        loop {
            if let Some(ended) = both.iter_mut().position(|server| !server.is_running()) {
                return ended;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ended = tokio::time::timeout(WAIT_TIMEOUT, one_ended).await.expect("both of them serve");
    let [one, other] = both;
    let (mut refused_server, serving) = if ended == 0 { (one, other) } else { (other, one) };
    check_refused(&mut refused_server).await;
    let mut first = std::mem::replace(&mut world.server, serving);
    first.stop().await;
    world.client = world.server.client().await;
    let settings = world.settings();
    world.configure(settings).await;
    check_first_unharmed(world).await;
}

/// The kernel releases the lock of a killed process.
async fn after_kill(context: CellContext) {
    let mut world = context.plan().in_a_process().start().await;
    world.push("INC-1", TicketSystem::Jira).await;
    world.server.kill().await;
    let data = world.server.data();
    let mut second = second_server(&mut world, &data);
    second.start_again().await;
    // Keeps the folder of the first server until the end.
    let _first = std::mem::replace(&mut world.server, second);
    world.client = world.server.client().await;
    check_first_unharmed(world).await;
}

/// Another server of the same kind on this folder, not started yet.
fn second_server(world: &mut World, data: &Path) -> Server {
    let start = world.server.next_start().clone();
    Server::prepare(Start { data: Some(data.to_owned()), ..start })
}

async fn check_refused(server: &mut Server) {
    let gives_up = async {
        while server.is_running() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(WAIT_TIMEOUT / 2, gives_up).await.is_ok(), "two serve one folder");
    let ended = server.until_ended().await;
    assert!(!ended.success(), "it ended as if all were well");
    let log = server.log();
    let data = server.data();
    assert!(log.contains(&data.display().to_string()), "it does not name {}: {log}", data.display());
}

async fn check_first_unharmed(mut world: World) {
    let pushed = world.push("INC-2", TicketSystem::Jira).await.delivery.unwrap();
    world.until(&pushed.id, DeliveryState::Delivered).await;
    world.finish().await;
}
