//! Jira Cloud, call by call.

use reqwest::Method;
use serde_json::{Value, json};
use ticketing_simulator::{Profile, Vendor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Site, document, issue, paragraph, reply};

const ISSUE: &str = "/rest/api/3/issue";

/// Sends one issue with these fields and returns the refusal for a field.
async fn refused(fields: Value, field: &str) -> String {
    let site = Site::cloud().await;
    let (status, body) = site.post(ISSUE, &issue(fields)).await;
    assert_eq!(status, 400, "{body}");
    assert!(site.simulator.tickets().is_empty());
    body["errors"][field].as_str().unwrap_or_else(|| panic!("no error for {field}: {body}")).to_owned()
}

#[tokio::test]
async fn create_answers_with_id_key_and_self() {
    let site = Site::cloud().await;
    let fields = json!({ "description": document(json!([paragraph("Two logons.")])),
        "priority": { "id": "1" }, "labels": ["rx-abc", "security"] });
    let (status, body) = site.post(ISSUE, &issue(fields)).await;
    let link = format!("{}/rest/api/3/issue/10000", site.simulator.base_url());
    assert_eq!((status, body), (201, json!({ "id": "10000", "key": "SEC-1", "self": link })));
    let tickets = site.simulator.tickets();
    assert_eq!(tickets.len(), 1);
    assert_eq!(tickets[0].labels(), ["rx-abc", "security"]);
    assert_eq!(tickets[0].fields["priority"]["name"], "Highest");
}

#[tokio::test]
async fn refuses_label_with_space() {
    let message = refused(json!({ "labels": ["Test Application"] }), "labels").await;
    assert_eq!(message, "The label 'Test Application' contains spaces which is invalid.");
}

#[tokio::test]
async fn refuses_unknown_priority() {
    let message = refused(json!({ "priority": { "name": "Critical" } }), "priority").await;
    assert_eq!(message, "The priority selected is invalid.");
}

#[tokio::test]
async fn refuses_unknown_issue_type() {
    let message = refused(json!({ "issuetype": { "id": "99" } }), "issuetype").await;
    assert_eq!(message, "The issue type selected is invalid.");
}

#[tokio::test]
async fn refuses_missing_project() {
    assert_eq!(
        refused(json!({ "project": { "key": "sec" } }), "project").await,
        "Specify a valid project ID or key"
    );
}

#[tokio::test]
async fn refuses_empty_summary() {
    assert_eq!(
        refused(json!({ "summary": " " }), "summary").await,
        "You must specify a summary of the issue."
    );
}

#[tokio::test]
async fn refuses_summary_over_255_characters() {
    let message = refused(json!({ "summary": "é".repeat(256) }), "summary").await;
    assert_eq!(message, "Summary must be less than 255 characters.");
    let (status, _) = Site::cloud().await.post(ISSUE, &issue(json!({ "summary": "é".repeat(255) }))).await;
    assert_eq!(status, 201);
}

#[tokio::test]
async fn refuses_newline_in_summary() {
    let message = refused(json!({ "summary": "one\ntwo" }), "summary").await;
    assert_eq!(message, "The summary is invalid because it contains newline characters.");
}

#[tokio::test]
async fn refuses_description_as_string() {
    let message = refused(json!({ "description": "plain" }), "description").await;
    assert_eq!(message, "Operation value must be an Atlassian Document (see the Atlassian Document Format)");
}

#[tokio::test]
async fn refuses_description_over_32767_characters() {
    let long = document(json!([paragraph(&"x".repeat(32_768))]));
    let message = refused(json!({ "description": long }), "description").await;
    assert!(message.ends_with("It exceeds the allowed limit of 32,767 characters."), "{message}");
}

#[tokio::test]
async fn refuses_field_off_screen_by_name() {
    let site = Site::with(Vendor::JiraCloud, Profile::of(Vendor::JiraCloud).without_field("labels")).await;
    let (status, body) = site.post(ISSUE, &issue(json!({ "labels": ["a"] }))).await;
    assert_eq!(status, 400);
    let message = "Field 'labels' cannot be set. It is not on the appropriate screen, or unknown.";
    assert_eq!(body["errors"]["labels"], message);
}

#[tokio::test]
async fn all_field_errors_come_at_once() {
    let site = Site::cloud().await;
    let fields = json!({ "labels": ["a b"], "priority": { "name": "P0" }, "summary": "" });
    let (_, body) = site.post(ISSUE, &issue(fields)).await;
    assert_eq!(body["errors"].as_object().unwrap().len(), 3, "{body}");
}

#[tokio::test]
async fn required_field_that_is_missing_is_named() {
    let mut profile = Profile::of(Vendor::JiraCloud);
    profile.projects[0].required.insert("priority".to_owned());
    let (status, body) = Site::with(Vendor::JiraCloud, profile).await.post(ISSUE, &issue(json!({}))).await;
    assert_eq!((status, &body["errorMessages"][0]), (400, &json!("Field 'priority' is required")));
}

