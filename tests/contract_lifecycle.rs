//! RetryDelivery and CancelDelivery.

use rhythmx_ticketing::v1::{self, DeliveryState, DeliveryTrigger, TicketSystem};

use ticketing_harness::{Plan, World, incident, refusal, retrying, state};

#[tokio::test]
async fn delivery_has_all_documented_fields() {
    let mut world = Plan::new().start().await;
    let pushed = world.push("INC-1", TicketSystem::Jira).await;
    assert_eq!(pushed.message, "SEC-1 was created in Jira.");
    let delivery = world.delivery(&pushed.delivery.unwrap().id).await;
    assert_eq!((delivery.incident_id.as_str(), delivery.connection.as_str()), ("INC-1", "jira"));
    assert_eq!((delivery.system(), delivery.trigger()), (TicketSystem::Jira, DeliveryTrigger::Manual));
    assert_eq!((delivery.incident_revision, delivery.failures, delivery.max_retry_attempts), (1, 0, 5));
    assert!(delivery.created_at.is_some() && delivery.updated_at.is_some());
    assert!(delivery.next_attempt_at.is_none() && delivery.last_error.is_none());
    let ticket = delivery.ticket.unwrap();
    assert_eq!(ticket.url, format!("{}/browse/{}", world.jira.base_url(), ticket.key));
    let [attempt] = delivery.attempts.try_into().unwrap();
    assert_eq!((attempt.number, attempt.kind()), (1, v1::AttemptKind::Send));
    assert_eq!(attempt.outcome(), v1::AttemptOutcome::Applied);
    assert!(attempt.started_at.is_some() && attempt.finished_at.is_some() && attempt.fault.is_none());
    world.finish().await;
}

#[tokio::test]
async fn cancelled_delivery_stays_so_until_retried() {
    let mut world = Plan::new().start().await;
    let id = waiting(&mut world).await;
    let cancel = v1::CancelDeliveryRequest { delivery_id: id.clone(), note: "a drill".to_owned() };
    let cancelled = world.client.cancel_delivery(cancel.clone()).await.unwrap().delivery.unwrap();
    assert_eq!(cancelled.state(), DeliveryState::Cancelled);
    let again = world.client.cancel_delivery(cancel).await.unwrap().delivery.unwrap();
    assert_eq!(again, cancelled);
    world.jira.restart().await.unwrap();
    let refused = refusal(world.try_push(incident("INC-1"), TicketSystem::Jira).await);
    refused.is_precondition("DELIVERY_STATE", &id);
    assert_eq!(refused.metadata["state"], "CANCELLED");
    let retried = world.client.retry_delivery(retrying(&id)).await.unwrap().delivery.unwrap();
    assert_eq!(retried.state(), DeliveryState::Delivered);
    world.finish().await;
}

#[tokio::test]
async fn refuses_retry_for_disabled_connection() {
    let mut world = Plan::new().start().await;
    let id = waiting(&mut world).await;
    let off = v1::JiraSettings { enabled: Some(false), ..Default::default() };
    world.try_jira(off).await.unwrap();
    refusal(world.client.retry_delivery(retrying(&id)).await)
        .is_precondition("CONNECTION_NOT_ENABLED", "jira");
    world.finish().await;
}

#[tokio::test]
async fn content_of_a_waiting_delivery_can_be_changed() {
    let mut world = Plan::new().start().await;
    let id = waiting(&mut world).await;
    let mut changed = incident("INC-1");
    changed.actor.as_mut().unwrap().name = "other.analyst".to_owned();
    let answer = world.try_push(changed.clone(), TicketSystem::Jira).await.unwrap();
    let delivery = answer.delivery.unwrap();
    assert_eq!((&delivery.id, delivery.incident_revision), (&id, 2));
    world.jira.restart().await.unwrap();
    world.client.retry_delivery(retrying(&id)).await.unwrap();
    assert!(world.jira.tickets()[0].fields["summary"].as_str().unwrap().contains("other.analyst"));
    world.finish().await;
}

/// The delivery of INC-1 to an unavailable Jira, with its next attempt in ten minutes.
async fn waiting(world: &mut World) -> String {
    world.disable_automatic_retries().await;
    world.jira.stop().await;
    let answer = world.push("INC-1", TicketSystem::Jira).await;
    assert_eq!(state(&answer), DeliveryState::Waiting);
    assert!(answer.message.contains("tried again"), "{}", answer.message);
    answer.delivery.unwrap().id
}
