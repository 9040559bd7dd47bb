//! What people do to tickets, and searches that are not to be believed.

use std::time::Duration;

use serde_json::{Value, json};
use ticketing_simulator::{Call, Effect, Profile, Rule, Vendor, When};

use crate::support::{Site, document, issue, paragraph};

const MARKER: &str = "rhythmx-0123456789abcdef0123456789abcdef";
const TABLE: &str = "/api/now/table/incident";

/// The labels of the issues that a search by marker returns.
async fn labels(site: &Site) -> Vec<Value> {
    let jql = format!("labels = \"{MARKER}\" OR description ~ \"\\\"{MARKER}\\\"\"");
    let path = match site.simulator.vendor() {
        Vendor::JiraCloud => "/rest/api/3/search/jql",
        _ => "/rest/api/2/search",
    };
    let (status, body) = site.post(path, &json!({ "jql": jql, "fields": ["labels"] })).await;
    assert_eq!(status, 200, "{body}");
    body["issues"].as_array().unwrap().iter().map(|issue| issue["fields"]["labels"].clone()).collect()
}

/// The `correlation_id`s of the incidents that a search by marker returns.
async fn correlations(site: &Site) -> Vec<Value> {
    let (status, body) = site.get(&format!("{TABLE}?sysparm_query=correlation_id={MARKER}")).await;
    assert_eq!(status, 200, "{body}");
    body["result"].as_array().unwrap().iter().map(|row| row["correlation_id"].clone()).collect()
}

async fn cloud_with_one() -> Site {
    let site = Site::cloud().await;
    site.post("/rest/api/3/issue", &issue(json!({ "labels": [MARKER] }))).await;
    site
}

async fn servicenow_with_one() -> Site {
    let site = Site::servicenow().await;
    site.post(TABLE, &json!({ "short_description": "x", "correlation_id": MARKER })).await;
    site
}

fn lookalikes() -> [String; 3] {
    [format!("{MARKER}0"), format!("x-{MARKER}"), MARKER.to_uppercase()]
}

#[tokio::test]
async fn clone_has_the_marker_of_its_original_and_its_own_key() {
    let site = cloud_with_one().await;
    assert_eq!(site.simulator.clone_ticket("SEC-1").as_deref(), Some("SEC-2"));
    assert_eq!(labels(&site).await.len(), 2);
    assert!(site.simulator.tickets()[1].foreign);
    let site = servicenow_with_one().await;
    let original = site.simulator.tickets().remove(0);
    site.simulator.clone_ticket(&original.key).unwrap();
    assert_eq!(correlations(&site).await.len(), 2);
    assert_ne!(site.simulator.tickets()[1].id, original.id);
    assert_eq!(site.simulator.clone_ticket("SEC-9"), None);
}

#[tokio::test]
async fn removes_marker_from_every_field() {
    let site = Site::cloud().await;
    let text = document(json!([paragraph(&format!("Marker: {MARKER}"))]));
    let body = issue(json!({ "labels": [MARKER, "x"], "description": text }));
    site.post("/rest/api/3/issue", &body).await;
    assert_eq!(labels(&site).await.len(), 1);
    assert!(site.simulator.remove_marker("SEC-1", MARKER));
    assert!(labels(&site).await.is_empty());
    assert!(!site.simulator.remove_marker("SEC-1", MARKER));
    let site = servicenow_with_one().await;
    let key = site.simulator.tickets()[0].key.clone();
    assert!(site.simulator.remove_marker(&key, MARKER));
    assert!(correlations(&site).await.is_empty());
}

#[tokio::test]
async fn moved_issue_is_found_by_marker_id_and_both_keys() {
    let site = cloud_with_one().await;
    site.simulator.edit(|profile| {
        *profile = profile.clone().with_project(ticketing_simulator::Project::new("10200", "OPS"));
    });
    let id = site.simulator.tickets()[0].id.clone();
    assert!(site.simulator.move_ticket("SEC-1", "OPS-7"));
    for name in [id.as_str(), "SEC-1", "OPS-7"] {
        assert_eq!(site.get(&format!("/rest/api/3/issue/{name}")).await.1["key"], "OPS-7", "{name}");
    }
    assert_eq!(labels(&site).await.len(), 1);
    for (project, found) in [("SEC", 0), ("OPS", 1)] {
        let jql = json!({ "jql": format!("project = {project}") });
        let (_, body) = site.post("/rest/api/3/search/jql", &jql).await;
        assert_eq!(body["issues"].as_array().unwrap().len(), found, "{project}");
    }
    // The key of the moved one is not given again.
    site.post("/rest/api/3/issue", &issue(json!({}))).await;
    assert_eq!(site.simulator.tickets()[1].key, "SEC-2");
}

