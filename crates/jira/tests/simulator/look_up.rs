//! Finding tickets by their marker.

use std::time::Duration;

use serde_json::{Map, json};
use ticketing_core::fault::FaultKind;
use ticketing_simulator::{Call, Effect, Profile, Reply, Vendor};

use crate::support::{Site, ticket_draft};

async fn both() -> [Site; 2] {
    [Site::cloud().await, Site::data_center().await]
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
