//! CreateTicket on each system, with and without failures.

use rhythmx_ticketing::v1::{DeliveryState, TicketSystem};
use ticketing_simulator::{Call, Effect, Profile, Rule, Vendor, When};

use ticketing_harness::{Plan, state};

#[tokio::test]
async fn repeated_push_answers_with_the_same_ticket() {
    let mut world = Plan::new().start().await;
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        let first = world.push("INC-1", system).await;
        let again = world.push("INC-1", system).await;
        assert_eq!((state(&first), first.already_existed), (DeliveryState::Delivered, false));
        assert_eq!((state(&again), again.already_existed), (DeliveryState::Delivered, true));
        assert_eq!(first.delivery.unwrap().ticket, again.delivery.unwrap().ticket);
    }
    assert_eq!((world.jira.tickets().len(), world.servicenow.tickets().len()), (1, 1));
    world.finish().await;
}

#[tokio::test]
async fn jira_data_center_gets_its_tickets_below_its_context_path() {
    let profile = Profile::of(Vendor::JiraDataCenter).with_context_path("/jira");
    let mut world = Plan::new().with_jira(Vendor::JiraDataCenter, profile).start().await;
    let answer = world.push("INC-1", TicketSystem::Jira).await;
    let url = answer.delivery.unwrap().ticket.unwrap().url;
    assert_eq!(url, format!("{}/browse/SEC-1", world.jira.base_url()));
    world.finish().await;
}

#[tokio::test]
async fn ticket_with_lost_answer_is_found() {
    let mut world = Plan::new().start().await;
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), Effect::apply_then_gateway_timeout()));
    let answer = world.push("INC-1", TicketSystem::Jira).await;
    assert_eq!(state(&answer), DeliveryState::Reconciling);
    let id = answer.delivery.unwrap().id;
    world.until(&id, DeliveryState::Delivered).await;
    assert_eq!(world.jira.tickets().len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn killed_server_delivers_accepted_pushes() {
    let mut world = Plan::new().in_a_process().start().await;
    world.jira.stop().await;
    let answer = world.push("INC-1", TicketSystem::Jira).await;
    assert_eq!(state(&answer), DeliveryState::Waiting);
    world.crash().await;
    world.jira.restart().await.unwrap();
    let id = answer.delivery.unwrap().id;
    world.until(&id, DeliveryState::Delivered).await;
    world.finish().await;
}
