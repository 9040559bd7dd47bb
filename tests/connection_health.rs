//! Failing connections: throttled, unavailable, refused login, locked account.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, ConnectionConditionKind, DeliveryState, TicketEventKind, TicketSystem};
use ticketing_simulator::{Call, Credential, Effect, Profile, Rule, Simulator, Vendor, When};

use ticketing_harness::{Plan, World, creates, retry, state};

const JIRA: TicketSystem = TicketSystem::Jira;
const TICK: Duration = Duration::from_millis(200);

#[tokio::test]
async fn consecutive_failures_open_the_circuit() {
    let mut world = Plan::new().with_flag("--circuit-threshold=3").start().await;
    // No tick uses the fourth as its probe.
    set_ticks(&mut world, Duration::from_secs(3_600), 20).await;
    world.jira.stop().await;
    for n in 1..=3 {
        assert_eq!(state(&world.push(&format!("INC-{n}"), JIRA).await), DeliveryState::Waiting);
    }
    world.until_condition(JIRA, ConnectionConditionKind::CircuitOpen).await;
    let fourth = world.push("INC-4", JIRA).await.delivery.unwrap();
    assert_eq!((fourth.state(), fourth.failures, fourth.attempts.len()), (DeliveryState::Waiting, 0, 0));
    world.jira.restart().await.unwrap();
    set_ticks(&mut world, TICK, 20).await;
    world.until_all_delivered(4).await;
    world.until_condition(JIRA, ConnectionConditionKind::Ok).await;
    world.finish().await;
}

#[tokio::test]
async fn open_circuit_is_probed_at_most_once_a_tick() {
    let mut world = with_slow_ticks(Plan::new().with_flag("--circuit-threshold=3"), 20).await;
    world.jira.faults().push(Rule::new(Call::Create, When::Always, Effect::gateway_timeout()));
    for n in 1..=6 {
        world.push(&format!("INC-{n}"), JIRA).await;
    }
    world.until_condition(JIRA, ConnectionConditionKind::CircuitOpen).await;
    let before = creates(&world.jira);
    world.wait(TICK * 5).await;
    let probes = creates(&world.jira) - before;
    assert!((1..=6).contains(&probes), "{probes} creates in five ticks");
    world.jira.faults().clear();
    world.until_all_delivered(6).await;
    world.finish().await;
}

#[tokio::test]
async fn recovery_redrives_failed_deliveries() {
    let mut world = with_slow_ticks(Plan::new(), 0).await;
    world.jira.stop().await;
    // While only a single delivery has failed, the next is sent at once.
    for n in 1..=2 {
        assert_eq!(state(&world.push(&format!("INC-{n}"), JIRA).await), DeliveryState::Failed);
    }
    world.until_condition(JIRA, ConnectionConditionKind::CircuitOpen).await;
    // It waits, unless a tick uses it as its probe.
    let third = state(&world.push("INC-3", JIRA).await);
    assert!(matches!(third, DeliveryState::Waiting | DeliveryState::Failed), "{third:?}");
    world.jira.restart().await.unwrap();
    world.until_all_delivered(3).await;
    world.until_event("INC-1", TicketEventKind::Rearmed).await;
    world.finish().await;
}

#[tokio::test]
async fn quiet_connection_is_probed_until_it_recovers() {
    let mut world = with_slow_ticks(Plan::new(), 1).await;
    world.jira.stop().await;
    let id = world.push("INC-1", JIRA).await.delivery.unwrap().id;
    world.until(&id, DeliveryState::Failed).await;
    world.until_condition(JIRA, ConnectionConditionKind::CircuitOpen).await;
    world.restart().await;
    world.until_condition(JIRA, ConnectionConditionKind::CircuitOpen).await;
    world.jira.restart().await.unwrap();
    world.until(&id, DeliveryState::Delivered).await;
    world.until_condition(JIRA, ConnectionConditionKind::Ok).await;
    world.finish().await;
}

