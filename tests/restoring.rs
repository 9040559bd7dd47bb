//! A database that is put back from an older copy, by plain copies of files, while its tickets exist: never a second one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rhythmx_ticketing::v1::{self, DeliveryState, FaultKind, TicketSystem};
use tempfile::TempDir;
use ticketing_harness::{
    Acknowledged, Plan, Subscriber, World, after, binary, from_oldest, incident, refusal, retrying, state,
};
use ticketing_simulator::{Call, Effect, Profile, Reply, Rule, Vendor, When};
use tonic::Code;

const JIRA: TicketSystem = TicketSystem::Jira;
const SERVICENOW: TicketSystem = TicketSystem::Servicenow;

/// What the log says of a database that may have been put back.
const SUSPECTED: &str = "may have been put back from an older copy";

/// How an operator puts a copy back.
#[derive(Debug, Clone, Copy)]
enum How {
    /// The database, with its log if the server was killed, over the one that is there.
    DatabaseAlone,
    /// Each file of the folder, over the one that is there.
    FolderOver,
    /// The folder is removed, and another made from the copy.
    FolderAnew,
    /// The copy that `ticketing backup` made, in a folder with nothing but the key, as on another machine.
    Elsewhere,
}

/// A copy of the data folder, and one by `ticketing backup`.
struct Copy {
    folder: TempDir,
    backup: PathBuf,
}

// === impl Copy ===

impl Copy {
    /// The server must not run.
    async fn of(world: &World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_files(&world.server.data(), folder.path());
        let backup = folder.path().join("backup");
        let data = format!("--data={}", world.server.data().display());
        let made = tokio::process::Command::new(binary()).args(["backup", &data]).arg(&backup).status().await;
        assert!(made.unwrap().success());
        // A copy is not put back in the same moment: that is what its times tell.
        world.while_nothing_happens_for(Duration::from_millis(1_100)).await;
        Self { folder, backup }
    }

    /// The server must not run. What was acknowledged after the copy was made is gone then, and is handed over again.
    fn put_back(&self, world: &mut World, how: How) {
        world.acknowledged = Acknowledged::default();
        let data = &world.server.data();
        let file = |name: &str| data.join(format!("ticketing.db{name}"));
        for log in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(file(log));
        }
        match how {
            How::DatabaseAlone => {
                let kept = ["", "-wal"].map(|name| self.folder.path().join(format!("ticketing.db{name}")));
                for (from, to) in
                    kept.into_iter().zip([file(""), file("-wal")]).filter(|(from, _)| from.exists())
                {
                    std::fs::copy(from, to).unwrap();
                }
            }
            How::FolderOver => copy_files(self.folder.path(), data),
            How::FolderAnew => {
                std::fs::remove_dir_all(data).unwrap();
                std::fs::create_dir(data).unwrap();
                copy_files(self.folder.path(), data);
            }
            How::Elsewhere => {
                for name in ["", ".mark", ".lock"] {
                    std::fs::remove_file(file(name)).unwrap();
                }
                std::fs::copy(&self.backup, file("")).unwrap();
            }
        }
    }
}

