//! CreateTicket on each system.

use rhythmx_ticketing::v1::{CreateTicketRequest, DeliveryState, TicketSystem};
use ticketing_simulator::{Call, Point as Reached, Profile, Vendor};

use ticketing_harness::{Plan, Point, creates, incident, state};

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
async fn connection_of_a_create_opens_while_its_intent_commits() {
    let world = Plan::new().with_long_deadlines().in_a_process().start().await;
    // The first ticket is prepared with reads, which share one connection; the next one from memory.
    for (number, opened) in [(1, 2), (2, 1)] {
        let before = world.jira.reached(Call::Connection, Reached::Accepted);
        world.server.arm(Point::IntentOpen);
        let mut client = world.client.clone();
        let incident = Some(incident(&format!("INC-{number}")));
        let request = CreateTicketRequest { incident, destination: Some(TicketSystem::Jira.into()) };
        let push = tokio::spawn(async move { client.create_ticket(request).await });
        world.server.until_held(Point::IntentOpen).await;
        world.jira.until(Call::Connection, Reached::Accepted, before + opened).await;
        assert_eq!(creates(&world.jira), number - 1, "nothing is sent before the intent is durable");
        world.server.release();
        assert_eq!(state(&push.await.unwrap().unwrap()), DeliveryState::Delivered);
        assert_eq!(creates(&world.jira), number);
    }
    world.finish().await;
}
