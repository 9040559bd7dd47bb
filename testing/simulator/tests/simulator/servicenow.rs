//! ServiceNow, call by call.

use reqwest::Method;
use serde_json::{Value, json};
use ticketing_simulator::{Profile, Vendor};

use crate::support::{Site, reply};

const INCIDENT: &str = "/api/now/table/incident";
const ID: &str = "0123456789abcdef0123456789abcdef";

async fn with(change: impl FnOnce(&mut Profile)) -> Site {
    let mut profile = Profile::of(Vendor::ServiceNow);
    change(&mut profile);
    Site::with(Vendor::ServiceNow, profile).await
}

async fn count(site: &Site, query: &str) -> usize {
    let (status, body) = site.get(&format!("{INCIDENT}?sysparm_query={query}")).await;
    assert_eq!(status, 200);
    body["result"].as_array().unwrap().len()
}

#[tokio::test]
async fn insert_is_201_with_a_location_and_every_value_a_string() {
    let site = Site::servicenow().await;
    let body = json!({ "short_description": "Logon", "impact": 1, "urgency": "2", "bunk_field": "x" });
    let response = site.request(Method::POST, INCIDENT).json(&body).send().await.unwrap();
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let (status, body) = reply(response).await;
    let result = body["result"].as_object().unwrap();
    assert_eq!(status, 201);
    assert!(location.ends_with(result["sys_id"].as_str().unwrap()));
    assert!(result.values().all(Value::is_string), "{body}");
    assert!(!result.contains_key("bunk_field"));
    assert_eq!(result["number"], "INC0010001");
}

#[tokio::test]
async fn priority_is_computed_whatever_was_sent() {
    let site = Site::servicenow().await;
    let matrix = [("1", "1", "1"), ("1", "2", "2"), ("2", "2", "3"), ("2", "3", "4"), ("3", "3", "5")];
    for (impact, urgency, priority) in matrix {
        let body = json!({ "impact": impact, "urgency": urgency, "priority": "1" });
        let (_, body) = site.post(INCIDENT, &body).await;
        assert_eq!(body["result"]["priority"], priority);
    }
}

#[tokio::test]
async fn chosen_sys_id_is_kept_and_a_second_one_collides() {
    let site = Site::servicenow().await;
    let body = json!({ "sys_id": ID, "short_description": "Logon" });
    assert_eq!(site.post(INCIDENT, &body).await.1["result"]["sys_id"], ID);
    let (status, body) = site.post(INCIDENT, &body).await;
    assert_eq!((status, &body["error"]["message"]), (403, &json!("Operation Failed")));
    assert!(body["error"]["detail"].as_str().unwrap().contains("Unique Key violation detected by database"));
    assert_eq!(site.simulator.tickets().len(), 1);
}

#[tokio::test]
async fn instance_can_ignore_the_sys_id_and_the_correlation_id() {
    let site = with(|profile| {
        profile.ignores_sys_id = true;
        profile.ignores_correlation_id = true;
    })
    .await;
    let (status, body) = site.post(INCIDENT, &json!({ "sys_id": ID, "correlation_id": "rx-1" })).await;
    assert_eq!(status, 201);
    assert_ne!(body["result"]["sys_id"], ID);
    assert_eq!(body["result"]["correlation_id"], "");
}

#[tokio::test]
async fn work_notes_are_written_but_read_back_empty() {
    let site = Site::servicenow().await;
    let (_, body) = site.post(INCIDENT, &json!({ "sys_id": ID, "work_notes": "first" })).await;
    assert_eq!(body["result"]["work_notes"], "");
    assert_eq!(
        site.send(Method::PATCH, &format!("{INCIDENT}/{ID}"), &json!({ "work_notes": "second" })).await.0,
        200
    );
    assert_eq!(site.simulator.tickets()[0].fields["work_notes"], json!(["first", "second"]));
}

#[tokio::test]
async fn query_finds_by_correlation_id_and_invalid_query_returns_all() {
    let site = Site::servicenow().await;
    for marker in ["rx-1", "rx-2"] {
        site.post(INCIDENT, &json!({ "correlation_id": marker })).await;
    }
    assert_eq!(count(&site, "correlation_id=rx-1^ORDERBYDESCsys_created_on").await, 1);
    assert_eq!(count(&site, "correlation_id=rx-1^ORcorrelation_id=rx-2").await, 2);
    assert_eq!(count(&site, "correlation_idLIKErx^sys_idISNOTEMPTY").await, 2);
    assert_eq!(count(&site, "corelation_id=rx-1").await, 2);
    site.simulator.edit(|profile| profile.invalid_query_returns_all = false);
    assert_eq!(count(&site, "corelation_id=rx-1").await, 0);
}

#[tokio::test]
async fn list_has_total_count_and_requested_fields() {
    let site = Site::servicenow().await;
    for _ in 0..3 {
        site.post(INCIDENT, &json!({ "impact": "2", "urgency": "2" })).await;
    }
    let path =
        format!("{INCIDENT}?sysparm_limit=1&sysparm_fields=priority,nonsense&sysparm_display_value=all");
    let response = site.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.headers()["x-total-count"], "3");
    let row = json!({ "priority": { "display_value": "3 - Moderate", "value": "3" } });
    assert_eq!(reply(response).await.1["result"], json!([row]));
}