#[tokio::test]
async fn refuses_field_in_both_fields_and_update() {
    let site = Site::cloud().await;
    let mut body = issue(json!({ "labels": ["a"] }));
    body["update"] = json!({ "labels": [{ "add": "b" }] });
    assert_eq!(site.post(ISSUE, &body).await.0, 400);
    body["fields"].as_object_mut().unwrap().remove("labels");
    assert_eq!(site.post(ISSUE, &body).await.0, 201);
    assert_eq!(site.simulator.tickets()[0].labels(), ["b"]);
}

#[tokio::test]
async fn refuses_unknown_top_level_member() {
    let mut body = issue(json!({}));
    body["priority"] = json!({ "id": "1" });
    assert_eq!(Site::cloud().await.post(ISSUE, &body).await.0, 400);
}

#[tokio::test]
async fn invalid_adf_is_refused_without_reason() {
    let site = Site::cloud().await;
    let table = json!({ "type": "table", "content": [{ "type": "tableRow", "content": [
        { "type": "tableCell", "content": [paragraph("x")] }] }] });
    let bad = [
        json!([{ "type": "paragraph", "content": [{ "type": "text", "text": "" }] }]),
        json!([{ "type": "panel", "attrs": { "panelType": "info" }, "content": [table] }]),
        json!([{ "type": "paragraf" }]),
        json!([{ "type": "heading", "attrs": { "level": 7 } }]),
        json!([{ "type": "bulletList", "content": [] }]),
        json!([{ "type": "paragraph", "content": [{ "type": "text", "text": "x",
            "marks": [{ "type": "link", "attrs": { "href": "javascript:alert(1)" } }] }] }]),
        json!([{ "type": "paragraph", "content": [{ "type": "text", "text": "x",
            "marks": [{ "type": "code" }, { "type": "strong" }] }] }]),
        json!([{ "type": "paragraph", "content": [{ "type": "status", "attrs": { "text": "A", "color": "pink" } }] }]),
    ];
    for content in bad {
        let (status, body) =
            site.post(ISSUE, &issue(json!({ "description": document(content.clone()) }))).await;
        assert_eq!((status, &body["errorMessages"]), (400, &json!(["INVALID_INPUT"])), "{content}");
    }
    let good = json!([table, { "type": "rule" }, { "type": "expand", "content": [paragraph("x")] }]);
    assert_eq!(site.post(ISSUE, &issue(json!({ "description": document(good) }))).await.0, 201);
}

#[tokio::test]
async fn body_that_is_not_announced_as_json_is_415() {
    let site = Site::cloud().await;
    let response = site.request(Method::POST, ISSUE).body(issue(json!({})).to_string()).send().await.unwrap();
    assert_eq!(response.status(), 415);
}

