//! Outages, and the script over HTTP.

use serde_json::{Value, json};
use ticketing_simulator::{Call, Effect, Rule, When};

use crate::support::{Site, client, issue, reply};

#[tokio::test]
async fn restart_keeps_tickets_and_port() {
    let site = Site::cloud().await;
    site.post("/rest/api/3/issue", &issue(json!({}))).await;
    let before = site.simulator.base_url();
    site.simulator.stop().await;
    let refused = client().get(format!("{before}/rest/api/3/serverInfo")).send().await;
    assert!(refused.unwrap_err().is_connect());
    site.simulator.restart().await.unwrap();
    assert_eq!(site.simulator.base_url(), before);
    assert_eq!(site.get("/rest/api/3/issue/SEC-1").await.0, 200);
}

#[tokio::test]
async fn script_is_reachable_over_http() {
    let site = Site::cloud().await;
    let control = site.simulator.control_url();
    let rules = json!([{ "on": "create", "when": { "nth": 1 }, "then": { "apply_then_answer": { "status": 504 } } },
        { "on": "any", "when": "always", "then": { "delay": 1 } }]);
    let response = site.client.post(format!("{control}/faults")).json(&rules).send().await.unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(site.post("/rest/api/3/issue", &issue(json!({ "labels": ["rx"] }))).await.0, 504);
    let (_, tickets) = reply(site.client.get(format!("{control}/tickets")).send().await.unwrap()).await;
    assert_eq!(tickets[0]["fields"]["labels"], json!(["rx"]));
    let (_, requests) = reply(site.client.get(format!("{control}/requests")).send().await.unwrap()).await;
    assert_eq!((&requests[0]["applied"], &requests[0]["status"]), (&json!(true), &json!(504)));
    site.client.post(format!("{control}/reset")).send().await.unwrap();
    assert!(site.simulator.tickets().is_empty() && site.simulator.requests().is_empty());
    let lag = site.client.put(format!("{control}/index-lag")).json(&json!({ "ms": 2_000 }));
    assert_eq!(lag.send().await.unwrap().status(), 204);
    assert_eq!(site.simulator.edit(|profile| profile.index_lag.as_millis()), 2_000);
}

#[tokio::test]
async fn refuses_invalid_rule_with_reason() {
    let site = Site::cloud().await;
    let rule = json!({ "on": "create", "when": "always", "then": "explode" });
    let url = format!("{}/faults", site.simulator.control_url());
    let (status, body) = reply(site.client.post(url).json(&rule).send().await.unwrap()).await;
    assert_eq!(status, 400);
    assert!(body["error"].as_str().unwrap().contains("explode"));
}

#[test]
fn every_rule_has_a_json_form() {
    let rule = Rule::new(Call::Search, When::EveryNth(20), Effect::apply_then_gateway_timeout());
    let text: Value = serde_json::to_value(&rule).unwrap();
    assert_eq!(text["when"], json!({ "every_nth": 20 }));
    assert_eq!(serde_json::from_value::<Rule>(text).unwrap(), rule);
}
