//! Targets in trouble: throttled, unavailable, refusing the login, locked.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, DeliveryState, TargetConditionKind, TicketEventKind, TicketSystem};
use ticketing_simulator::{Call, Credential, Effect, Profile, Rule, Simulator, Vendor, When};

use ticketing_harness::{Plan, World, creates, retry, state};

const JIRA: TicketSystem = TicketSystem::Jira;
const TICK: Duration = Duration::from_millis(200);

#[tokio::test]
async fn failures_in_a_row_open_the_circuit_and_what_is_pushed_then_waits_unspent() {
    let mut world = with_slow_ticks(Plan::new().with_flag("--circuit-threshold=3"), 20).await;
    world.jira.stop().await;
    for n in 1..=3 {
        assert_eq!(state(&world.push(&format!("INC-{n}"), JIRA).await), DeliveryState::Waiting);
    }
    world.until_target(JIRA, TargetConditionKind::CircuitOpen).await;
    let fourth = world.push("INC-4", JIRA).await.delivery.unwrap();
    assert_eq!((fourth.state(), fourth.failures, fourth.attempts.len()), (DeliveryState::Waiting, 0, 0));
    world.jira.restart().await.unwrap();
    world.until_all_delivered(4).await;
    world.until_target(JIRA, TargetConditionKind::Ok).await;
    world.finish().await;
}

#[tokio::test]
async fn an_open_circuit_is_probed_at_most_once_a_tick() {
    let mut world = with_slow_ticks(Plan::new().with_flag("--circuit-threshold=3"), 20).await;
    world.jira.weather().push(Rule::new(Call::Create, When::Always, Effect::gateway_timeout()));
    for n in 1..=6 {
        world.push(&format!("INC-{n}"), JIRA).await;
    }
    world.until_target(JIRA, TargetConditionKind::CircuitOpen).await;
    let before = creates(&world.jira);
    world.while_nothing_happens_for(TICK * 5).await;
    let probes = creates(&world.jira) - before;
    assert!((1..=6).contains(&probes), "{probes} creates in five ticks");
    world.jira.weather().clear();
    world.until_all_delivered(6).await;
    world.finish().await;
}

#[tokio::test]
async fn deliveries_that_failed_because_the_target_was_away_are_armed_again_when_it_recovers() {
    let mut world = with_slow_ticks(Plan::new().with_flag("--circuit-threshold=3"), 0).await;
    world.jira.stop().await;
    let mut ids = vec![];
    for n in 1..=3 {
        let delivery = world.push(&format!("INC-{n}"), JIRA).await.delivery.unwrap();
        assert_eq!(delivery.state(), DeliveryState::Failed);
        ids.push(delivery.id);
    }
    world.until_target(JIRA, TargetConditionKind::CircuitOpen).await;
    world.push("INC-4", JIRA).await;
    world.jira.restart().await.unwrap();
    world.until_all_delivered(4).await;
    world.until_event("INC-1", TicketEventKind::Rearmed).await;
    world.finish().await;
}

#[tokio::test]
async fn a_delivery_that_outlived_its_retries_in_an_outage_goes_with_the_next_push_that_succeeds() {
    let mut world = with_slow_ticks(Plan::new(), 1).await;
    world.jira.stop().await;
    let id = world.push("INC-1", JIRA).await.delivery.unwrap().id;
    world.until(&id, DeliveryState::Failed).await;
    world.jira.restart().await.unwrap();
    world.while_nothing_happens_for(TICK * 2).await;
    assert_eq!(world.delivery(&id).await.state(), DeliveryState::Failed);
    assert_eq!(state(&world.push("INC-2", JIRA).await), DeliveryState::Delivered);
    world.until(&id, DeliveryState::Delivered).await;
    world.finish().await;
}

#[tokio::test]
async fn a_ticket_that_fails_while_others_pass_is_not_armed_again_with_them() {
    let mut world = with_slow_ticks(Plan::new(), 1).await;
    world.servicenow.weather().push(Rule::new(Call::Create, When::Nth(1), Effect::gateway_timeout()));
    world.servicenow.weather().push(Rule::new(Call::Create, When::Nth(3), Effect::gateway_timeout()));
    let system = TicketSystem::Servicenow;
    let id = world.push("INC-1", system).await.delivery.unwrap().id;
    assert_eq!(state(&world.push("INC-2", system).await), DeliveryState::Delivered);
    world.until(&id, DeliveryState::Failed).await;
    assert_eq!(state(&world.push("INC-3", system).await), DeliveryState::Delivered);
    world.while_nothing_happens_for(TICK * 3).await;
    assert_eq!(world.delivery(&id).await.state(), DeliveryState::Failed);
    world.finish().await;
}