#[tokio::test]
async fn bad_token_is_404_for_project_and_401_for_create_and_myself() {
    let site = Site::cloud().await;
    let bad = |method, path: &str| {
        site.bare(method, path)
            .basic_auth("analyst@example.com", Some("stale"))
            .header("accept", "application/json")
    };
    let (status, body) = reply(bad(Method::GET, "/rest/api/3/project/SEC").send().await.unwrap()).await;
    assert_eq!(
        (status, &body["errorMessages"][0]),
        (404, &json!("No project could be found with key 'SEC'."))
    );
    assert_eq!(bad(Method::POST, ISSUE).json(&issue(json!({}))).send().await.unwrap().status(), 401);
    assert_eq!(bad(Method::GET, "/rest/api/3/myself").send().await.unwrap().status(), 401);
    assert_eq!(bad(Method::GET, "/rest/api/3/serverInfo").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn scoped_token_works_only_through_the_gateway() {
    let site = Site::cloud().await;
    let myself = |base: String| {
        let request =
            site.client.get(format!("{base}/rest/api/3/myself")).header("accept", "application/json");
        request.basic_auth("analyst@example.com", Some("cloud-scoped-token")).send()
    };
    let (status, body) = reply(myself(site.simulator.base_url()).await.unwrap()).await;
    assert_eq!(
        (status, &body["message"]),
        (401, &json!("Client must be authenticated to access this resource."))
    );
    assert_eq!(myself(site.simulator.gateway_url()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_401_without_accept_is_xml() {
    let site = Site::cloud().await;
    let address = site.simulator.base_url().replace("http://", "");
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let request = "GET /rest/api/3/myself HTTP/1.1\r\nHost: jira\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    let message = "<message>Client must be authenticated to access this resource.</message>";
    assert!(answer.contains("<status-code>401</status-code>") && answer.contains(message), "{answer}");
}

#[tokio::test]
async fn project_key_is_case_sensitive() {
    let site = Site::cloud().await;
    assert_eq!(site.get("/rest/api/3/project/SEC").await.0, 200);
    assert_eq!(site.get("/rest/api/3/project/sec").await.0, 404);
}

#[tokio::test]
async fn create_metadata_pages_and_refuses_more_than_200() {
    let site = Site::cloud().await;
    let path = "/rest/api/3/issue/createmeta/SEC/issuetypes";
    let (_, body) = site.get(&format!("{path}?startAt=1&maxResults=2")).await;
    assert_eq!(body["issueTypes"].as_array().unwrap().len(), 2);
    assert_eq!((&body["startAt"], &body["total"]), (&json!(1), &json!(4)));
    let (status, body) = site.get(&format!("{path}?maxResults=201")).await;
    assert_eq!(status, 400);
    assert_eq!(body["errorMessages"][0], "Parameter 'maxResults' must not exceed the limit '200'");
}

#[tokio::test]
async fn create_metadata_lists_the_priorities_of_the_project() {
    let site =
        Site::with(Vendor::JiraCloud, Profile::of(Vendor::JiraCloud).without_priority("Highest")).await;
    let (_, body) = site.get("/rest/api/3/issue/createmeta/SEC/issuetypes/10001").await;
    let fields = body["fields"].as_array().unwrap();
    let priority = fields.iter().find(|field| field["fieldId"] == "priority").unwrap();
    assert_eq!(priority["allowedValues"].as_array().unwrap().len(), 4);
    let (status, _) = site.post(ISSUE, &issue(json!({ "priority": { "name": "Highest" } }))).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn permissions_must_be_named_and_known() {
    let site = Site::cloud().await;
    assert_eq!(site.get("/rest/api/3/mypermissions").await.0, 400);
    assert_eq!(site.get("/rest/api/3/mypermissions?permissions=FLY").await.0, 400);
    site.simulator.edit(|profile| profile.withdraw("CREATE_ISSUES"));
    let path = "/rest/api/3/mypermissions?projectKey=SEC&permissions=BROWSE_PROJECTS,CREATE_ISSUES";
    let (_, body) = site.get(path).await;
    assert_eq!(body["permissions"]["BROWSE_PROJECTS"]["havePermission"], true);
    assert_eq!(body["permissions"]["CREATE_ISSUES"]["havePermission"], false);
    assert_eq!(site.post(ISSUE, &issue(json!({}))).await.0, 403);
}

#[tokio::test]
async fn issue_property_is_created_then_replaced() {
    let site = Site::cloud().await;
    site.post(ISSUE, &issue(json!({}))).await;
    let path = "/rest/api/3/issue/SEC-1/properties/rhythmx";
    assert_eq!(site.send(Method::PUT, path, &json!({ "a": 1 })).await.0, 201);
    assert_eq!(site.send(Method::PUT, path, &json!({ "b": 2 })).await.0, 200);
    assert_eq!(site.get(path).await.1["value"], json!({ "b": 2 }));
}

#[tokio::test]
async fn remote_link_with_a_known_global_id_is_updated() {
    let site = Site::cloud().await;
    site.post(ISSUE, &issue(json!({}))).await;
    let path = "/rest/api/3/issue/SEC-1/remotelink";
    let link =
        json!({ "globalId": "rx-1", "object": { "url": "https://rhythmx.example/1", "title": "Incident" } });
    assert_eq!(site.post(path, &link).await.0, 201);
    assert_eq!(site.post(path, &link).await.0, 200);
    let (status, body) = site.post(path, &json!({ "object": { "url": "https://x.example" } })).await;
    assert_eq!((status, &body["errors"]["title"]), (400, &json!("'title' is required.")));
}

#[tokio::test]
async fn moved_issue_has_both_keys_and_deleted_issue_none() {
    let site = Site::cloud().await;
    site.post(ISSUE, &issue(json!({}))).await;
    assert!(site.simulator.move_ticket("SEC-1", "OPS-7"));
    assert_eq!(site.get("/rest/api/3/issue/SEC-1").await.1["key"], "OPS-7");
    assert!(site.simulator.delete_ticket("OPS-7"));
    assert_eq!(site.get("/rest/api/3/issue/OPS-7").await.0, 404);
    assert_eq!(site.simulator.tickets().len(), 1);
    assert_eq!(site.post(ISSUE, &issue(json!({}))).await.1["key"], "SEC-2");
}

#[tokio::test]
async fn authorization_of_a_request_is_not_recorded() {
    let site = Site::cloud().await;
    site.get("/rest/api/3/myself").await;
    let requests = site.simulator.requests();
    let kept = requests[0].header("authorization").unwrap();
    assert!(kept.starts_with("Basic #") && kept.len() == "Basic #".len() + 16, "{kept}");
    assert_eq!(requests[0].status, Some(200));
}
