//! Every effect as a client sees it.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::json;
use ticketing_simulator::{Call, Effect, Reply, RetryAfter, Rule, When};

use crate::support::{Site, issue};

/// Lets the next create meet this effect; returns what the client saw.
async fn create_under(site: &Site, effect: Effect) -> reqwest::Result<Response> {
    site.simulator.faults().push(Rule::new(Call::Create, When::Next(1), effect));
    let answer = site
        .request(Method::POST, "/rest/api/3/issue")
        .json(&issue(json!({ "labels": ["rx"] })))
        .send()
        .await;
    site.simulator.faults().clear();
    answer
}

#[tokio::test]
async fn answers_create_a_ticket_only_if_applied() {
    let site = Site::cloud().await;
    let reply = Reply::json(500, &json!({})).header("x-test", "1");
    let response = create_under(&site, Effect::Answer(reply)).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["x-test"]), (500, &"1".parse().unwrap()));
    assert!(site.simulator.tickets().is_empty());
    assert_eq!(create_under(&site, Effect::apply_then_gateway_timeout()).await.unwrap().status(), 504);
    assert_eq!(site.simulator.tickets().len(), 1);
    assert!(site.simulator.requests()[1].applied);
}

#[tokio::test]
async fn dropped_and_reset_connections_fail_the_client() {
    let site = Site::cloud().await;
    let cases = [
        (Effect::DropBefore, 0),
        (Effect::ApplyThenDrop, 1),
        (Effect::ResetBefore, 1),
        (Effect::ApplyThenReset, 2),
    ];
    for (effect, tickets) in cases {
        assert!(create_under(&site, effect).await.is_err());
        assert_eq!(site.simulator.tickets().len(), tickets);
        assert_eq!(site.simulator.requests().last().unwrap().status, None);
    }
}

#[tokio::test]
async fn reset_is_seen_as_a_reset() {
    let site = Site::cloud().await;
    let error = create_under(&site, Effect::ResetBefore).await.unwrap_err();
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    let mut kinds = Vec::new();
    while let Some(inner) = source {
        kinds.extend(inner.downcast_ref::<std::io::Error>().map(std::io::Error::kind));
        source = inner.source();
    }
    assert!(kinds.contains(&std::io::ErrorKind::ConnectionReset), "{error:?}");
}

#[tokio::test]
async fn hanging_call_never_answers() {
    let site = Site::cloud().await;
    site.simulator.faults().push(Rule::new(Call::Create, When::Always, Effect::Hang { applied: true }));
    let request = site.request(Method::POST, "/rest/api/3/issue").json(&issue(json!({})));
    let error = request.timeout(Duration::from_millis(200)).send().await.unwrap_err();
    assert!(error.is_timeout());
    assert_eq!(site.simulator.tickets().len(), 1);
}

#[tokio::test]
async fn late_application_follows_client_timeout() {
    let site = Site::cloud().await;
    assert!(create_under(&site, Effect::ApplyLate(Duration::from_millis(100))).await.is_err());
    assert!(site.simulator.tickets().is_empty());
    let arrived = async {
        while site.simulator.tickets().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), arrived).await.unwrap();
}

#[tokio::test]
async fn truncated_body_has_full_length_header() {
    let site = Site::cloud().await;
    let response = create_under(&site, Effect::TruncatedBody).await.unwrap();
    assert_eq!(response.status(), 201);
    assert!(response.content_length().unwrap() > 20);
    assert!(response.bytes().await.is_err());
    assert_eq!(site.simulator.tickets().len(), 1);
}

#[tokio::test]
async fn slow_body_arrives_in_the_end() {
    let site = Site::cloud().await;
    let effect = Effect::SlowBody { bytes: 10, every: Duration::from_millis(1) };
    let body = create_under(&site, effect).await.unwrap().bytes().await.unwrap();
    assert!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["key"].is_string());
}

#[tokio::test]
async fn huge_body_has_announced_size_and_gzip_bomb_is_small() {
    let site = Site::cloud().await;
    let response = create_under(&site, Effect::HugeBody(1_000_000)).await.unwrap();
    assert_eq!(response.bytes().await.unwrap().len(), 1_000_000);
    let response = create_under(&site, Effect::GzipBomb).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert!(response.bytes().await.unwrap().len() < 1_000_000);
}

