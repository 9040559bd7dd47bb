//! Finding tickets by their marker.

use std::time::Duration;

use serde_json::{Map, json};
use ticketing_core::fault::FaultKind;
use ticketing_core::system::{Destination, Search, TicketSystem};
use ticketing_simulator::{Call, Effect, Profile, Reply, Vendor};

use crate::support::{Site, api_token, order};

async fn both() -> [Site; 2] {
    [Site::cloud().await, Site::data_center().await]
}

#[tokio::test]
async fn a_ticket_is_found_by_its_marker_and_an_absent_one_is_proven_absent() {
    for site in both().await {
        let (pushed, absent) = (order("INC-1"), order("INC-2"));
        let (_, created) = site.push(&pushed).await.unwrap();
        let found = site.look_up(&pushed, &[]).await.unwrap();
        assert_eq!(found.tickets[0].ticket, created.ticket);
        assert!(found.tickets[0].created_at.is_some());
        let sighting = site.look_up(&absent, &[&pushed]).await.unwrap();
        assert!(sighting.tickets.is_empty() && sighting.witness_seen);
        assert!(!site.look_up(&absent, &[]).await.unwrap().witness_seen);
    }
}

#[tokio::test]
async fn a_ticket_that_the_index_does_not_show_yet_is_no_witness() {
    let site = Site::cloud_with(Profile::of(Vendor::JiraCloud).with_index_lag(Duration::from_secs(60))).await;
    let (lost, witness) = (order("INC-1"), order("INC-2"));
    site.push(&witness).await.unwrap();
    let sighting = site.look_up(&lost, &[&witness]).await.unwrap();
    assert!(sighting.tickets.is_empty() && !sighting.witness_seen);
}

#[tokio::test]
async fn two_tickets_with_one_marker_come_oldest_first_and_a_repeated_row_counts_once() {
    for site in both().await {
        let order = order("INC-1");
        site.push(&order).await.unwrap();
        site.push(&order).await.unwrap();
        site.weather(Call::Search, Effect::ReturnsTwice);
        let sighting = site.look_up(&order, &[]).await.unwrap();
        let keys: Vec<_> = sighting.tickets.iter().map(|found| found.ticket.key.as_str()).collect();
        assert_eq!(keys, ["SEC-1", "SEC-2"]);
    }
}

#[tokio::test]
async fn a_ticket_that_was_moved_is_found_under_its_new_key() {
    for site in both().await {
        let order = order("INC-1");
        site.push(&order).await.unwrap();
        assert!(site.simulator.move_ticket("SEC-1", "OPS-7"));
        let sighting = site.look_up(&order, &[]).await.unwrap();
        assert_eq!(sighting.tickets[0].ticket.key, "OPS-7");
        assert!(sighting.tickets[0].ticket.url.ends_with("/browse/OPS-7"));
    }
}

#[tokio::test]
async fn tickets_of_others_are_never_taken_for_ours() {
    for site in both().await {
        let order = order("INC-1");
        let longer = Map::from_iter([("labels".to_owned(), json!([format!("{}0", order.marker)]))]);
        site.simulator.add_foreign_ticket(longer);
        assert!(site.look_up(&order, &[]).await.unwrap().tickets.is_empty());
        site.weather(Call::Search, Effect::ReturnsEverything);
        let fault = site.look_up(&order, &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::UnreadableReply);
    }
}

#[tokio::test]
async fn many_rows_are_read_page_by_page() {
    for site in both().await {
        let order = order("INC-1");
        for _ in 0..70 {
            let labels = json!([order.marker.as_str()]);
            site.simulator.add_foreign_ticket(Map::from_iter([("labels".to_owned(), labels)]));
        }
        assert_eq!(site.look_up(&order, &[]).await.unwrap().tickets.len(), 70);
    }
}

#[tokio::test]
async fn an_empty_answer_to_a_refused_login_proves_nothing() {
    let profile = Profile::of(Vendor::JiraCloud);
    let site = Site::with(Vendor::JiraCloud, profile, &api_token("expired"), |_| {}).await;
    let fault = site.look_up(&order("INC-1"), &[]).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unauthorized);
}

#[tokio::test]
async fn an_empty_answer_about_a_hidden_project_proves_nothing() {
    for site in both().await {
        site.simulator.edit(|profile| profile.withdraw("BROWSE_PROJECTS"));
        let fault = site.look_up(&order("INC-1"), &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::NotFound);
    }
}

#[tokio::test]
async fn an_empty_answer_that_did_not_come_to_its_end_proves_nothing() {
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
        site.weather(Call::Search, Effect::Answer(Reply::json(200, &body)));
        let fault = site.look_up(&order("INC-1"), &[]).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::UnreadableReply, "{body}");
    }
}

#[tokio::test]
async fn the_login_of_one_site_is_never_sent_to_another() {
    let site = Site::cloud().await;
    let destination = Destination { base_url: "https://other.example".to_owned(), place: "SEC".to_owned() };
    let search =
        Search { marker: order("INC-1").marker, destination, marker_in_text: false, witnesses: vec![] };
    let fault = site.jira.look_up(&search).await.unwrap_err();
    assert_eq!((fault.kind, site.simulator.requests().len()), (FaultKind::Misconfigured, 0));
}
