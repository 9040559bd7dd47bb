//! Deliveries of unknown outcome: what proves that there is no ticket, and what does not.

use std::time::Duration;

use rhythmx_ticketing::v1::{
    AttemptOutcome, DeliveryState, PreviewTicketRequest, TicketEventKind, TicketSystem,
};
use serde_json::{Map, json};
use ticketing_simulator::{Call, Effect, Profile, Rule, Vendor, When};

use ticketing_harness::{Plan, World, creates, incident, state};

const JIRA: TicketSystem = TicketSystem::Jira;

#[tokio::test]
async fn hidden_canary_keeps_absence_unproven() {
    let hiding = Profile::of(Vendor::JiraCloud).with_index_lag(Duration::from_secs(3_600));
    let plan = Plan::new().with_jira(Vendor::JiraCloud, hiding);
    let plan = plan.with_flag("--attempt-deadline=300ms").with_flag("--jira-cloud-index-bound=1s");
    let mut world = plan.start().await;
    let id = uncertain(&mut world, Effect::apply_then_gateway_timeout()).await;
    // A canary is a ticket that was created when nothing of the uncertain send could be applied any more:
    // after its deadline and the server bound of 60 ms.
    world.wait(Duration::from_millis(400)).await;
    assert_eq!(state(&world.push("INC-2", JIRA).await), DeliveryState::Delivered);
    world.wait(Duration::from_millis(2_000)).await;
    let delivery = world.delivery(&id).await;
    assert_eq!(delivery.state(), DeliveryState::Reconciling, "{delivery:#?}");
    assert!(delivery.attempts.len() > 3, "{delivery:#?}");
    assert_eq!(creates(&world.jira), 2);
    world.jira.set_index_lag(Duration::ZERO);
    world.until(&id, DeliveryState::Delivered).await;
    assert_eq!(world.jira.tickets().len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn visible_canary_proves_absence() {
    let mut world = Plan::new().with_flag("--attempt-deadline=300ms").start().await;
    let id = uncertain(&mut world, Effect::gateway_timeout()).await;
    world.wait(Duration::from_millis(400)).await;
    world.push("INC-2", JIRA).await;
    let delivery = world.until(&id, DeliveryState::Delivered).await;
    let absent = delivery.attempts.iter().filter(|a| a.outcome() == AttemptOutcome::Absent).count();
    assert_eq!((absent, creates(&world.jira)), (1, 3), "{delivery:#?}");
    world.finish().await;
}

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
async fn untrusted_search_proves_nothing() {
    for search_fault in [
        Effect::ReturnsEverything,
        Effect::Html { status: 200 },
        Effect::EmptyBody { status: 200, applied: false },
    ] {
        for system in [JIRA, TicketSystem::Servicenow] {
            let mut world = Plan::new().with_flag("--attempt-deadline=300ms").start().await;
            // Another result to be returned.
            world.push("INC-0", system).await;
            let simulator = if system == JIRA { &world.jira } else { &world.servicenow };
            simulator.faults().push(Rule::new(Call::Search, When::Always, search_fault.clone()));
            simulator.faults().push(Rule::new(Call::Read, When::Always, search_fault.clone()));
            let lost = Effect::apply_then_gateway_timeout();
            simulator.faults().push(Rule::new(Call::Create, When::Next(1), lost));
            let id = world.push("INC-1", system).await.delivery.unwrap().id;
            world.wait(Duration::from_millis(900)).await;
            let simulator = if system == JIRA { &world.jira } else { &world.servicenow };
            assert_eq!(creates(simulator), 2, "{search_fault:?} on {system:?}");
            simulator.faults().clear();
            world.until(&id, DeliveryState::Delivered).await;
            let simulator = if system == JIRA { &world.jira } else { &world.servicenow };
            assert_eq!(simulator.tickets().len(), 2, "{search_fault:?} on {system:?}");
            world.finish().await;
        }
    }
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
        let (ticket, marker) = (world.servicenow.tickets().remove(0), world.delivery(&id).await.marker);
        world.servicenow.set_field(&ticket.id, "correlation_id", json!(marker));
        world.finish().await;
    }
}

#[tokio::test]
async fn account_without_project_access_proves_nothing() {
    let mut world = Plan::new().with_flag("--attempt-deadline=300ms").start().await;
    world.jira.set_index_lag(Duration::from_millis(400));
    let id = uncertain(&mut world, Effect::apply_then_gateway_timeout()).await;
    world.jira.edit(|profile| profile.withdraw("BROWSE_PROJECTS"));
    world.wait(Duration::from_millis(1_200)).await;
    assert_eq!((world.delivery(&id).await.state(), creates(&world.jira)), (DeliveryState::Reconciling, 1));
    world.jira.edit(|profile| profile.restore("BROWSE_PROJECTS"));
    world.until(&id, DeliveryState::Delivered).await;
    assert_eq!(world.jira.tickets().len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn label_removed_after_delivery_changes_nothing() {
    let mut world = Plan::new().with_flag("--duplicate-scan-delays=50ms,100ms,150ms").start().await;
    let id = uncertain(&mut world, Effect::apply_then_gateway_timeout()).await;
    let delivered = world.until(&id, DeliveryState::Delivered).await;
    assert!(world.jira.remove_label(&delivered.ticket.as_ref().unwrap().key, &delivered.marker));
    until_scanned(&mut world, &id, 3).await;
    let again = world.push("INC-1", JIRA).await;
    assert!(again.already_existed);
    assert_eq!((again.delivery.unwrap().ticket, creates(&world.jira)), (delivered.ticket, 1));
    // The ticket no longer has the marker, for which the general check searches.
    let key = world.jira.tickets()[0].key.clone();
    world.jira.set_field(&key, "labels", json!([delivered.marker]));
    world.finish().await;
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
