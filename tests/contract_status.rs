//! GetStatus: an overview for operators.

use rhythmx_ticketing::v1::connection_status::Settings;
use rhythmx_ticketing::v1::{self, ConnectionConditionKind, DeliveryState, FaultKind, TicketSystem};
use ticketing_simulator::{Call, Effect, Rule, When};

use ticketing_harness::{Plan, WAIT_TIMEOUT, World};

#[tokio::test]
async fn new_server_reports_both_systems_and_defaults() {
    let mut world = Plan::new().start_unconfigured().await;
    let status = world.client.get_status().await.unwrap();
    assert_eq!(status.server_version, env!("CARGO_PKG_VERSION"));
    assert!(status.started_at.is_some());
    assert_eq!(status.retry.unwrap().max_retry_attempts, Some(5));
    assert_eq!(status.auto_push.unwrap().enabled, Some(false));
    let names: Vec<_> = status.connections.iter().map(|status| status.connection.as_str()).collect();
    assert_eq!(names, ["jira", "servicenow"]);
    for system in status.connections {
        assert!(!system.configured && !system.enabled);
        assert_eq!(system.settings, None);
        assert_eq!((system.last_test, system.last_success, system.last_failure), (None, None, None));
        assert_eq!(system.deliveries, Some(v1::DeliveryCounts::default()));
        assert_eq!(system.condition.unwrap().kind(), ConnectionConditionKind::Ok);
    }
    world.finish().await;
}

#[tokio::test]
async fn settings_have_defaults_and_no_secrets() {
    let mut world = Plan::new().start().await;
    let Some(Settings::Jira(jira)) = world.status(TicketSystem::Jira).await.settings else {
        panic!("Jira's settings are shown")
    };
    assert_eq!((jira.url, jira.issue_type.as_str()), (world.jira.base_url(), "Task"));
    assert!(jira.api_token_set_at.is_some() && jira.personal_access_token_set_at.is_none());
    let status = world.status(TicketSystem::Servicenow).await;
    let Some(Settings::Servicenow(servicenow)) = status.settings else {
        panic!("ServiceNow's settings are shown")
    };
    assert_eq!((servicenow.instance, servicenow.table.as_str()), (world.servicenow.base_url(), "incident"));
    let priorities = servicenow.priorities.unwrap();
    let pairs = [priorities.critical, priorities.high, priorities.medium, priorities.low];
    let pairs = pairs.map(|pair| pair.map(|pair| (pair.impact, pair.urgency)).unwrap());
    assert_eq!(pairs, [(1, 1), (1, 2), (2, 2), (2, 3)]);
    world.finish().await;
}

#[tokio::test]
async fn status_has_last_success_and_failure() {
    let mut world = Plan::new().with_flag("--circuit-threshold=1000").start().await;
    let delivered = world.push("INC-1", TicketSystem::Jira).await.delivery.unwrap();
    let status = world.status(TicketSystem::Jira).await;
    assert!(status.configured && status.enabled);
    let success = status.last_success.unwrap();
    assert_eq!((&success.delivery_id, success.ticket), (&delivered.id, delivered.ticket));
    assert_eq!(status.deliveries.unwrap(), v1::DeliveryCounts { delivered: 1, ..Default::default() });
    world.disable_automatic_retries().await;
    world.jira.stop().await;
    let waiting = world.push("INC-2", TicketSystem::Jira).await.delivery.unwrap();
    assert_eq!(waiting.state(), DeliveryState::Waiting);
    let status = world.status(TicketSystem::Jira).await;
    let failure = status.last_failure.unwrap();
    assert_eq!((&failure.delivery_id, failure.fault.unwrap().kind()), (&waiting.id, FaultKind::Connect));
    assert_eq!(
        status.deliveries.unwrap(),
        v1::DeliveryCounts { delivered: 1, waiting: 1, ..Default::default() }
    );
    assert_eq!(world.status(TicketSystem::Servicenow).await.last_failure, None);
    world.finish().await;
}

#[tokio::test]
async fn refused_login_is_reported_until_it_works_again() {
    let mut world = Plan::new().start().await;
    let credentials = world.jira.edit(|profile| std::mem::take(&mut profile.credentials));
    let answer = world.push("INC-1", TicketSystem::Jira).await;
    let refused = condition(&mut world, ConnectionConditionKind::LoginRefused).await;
    assert!(refused.since.is_some() && !refused.reason.is_empty(), "{refused:?}");
    assert_eq!(
        world.status(TicketSystem::Servicenow).await.condition.unwrap().kind(),
        ConnectionConditionKind::Ok
    );
    world.jira.edit(|profile| profile.credentials = credentials);
    world.until(&answer.delivery.unwrap().id, DeliveryState::Delivered).await;
    condition(&mut world, ConnectionConditionKind::Ok).await;
    world.finish().await;
}

#[tokio::test]
async fn throttled_connection_says_until_when() {
    let mut world = Plan::new().start().await;
    let throttle = Effect::throttle(ticketing_simulator::RetryAfter::Seconds(600));
    world.jira.faults().push(Rule::new(Call::Create, When::Always, throttle));
    world.push("INC-1", TicketSystem::Jira).await;
    let throttled = condition(&mut world, ConnectionConditionKind::Throttled).await;
    assert!(throttled.until.is_some() && throttled.since.is_none(), "{throttled:?}");
    world.finish().await;
}

/// Jira's condition once it is of this kind: it follows the delivery shortly.
async fn condition(world: &mut World, kind: ConnectionConditionKind) -> v1::ConnectionCondition {
    let wait = async {
        loop {
            let condition = world.status(TicketSystem::Jira).await.condition.unwrap();
            if condition.kind() == kind {
                return condition;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, wait).await.unwrap_or_else(|_| panic!("not {kind:?} in time"))
}