#[tokio::test]
async fn a_refused_login_is_tried_at_most_once_a_tick_until_the_token_is_mended() {
    let mut world = with_slow_ticks(Plan::new(), 20).await;
    rotate_token(&world.jira, "another-token");
    for n in 1..=5 {
        assert_eq!(state(&world.push(&format!("INC-{n}"), JIRA).await), DeliveryState::Waiting);
    }
    world.until_target(JIRA, TargetConditionKind::LoginRefused).await;
    world.jira.clear_requests();
    world.while_nothing_happens_for(TICK * 5).await;
    let requests = world.jira.requests();
    let probes = requests.iter().filter(|request| request.path.ends_with("/issuetypes")).count();
    assert!((1..=6).contains(&probes), "{probes} probes in five ticks: {requests:#?}");
    // Each asks what the project offers, and then who it is: whether the project or the login is at fault.
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
    world.jira.weather().push(Rule::new(Call::Any, When::Always, captcha));
    for n in 1..=3 {
        assert_eq!(state(&world.push(&format!("INC-{n}"), JIRA).await), DeliveryState::Waiting);
    }
    world.until_target(JIRA, TargetConditionKind::Suspended).await;
    world.jira.clear_requests();
    world.while_nothing_happens_for(TICK * 4).await;
    assert_eq!(world.jira.requests().len(), 0, "{:#?}", world.jira.requests());
    let test = v1::TestConnectionRequest { system: JIRA.into(), unsaved: None };
    assert!(!world.client.test_connection(test.clone()).await.unwrap().test.unwrap().passed);
    world.until_target(JIRA, TargetConditionKind::Suspended).await;
    world.jira.weather().clear();
    assert!(world.client.test_connection(test).await.unwrap().test.unwrap().passed);
    for delivery in world.until_all_delivered(3).await {
        assert_eq!(delivery.failures, 0, "{delivery:#?}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_locked_account_is_left_alone_after_a_restart_and_freed_by_changed_settings() {
    let plan = Plan::new().with_jira(Vendor::JiraDataCenter, Profile::of(Vendor::JiraDataCenter));
    let mut world = with_slow_ticks(plan, 20).await;
    let captcha = Effect::captcha(&format!("{}/login.jsp", world.jira.base_url()));
    world.jira.weather().push(Rule::new(Call::Any, When::Always, captcha));
    world.push("INC-1", JIRA).await;
    world.until_target(JIRA, TargetConditionKind::Suspended).await;
    world.restart().await;
    world.jira.clear_requests();
    assert_eq!(state(&world.push("INC-2", JIRA).await), DeliveryState::Waiting);
    world.while_nothing_happens_for(TICK * 3).await;
    assert_eq!(world.jira.requests().len(), 0);
    world.jira.weather().clear();
    let request = v1::ConfigureRequest { jira: Some(world.jira_settings()), ..Default::default() };
    world.client.configure(request).await.unwrap();
    world.until_all_delivered(2).await;
    world.finish().await;
}

#[tokio::test]
async fn trouble_with_one_target_does_not_hold_up_the_other() {
    let mut world = with_slow_ticks(Plan::new().with_flag("--circuit-threshold=1"), 20).await;
    world.jira.stop().await;
    world.push("INC-1", JIRA).await;
    world.until_target(JIRA, TargetConditionKind::CircuitOpen).await;
    assert_eq!(state(&world.push("INC-1", TicketSystem::Servicenow).await), DeliveryState::Delivered);
    world.finish().await;
}

/// Ticks that are far enough apart to count what happens between them.
async fn with_slow_ticks(plan: Plan, max_attempts: u32) -> World {
    let mut world = plan.start().await;
    let tick = i32::try_from(TICK.as_millis()).unwrap();
    let settings = v1::RetrySettings { max_attempts: Some(max_attempts), ..retry(20, 3_600, tick) };
    let request = v1::ConfigureRequest { retry: Some(settings), ..Default::default() };
    world.client.configure(request).await.unwrap();
    world
}

fn rotate_token(jira: &Simulator, token: &str) {
    let (user, secret) = ("analyst@example.com".to_owned(), token.to_owned());
    jira.edit(|profile| profile.credentials = vec![Credential::Basic { user, secret }]);
}
