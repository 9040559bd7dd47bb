//! Reading one ticket.

use serde_json::json;
use ticketing_core::fault::FaultKind;
use ticketing_core::system::TicketSystem;
use ticketing_simulator::{Call, Effect, Profile, Reply, Vendor};

use crate::support::{Site, pat, ticket_draft};

fn no_such_issue() -> Reply {
    Reply::json(404, &json!({ "errorMessages": ["Issue Does Not Exist"], "errors": {} }))
}

#[tokio::test]
async fn reads_marker_in_description_where_labels_are_off() {
    let cloud = Profile::of(Vendor::JiraCloud).without_field("labels");
    let data_center = Profile::of(Vendor::JiraDataCenter).without_field("labels");
    for site in [Site::cloud_with(cloud).await, Site::data_center_with(data_center).await] {
        let ticket_draft = ticket_draft("INC-1");
        let (_, created) = site.push(&ticket_draft).await.unwrap();
        let read = site.jira.read(&site.jira.destination(), &created.ticket.key).await.unwrap().unwrap();
        assert_eq!(read.marker, Some(ticket_draft.marker));
    }
}

#[tokio::test]
async fn absence_counts_only_with_a_working_login() {
    let profile = Profile::of(Vendor::JiraDataCenter);
    let site = Site::with(Vendor::JiraDataCenter, profile, &pat("data-center-pat"), |_| {}).await;
    site.inject(Call::Read, Effect::Answer(no_such_issue()));
    assert_eq!(site.jira.read(&site.jira.destination(), "SEC-1").await, Ok(None));
    site.inject(Call::Auth, Effect::Answer(Reply::json(401, &json!({}))));
    let fault = site.jira.read(&site.jira.destination(), "SEC-1").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unauthorized);
}

#[tokio::test]
async fn not_found_page_of_a_proxy_is_a_fault() {
    let site = Site::cloud().await;
    site.inject(Call::Read, Effect::Answer(Reply::html(404, "<!DOCTYPE html><title>Lost</title>")));
    assert!(site.jira.read(&site.jira.destination(), "SEC-1").await.is_err());
}

#[tokio::test]
async fn issue_without_believable_key_is_unreadable() {
    let site = Site::cloud().await;
    for key in ["", "SEC", &format!("SEC-{}", "9".repeat(4_000))] {
        site.simulator.faults().clear();
        let fields = json!({ "project": { "key": "SEC" } });
        let body = json!({ "id": "10001", "key": key, "fields": fields });
        site.inject(Call::Read, Effect::Answer(Reply::json(200, &body)));
        let fault = site.jira.read(&site.jira.destination(), "SEC-1").await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::UnreadableReply, "{key}");
    }
}
