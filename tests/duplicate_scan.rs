//! Duplicate scans, and what they must not affect; and an operator's resolution of an unknown outcome.

use std::time::Duration;

use rhythmx_ticketing::v1::{
    self, AttemptKind, ConnectionConditionKind, DeliveryState, TicketEventKind, TicketSystem,
};
use serde_json::{Map, json};
use ticketing_simulator::{Call, Effect, Rule, Simulator, When};

use ticketing_harness::{Plan, WAIT_TIMEOUT, World, creates, incident, refusal, state};

const JIRA: TicketSystem = TicketSystem::Jira;

#[tokio::test]
async fn resend_after_unknown_outcome_is_scanned_for_duplicates() {
    let mut world = Plan::new().with_flag("--duplicate-scan-delays=400ms,500ms,600ms").start().await;
    let id = uncertain(&mut world, "INC-1", Effect::gateway_timeout()).await;
    let delivered = world.until(&id, DeliveryState::Delivered).await;
    assert_eq!(creates(&world.jira), 2);
    let fields = json!({ "summary": "late", "labels": [delivered.marker] });
    let late = world.jira.add_foreign_ticket(serde_json::from_value::<Map<_, _>>(fields).unwrap());
    let event = world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    assert_eq!(event.delivery.unwrap().duplicates[0].key, late);
    world.finish().await;
}

#[tokio::test]
async fn scans_and_previews_spare_a_locked_account() {
    let mut world = Plan::new().with_flag("--duplicate-scan-delays=300ms,600ms,900ms").start().await;
    for id in ["INC-1", "INC-2", "INC-3"] {
        let id = uncertain(&mut world, id, Effect::apply_then_gateway_timeout()).await;
        world.until(&id, DeliveryState::Delivered).await;
    }
    world.jira.faults().push(Rule::new(
        Call::Any,
        When::Always,
        Effect::captcha("https://jira.example/login"),
    ));
    world.push("INC-4", JIRA).await;
    world.until_condition(JIRA, ConnectionConditionKind::Suspended).await;
    world.jira.clear_requests();
    world.preview(incident("INC-5"), JIRA).await;
    world.wait(Duration::from_millis(1_200)).await;
    assert_eq!(asked(&world.jira), 0);
    world.jira.faults().clear();
    world.configure(world.settings()).await;
    world.until_all_delivered(4).await;
    world.finish().await;
}

#[tokio::test]
async fn hanging_search_does_not_delay_other_deliveries() {
    let mut world = Plan::new().with_flag("--duplicate-scan-delays=100ms,200ms,300ms").start().await;
    for id in ["INC-1", "INC-2", "INC-3", "INC-4"] {
        let id = uncertain(&mut world, id, Effect::apply_then_gateway_timeout()).await;
        world.until(&id, DeliveryState::Delivered).await;
    }
    world.jira.faults().push(Rule::new(Call::Search, When::Always, Effect::Hang { applied: false }));
    world.wait(Duration::from_millis(200)).await;
    let push = world.push("INC-5", TicketSystem::Servicenow);
    let pushed = tokio::time::timeout(Duration::from_secs(2), push).await.expect("ServiceNow waits for Jira");
    assert_eq!(state(&pushed), DeliveryState::Delivered);
    world.finish().await;
}

#[tokio::test]
async fn login_refused_by_former_site_does_not_suspend_connection() {
    let mut world = Plan::new().with_flag("--jira-cloud-index-bound=1h").start().await;
    world.jira.set_index_lag(Duration::from_secs(3_600));
    let id = uncertain(&mut world, "INC-1", Effect::apply_then_gateway_timeout()).await;
    let locked = Effect::captcha("https://jira.example/login");
    world.jira.faults().push(Rule::new(Call::Any, When::Always, locked));
    let other_sites = ticketing_simulator::Profile::of(ticketing_simulator::Vendor::JiraCloud);
    let other_sites = Simulator::start(ticketing_simulator::Vendor::JiraCloud, other_sites).await.unwrap();
    let moved = v1::JiraSettings { url: Some(other_sites.base_url()), ..world.jira_settings() };
    world.try_jira(moved).await.unwrap();
    let searched = |delivery: &v1::Delivery| {
        delivery.attempts.iter().filter(|attempt| attempt.kind() == AttemptKind::LookUp).count()
    };
    let before = searched(&world.delivery(&id).await);
    let searched_again = async {
        while searched(&world.delivery(&id).await) < before + 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, searched_again).await.expect("the former site is looked at");
    let pushed = world.push("INC-2", JIRA).await;
    assert_eq!((state(&pushed), other_sites.tickets().len()), (DeliveryState::Delivered, 1));
    world.jira.faults().clear();
    world.jira.set_index_lag(Duration::ZERO);
    world.until(&id, DeliveryState::Delivered).await;
    world.close().await;
}

#[tokio::test]
async fn missing_secret_is_reported_with_other_violations() {
    let mut world = Plan::new().start().await;
    let request = v1::ConfigureRequest {
        jira: Some(v1::JiraSettings { url: Some("https://other.example".to_owned()), ..Default::default() }),
        retry: Some(v1::RetrySettings { jitter: Some(2.0), ..Default::default() }),
        ..Default::default()
    };
    refusal(world.client.configure(request).await)
        .is_invalid("SETTINGS_INVALID", &["retry.jitter", "jira.api_token"]);
    world.finish().await;
}

async fn uncertain(world: &mut World, incident: &str, faults: Effect) -> String {
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), faults));
    let answer = world.push(incident, JIRA).await;
    let delivery = answer.delivery.unwrap();
    assert!(
        matches!(delivery.state(), DeliveryState::Reconciling | DeliveryState::Delivered),
        "{delivery:#?}"
    );
    delivery.id
}

fn asked(simulator: &Simulator) -> usize {
    simulator.requests().len()
}