#[tokio::test]
async fn odd_answers_have_the_status_and_body_they_promise() {
    let site = Site::cloud().await;
    let text = async |effect| create_under(&site, effect).await.unwrap().bytes().await.unwrap();
    assert!(text(Effect::EmptyBody { status: 201, applied: true }).await.is_empty());
    assert_eq!(site.simulator.tickets().len(), 1);
    let garbage = text(Effect::Garbage { status: 201, applied: false }).await;
    assert!(serde_json::from_slice::<serde_json::Value>(&garbage).is_err());
    assert!(text(Effect::Html { status: 200 }).await.starts_with(b"<!DOCTYPE html>"));
    let foreign: serde_json::Value = serde_json::from_slice(&text(Effect::ForeignSuccess).await).unwrap();
    assert!(foreign["result"]["sys_id"].is_string());
    assert_eq!(site.simulator.tickets().len(), 1);
}

#[tokio::test]
async fn redirect_names_its_location() {
    let site = Site::cloud().await;
    let effect = Effect::Redirect { status: 307, location: "https://elsewhere.example/".to_owned() };
    let response = create_under(&site, effect).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["location"].to_str().unwrap()[..8]),
        (307, "https://")
    );
}

#[tokio::test]
async fn kept_alive_connection_closes_on_next_request() {
    let site = Site::cloud().await;
    let response = create_under(&site, Effect::CloseIdle).await.unwrap();
    assert_eq!(response.status(), 201);
    response.bytes().await.unwrap();
    let next = site.request(Method::POST, "/rest/api/3/issue").json(&issue(json!({}))).send().await;
    assert!(next.is_err());
    assert_eq!(site.simulator.tickets().len(), 1);
    assert_eq!(site.simulator.requests().len(), 2);
}

#[tokio::test]
async fn throttling_has_headers_of_the_vendor() {
    let site = Site::cloud().await;
    let response = create_under(&site, Effect::throttle(RetryAfter::Seconds(7))).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"7".parse().unwrap())
    );
    assert_eq!(response.headers()["ratelimit-reason"], "jira-burst-based");
    let response = create_under(&site, Effect::throttle(RetryAfter::DateIn(60))).await.unwrap();
    assert!(response.headers()["retry-after"].to_str().unwrap().ends_with(" GMT"));
    let response = create_under(&site, Effect::throttle(RetryAfter::Text("soon".to_owned()))).await.unwrap();
    assert_eq!(response.headers()["retry-after"], "soon");
    let response = create_under(&site, Effect::throttle(RetryAfter::Absent)).await.unwrap();
    assert!(!response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn servicenow_throttles_with_a_reset_in_unix_seconds() {
    let site = Site::servicenow().await;
    site.simulator.faults().push(Rule::new(
        Call::Any,
        When::Always,
        Effect::throttle(RetryAfter::Seconds(1)),
    ));
    let response = site.request(Method::GET, "/api/now/table/incident").send().await.unwrap();
    assert!(response.headers()["x-ratelimit-reset"].to_str().unwrap().parse::<i64>().unwrap() > 1_000_000);
}

#[tokio::test]
async fn rule_applies_to_its_calls_only() {
    let site = Site::cloud().await;
    site.simulator.faults().push(Rule::new(Call::Meta, When::EveryNth(2), Effect::unavailable(3)));
    site.simulator.faults().push(Rule::new(Call::Meta, When::AfterFirst(4), Effect::gateway_timeout()));
    let mut statuses = Vec::new();
    for _ in 0..6 {
        assert_eq!(site.get("/rest/api/3/myself").await.0, 200);
        statuses.push(site.get("/rest/api/3/serverInfo").await.0);
    }
    assert_eq!(statuses, [200, 503, 200, 503, 504, 503]);
}

#[tokio::test]
async fn logins_can_fail_with_a_captcha_or_an_empty_200() {
    let site = Site::cloud().await;
    let response = create_under(&site, Effect::captcha("https://jira.example/login.jsp")).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.headers().contains_key("x-authentication-denied-reason")),
        (403, true)
    );
    let response = create_under(&site, Effect::authenticated_failed()).await.unwrap();
    assert_eq!(response.headers()["x-seraph-loginreason"], "AUTHENTICATED_FAILED");
    assert_eq!((response.status().as_u16(), response.bytes().await.unwrap().len()), (200, 0));
}
