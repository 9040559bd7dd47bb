//! Look-ups by JQL.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use ticketing_simulator::{Call, Clock, Effect, Profile, Rule, Simulator, Vendor, When};

use crate::support::{Site, client, document, issue, paragraph, reply};

const SEARCH: &str = "/rest/api/3/search/jql";

async fn site_with_two_issues() -> Site {
    let site = Site::cloud().await;
    let first = json!({ "labels": ["rx-one", "shared"], "description": document(json!([paragraph("Marker rx-one here")])) });
    site.post("/rest/api/3/issue", &issue(first)).await;
    site.post("/rest/api/3/issue", &issue(json!({ "labels": ["rx-two", "shared"] }))).await;
    site
}

async fn keys(site: &Site, jql: &str) -> Vec<String> {
    let (status, body) = site.post(SEARCH, &json!({ "jql": jql, "fields": ["key"] })).await;
    assert_eq!(status, 200, "{jql}: {body}");
    let issues = body["issues"].as_array().unwrap();
    issues.iter().map(|issue| issue["key"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn label_finds_its_issue_and_the_newest_comes_first() {
    let site = site_with_two_issues().await;
    assert_eq!(keys(&site, "labels = \"rx-one\"").await, ["SEC-1"]);
    assert_eq!(keys(&site, "labels in (rx-one, \"rx-two\") ORDER BY created DESC").await, ["SEC-2", "SEC-1"]);
    assert_eq!(keys(&site, "labels = shared ORDER BY created ASC, key").await, ["SEC-1", "SEC-2"]);
}

#[tokio::test]
async fn clauses_are_joined_by_and_or_and_parentheses() {
    let site = site_with_two_issues().await;
    let jql = "project = SEC AND (labels = rx-one OR labels = rx-two) AND NOT labels = rx-two";
    assert_eq!(keys(&site, jql).await, ["SEC-1"]);
    assert_eq!(keys(&site, "project = SEC AND created >= -1d").await.len(), 2);
    assert!(keys(&site, "project = SEC AND created >= \"2999-01-01 10:00\"").await.is_empty());
}

#[tokio::test]
async fn finds_text_by_words_and_phrases_by_order() {
    let site = site_with_two_issues().await;
    assert_eq!(keys(&site, "text ~ \"marker one\"").await, ["SEC-1"]);
    assert_eq!(keys(&site, r#"description ~ "\"rx-one here\"""#).await, ["SEC-1"]);
    assert!(keys(&site, r#"description ~ "\"here rx-one\"""#).await.is_empty());
}

#[tokio::test]
async fn search_answers_ids_only_and_no_total() {
    let site = site_with_two_issues().await;
    let (_, body) = site.post(SEARCH, &json!({ "jql": "project = SEC" })).await;
    assert!(body["issues"][0].get("fields").is_none() && body["issues"][0].get("key").is_none());
    assert!(body.get("total").is_none());
    let (_, body) = site.get(&format!("{SEARCH}?jql=labels%3Drx-one&fields=labels,summary")).await;
    assert_eq!(body["issues"][0]["fields"]["labels"], json!(["rx-one", "shared"]));
}

#[tokio::test]
async fn pages_are_chained_by_a_token_bound_to_the_query() {
    let site = site_with_two_issues().await;
    let (_, first) = site.post(SEARCH, &json!({ "jql": "project = SEC", "maxResults": 1 })).await;
    assert_eq!(first["isLast"], false);
    let token = &first["nextPageToken"];
    let (_, second) = site.post(SEARCH, &json!({ "jql": "project = SEC", "nextPageToken": token })).await;
    assert_eq!((&second["isLast"], second["issues"].as_array().unwrap().len()), (&json!(true), 1));
    let other = json!({ "jql": "labels = shared", "nextPageToken": token });
    assert_eq!(site.post(SEARCH, &other).await.0, 400);
}

#[tokio::test]
async fn refuses_unbounded_malformed_or_unknown_query() {
    let site = site_with_two_issues().await;
    let bad = [
        "",
        "ORDER BY created",
        "labels =",
        "labels = \"x",
        "colour = red",
        "project = NOPE",
        "labels ~ x",
        "labels = x foo",
        "created >= soon",
        "(labels = x",
    ];
    for jql in bad {
        let (status, body) = site.post(SEARCH, &json!({ "jql": jql })).await;
        assert_eq!(status, 400, "{jql}: {body}");
        assert!(body["errorMessages"][0].is_string());
    }
}

#[tokio::test]
async fn bare_words_are_a_text_search_that_finds_nothing() {
    assert!(keys(&site_with_two_issues().await, "rx-one").await.is_empty());
}

#[tokio::test]
async fn refuses_unknown_member_and_old_search() {
    let site = Site::cloud().await;
    assert_eq!(site.post(SEARCH, &json!({ "jql": "project = SEC", "startAt": 0 })).await.0, 400);
    assert_eq!(site.post("/rest/api/3/search", &json!({ "jql": "project = SEC" })).await.0, 410);
}

#[tokio::test]
async fn anonymous_search_is_empty_or_refused_as_the_profile_says() {
    let site = site_with_two_issues().await;
    let anonymous = || async {
        let request = site.bare(Method::POST, SEARCH).json(&json!({ "jql": "project = SEC" }));
        reply(request.send().await.unwrap()).await
    };
    assert_eq!(anonymous().await, (200, json!({ "issues": [], "isLast": true })));
    site.simulator.edit(|profile| profile.anonymous_search_is_empty = false);
    assert_eq!(anonymous().await.0, 401);
}

#[tokio::test]
async fn issue_is_found_after_index_lag_but_read_at_once() {
    let (clock, hand) = Clock::manual(Timestamp::UNIX_EPOCH);
    let profile = Profile::of(Vendor::JiraCloud).with_index_lag(Duration::from_secs(60));
    let address = "127.0.0.1:0".parse().unwrap();
    let simulator = Simulator::start_at(Vendor::JiraCloud, profile, address, clock).await.unwrap();
    let send = |method: Method, path: &str, body: Value| {
        let request = client().request(method, format!("{}{path}", simulator.base_url()));
        request.basic_auth("analyst@example.com", Some("cloud-api-token")).json(&body).send()
    };
    send(Method::POST, "/rest/api/3/issue", issue(json!({ "labels": ["rx"] }))).await.unwrap();
    assert_eq!(send(Method::GET, "/rest/api/3/issue/SEC-1", Value::Null).await.unwrap().status(), 200);
    let found = || async {
        let response = send(Method::POST, SEARCH, json!({ "jql": "labels = rx" })).await.unwrap();
        reply(response).await.1["issues"].as_array().unwrap().len()
    };
    assert_eq!(found().await, 0);
    hand.advance(Duration::from_secs(60));
    assert_eq!(found().await, 1);
}

#[tokio::test]
async fn effects_make_a_search_return_all_none_or_duplicates() {
    let site = site_with_two_issues().await;
    for effect in [Effect::ReturnsEverything, Effect::ReturnsNothing, Effect::ReturnsTwice] {
        site.simulator.faults().push(Rule::new(Call::Search, When::Next(1), effect));
        let expected = match site.simulator.requests().len() {
            2 => vec!["SEC-1", "SEC-2"],
            3 => vec![],
            _ => vec!["SEC-1", "SEC-1"],
        };
        assert_eq!(keys(&site, "labels = rx-one").await, expected);
        site.simulator.faults().clear();
    }
}

#[tokio::test]
async fn removed_label_finds_nothing() {
    let site = site_with_two_issues().await;
    assert!(site.simulator.remove_label("SEC-1", "rx-one"));
    assert!(keys(&site, "labels = rx-one").await.is_empty());
}

#[tokio::test]
async fn foreign_issue_can_have_any_label() {
    let site = Site::cloud().await;
    let fields = json!({ "summary": "Not ours", "labels": ["rx-one"] });
    let key = site.simulator.add_foreign_ticket(fields.as_object().unwrap().clone());
    assert_eq!(keys(&site, "labels = rx-one").await, [key]);
    assert!(site.simulator.tickets()[0].foreign);
}
