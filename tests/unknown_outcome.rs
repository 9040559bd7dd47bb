//! Deliveries of unknown outcome: what proves that there is no ticket, and what does not.

use std::time::Duration;

use rhythmx_ticketing::v1::{DeliveryState, PreviewTicketRequest, TicketEventKind, TicketSystem};
use serde_json::{Map, json};
use ticketing_simulator::{Call, Effect, Profile, Rule, Vendor, When};

use ticketing_harness::{Plan, World, creates, incident};

const JIRA: TicketSystem = TicketSystem::Jira;

#[tokio::test]
async fn nothing_is_sent_again_before_the_bounds_have_passed() {
    let plan = Plan::new().with_flag("--attempt-deadline=300ms").with_flag("--server-bound=300ms");
    let mut world = plan.with_flag("--jira-cloud-index-bound=300ms").start().await;
    let id = uncertain(&mut world, Effect::DropBefore).await;
    world.until(&id, DeliveryState::Delivered).await;
    let requests = world.jira.requests();
    let sent: Vec<_> = requests.iter().filter(|request| request.path.ends_with("/issue")).collect();
    let apart = sent[1].at.duration_since(sent[0].at);
    // The deadline counts from the intent, shortly before the request arrives.
    assert!(apart >= jiff::SignedDuration::from_millis(850), "sent again after {apart:?}");
    world.finish().await;
}

#[tokio::test]
async fn one_of_two_markers_prevents_a_second_ticket() {
    let habits: [fn(&mut Profile); 2] =
        [|profile| profile.ignores_sys_id = true, |profile| profile.ignores_correlation_id = true];
    for habit in habits {
        let mut profile = Profile::of(Vendor::ServiceNow);
        habit(&mut profile);
        let mut world = Plan::new().with_servicenow(profile).start().await;
        world.servicenow.faults().push(Rule::new(Call::Create, When::Next(1), Effect::ApplyThenDrop));
        let id = world.push("INC-1", TicketSystem::Servicenow).await.delivery.unwrap().id;
        world.until(&id, DeliveryState::Delivered).await;
        assert_eq!((world.servicenow.tickets().len(), creates(&world.servicenow)), (1, 1));
        // The general check searches for the correlation_id.
        let ticket = world.servicenow.tickets().remove(0);
        let marker = world.delivery(&id).await.marker;
        world.servicenow.set_field(&ticket.id, "correlation_id", json!(marker));
        world.finish().await;
    }
}

#[tokio::test]
async fn duplicate_scan_keeps_the_older_ticket() {
    let mut world = Plan::new().with_flag("--duplicate-scan-delays=400ms,500ms,600ms").start().await;
    let id = uncertain(&mut world, Effect::apply_then_gateway_timeout()).await;
    let delivered = world.until(&id, DeliveryState::Delivered).await;
    let second = add_twin(&world, &delivered.marker);
    let event = world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    let reported = event.delivery.unwrap();
    assert_eq!(reported.ticket, delivered.ticket);
    assert_eq!(reported.duplicates.iter().map(|ticket| ticket.key.as_str()).collect::<Vec<_>>(), [second]);
    until_scanned(&mut world, &id, 3).await;
    assert_eq!(world.delivery(&id).await.duplicates.len(), 1, "it is reported once");
    world.finish().await;
}

#[tokio::test]
async fn look_up_takes_the_older_of_two_tickets() {
    let mut world = Plan::new().start().await;
    let preview = PreviewTicketRequest { incident: Some(incident("INC-1")), destination: Some(JIRA.into()) };
    let marker = world.client.preview_ticket(preview).await.unwrap().ticket.unwrap().marker;
    let older = add_twin(&world, &marker);
    let id = uncertain(&mut world, Effect::apply_then_gateway_timeout()).await;
    let delivered = world.until(&id, DeliveryState::Delivered).await;
    assert_eq!(delivered.ticket.unwrap().key, older);
    assert_eq!(delivered.duplicates.len(), 1);
    world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    world.finish().await;
}

/// A push whose create met `effect`.
async fn uncertain(world: &mut World, effect: Effect) -> String {
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), effect));
    world.push("INC-1", JIRA).await.delivery.unwrap().id
}

/// Simulates a user who clones a ticket with its labels.
fn add_twin(world: &World, marker: &str) -> String {
    world.jira.add_foreign_ticket(Map::from_iter([("labels".to_owned(), json!([marker]))]))
}

async fn until_scanned(world: &mut World, id: &str, times: usize) {
    use rhythmx_ticketing::v1::AttemptKind::DuplicateScan;
    let wait = async {
        while world.delivery(id).await.attempts.iter().filter(|a| a.kind() == DuplicateScan).count() < times {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(ticketing_harness::WAIT_TIMEOUT, wait).await.expect("not scanned in time");
}
