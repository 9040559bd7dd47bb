//! PreviewTicket: the exact body that would be sent, without sending it.

use rhythmx_ticketing::v1::{self, DeliveryState, SkipReason, TicketSystem};
use ticketing_simulator::{Profile, Vendor};

use ticketing_harness::{Plan, incident};

#[tokio::test]
async fn preview_is_byte_identical_to_the_request_sent() {
    for vendor in [Vendor::JiraCloud, Vendor::JiraDataCenter] {
        let mut world = Plan::new().with_jira(vendor, Profile::of(vendor)).start().await;
        for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
            let preview = world.preview(incident("INC-1"), system).await.ticket.unwrap();
            assert!(world.simulator(system).tickets().is_empty());
            assert!(world.deliveries().await.iter().all(|delivery| delivery.system() != system));
            let delivery = world.push("INC-1", system).await.delivery.unwrap();
            assert_eq!(preview.body, String::from_utf8(world.created_body(system)).unwrap());
            assert_eq!(preview.marker, delivery.marker);
            assert_eq!(preview.adjustments, delivery.adjustments);
        }
        world.finish().await;
    }
}

#[tokio::test]
async fn preview_parts_match_its_body() {
    let mut world = Plan::new().start().await;
    let jira = world.preview(incident("INC-1"), TicketSystem::Jira).await.ticket.unwrap();
    let body: serde_json::Value = serde_json::from_str(&jira.body).unwrap();
    let fields = &body["fields"];
    assert_eq!(fields["summary"], jira.summary.as_str());
    assert_eq!(fields["description"], serde_json::from_str::<serde_json::Value>(&jira.description).unwrap());
    assert_eq!(fields["labels"], serde_json::json!(jira.labels));
    assert!(jira.labels.contains(&jira.marker));
    assert_eq!(jira.priority, "Highest");
    let servicenow = world.preview(incident("INC-1"), TicketSystem::Servicenow).await.ticket.unwrap();
    let body: serde_json::Value = serde_json::from_str(&servicenow.body).unwrap();
    assert_eq!(body["short_description"], servicenow.summary.as_str());
    assert_eq!(body["description"], servicenow.description.as_str());
    assert_eq!(body["correlation_id"], servicenow.marker.as_str());
    assert!(servicenow.labels.is_empty());
    for ticket in [jira, servicenow] {
        for fact in ["zoe.braennstroem", "94.5", "T1110.003", "rclone"] {
            assert!(ticket.plain_text.contains(fact), "{fact} is not in {}", ticket.plain_text);
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn previews_unconfigured_system_with_a_warning() {
    let mut world = Plan::new().start_unconfigured().await;
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        let preview = world.preview(incident("INC-1"), system).await;
        let ticket = preview.ticket.unwrap();
        assert!(ticket.summary.contains("zoe.braennstroem"), "{}", ticket.summary);
        assert!(ticket.adjustments.iter().any(|it| it.reason.contains("not configured")), "{ticket:#?}");
        assert_eq!(preview.auto_push.unwrap().skip_reason(), SkipReason::AutoPushDisabled);
        assert_eq!(preview.existing, None);
    }
    world.finish().await;
}

#[tokio::test]
async fn previews_unreachable_system_and_names_unchecked_facts() {
    let mut world = Plan::new().start().await;
    world.jira.stop().await;
    world.servicenow.stop().await;
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        let ticket = world.preview(incident("INC-1"), system).await.ticket.unwrap();
        assert!(!ticket.body.is_empty());
        assert!(!ticket.adjustments.is_empty(), "{ticket:#?}");
    }
    world.finish().await;
}

#[tokio::test]
async fn preview_names_what_was_cut() {
    let mut world = Plan::new().start().await;
    let mut long = incident("INC-1");
    long.investigation_notes = "word ".repeat(13_000);
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        let ticket = world.preview(long.clone(), system).await.ticket.unwrap();
        let cut = ticket.adjustments.iter().find(|it| it.field == "description");
        assert!(cut.is_some_and(|it| !it.reason.is_empty()), "{:#?}", ticket.adjustments);
    }
    world.finish().await;
}

#[tokio::test]
async fn preview_shows_existing_delivery() {
    let mut world = Plan::new().start().await;
    let pushed = world.push("INC-1", TicketSystem::Jira).await.delivery.unwrap();
    let existing = world.preview(incident("INC-1"), TicketSystem::Jira).await.existing.unwrap();
    assert_eq!((existing.state(), &existing.id), (DeliveryState::Delivered, &pushed.id));
    assert_eq!(existing.ticket, pushed.ticket);
    let other = world.preview(incident("INC-1"), TicketSystem::Servicenow).await;
    assert_eq!(other.existing, None);
    assert_eq!(world.jira.tickets().len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn preview_has_the_auto_push_decision() {
    let mut world = Plan::new().start().await;
    let request = v1::ConfigureRequest {
        auto_push: Some(v1::AutoPushSettings { enabled: Some(true), ..Default::default() }),
        ..Default::default()
    };
    world.configure(request).await;
    let decision = world.preview(incident("INC-1"), TicketSystem::Jira).await.auto_push.unwrap();
    assert!(decision.push && !decision.explanation.is_empty());
    assert_eq!(decision.skip_reason(), SkipReason::Unspecified);
    assert!(world.deliveries().await.is_empty());
    world.finish().await;
}