#[tokio::test]
async fn assignment_group_takes_a_sys_id_only() {
    let site = Site::servicenow().await;
    let group = "287ebd7da9fe198100f92cc8d1d2154e";
    let (_, body) = site.post(INCIDENT, &json!({ "assignment_group": group })).await;
    assert_eq!(body["result"]["assignment_group"]["value"], group);
    let path = format!("{INCIDENT}?sysparm_exclude_reference_link=true");
    assert_eq!(
        site.post(&path, &json!({ "assignment_group": group })).await.1["result"]["assignment_group"],
        group
    );
    assert_eq!(
        site.post(INCIDENT, &json!({ "assignment_group": "Network" })).await.1["result"]["assignment_group"],
        ""
    );
    let path = format!("{INCIDENT}?sysparm_input_display_value=true");
    let (_, body) = site.post(&path, &json!({ "assignment_group": "Network" })).await;
    assert_eq!(body["result"]["assignment_group"]["value"], group);
}

#[tokio::test]
async fn groups_are_found_by_name_and_two_may_have_the_same() {
    let site = with(|profile| *profile = profile.clone().with_group(ID, "Network")).await;
    let path =
        "/api/now/table/sys_user_group?sysparm_query=name=Network&sysparm_limit=2&sysparm_fields=sys_id,name";
    let (_, body) = site.get(path).await;
    assert_eq!(body["result"].as_array().unwrap().len(), 2);
    assert_eq!(body["result"][1], json!({ "sys_id": ID, "name": "Network" }));
}

#[tokio::test]
async fn business_rule_fills_an_empty_group() {
    let site = with(|profile| profile.default_group = Some(ID.to_owned())).await;
    let (_, body) = site.post(INCIDENT, &json!({})).await;
    assert_eq!(body["result"]["assignment_group"]["value"], ID);
}

#[tokio::test]
async fn refusals_have_messages_of_the_vendor() {
    let site = with(|profile| {
        profile.withdraw("create");
        profile.withdraw("read");
    })
    .await;
    let (status, body) = site.post(INCIDENT, &json!({})).await;
    assert_eq!((status, &body["status"]), (403, &json!("failure")));
    assert_eq!(body["error"]["detail"], "ACL Exception Insert Failed due to security constraints");
    assert_eq!(site.get(&format!("{INCIDENT}?sysparm_limit=1")).await.0, 403);
    let (status, body) = site.get("/api/now/table/nonsense").await;
    assert_eq!((status, &body["error"]["message"]), (400, &json!("Invalid table nonsense")));
    let (status, body) = site.get(&format!("{INCIDENT}/{ID}")).await;
    assert_eq!((status, &body["error"]["message"]), (404, &json!("No Record found")));
}

#[tokio::test]
async fn wrong_password_is_401() {
    let site = Site::servicenow().await;
    let request = site.bare(Method::GET, INCIDENT).basic_auth("rhythmx.integration", Some("wrong"));
    let (status, body) = reply(request.send().await.unwrap()).await;
    assert_eq!(status, 401);
    let error =
        json!({ "message": "User Not Authenticated", "detail": "Required to provide Auth information" });
    assert_eq!(body, json!({ "error": error, "status": "failure" }));
}

#[tokio::test]
async fn data_policy_and_a_missing_content_type_are_refused() {
    let site = with(|profile| profile.mandatory.extend(["caller_id".to_owned()])).await;
    assert_eq!(site.post(INCIDENT, &json!({})).await.0, 403);
    let response = site.request(Method::POST, INCIDENT).body("{}").send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert!(site.simulator.tickets().is_empty());
}

#[tokio::test]
async fn five_wrong_passwords_in_a_row_lock_the_account() {
    let site = Site::servicenow().await;
    let wrong = async || {
        let request = site.bare(Method::GET, INCIDENT).basic_auth("rhythmx.integration", Some("wrong"));
        assert_eq!(request.send().await.unwrap().status(), 401);
    };
    for _ in 0..4 {
        wrong().await;
    }
    assert_eq!(site.get(INCIDENT).await.0, 200, "a success starts the count anew");
    for _ in 0..5 {
        wrong().await;
    }
    assert_eq!(site.get(INCIDENT).await.0, 401);
}

#[tokio::test]
async fn shows_work_notes_as_display_value_and_journal() {
    let site = Site::servicenow().await;
    site.post(INCIDENT, &json!({ "sys_id": ID, "work_notes": "first" })).await;
    let display =
        format!("{INCIDENT}?sysparm_query=sys_id={ID}&sysparm_display_value=all&sysparm_fields=work_notes");
    let journal =
        format!("/api/now/table/sys_journal_field?sysparm_query=element_id={ID}^element=work_notes");
    let (_, shown) = site.get(&display).await;
    let notes = shown["result"][0]["work_notes"]["display_value"].as_str().unwrap();
    assert!(notes.contains("(work_notes)\nfirst"), "{notes}");
    assert_eq!(site.get(&journal).await.1["result"][0]["value"], "first");
    site.simulator.edit(|profile| profile.hides_journals = true);
    assert_eq!(site.get(&display).await.1["result"][0]["work_notes"]["display_value"], "");
    assert_eq!(site.get(&journal).await, (200, json!({ "result": [] })));
}

#[tokio::test]
async fn drops_and_cuts_text_silently() {
    let site = with(|profile| {
        profile.drops_work_notes = true;
        profile.description_limit = Some(3);
    })
    .await;
    let (status, body) = site.post(INCIDENT, &json!({ "description": "äöüß", "work_notes": "note" })).await;
    assert_eq!((status, &body["result"]["description"]), (201, &json!("äöü")));
    assert_eq!(site.simulator.tickets()[0].fields.get("work_notes"), None);
}