#[tokio::test]
async fn change_with_same_login_lifts_no_suspension() {
    let mut world = Plan::new().start_unconfigured().await;
    let system = TicketSystem::Servicenow;
    world.client.configure(with_password(&world, "not-the-password")).await.unwrap();
    let tick = i32::try_from(TICK.as_millis()).unwrap();
    let slow = v1::ConfigureRequest { retry: Some(retry(20, 3_600, tick)), ..Default::default() };
    world.client.configure(slow).await.unwrap();
    world.push("INC-1", system).await;
    world.until_condition(system, ConnectionConditionKind::Suspended).await;
    world.servicenow.clear_requests();
    for changed in [
        v1::ServiceNowSettings { assignment_group: Some(String::new()), ..Default::default() },
        v1::ServiceNowSettings { enabled: Some(false), ..Default::default() },
        v1::ServiceNowSettings { enabled: Some(true), ..Default::default() },
        v1::ServiceNowSettings { password: Some("not-the-password".to_owned()), ..Default::default() },
    ] {
        let request = v1::ConfigureRequest { servicenow: Some(changed), ..Default::default() };
        assert_eq!(world.client.configure(request).await.unwrap().deliveries_made_due, 0);
    }
    world.until_condition(system, ConnectionConditionKind::Suspended).await;
    world.wait(TICK * 4).await;
    assert_eq!(world.servicenow.requests().len(), 0, "{:#?}", world.servicenow.requests());
    world.client.configure(with_password(&world, PASSWORD)).await.unwrap();
    world.until_all_delivered(1).await;
    world.finish().await;
}

#[tokio::test]
async fn passed_test_or_a_retry_lifts_a_pause() {
    let mut world = with_slow_ticks(Plan::new(), 5).await;
    for (round, by_test) in [(0, true), (10, false)] {
        let throttle = Effect::throttle(ticketing_simulator::RetryAfter::Seconds(3_000));
        world.jira.faults().push(Rule::new(Call::Create, When::Next(1), throttle));
        for n in 1..=3 {
            let answer = world.push(&format!("INC-{}", round + n), JIRA).await;
            assert_eq!(state(&answer), DeliveryState::Waiting);
        }
        world.until_condition(JIRA, ConnectionConditionKind::Throttled).await;
        if by_test {
            world.test_passes(JIRA).await;
            world.until_all_delivered(3).await;
        } else {
            let second = world.deliveries().await.into_iter().find(|d| d.incident_id == "INC-12").unwrap();
            let retried = world.client.retry_delivery(ticketing_harness::retrying(&second.id)).await.unwrap();
            assert_eq!(retried.delivery.unwrap().state(), DeliveryState::Delivered);
            world.until_all_delivered(6).await;
        }
        world.until_condition(JIRA, ConnectionConditionKind::Ok).await;
    }
    world.finish().await;
}

#[tokio::test]
async fn item_failure_is_not_redriven_by_recovery() {
    let mut world = with_slow_ticks(Plan::new(), 1).await;
    world.servicenow.faults().push(Rule::new(Call::Create, When::Nth(1), Effect::gateway_timeout()));
    world.servicenow.faults().push(Rule::new(Call::Create, When::Nth(3), Effect::gateway_timeout()));
    let system = TicketSystem::Servicenow;
    let id = world.push("INC-1", system).await.delivery.unwrap().id;
    assert_eq!(state(&world.push("INC-2", system).await), DeliveryState::Delivered);
    world.until(&id, DeliveryState::Failed).await;
    assert_eq!(state(&world.push("INC-3", system).await), DeliveryState::Delivered);
    world.wait(TICK * 3).await;
    assert_eq!(world.delivery(&id).await.state(), DeliveryState::Failed);
    world.finish().await;
}

#[tokio::test]
async fn refused_login_is_probed_once_a_tick() {
    let mut world = with_slow_ticks(Plan::new(), 20).await;
    rotate_token(&world.jira, "another-token");
    for n in 1..=5 {
        assert_eq!(state(&world.push(&format!("INC-{n}"), JIRA).await), DeliveryState::Waiting);
    }
    world.until_condition(JIRA, ConnectionConditionKind::LoginRefused).await;
    world.jira.clear_requests();
    world.wait(TICK * 5).await;
    let requests = world.jira.requests();
    let probes = requests.iter().filter(|request| request.path.ends_with("/issuetypes")).count();
    assert!((1..=6).contains(&probes), "{probes} probes in five ticks: {requests:#?}");
    // Each call reads the project, and then the account: the cause may be either.
    assert!(requests.len() <= 2 * probes, "{requests:#?}");
    let settings = v1::JiraSettings { api_token: Some("another-token".to_owned()), ..Default::default() };
    let request = v1::ConfigureRequest { jira: Some(settings), ..Default::default() };
    let made_due = world.client.configure(request).await.unwrap().deliveries_made_due;
    assert!(made_due >= 4, "{made_due} were made due");
    world.until_all_delivered(5).await;
    world.finish().await;
}

