//! SubmitIncident: auto-push and its reasons.

use rhythmx_ticketing::v1::{self, DeliveryState, DeliveryTrigger, Severity, SkipReason, TicketSystem};

use ticketing_harness::{Plan, World, incident};

const BOTH: [TicketSystem; 2] = [TicketSystem::Jira, TicketSystem::Servicenow];

#[tokio::test]
async fn severe_incident_is_pushed_once_to_each_selected_system() {
    let mut world = Plan::new().start().await;
    auto_push(&mut world, Severity::Critical, &BOTH).await;
    let first = world.client.submit_incident(incident("INC-1")).await.unwrap();
    assert_eq!((first.severity(), first.minimum_severity()), (Severity::Critical, Severity::Critical));
    assert_eq!(first.results.len(), 2);
    for result in first.results {
        let decision = result.decision.unwrap();
        assert!(decision.push && !result.already_existed && !decision.explanation.is_empty());
        let delivery = result.delivery.unwrap();
        assert_eq!((delivery.trigger(), delivery.system()), (DeliveryTrigger::AutoPush, decision.system()));
        world.until(&delivery.id, DeliveryState::Delivered).await;
    }
    let again = world.client.submit_incident(incident("INC-1")).await.unwrap();
    for result in again.results {
        assert!(result.already_existed);
        assert_eq!(result.delivery.unwrap().state(), DeliveryState::Delivered);
    }
    assert_eq!((world.jira.tickets().len(), world.servicenow.tickets().len()), (1, 1));
    world.finish().await;
}

#[tokio::test]
async fn severity_comes_from_the_score_and_meets_the_threshold() {
    let mut world = Plan::new().start().await;
    let table = [
        (85.0, Severity::Critical),
        (84.9, Severity::High),
        (70.0, Severity::High),
        (69.9, Severity::Medium),
        (40.0, Severity::Medium),
        (39.9, Severity::Low),
        (0.0, Severity::Low),
    ];
    auto_push(&mut world, Severity::High, &[TicketSystem::Jira]).await;
    for (index, (score, severity)) in table.into_iter().enumerate() {
        let mut scored = incident(&format!("INC-{index}"));
        scored.risk.as_mut().unwrap().score = score;
        let answer = world.client.submit_incident(scored).await.unwrap();
        assert_eq!(answer.severity(), severity, "{score}");
        let decision = answer.results[0].decision.clone().unwrap();
        assert_eq!(decision.push, severity >= Severity::High, "{score}");
    }
    assert_eq!(world.deliveries().await.len(), 3);
    world.finish().await;
}

#[tokio::test]
async fn disabled_auto_push_pushes_nothing_and_says_why() {
    let mut world = Plan::new().start().await;
    skipped(&mut world, [SkipReason::AutoPushDisabled, SkipReason::AutoPushDisabled]).await;
    world.finish().await;
}

#[tokio::test]
async fn does_not_push_to_unselected_system() {
    let mut world = Plan::new().start().await;
    auto_push(&mut world, Severity::Critical, &[TicketSystem::Servicenow]).await;
    let answer = world.client.submit_incident(incident("INC-1")).await.unwrap();
    let decision = answer.results[0].decision.clone().unwrap();
    assert_eq!((decision.push, decision.skip_reason()), (false, SkipReason::ConnectionNotSelected));
    assert!(answer.results[0].delivery.is_none());
    assert!(answer.results[1].delivery.is_some());
    world.finish().await;
}

#[tokio::test]
async fn below_threshold_is_not_pushed_and_says_why() {
    let mut world = Plan::new().start().await;
    auto_push(&mut world, Severity::Critical, &BOTH).await;
    let mut mild = incident("INC-1");
    mild.risk.as_mut().unwrap().score = 75.0;
    let answer = world.client.submit_incident(mild).await.unwrap();
    for result in answer.results {
        let decision = result.decision.unwrap();
        assert_eq!(decision.skip_reason(), SkipReason::BelowThreshold);
        let words = decision.explanation.to_uppercase();
        assert!(words.contains("HIGH") && words.contains("CRITICAL"), "{}", decision.explanation);
    }
    assert!(world.deliveries().await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn does_not_push_to_unconfigured_or_disabled_system() {
    let mut world = Plan::new().start_unconfigured().await;
    auto_push(&mut world, Severity::Critical, &BOTH).await;
    let off = v1::ServiceNowSettings { enabled: Some(false), ..world.servicenow_settings() };
    world.try_servicenow(off).await.unwrap();
    skipped(&mut world, [SkipReason::ConnectionNotConfigured, SkipReason::ConnectionNotEnabled]).await;
    world.finish().await;
}

#[tokio::test]
async fn submission_does_not_wait_for_ticket_systems() {
    let mut world = Plan::new().start().await;
    auto_push(&mut world, Severity::Critical, &BOTH).await;
    world.jira.stop().await;
    world.servicenow.stop().await;
    let answer = world.client.submit_incident(incident("INC-1")).await.unwrap();
    let mut ids = answer.results.into_iter().map(|result| result.delivery.unwrap().id);
    world.jira.restart().await.unwrap();
    world.servicenow.restart().await.unwrap();
    for id in ids.by_ref() {
        world.until(&id, DeliveryState::Delivered).await;
    }
    world.finish().await;
}

async fn auto_push(world: &mut World, minimum: Severity, systems: &[TicketSystem]) {
    let values = systems.iter().map(|system| i32::from(*system)).collect();
    let auto_push = v1::AutoPushSettings {
        enabled: Some(true),
        minimum_severity: Some(minimum.into()),
        systems: Some(v1::TicketSystemList { values }),
        ..Default::default()
    };
    world.configure(v1::ConfigureRequest { auto_push: Some(auto_push), ..Default::default() }).await;
}

async fn skipped(world: &mut World, reasons: [SkipReason; 2]) {
    let answer = world.client.submit_incident(incident("INC-1")).await.unwrap();
    let decisions = answer.results.iter().map(|result| result.decision.clone().unwrap());
    assert!(decisions.clone().all(|decision| !decision.push && !decision.explanation.is_empty()));
    assert_eq!(decisions.map(|decision| decision.skip_reason()).collect::<Vec<_>>(), reasons);
    assert!(answer.results.iter().all(|result| result.delivery.is_none() && !result.already_existed));
    assert!(world.deliveries().await.is_empty());
}