#[tokio::test]
async fn deleted_ticket_is_not_found_and_frees_its_sys_id() {
    let site = cloud_with_one().await;
    assert!(site.simulator.delete_ticket("SEC-1"));
    assert!(labels(&site).await.is_empty());
    let site = Site::servicenow().await;
    let body = json!({ "sys_id": "0123456789abcdef0123456789abcdef", "correlation_id": MARKER });
    assert_eq!(site.post(TABLE, &body).await.0, 201);
    assert_eq!(site.post(TABLE, &body).await.0, 403);
    assert!(site.simulator.delete_ticket("0123456789abcdef0123456789abcdef"));
    assert_eq!(site.post(TABLE, &body).await.0, 201);
    assert_eq!(correlations(&site).await.len(), 1);
}

#[tokio::test]
async fn index_lag_can_be_ended_while_running() {
    let site = cloud_with_one().await;
    site.simulator.set_index_lag(Profile::NEVER);
    assert!(labels(&site).await.is_empty());
    site.simulator.set_index_lag(Duration::ZERO);
    assert_eq!(labels(&site).await.len(), 1);
}

#[tokio::test]
async fn foreign_rows_never_have_the_exact_marker() {
    let cloud = cloud_with_one().await;
    cloud.simulator.faults().push(Rule::new(Call::Search, When::Always, Effect::ReturnsForeign));
    let found = labels(&cloud).await;
    assert_eq!(found[0], json!([]));
    let like = lookalikes().map(|label| json!([label]));
    assert_eq!(found[1..], like);
    let servicenow = servicenow_with_one().await;
    servicenow.simulator.faults().push(Rule::new(Call::Search, When::Always, Effect::ReturnsForeign));
    let found = correlations(&servicenow).await;
    assert_eq!(found[0], json!(""));
    assert_eq!(found[1..], lookalikes().map(Value::from));
}

#[tokio::test]
async fn pages_without_an_end_always_announce_another() {
    let cloud = cloud_with_one().await;
    cloud.simulator.faults().push(Rule::new(Call::Search, When::Always, Effect::EndlessPages));
    let mut token = Value::Null;
    for _ in 0..5 {
        let mut query = json!({ "jql": format!("labels = \"{MARKER}\"") });
        if token.is_string() {
            query["nextPageToken"] = token;
        }
        let (_, body) = cloud.post("/rest/api/3/search/jql", &query).await;
        assert_eq!((&body["isLast"], body["issues"].as_array().unwrap().len()), (&json!(false), 1));
        token = body["nextPageToken"].clone();
    }
    let data_center = Site::data_center().await;
    data_center.simulator.add_foreign_ticket(json!({ "labels": [MARKER] }).as_object().unwrap().clone());
    data_center.simulator.faults().push(Rule::new(Call::Search, When::Always, Effect::EndlessPages));
    let query = json!({ "jql": "project = SEC", "startAt": 5_000 });
    let (_, body) = data_center.post("/rest/api/2/search", &query).await;
    assert_eq!((body["issues"].as_array().unwrap().len(), &body["total"]), (1, &json!(u32::MAX)));
}

#[tokio::test]
async fn ignored_login_searches_anonymously() {
    let site = cloud_with_one().await;
    site.simulator.faults().push(Rule::new(Call::Search, When::Next(1), Effect::IgnoresLogin));
    assert!(labels(&site).await.is_empty());
    assert_eq!(labels(&site).await.len(), 1);
    let site = servicenow_with_one().await;
    site.simulator.faults().push(Rule::new(Call::Search, When::Next(1), Effect::IgnoresLogin));
    assert_eq!(site.get(&format!("{TABLE}?sysparm_query=correlation_id={MARKER}")).await.0, 401);
}
