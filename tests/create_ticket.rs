//! CreateTicket on each system.

use rhythmx_ticketing::v1::{DeliveryState, TicketSystem};
use ticketing_simulator::{Profile, Vendor};

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
