//! ResolveDelivery: the ticket is read and verified before it is recorded.

use rhythmx_ticketing::v1::{self, DeliveryState, TicketEventKind, TicketSystem};
use serde_json::{Map, json};
use ticketing_harness::{Plan, World, refusal, state};
use ticketing_simulator::{Profile, Project, Vendor};
use tonic::{Code, Status};

async fn resolve(world: &mut World, id: &str, key: &str, anyway: bool) -> Result<v1::Delivery, Status> {
    let request = v1::ResolveDeliveryRequest {
        delivery_id: id.to_owned(),
        ticket_key: key.to_owned(),
        note: "by hand".to_owned(),
        allow_unverified: anyway,
        ..Default::default()
    };
    Ok(world.client.resolve_delivery(request).await?.delivery.unwrap())
}

/// A delivery whose ticket system was unavailable and has recovered, without automatic retries.
async fn waiting(world: &mut World, incident: &str, system: TicketSystem) -> String {
    world.disable_automatic_retries().await;
    world.simulator(system).stop().await;
    let answer = world.push(incident, system).await;
    assert_eq!(state(&answer), DeliveryState::Waiting);
    world.simulator(system).restart().await.unwrap();
    answer.delivery.unwrap().id
}

async fn last_audited(world: &mut World) -> serde_json::Value {
    let request = v1::ListAuditEntriesRequest { page_size: 1, ..Default::default() };
    let entry = world.client.list_audit_entries(request).await.unwrap().entries.remove(0);
    assert_eq!(entry.action, "RESOLVE_DELIVERY");
    serde_json::from_str(&entry.detail).unwrap()
}

#[tokio::test]
async fn takes_key_id_and_url_from_the_ticket_read() {
    let mut world = Plan::new().start().await;
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        let id = waiting(&mut world, "INC-1", system).await;
        let key = world.simulator(system).add_foreign_ticket(Map::new());
        let ticket = world.simulator(system).tickets().pop().unwrap();
        let resolved = resolve(&mut world, &id, &ticket.id, false).await.unwrap();
        let reference = resolved.ticket.clone().unwrap();
        assert_eq!((resolved.state(), resolved.ticket_unverified), (DeliveryState::Delivered, false));
        assert_eq!((&reference.key, &reference.id), (&key, &ticket.id));
        assert!(reference.url.starts_with(&world.simulator(system).base_url()), "{reference:?}");
        assert_eq!(resolve(&mut world, &id, &key, false).await.unwrap(), resolved, "the same again");
        let pushed = world.push("INC-1", system).await;
        assert!(pushed.already_existed);
    }
    world.until_event("INC-1", TicketEventKind::Resolved).await;
    world.finish().await;
}

#[tokio::test]
async fn refuses_a_ticket_that_does_not_exist() {
    let mut world = Plan::new().start().await;
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        let id = waiting(&mut world, "INC-1", system).await;
        for anyway in [false, true] {
            let refused = refusal(resolve(&mut world, &id, "NOPE-999", anyway).await);
            refused.is(Code::FailedPrecondition, "TICKET_NOT_FOUND", &["ticket_key"]);
            assert_eq!(refused.metadata["ticket_key"], "NOPE-999");
        }
        assert_eq!(world.delivery(&id).await.state(), DeliveryState::Waiting);
    }
    world.finish().await;
}

#[tokio::test]
async fn refuses_ticket_of_another_project_or_id() {
    let profile = Profile::of(Vendor::JiraCloud).with_project(Project::new("10200", "OPS"));
    let mut world = Plan::new().with_jira(Vendor::JiraCloud, profile).start().await;
    let id = waiting(&mut world, "INC-1", TicketSystem::Jira).await;
    let fields = json!({ "project": { "key": "OPS" } }).as_object().cloned().unwrap();
    let other_sites = world.jira.add_foreign_ticket(fields);
    let refused = refusal(resolve(&mut world, &id, &other_sites, true).await);
    refused.is(Code::FailedPrecondition, "TICKET_NOT_FOUND", &["ticket_key"]);
    assert!(refused.message.contains("is in OPS"), "{}", refused.message);
    let request = v1::ResolveDeliveryRequest {
        delivery_id: id,
        ticket_key: world.jira.add_foreign_ticket(Map::new()),
        ticket_id: "424242".to_owned(),
        ..Default::default()
    };
    let refused = refusal(world.client.resolve_delivery(request).await);
    refused.is(Code::FailedPrecondition, "TICKET_NOT_FOUND", &["ticket_id"]);
    world.finish().await;
}

#[tokio::test]
async fn refuses_the_ticket_of_another_incident() {
    let mut world = Plan::new().start().await;
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        let taken = world.push("INC-7", system).await.delivery.unwrap().ticket.unwrap();
        let id = waiting(&mut world, "INC-1", system).await;
        let refused = refusal(resolve(&mut world, &id, &taken.key, false).await);
        refused.is(Code::FailedPrecondition, "TICKET_IN_USE", &["ticket_key"]);
        assert!(refused.message.contains("INC-7"), "{}", refused.message);
        world.simulator(system).stop().await;
        let refused = refusal(resolve(&mut world, &id, &taken.key, true).await);
        refused.is(Code::FailedPrecondition, "TICKET_IN_USE", &["ticket_key"]);
        world.simulator(system).restart().await.unwrap();
    }
    world.finish().await;
}

#[tokio::test]
async fn accepts_unverified_ticket_on_request_and_corrects_it() {
    let mut world = Plan::new().start().await;
    let id = waiting(&mut world, "INC-1", TicketSystem::Jira).await;
    let right = world.jira.add_foreign_ticket(Map::new());
    world.jira.stop().await;
    let refused = refusal(resolve(&mut world, &id, "SEC-77", false).await);
    refused.is(Code::FailedPrecondition, "TICKET_UNVERIFIED", &["ticket_key"]);
    let taken = resolve(&mut world, &id, "SEC-77", true).await.unwrap();
    assert_eq!((taken.state(), taken.ticket_unverified), (DeliveryState::Delivered, true));
    let url = format!("{}/browse/SEC-77", world.jira.base_url());
    assert_eq!(taken.ticket.clone().unwrap().url, url);
    assert_eq!(resolve(&mut world, &id, "SEC-77", true).await.unwrap(), taken, "the same again");
    world.jira.restart().await.unwrap();
    let refused = refusal(resolve(&mut world, &id, "SEC-77", false).await);
    refused.is(Code::FailedPrecondition, "TICKET_NOT_FOUND", &["ticket_key"]);
    let corrected = resolve(&mut world, &id, &right, false).await.unwrap();
    assert_eq!((corrected.state(), corrected.ticket_unverified), (DeliveryState::Delivered, false));
    assert_eq!(corrected.ticket.unwrap().key, right);
    let audited = last_audited(&mut world).await;
    assert_eq!((&audited["former_ticket"], &audited["ticket"]), (&json!("SEC-77"), &json!(right)));
    assert_eq!(audited["verified"], true);
    world.finish().await;
}