#[tokio::test]
async fn nothing_is_sent_to_a_locked_account_until_a_test_passes() {
    let plan = Plan::new().with_jira(Vendor::JiraDataCenter, Profile::of(Vendor::JiraDataCenter));
    let mut world = with_slow_ticks(plan, 20).await;
    let captcha = Effect::captcha(&format!("{}/login.jsp", world.jira.base_url()));
    world.jira.faults().push(Rule::new(Call::Any, When::Always, captcha));
    for n in 1..=3 {
        assert_eq!(state(&world.push(&format!("INC-{n}"), JIRA).await), DeliveryState::Waiting);
    }
    world.until_condition(JIRA, ConnectionConditionKind::Suspended).await;
    world.jira.clear_requests();
    world.wait(TICK * 4).await;
    assert_eq!(world.jira.requests().len(), 0, "{:#?}", world.jira.requests());
    let test = v1::TestConnectionRequest { destination: Some(JIRA.into()), unsaved: None };
    assert!(!world.client.test_connection(test.clone()).await.unwrap().test.unwrap().passed);
    world.until_condition(JIRA, ConnectionConditionKind::Suspended).await;
    world.jira.faults().clear();
    assert!(world.client.test_connection(test).await.unwrap().test.unwrap().passed);
    for delivery in world.until_all_delivered(3).await {
        assert_eq!(delivery.failures, 0, "{delivery:#?}");
    }
    world.finish().await;
}

#[tokio::test]
async fn lockout_survives_restart_until_settings_change() {
    let plan = Plan::new().with_jira(Vendor::JiraDataCenter, Profile::of(Vendor::JiraDataCenter));
    let mut world = with_slow_ticks(plan, 20).await;
    let captcha = Effect::captcha(&format!("{}/login.jsp", world.jira.base_url()));
    world.jira.faults().push(Rule::new(Call::Any, When::Always, captcha));
    world.push("INC-1", JIRA).await;
    world.until_condition(JIRA, ConnectionConditionKind::Suspended).await;
    world.restart().await;
    world.jira.clear_requests();
    assert_eq!(state(&world.push("INC-2", JIRA).await), DeliveryState::Waiting);
    world.wait(TICK * 3).await;
    assert_eq!(world.jira.requests().len(), 0);
    world.jira.faults().clear();
    let request = v1::ConfigureRequest { jira: Some(world.jira_settings()), ..Default::default() };
    world.client.configure(request).await.unwrap();
    world.until_all_delivered(2).await;
    world.finish().await;
}

#[tokio::test]
async fn failing_connection_does_not_delay_the_other() {
    let mut world = with_slow_ticks(Plan::new().with_flag("--circuit-threshold=1"), 20).await;
    world.jira.stop().await;
    world.push("INC-1", JIRA).await;
    world.until_condition(JIRA, ConnectionConditionKind::CircuitOpen).await;
    assert_eq!(state(&world.push("INC-1", TicketSystem::Servicenow).await), DeliveryState::Delivered);
    world.finish().await;
}

const PASSWORD: &str = "correct-horse-battery";

/// Settings of both systems with this password.
fn with_password(world: &World, password: &str) -> v1::ConfigureRequest {
    let mut settings = world.settings();
    let wanted = Some(password.to_owned());
    if let Some(jira) = &mut settings.jira {
        jira.personal_access_token = None;
        jira.email = Some("svc".to_owned());
        jira.api_token = wanted;
    }
    if let Some(servicenow) = settings.servicenow.as_mut().filter(|_| password != PASSWORD) {
        servicenow.password = Some(password.to_owned());
    }
    settings
}

/// Ticks long enough to count what happens between them.
async fn with_slow_ticks(plan: Plan, max_retry_attempts: u32) -> World {
    let mut world = plan.start().await;
    set_ticks(&mut world, TICK, max_retry_attempts).await;
    world
}

async fn set_ticks(world: &mut World, tick: Duration, max_retry_attempts: u32) {
    let tick = i32::try_from(tick.as_millis()).unwrap();
    let settings =
        v1::RetrySettings { max_retry_attempts: Some(max_retry_attempts), ..retry(20, 3_600, tick) };
    let request = v1::ConfigureRequest { retry: Some(settings), ..Default::default() };
    world.client.configure(request).await.unwrap();
}

fn rotate_token(jira: &Simulator, token: &str) {
    let user = "analyst@example.com".to_owned();
    let secret = token.to_owned();
    jira.edit(|profile| profile.credentials = vec![Credential::Basic { user, secret }]);
}
