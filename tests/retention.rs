//! The content of incidents is removed some time after their deliveries ended, by the real binary.

use jiff::SignedDuration;
use rhythmx_ticketing::v1::{self, DeliveryState, TicketSystem};
use serde_json::json;
use ticketing_simulator::{Call, Effect, Reply, Rule, When};

use ticketing_harness::{Plan, World, incident, refusal, retrying, state};

const JIRA: TicketSystem = TicketSystem::Jira;
const RETENTION: SignedDuration = SignedDuration::from_hours(90 * 24);

#[tokio::test]
async fn content_is_removed_and_no_ticket_is_created_twice() {
    // Events are kept, so that they can be checked at the end.
    let mut world = Plan::new().in_a_process().with_flag("--event-retention=8760h").start().await;
    let retry = v1::RetrySettings { max_retry_attempts: Some(0), ..Default::default() };
    world.configure(v1::ConfigureRequest { retry: Some(retry), ..Default::default() }).await;
    let delivered = world.push("INC-1", JIRA).await.delivery.unwrap();
    let refused = Effect::Answer(Reply::json(400, &json!({ "errorMessages": ["no"], "errors": {} })));
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), refused));
    let failed = world.push("INC-2", JIRA).await.delivery.unwrap();
    assert_eq!(failed.state(), DeliveryState::Failed);
    world.push("INC-3", JIRA).await;
    pass(&mut world, RETENTION - SignedDuration::from_hours(1)).await;
    assert!(world.delivery(&delivered.id).await.content_removed_at.is_none());

    pass(&mut world, RETENTION + SignedDuration::from_hours(1)).await;
    let kept = until_removed(&mut world, &delivered.id).await;
    assert_eq!((kept.ticket, kept.marker, kept.attempts.len()), (delivered.ticket, delivered.marker, 0));
    until_removed(&mut world, &failed.id).await;
    let again = world.push("INC-1", JIRA).await;
    assert_eq!(again.delivery.as_ref().unwrap().id, delivered.id);
    assert_eq!(state(&again), DeliveryState::Delivered);
    refusal(world.client.retry_delivery(retrying(&failed.id)).await)
        .is_precondition("CONTENT_REMOVED", &failed.id);

    let submitted = world.client.submit_incident(incident("INC-2")).await;
    assert!(submitted.is_ok(), "{submitted:?}");
    let pushed = world.push("INC-2", JIRA).await.delivery.unwrap();
    assert_eq!((pushed.id, pushed.incident_revision), (failed.id, 1));
    world.until_all_delivered(3).await;
    assert_eq!(world.jira.tickets().len(), 3);
    world.finish().await;
}

/// Sets the clock to so much after the true time, and restarts the server.
async fn pass(world: &mut World, time: SignedDuration) {
    world.server.set_clock(time);
    world.restart().await;
}

async fn until_removed(world: &mut World, id: &str) -> v1::Delivery {
    loop {
        let delivery = world.delivery(id).await;
        if delivery.content_removed_at.is_some() {
            return delivery;
        }
        world.wait(std::time::Duration::from_millis(20)).await;
    }
}
