//! Power cuts during the first start: only synced data survives. If no such disk can be mounted, each test
//! prints a line of its own.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, TicketSystem};
use tempfile::TempDir;
use ticketing_disk::{Disk, Fault, Options};
use ticketing_harness::{Plan, Server, Start, WAIT_TIMEOUT, World, incident};

/// A disk, and the folder that it is mounted on.
struct Mounted {
    disk: Disk,
    folder: TempDir,
}

impl Mounted {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::mount_or_skip(folder.path(), Options::default())?;
        Some(Self { disk, folder })
    }

    /// A server whose database folder is two new folders deep.
    fn server(&self) -> Server {
        let data = Some(self.folder.path().join("state/data"));
        Server::prepare(Start { process: true, data, ..Start::default() })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_of_the_first_start_survive_a_power_cut() {
    let mut world = Plan::new().start_unconfigured().await;
    for seed in 0..6 {
        let Some(mounted) = Mounted::mount() else { return };
        let mut server = mounted.server();
        server.start_again().await;
        let accepted = accept(&mut world, &server).await;
        server.kill_and(|| mounted.disk.cut(seed)).await;
        server.start_again().await;
        let found = server.client().await.get_delivery(&accepted).await;
        assert!(found.is_ok(), "seed {seed}: an accepted push is lost: {found:?}");
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn next_start_succeeds_after_interrupted_first_start() {
    let mut world = Plan::new().start_unconfigured().await;
    for changes in (0..90).step_by(5) {
        let Some(mounted) = Mounted::mount() else { return };
        let mut server = mounted.server();
        mounted.disk.freeze_after(changes);
        server.start_again().await;
        until_still(&mounted.disk).await;
        server.kill_and(|| mounted.disk.cut(changes)).await;
        server.start_again().await;
        accept(&mut world, &server).await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn next_start_succeeds_after_failed_key_write() {
    let mut world = Plan::new().start_unconfigured().await;
    let Some(mounted) = Mounted::mount() else { return };
    let mut server = mounted.server();
    for ending in [".key", ".key.unfinished"] {
        mounted.disk.fail_only(ending, Fault::WriteFails { times: 1_000 });
    }
    server.start_again().await;
    assert!(!server.until_ended().await.success());
    mounted.disk.heal();
    server.start_again().await;
    accept(&mut world, &server).await;
    server.stop().await;
}

/// Configures Jira, and pushes an incident.
async fn accept(world: &mut World, server: &Server) -> String {
    let mut client = server.client().await;
    let jira = Some(world.jira_settings());
    client.configure(v1::ConfigureRequest { jira, ..Default::default() }).await.unwrap();
    let request = v1::CreateTicketRequest {
        incident: Some(incident("INC-1")),
        destination: Some(TicketSystem::Jira.into()),
    };
    client.create_ticket(request).await.unwrap().delivery.unwrap().id
}

async fn until_still(disk: &Disk) {
    let wait = async {
        while !disk.wait_until_frozen(Duration::ZERO) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(WAIT_TIMEOUT, wait).await.is_ok(), "the first start does not come so far");
}