fn copy_files(from: &Path, to: &Path) {
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        if file.file_name() != "backup" {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn a_database_file_that_is_put_back_alone_makes_no_second_ticket() {
    put_back_and_deliver(cloud(), JIRA, How::DatabaseAlone).await;
}

#[tokio::test]
async fn a_folder_that_is_copied_over_makes_no_second_ticket() {
    put_back_and_deliver(cloud(), JIRA, How::FolderOver).await;
}

#[tokio::test]
async fn a_folder_that_is_removed_and_put_back_makes_no_second_ticket() {
    put_back_and_deliver(cloud(), JIRA, How::FolderAnew).await;
}

#[tokio::test]
async fn a_backup_that_is_put_back_elsewhere_makes_no_second_ticket() {
    put_back_and_deliver(cloud(), JIRA, How::Elsewhere).await;
}

#[tokio::test]
async fn a_database_that_is_put_back_makes_no_second_ticket_in_jira_data_center() {
    let lagging = Profile::of(Vendor::JiraDataCenter).with_index_lag(Duration::from_millis(150));
    let plan = Plan::new().with_jira(Vendor::JiraDataCenter, lagging);
    put_back_and_deliver(plan, JIRA, How::DatabaseAlone).await;
}

#[tokio::test]
async fn a_database_that_is_put_back_makes_no_second_ticket_in_servicenow() {
    put_back_and_deliver(Plan::new(), SERVICENOW, How::DatabaseAlone).await;
}

#[tokio::test]
async fn a_database_that_is_put_back_makes_no_second_ticket_in_a_servicenow_that_ignores_the_id_it_is_given()
{
    let mut profile = Profile::of(Vendor::ServiceNow);
    profile.ignores_sys_id = true;
    put_back_and_deliver(Plan::new().with_servicenow(profile), SERVICENOW, How::FolderOver).await;
}

#[tokio::test]
async fn a_server_that_is_told_so_looks_before_it_creates() {
    let mut world = cloud().in_a_process().start().await;
    world.push("INC-1", JIRA).await;
    world.server.stop().await;
    world.server.next_start().flags.push("--restored".to_owned());
    start_again(&mut world).await;
    assert!(world.server.log().contains("--restored says so"), "{}", world.server.log());
    push_until_delivered(&mut world, "INC-2", JIRA).await;
    let searched = world.jira.requests().iter().filter(|request| request.path.contains("/search")).count();
    assert!(searched > 0);
    world.finish().await;
}

#[tokio::test]
async fn a_restart_and_a_kill_are_not_suspected_and_slow_nothing_down() {
    let mut world = cloud().in_a_process().start().await;
    for (round, kill) in [true, false, true, false].into_iter().enumerate() {
        let answer = world.push(&format!("INC-{round}"), JIRA).await;
        assert_eq!(state(&answer), DeliveryState::Delivered, "{answer:#?}");
        // As long as a copy needs to be told by its times.
        world.while_nothing_happens_for(Duration::from_millis(1_100)).await;
        if kill { world.crash().await } else { world.restart().await }
    }
    let searched = world.jira.requests().iter().filter(|request| request.path.contains("/search")).count();
    assert_eq!(searched, 0);
    let log = world.server.log();
    assert!(!log.contains(SUSPECTED) && !log.contains("the clock was set"), "{log}");
    world.finish().await;
}

#[tokio::test]
async fn a_push_right_after_a_database_was_put_back_says_why_it_waits_and_obeys_an_operator() {
    let mut world = cloud().with_flag("--server-bound=1h").in_a_process().start().await;
    world.server.stop().await;
    world.server.next_start().flags.push("--restored".to_owned());
    start_again(&mut world).await;
    let answer = world.push("INC-1", JIRA).await;
    assert!(!answer.already_existed);
    let delivery = answer.delivery.unwrap();
    assert_eq!(delivery.state(), DeliveryState::Reconciling);
    let error = delivery.last_error.unwrap();
    assert_eq!((error.kind(), error.ambiguous), (FaultKind::Restored, true));
    assert!(error.message.contains("looked for first"), "{}", error.message);
    let anyway = v1::RetryDeliveryRequest { create_anyway: true, ..retrying(&delivery.id) };
    let wait = async {
        // It is refused while a look-up is under way.
        while world.client.retry_delivery(anyway.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(ticketing_harness::PATIENCE, wait).await.unwrap();
    world.until(&delivery.id, DeliveryState::Delivered).await;
    world.finish().await;
}

#[tokio::test]
async fn a_token_of_lost_events_is_answered_with_where_the_histories_part() {
    let mut world = cloud().in_a_process().start().await;
    world.push("INC-1", JIRA).await;
    let mut subscriber = Subscriber::open(&world.client, from_oldest()).await;
    let shared = subscriber.events(3).await.remove(2);
    world.server.stop().await;
    let copy = Copy::of(&world).await;
    start_again(&mut world).await;
    world.push("INC-2", JIRA).await;
    let mut subscriber = Subscriber::open(&world.client, after(&shared.resume_token)).await;
    let lost = subscriber.events(3).await.remove(2);
    drop(subscriber);
    world.server.stop().await;
    copy.put_back(&mut world, How::DatabaseAlone);
    start_again(&mut world).await;
    let refused =
        refusal(world.client.clone().stream_ticket_events(after(&lost.resume_token)).await.map(drop));
    refused.is(Code::OutOfRange, "RESUME_TOKEN_EXPIRED", &["resume_token"]);
    push_until_delivered(&mut world, "INC-3", JIRA).await;
    for token in [&refused.metadata["oldest_token"], &shared.resume_token] {
        let event = Subscriber::open(&world.client, after(token)).await.event().await;
        assert_eq!((event.sequence, event.incident_id.as_str()), (shared.sequence + 1, "INC-3"));
    }
    world.finish().await;
}

#[tokio::test]
async fn a_ticket_is_looked_for_at_the_site_of_the_copy_too_when_settings_were_changed_since() {
    let mut world = cloud().in_a_process().start().await;
    world.server.stop().await;
    let copy = Copy::of(&world).await;
    start_again(&mut world).await;
    world.push("INC-1", JIRA).await;
    world.server.stop().await;
    copy.put_back(&mut world, How::DatabaseAlone);
    start_again(&mut world).await;
    let elsewhere = ticketing_simulator::Simulator::start(Vendor::JiraCloud, Profile::of(Vendor::JiraCloud));
    let elsewhere = elsewhere.await.unwrap();
    let jira = v1::JiraSettings { url: Some(elsewhere.base_url()), ..world.jira_settings() };
    world.try_jira(jira).await.unwrap();
    push_until_delivered(&mut world, "INC-1", JIRA).await;
    assert_eq!((world.jira.tickets().len(), elsewhere.tickets().len()), (1, 0));
    world.finish().await;
}

/// What lies in a copy in each state, and what comes after it, is delivered before and after the copy is put back: one
/// ticket each.
async fn put_back_and_deliver(plan: Plan, system: TicketSystem, how: How) {
    let plan = plan.in_a_process().with_flag("--concurrency=1").with_flag("--circuit-threshold=1000");
    let mut world = plan.start().await;
    world.retry_by_hand_alone().await;
    let early = ["WAITING", "CANCELLED", "FAILED"];
    for id in early {
        refuse_one(&mut world, system, id).await;
    }
    world.push("DELIVERED", system).await;
    offer_behind_one_that_hangs(&mut world, system, &["IN-DOUBT", "PENDING-1", "PENDING-2"]).await;
    world.server.kill().await;
    world.simulator(system).weather().clear();
    let copy = Copy::of(&world).await;

    start_again(&mut world).await;
    let known = ["WAITING", "CANCELLED", "FAILED", "DELIVERED", "IN-DOUBT", "PENDING-1", "PENDING-2"];
    deliver(&mut world, system, &known).await;
    let later = ["LATER-1", "LATER-2"];
    for id in later {
        assert_eq!(state(&world.push(id, system).await), DeliveryState::Delivered);
    }
    assert!(!world.server.log().contains(SUSPECTED), "{}", world.server.log());
    assert_eq!(world.simulator(system).tickets().len(), 9);
    world.server.stop().await;

    copy.put_back(&mut world, how);
    start_again(&mut world).await;
    assert!(world.server.log().contains(SUSPECTED), "{how:?}: {}", world.server.log());
    let (first, second) = (incident(later[0]), incident(later[1]));
    for incident in [first, second] {
        world.try_push(incident, system).await.unwrap();
    }
    deliver(&mut world, system, &known).await;
    for id in later.into_iter().chain(["NEW-1", "NEW-2"]) {
        push_until_delivered(&mut world, id, system).await;
    }
    assert_eq!(world.deliveries().await.len(), 11);
    assert_eq!(world.simulator(system).tickets().len(), 11);
    world.finish().await;
}

/// A Jira Cloud whose index lags, within the bound.
fn cloud() -> Plan {
    let lagging = Profile::of(Vendor::JiraCloud).with_index_lag(Duration::from_millis(150));
    Plan::new().with_jira(Vendor::JiraCloud, lagging)
}

async fn start_again(world: &mut World) {
    world.server.start_again().await;
    world.client = world.server.client().await;
    // What it has to say of its start is in the log when it answers.
    world.client.get_status().await.unwrap();
}

/// Leaves a delivery in the state that its incident is named after.
async fn refuse_one(world: &mut World, system: TicketSystem, name: &str) {
    let refusing =
        Effect::Answer(Reply::json(400, &serde_json::json!({ "error": { "message": "not now" } })));
    world.simulator(system).weather().push(Rule::new(Call::Create, When::Always, refusing));
    let attempts = |max_attempts| v1::ConfigureRequest {
        retry: Some(v1::RetrySettings { max_attempts: Some(max_attempts), ..Default::default() }),
        ..Default::default()
    };
    world.configure(attempts(if name == "FAILED" { 0 } else { 5 })).await;
    let delivery = world.push(name, system).await.delivery.unwrap();
    if name == "CANCELLED" {
        let request = v1::CancelDeliveryRequest { delivery_id: delivery.id.clone(), note: String::new() };
        world.client.cancel_delivery(request).await.unwrap();
    }
    let now = world.delivery(&delivery.id).await.state();
    assert_eq!(now.as_str_name(), format!("DELIVERY_STATE_{name}"));
    world.configure(attempts(5)).await;
    world.simulator(system).weather().clear();
}

/// Has incidents accepted of which the first is being sent, and the rest wait for their turn.
async fn offer_behind_one_that_hangs(world: &mut World, system: TicketSystem, ids: &[&str]) {
    let hanging = Effect::Hang { applied: true };
    world.simulator(system).weather().push(Rule::new(Call::Create, When::Always, hanging));
    let tickets = world.simulator(system).tickets().len();
    for id in ids {
        let mut client = world.client.clone().with_deadline(Duration::from_millis(150));
        let incident = Some(incident(id));
        let _ = client.create_ticket(v1::CreateTicketRequest { incident, system: system.into() }).await;
    }
    world.until_tickets(system, tickets + 1).await;
    assert_eq!(world.deliveries().await.iter().filter(|d| d.state() == DeliveryState::Pending).count(), 2);
}

/// Has every one of these delivered, by an operator's hand where it needs one.
async fn deliver(world: &mut World, system: TicketSystem, incidents: &[&str]) {
    let all = world.deliveries().await;
    for name in incidents {
        let delivery = all.iter().find(|delivery| delivery.incident_id == *name);
        let delivery = delivery.unwrap_or_else(|| panic!("{name} is not there"));
        assert_eq!(delivery.system(), system);
        if matches!(
            delivery.state(),
            DeliveryState::Waiting | DeliveryState::Cancelled | DeliveryState::Failed
        ) {
            world.client.retry_delivery(retrying(&delivery.id)).await.unwrap();
        }
        world.until(&delivery.id, DeliveryState::Delivered).await;
    }
}

async fn push_until_delivered(world: &mut World, id: &str, system: TicketSystem) {
    let delivery = world.push(id, system).await.delivery.unwrap();
    world.until(&delivery.id, DeliveryState::Delivered).await;
}
