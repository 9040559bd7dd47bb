//! A database restored from a backup, as callers and operators see it. The fault matrix shows that no ticket
//! is created twice.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, DeliveryState, FaultKind, TicketSystem};
use ticketing_harness::{
    DatabaseCopy, Plan, RestoreMethod, Subscriber, World, after, from_oldest, refusal, retrying, state,
};
use ticketing_simulator::{Profile, Vendor};
use tonic::Code;

const JIRA: TicketSystem = TicketSystem::Jira;

/// Logged when the database may have been restored.
const SUSPECTED: &str = "may have been restored from a backup";

#[tokio::test]
async fn restored_flag_searches_before_create() {
    let mut world = cloud().in_a_process().start().await;
    world.push("INC-1", JIRA).await;
    world.server.stop().await;
    world.server.next_start().flags.push("--restored".to_owned());
    start_again(&mut world).await;
    assert!(world.server.log().contains("the operator passed --restored"), "{}", world.server.log());
    push_until_delivered(&mut world, "INC-2", JIRA).await;
    let searched = world.jira.requests().iter().filter(|request| request.path.contains("/search")).count();
    assert!(searched > 0);
    world.finish().await;
}

#[tokio::test]
async fn restart_and_kill_are_no_restore() {
    let mut world = cloud().in_a_process().start().await;
    for (round, kill) in [true, false, true, false].into_iter().enumerate() {
        let answer = world.push(&format!("INC-{round}"), JIRA).await;
        assert_eq!(state(&answer), DeliveryState::Delivered, "{answer:#?}");
        // Long enough for the timestamps of a copy to differ.
        world.wait(Duration::from_millis(1_100)).await;
        if kill { world.crash().await } else { world.restart().await }
    }
    let searched = world.jira.requests().iter().filter(|request| request.path.contains("/search")).count();
    assert_eq!(searched, 0);
    let log = world.server.log();
    assert!(!log.contains(SUSPECTED) && !log.contains("the clock was set"), "{log}");
    world.finish().await;
}

#[tokio::test]
async fn push_after_restore_waits_and_says_why() {
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
    assert!(error.message.contains("searches for it first"), "{}", error.message);
    let anyway = v1::RetryDeliveryRequest { create_anyway: true, ..retrying(&delivery.id) };
    let wait = async {
        // It is refused during a look-up.
        while world.client.retry_delivery(anyway.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(ticketing_harness::WAIT_TIMEOUT, wait).await.unwrap();
    world.until(&delivery.id, DeliveryState::Delivered).await;
    world.finish().await;
}

#[tokio::test]
async fn resume_token_of_lost_events_names_the_divergence() {
    let mut world = cloud().in_a_process().start().await;
    world.push("INC-1", JIRA).await;
    let mut subscriber = Subscriber::open(&world.client, from_oldest()).await;
    let shared = subscriber.events(3).await.remove(2);
    world.server.stop().await;
    let copy = DatabaseCopy::of(&world).await;
    start_again(&mut world).await;
    world.push("INC-2", JIRA).await;
    let mut subscriber = Subscriber::open(&world.client, after(&shared.resume_token)).await;
    let lost = subscriber.events(3).await.remove(2);
    drop(subscriber);
    world.server.stop().await;
    copy.restore_copy(&mut world, RestoreMethod::DatabaseOnly);
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
async fn restore_searches_the_former_site_too() {
    let mut world = cloud().in_a_process().start().await;
    world.server.stop().await;
    let copy = DatabaseCopy::of(&world).await;
    start_again(&mut world).await;
    world.push("INC-1", JIRA).await;
    world.server.stop().await;
    copy.restore_copy(&mut world, RestoreMethod::DatabaseOnly);
    start_again(&mut world).await;
    let other_sites =
        ticketing_simulator::Simulator::start(Vendor::JiraCloud, Profile::of(Vendor::JiraCloud));
    let other_sites = other_sites.await.unwrap();
    let jira = v1::JiraSettings { url: Some(other_sites.base_url()), ..world.jira_settings() };
    world.try_jira(jira).await.unwrap();
    push_until_delivered(&mut world, "INC-1", JIRA).await;
    assert_eq!((world.jira.tickets().len(), other_sites.tickets().len()), (1, 0));
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
    // Its start-up messages are in the log when it responds.
    world.client.get_status().await.unwrap();
}

async fn push_until_delivered(world: &mut World, id: &str, system: TicketSystem) {
    let delivery = world.push(id, system).await.delivery.unwrap();
    world.until(&delivery.id, DeliveryState::Delivered).await;
}
