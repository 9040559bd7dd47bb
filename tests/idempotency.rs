//! Repeated requests.

use rhythmx_ticketing::v1::{self, AutoPushSettings, Severity, TicketSystem, TicketSystemList};
use ticketing_simulator::{Call, Effect, Rule, When};

use ticketing_harness::{Plan, World, creates, incident};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_pushes_after_unknown_outcome_make_one_ticket() {
    let mut world = Plan::new().start().await;
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), Effect::gateway_timeout()));
    let ids = vec!["INC-1".to_owned(); 200];
    world.push_all(ids, TicketSystem::Jira, 50).await;
    world.until_all_delivered(1).await;
    assert_eq!((world.jira.tickets().len(), creates(&world.jira)), (1, 2));
    world.finish().await;
}

#[tokio::test]
async fn resubmission_after_restart_keeps_the_tickets() {
    let mut world = Plan::new().start().await;
    push_everything_by_itself(&mut world).await;
    let first = world.client.submit_incident(incident("INC-1")).await.unwrap();
    assert_eq!(ids_of(&first, false).len(), 2, "{first:#?}");
    world.until_all_delivered(2).await;
    world.restart().await;
    let second = world.client.submit_incident(incident("INC-1")).await.unwrap();
    assert_eq!(ids_of(&first, false), ids_of(&second, true));
    assert_eq!((world.jira.tickets().len(), world.servicenow.tickets().len()), (1, 1));
    world.finish().await;
}

#[tokio::test]
async fn changed_content_is_sent_only_before_the_first_send() {
    let mut world = Plan::new().start().await;
    world.jira.stop().await;
    let first = world.push("INC-1", TicketSystem::Jira).await.delivery.unwrap();
    assert_eq!(first.incident_revision, 1);
    world.jira.restart().await.unwrap();
    let changed = |notes: &str| v1::Incident { investigation_notes: notes.to_owned(), ..incident("INC-1") };
    for (notes, already_existed) in [("It got worse", false), ("It is over", true)] {
        let incident = Some(changed(notes));
        let destination = Some(TicketSystem::Jira.into());
        let request = v1::CreateTicketRequest { incident, destination };
        let answer = world.client.create_ticket(request).await.unwrap();
        assert_eq!(answer.already_existed, already_existed);
        let delivery = world.until(&first.id, v1::DeliveryState::Delivered).await;
        assert_eq!(delivery.incident_revision, 2);
    }
    let description = world.jira.tickets()[0].fields["description"].to_string();
    assert!(description.contains("It got worse") && !description.contains("It is over"), "{description}");
    world.finish().await;
}

async fn push_everything_by_itself(world: &mut World) {
    let values = vec![TicketSystem::Jira.into(), TicketSystem::Servicenow.into()];
    let auto_push = AutoPushSettings {
        enabled: Some(true),
        minimum_severity: Some(Severity::Low.into()),
        systems: Some(TicketSystemList { values }),
        ..Default::default()
    };
    let request = v1::ConfigureRequest { auto_push: Some(auto_push), ..Default::default() };
    world.client.configure(request).await.unwrap();
}

fn ids_of(answer: &v1::SubmitIncidentResponse, existed: bool) -> Vec<String> {
    let results = answer.results.iter().filter(|result| result.already_existed == existed);
    results.filter_map(|result| result.delivery.as_ref().map(|delivery| delivery.id.clone())).collect()
}
