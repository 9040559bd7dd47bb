//! Finding tickets by their marker.

use std::time::Duration;

use serde_json::{Map, json};
use ticketing_core::fault::FaultKind;
use ticketing_core::system::{Destination, Search, TicketSystem};
use ticketing_simulator::{Call, Effect, Profile, Reply, Vendor};

use crate::support::{Site, api_token, ticket_draft};

async fn both() -> [Site; 2] {
    [Site::cloud().await, Site::data_center().await]
}

#[tokio::test]
async fn finds_ticket_by_marker_and_proves_absence() {
    for site in both().await {
        let pushed = ticket_draft("INC-1");
        let absent = ticket_draft("INC-2");
        let (_, created) = site.push(&pushed).await.unwrap();
        let found = site.look_up(&pushed, &[]).await.unwrap();
        assert_eq!(found.tickets[0].ticket, created.ticket);
        assert!(found.tickets[0].created_at.is_some());
        let search_result = site.look_up(&absent, &[&pushed]).await.unwrap();
        assert!(search_result.tickets.is_empty() && search_result.canary_seen);
        assert!(!site.look_up(&absent, &[]).await.unwrap().canary_seen);
    }
}

#[tokio::test]
async fn unindexed_ticket_is_not_a_canary() {
    let site = Site::cloud_with(Profile::of(Vendor::JiraCloud).with_index_lag(Duration::from_secs(60))).await;
    let lost = ticket_draft("INC-1");
    let canary = ticket_draft("INC-2");
    site.push(&canary).await.unwrap();
    let search_result = site.look_up(&lost, &[&canary]).await.unwrap();
    assert!(search_result.tickets.is_empty() && !search_result.canary_seen);
}

#[tokio::test]
async fn lists_tickets_of_one_marker_oldest_first() {
    for site in both().await {
        let ticket_draft = ticket_draft("INC-1");
        site.push(&ticket_draft).await.unwrap();
        site.push(&ticket_draft).await.unwrap();
        site.inject(Call::Search, Effect::ReturnsTwice);
        let search_result = site.look_up(&ticket_draft, &[]).await.unwrap();
        let keys: Vec<_> = search_result.tickets.iter().map(|found| found.ticket.key.as_str()).collect();
        assert_eq!(keys, ["SEC-1", "SEC-2"]);
    }
}

#[tokio::test]
async fn finds_moved_ticket_under_new_key() {
    for site in both().await {
        let ticket_draft = ticket_draft("INC-1");
        site.push(&ticket_draft).await.unwrap();
        assert!(site.simulator.move_ticket("SEC-1", "OPS-7"));
        let search_result = site.look_up(&ticket_draft, &[]).await.unwrap();
        assert_eq!(search_result.tickets[0].ticket.key, "OPS-7");
        assert!(search_result.tickets[0].ticket.url.ends_with("/browse/OPS-7"));
    }
}

#[tokio::test]
async fn ignores_tickets_of_others() {
    for site in both().await {
        let ticket_draft = ticket_draft("INC-1");
        let longer = Map::from_iter([("labels".to_owned(), json!([format!("{}0", ticket_draft.marker)]))]);
        site.simulator.add_foreign_ticket(longer);
        assert!(site.look_up(&ticket_draft, &[]).await.unwrap().tickets.is_empty());
        site.inject(Call::Search, Effect::ReturnsEverything);
        let fault = site.look_up(&ticket_draft, &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::UnreadableReply);
    }
}

#[tokio::test]
async fn many_rows_are_read_page_by_page() {
    for site in both().await {
        let ticket_draft = ticket_draft("INC-1");
        for _ in 0..70 {
            let labels = json!([ticket_draft.marker.as_str()]);
            site.simulator.add_foreign_ticket(Map::from_iter([("labels".to_owned(), labels)]));
        }
        assert_eq!(site.look_up(&ticket_draft, &[]).await.unwrap().tickets.len(), 70);
    }
}

#[tokio::test]
async fn empty_result_with_refused_login_proves_nothing() {
    let profile = Profile::of(Vendor::JiraCloud);
    let site = Site::with(Vendor::JiraCloud, profile, &api_token("expired"), |_| {}).await;
    let fault = site.look_up(&ticket_draft("INC-1"), &[]).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unauthorized);
}

#[tokio::test]
async fn empty_result_of_hidden_project_proves_nothing() {
    for site in both().await {
        site.simulator.edit(|profile| profile.withdraw("BROWSE_PROJECTS"));
        let fault = site.look_up(&ticket_draft("INC-1"), &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::NotFound);
    }
}

#[tokio::test]
async fn truncated_empty_answer_proves_nothing() {
    let [cloud, data_center] = both().await;
    let table = [
        (&cloud, json!({ "issues": [], "isLast": false })),
        (&cloud, json!({ "issues": [], "isLast": true, "errorMessages": ["The index is being built."] })),
        (&data_center, json!({ "issues": [], "total": 1 })),
        (&data_center, json!({ "issues": [] })),
        (&data_center, json!({ "issues": [], "total": 0, "warningMessages": ["No such field."] })),
    ];
    for (site, body) in table {
        site.simulator.faults().clear();
        site.inject(Call::Search, Effect::Answer(Reply::json(200, &body)));
        let fault = site.look_up(&ticket_draft("INC-1"), &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::UnreadableReply, "{body}");
    }
}

#[tokio::test]
async fn never_sends_login_to_another_site() {
    let site = Site::cloud().await;
    let destination = Destination { base_url: "https://other.example".to_owned(), place: "SEC".to_owned() };
    let search =
        Search { marker: ticket_draft("INC-1").marker, destination, marker_in_text: false, canaries: vec![] };
    let fault = site.jira.look_up(&search).await.unwrap_err();
    assert_eq!((fault.kind, site.simulator.requests().len()), (FaultKind::Misconfigured, 0));
}
