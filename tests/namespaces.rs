//! Producers of different namespaces share a server and see nothing of each other.

use std::time::Duration;

use rhythmx_ticketing::Client;
use rhythmx_ticketing::v1::{
    self, CreateTicketRequest, DeliveryState, StreamTicketEventsRequest, SubmitIncidentResponse,
    TicketSystem, stream_ticket_events_request::Start, stream_ticket_events_response::Message,
};
use ticketing_core::role::Role;
use ticketing_harness::{Plan, World, incident, refusal};
use tonic::{Code, Status};

use crate::access::{IdentityProvider, channel, refused_as};

const HOUR: Duration = Duration::from_secs(3_600);

fn owned_by_other() -> (Code, String) {
    (Code::PermissionDenied, "INCIDENT_OWNED_BY_OTHER".to_owned())
}

async fn member(world: &mut World, namespace: Option<&str>, name: &str, role: Role) -> Client {
    let token = world.server.make_token_in(namespace, name, role, HOUR).await;
    world.secrets.push(token.clone());
    Client::over(channel(world).await).with_token(&token).unwrap()
}

async fn auto_push(world: &mut World, enabled: bool) {
    let auto_push = v1::AutoPushSettings { enabled: Some(enabled), ..Default::default() };
    world.configure(v1::ConfigureRequest { auto_push: Some(auto_push), ..Default::default() }).await;
}

fn delivery(answer: SubmitIncidentResponse) -> v1::Delivery {
    answer.results.into_iter().find_map(|result| result.delivery).expect("it is pushed")
}

#[tokio::test]
async fn refuses_an_incident_of_another_namespace() {
    let mut world = Plan::new().with_token_auth().start().await;
    auto_push(&mut world, true).await;
    let mut eu = member(&mut world, Some("soc-eu"), "eu", Role::Producer).await;
    let mut us = member(&mut world, Some("soc-us"), "us", Role::Producer).await;
    let first = delivery(eu.submit_incident(incident("INC-1")).await.unwrap());
    assert_eq!(first.namespace, "soc-eu");
    world.until(&first.id, DeliveryState::Delivered).await;
    let mut changed = incident("INC-1");
    changed.investigation_notes = "of another producer".to_owned();
    let refused = us.submit_incident(changed.clone()).await.unwrap_err();
    let details = refusal::<()>(Err(refused.clone()));
    assert_eq!((details.code, details.reason), owned_by_other());
    assert!(!format!("{refused:?}").contains("soc-eu"), "{refused:?}");
    // Even if nothing would be accepted.
    auto_push(&mut world, false).await;
    let refused = us.submit_incident(changed).await.unwrap_err();
    assert_eq!(refused_as(refused), owned_by_other());
    assert_eq!(world.delivery(&first.id).await.incident_revision, 1);
    let newest = v1::ListAuditEntriesRequest { page_size: 10, ..Default::default() };
    let entries = world.client.list_audit_entries(newest).await.unwrap().entries;
    let entry = entries.iter().find(|entry| entry.actor == "token:us").unwrap();
    let audited =
        (entry.actor.as_str(), entry.action.as_str(), entry.subject.as_str(), entry.outcome.as_str());
    assert_eq!(audited, ("token:us", "SUBMIT_INCIDENT", "INC-1", "INCIDENT_OWNED_BY_OTHER"));
    world.finish().await;
}

#[tokio::test]
async fn replaced_token_keeps_its_namespace() {
    let mut world = Plan::new().with_token_auth().start().await;
    auto_push(&mut world, true).await;
    let mut old = member(&mut world, Some("soc-eu"), "soar", Role::Producer).await;
    let first = delivery(old.submit_incident(incident("INC-1")).await.unwrap());
    let mut administration = world.server.administration().await;
    administration.revoke("soar").await.unwrap();
    administration.close().await;
    let mut new = member(&mut world, None, "soar", Role::Producer).await;
    let mut other_name = member(&mut world, Some("soc-eu"), "soar-2", Role::Producer).await;
    for client in [&mut new, &mut other_name] {
        let again = delivery(client.submit_incident(incident("INC-1")).await.unwrap());
        assert_eq!(again.id, first.id);
    }
    world.until(&first.id, DeliveryState::Delivered).await;
    world.finish().await;
}

#[tokio::test]
async fn analysts_act_on_incidents_of_all_namespaces() {
    let mut world = Plan::new().with_token_auth().start().await;
    auto_push(&mut world, true).await;
    let mut eu = member(&mut world, Some("soc-eu"), "eu", Role::Producer).await;
    let mut ana = member(&mut world, Some("soc-us"), "ana", Role::Analyst).await;
    let first = delivery(eu.submit_incident(incident("INC-1")).await.unwrap());
    let request = CreateTicketRequest {
        incident: Some(incident("INC-1")),
        destination: Some(TicketSystem::Jira.into()),
    };
    let pushed = ana.create_ticket(request).await.unwrap();
    world.acknowledged.note_push(&pushed);
    let pushed = pushed.delivery.unwrap();
    assert_eq!((pushed.id, pushed.namespace.as_str()), (first.id, "soc-eu"));
    world.finish().await;
}

#[tokio::test]
async fn stream_has_no_events_of_another_namespace() {
    let mut world = Plan::new().with_token_auth().start().await;
    auto_push(&mut world, true).await;
    // With one name, so that the name does not separate them.
    let mut eu = member(&mut world, Some("soc-eu"), "soar", Role::Producer).await;
    let mut us = member(&mut world, Some("soc-us"), "soar", Role::Producer).await;
    delivery(eu.submit_incident(incident("INC-1")).await.unwrap());
    let second = delivery(us.submit_incident(incident("INC-2")).await.unwrap());
    world.until(&second.id, DeliveryState::Delivered).await;
    let request = StreamTicketEventsRequest { start: Some(Start::Oldest(())), ..Default::default() };
    let mut events = us.stream_ticket_events(request).await.unwrap();
    let mut last = None;
    while last != Some(v1::TicketEventKind::Delivered) {
        let message = events.message().await.unwrap().unwrap().message;
        let Some(Message::Event(event)) = message else { continue };
        assert_eq!(event.incident_id, "INC-2");
        last = Some(event.kind());
    }
    world.until_all_delivered(2).await;
    world.finish().await;
}

#[tokio::test]
async fn claim_of_a_jwt_names_its_namespace() {
    let provider = IdentityProvider::new();
    let plan = provider.trusted_by(Plan::new()).with_flag("--jwt-namespace-claim=team");
    let mut world = plan.start().await;
    auto_push(&mut world, true).await;
    let channel = channel(&world).await;
    let of = async |team: serde_json::Value| -> Result<v1::Delivery, Status> {
        let token = provider.signed_with("producer", 4_000_000_000, "team", &team);
        let mut client = Client::over(channel.clone()).with_token(&token).unwrap();
        Ok(delivery(client.submit_incident(incident("INC-1")).await?))
    };
    assert_eq!(of("soc-eu".into()).await.unwrap().namespace, "soc-eu");
    assert_eq!(refused_as(of("soc-us".into()).await.unwrap_err()), owned_by_other());
    let malformed = refused_as(of("SOC".into()).await.unwrap_err());
    assert_eq!(malformed, (Code::Unauthenticated, "CREDENTIAL_INVALID".to_owned()));
    world.until_all_delivered(1).await;
    world.finish().await;
}
