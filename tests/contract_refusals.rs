//! The refusals of every call, with code and details; a refused call changes nothing.

use std::time::Duration;

use rhythmx_ticketing::v1::{
    self, DeliveryState, TicketSystem, create_ticket_request, preview_ticket_request, test_connection_request,
};
use ticketing_simulator::{Call, Effect, Rule, When};
use tonic::Code;

use ticketing_harness::{Plan, Refused, incident, refusal, retrying, state};

#[tokio::test]
async fn push_to_unconfigured_connection_names_the_setting() {
    let mut world = Plan::new().start_unconfigured().await;
    for (system, name) in [(TicketSystem::Jira, "jira"), (TicketSystem::Servicenow, "servicenow")] {
        let refused = refusal(world.try_push(incident("INC-1"), system).await);
        refused.is_precondition("CONNECTION_NOT_CONFIGURED", name);
        assert_eq!(refused.metadata["connection"], name);
        assert!(refused.message.contains("Configure"), "{}", refused.message);
    }
    assert!(world.deliveries().await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn push_to_disabled_connection_says_how_to_enable_it() {
    let mut world = Plan::new().start().await;
    let off = v1::JiraSettings { enabled: Some(false), ..Default::default() };
    world.try_jira(off).await.unwrap();
    let refused = refusal(world.try_push(incident("INC-1"), TicketSystem::Jira).await);
    refused.is_precondition("CONNECTION_NOT_ENABLED", "jira");
    assert!(refused.message.contains("enabled to true with Configure"), "{}", refused.message);
    assert!(world.deliveries().await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn every_method_refuses_an_unknown_system() {
    let mut world = Plan::new().start().await;
    for system in [0, 99, -1] {
        let destination = Some(create_ticket_request::Destination::System(system));
        let request = v1::CreateTicketRequest { incident: Some(incident("INC-1")), destination };
        refusal(world.client.create_ticket(request).await).is_invalid("INCIDENT_INVALID", &["system"]);
        let destination = Some(preview_ticket_request::Destination::System(system));
        let request = v1::PreviewTicketRequest { incident: Some(incident("INC-1")), destination };
        refusal(world.client.preview_ticket(request).await).is_invalid("INCIDENT_INVALID", &["system"]);
        let destination = Some(test_connection_request::Destination::System(system));
        let request = v1::TestConnectionRequest { destination, unsaved: None };
        refusal(world.client.test_connection(request).await).is_invalid("REQUEST_INVALID", &["system"]);
        let request = v1::ListDeliveriesRequest { systems: vec![1, system], ..Default::default() };
        refusal(world.client.list_deliveries(request).await).is_invalid("REQUEST_INVALID", &["systems[1]"]);
        let request = v1::StreamTicketEventsRequest { systems: vec![system], ..Default::default() };
        refusal(world.client.stream_ticket_events(request).await)
            .is_invalid("REQUEST_INVALID", &["systems[0]"]);
    }
    assert!(world.deliveries().await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn refuses_unknown_connection() {
    let mut world = Plan::new().start().await;
    let connection = "jira-eu";
    let refused = |refusal: Refused| {
        refusal.is(Code::NotFound, "CONNECTION_NOT_FOUND", &["connection"]);
        assert_eq!(refusal.message, r#"no connection is named "jira-eu": set it to jira or servicenow"#);
    };
    let incident = Some(incident("INC-1"));
    let destination = Some(connection.into());
    let request = v1::CreateTicketRequest { incident: incident.clone(), destination };
    refused(refusal(world.client.create_ticket(request).await));
    let request = v1::PreviewTicketRequest { incident, destination: Some(connection.into()) };
    refused(refusal(world.client.preview_ticket(request).await));
    let request = v1::TestConnectionRequest { destination: Some(connection.into()), unsaved: None };
    refused(refusal(world.client.test_connection(request).await));
    assert!(world.deliveries().await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn connection_and_system_are_one_destination() {
    let mut world = Plan::new().start().await;
    let pushed = world.push("INC-1", TicketSystem::Servicenow).await.delivery.unwrap();
    let request =
        v1::CreateTicketRequest { incident: Some(incident("INC-1")), destination: Some("servicenow".into()) };
    let again = world.client.create_ticket(request).await.unwrap();
    let delivery = again.delivery.unwrap();
    assert_eq!(
        (again.already_existed, delivery.id, delivery.connection.as_str()),
        (true, pushed.id, "servicenow")
    );
    world.finish().await;
}

#[tokio::test]
async fn call_without_an_incident_is_refused() {
    let mut world = Plan::new().start().await;
    let request = v1::CreateTicketRequest::default();
    refusal(world.client.create_ticket(request).await)
        .is_invalid("INCIDENT_INVALID", &["incident", "destination"]);
    let request = v1::PreviewTicketRequest::default();
    refusal(world.client.preview_ticket(request).await)
        .is_invalid("INCIDENT_INVALID", &["incident", "destination"]);
    world.finish().await;
}

#[tokio::test]
async fn every_method_reports_an_unknown_delivery() {
    let mut world = Plan::new().start().await;
    let id = "0197-unknown";
    let cancel = v1::CancelDeliveryRequest { delivery_id: id.to_owned(), ..Default::default() };
    let resolve = v1::ResolveDeliveryRequest {
        delivery_id: id.to_owned(),
        ticket_key: "SEC-1".to_owned(),
        ..Default::default()
    };
    let refused = [
        refusal(world.client.get_delivery(id).await),
        refusal(world.client.retry_delivery(retrying(id)).await),
        refusal(world.client.cancel_delivery(cancel).await),
        refusal(world.client.resolve_delivery(resolve).await),
    ];
    for refused in refused {
        refused.is(Code::NotFound, "DELIVERY_NOT_FOUND", &[]);
        assert_eq!(refused.metadata["delivery_id"], id);
    }
    world.finish().await;
}

#[tokio::test]
async fn delivery_must_be_named_by_1_to_64_characters() {
    let mut world = Plan::new().start().await;
    for id in [String::new(), "x".repeat(65)] {
        refusal(world.client.get_delivery(&id).await).is_invalid("REQUEST_INVALID", &["delivery_id"]);
        refusal(world.client.retry_delivery(retrying(&id)).await)
            .is_invalid("REQUEST_INVALID", &["delivery_id"]);
        let note = "x".repeat(501);
        let cancel = v1::CancelDeliveryRequest { delivery_id: id.clone(), note: note.clone() };
        refusal(world.client.cancel_delivery(cancel).await)
            .is_invalid("REQUEST_INVALID", &["delivery_id", "note"]);
        let resolve = v1::ResolveDeliveryRequest {
            delivery_id: id,
            ticket_key: "SEC 1".to_owned(),
            ticket_id: "x".repeat(256),
            ticket_url: "javascript:alert(1)".to_owned(),
            note,
            allow_unverified: true,
        };
        refusal(world.client.resolve_delivery(resolve).await)
            .is_invalid("REQUEST_INVALID", &["delivery_id", "ticket_key", "ticket_id", "ticket_url", "note"]);
    }
    refusal(world.client.get_delivery("x".repeat(64)).await).is(Code::NotFound, "DELIVERY_NOT_FOUND", &[]);
    world.finish().await;
}

#[tokio::test]
async fn operation_on_delivered_ticket_is_failed_precondition() {
    let mut world = Plan::new().start().await;
    let id = world.push("INC-1", TicketSystem::Jira).await.delivery.unwrap().id;
    let cancel = v1::CancelDeliveryRequest { delivery_id: id.clone(), ..Default::default() };
    let resolve = v1::ResolveDeliveryRequest {
        delivery_id: id.clone(),
        ticket_key: "SEC-99".to_owned(),
        ..Default::default()
    };
    let refused = [
        refusal(world.client.retry_delivery(retrying(&id)).await),
        refusal(world.client.cancel_delivery(cancel).await),
        refusal(world.client.resolve_delivery(resolve).await),
    ];
    for refused in refused {
        refused.is_precondition("DELIVERY_STATE", &id);
        assert_eq!(refused.metadata["state"], "DELIVERED");
    }
    world.finish().await;
}

#[tokio::test]
async fn request_over_2_mib_is_refused_and_stores_nothing() {
    let mut world = Plan::new().start().await;
    let mut large = incident("INC-1");
    large.investigation_notes = "x".repeat(2 * 1024 * 1024 + 1);
    let refused = refusal(world.try_push(large, TicketSystem::Jira).await);
    refused.is(Code::OutOfRange, "REQUEST_TOO_LARGE", &[]);
    assert_eq!(refused.metadata["limit"], "2097152");
    assert!(world.deliveries().await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn push_to_hanging_jira_answers_before_the_deadline() {
    let mut world = Plan::new().start().await;
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), Effect::Hang { applied: false }));
    let patient = world.client.clone();
    world.client = patient.clone().with_deadline(Duration::from_millis(600));
    // Otherwise it would fail with DEADLINE_EXCEEDED.
    let answer = world.push("INC-1", TicketSystem::Jira).await;
    assert!(matches!(state(&answer), DeliveryState::Pending | DeliveryState::Attempting));
    assert!(!answer.already_existed);
    world.client = patient;
    world.until(&answer.delivery.unwrap().id, DeliveryState::Delivered).await;
    world.finish().await;
}
