//! What Jira Data Center does otherwise than Cloud.

use reqwest::Method;
use serde_json::json;
use ticketing_simulator::{Profile, Vendor};

use crate::support::{Site, document, issue, paragraph, reply};

const ISSUE: &str = "/rest/api/2/issue";

#[tokio::test]
async fn context_path_is_in_links_and_required() {
    let profile = Profile::of(Vendor::JiraDataCenter).with_context_path("/jira");
    let site = Site::with(Vendor::JiraDataCenter, profile).await;
    let (status, body) = site.post(ISSUE, &issue(json!({ "description": "h1. Text" }))).await;
    assert_eq!(status, 201);
    assert_eq!(body["self"], format!("{}/rest/api/2/issue/10000", site.simulator.base_url()));
    assert!(body["self"].as_str().unwrap().contains("/jira/rest/"));
    let outside = site.simulator.base_url().replace("/jira", "/rest/api/2/serverInfo");
    assert_eq!(site.client.get(outside).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn description_must_be_a_string() {
    let site = Site::data_center().await;
    let fields = json!({ "description": document(json!([paragraph("x")])) });
    let (status, body) = site.post(ISSUE, &issue(fields)).await;
    assert_eq!(status, 400);
    assert!(body["errors"]["description"].as_str().unwrap().contains("string"));
}

#[tokio::test]
async fn version_3_and_search_jql_do_not_exist() {
    let site = Site::data_center().await;
    assert_eq!(site.get("/rest/api/3/serverInfo").await.0, 404);
    assert_eq!(site.post("/rest/api/2/search/jql", &json!({ "jql": "project = SEC" })).await.0, 404);
}

#[tokio::test]
async fn server_info_needs_no_login() {
    let site = Site::data_center().await;
    let response = site.bare(Method::GET, "/rest/api/latest/serverInfo").send().await.unwrap();
    assert_eq!(reply(response).await.1["deploymentType"], "Server");
}

#[tokio::test]
async fn personal_access_token_is_a_bearer_and_no_password() {
    let site = Site::data_center().await;
    let myself = || site.bare(Method::GET, "/rest/api/2/myself");
    assert_eq!(myself().bearer_auth("data-center-pat").send().await.unwrap().status(), 200);
    let as_password = myself().basic_auth("analyst", Some("data-center-pat")).send().await.unwrap();
    assert_eq!(as_password.status(), 401);
    assert_eq!(as_password.headers()["x-seraph-loginreason"], "AUTHENTICATED_FAILED");
}

#[tokio::test]
async fn wrong_passwords_lead_to_captcha_for_every_login() {
    let mut profile = Profile::of(Vendor::JiraDataCenter);
    profile.captcha_after = Some(2);
    let site = Site::with(Vendor::JiraDataCenter, profile).await;
    for _ in 0..2 {
        let wrong = site.bare(Method::GET, "/rest/api/2/myself").basic_auth("analyst", Some("wrong"));
        assert_eq!(wrong.send().await.unwrap().status(), 401);
    }
    let response = site.request(Method::GET, "/rest/api/2/myself").send().await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(response.headers()["x-seraph-loginreason"], "AUTHENTICATION_DENIED");
    let reason = response.headers()["x-authentication-denied-reason"].to_str().unwrap();
    assert!(reason.starts_with("CAPTCHA_CHALLENGE; login-url=http://"), "{reason}");
}

#[tokio::test]
async fn create_metadata_comes_as_values_and_a_bad_project_is_400() {
    let site = Site::data_center().await;
    let (_, body) = site.get("/rest/api/2/issue/createmeta/SEC/issuetypes").await;
    assert_eq!((body["values"].as_array().unwrap().len(), &body["isLast"]), (4, &json!(true)));
    let (_, body) = site.get("/rest/api/2/issue/createmeta/SEC/issuetypes/10001").await;
    assert!(body["values"].as_array().unwrap().iter().any(|field| field["fieldId"] == "labels"));
    assert_eq!(site.get("/rest/api/2/issue/createmeta/NOPE/issuetypes").await.0, 400);
}

#[tokio::test]
async fn my_permissions_is_complete_and_401_without_login() {
    let site = Site::data_center().await;
    let (_, body) = site.get("/rest/api/2/mypermissions?projectKey=SEC").await;
    assert_eq!(body["permissions"]["CREATE_ISSUES"]["havePermission"], true);
    let response = site.bare(Method::GET, "/rest/api/2/mypermissions").send().await.unwrap();
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn search_has_a_total_and_pages_by_number() {
    let site = Site::data_center().await;
    for _ in 0..3 {
        site.post(ISSUE, &issue(json!({ "labels": ["rx"] }))).await;
    }
    let asked =
        json!({ "jql": "labels = rx ORDER BY key", "startAt": 1, "maxResults": 1, "fields": ["labels"] });
    let (_, body) = site.post("/rest/api/2/search", &asked).await;
    assert_eq!((&body["total"], &body["startAt"]), (&json!(3), &json!(1)));
    assert_eq!(body["issues"][0]["key"], "SEC-2");
    let (_, body) = site.get("/rest/api/2/search?jql=labels+%3D+rx").await;
    assert_eq!(body["issues"].as_array().unwrap().len(), 3);
}
