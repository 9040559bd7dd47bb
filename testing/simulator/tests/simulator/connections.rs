//! What can happen to a connection and to the bytes on it.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use ticketing_simulator::{Call, Effect, Point, Rule, When};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::support::{Site, client, issue};

/// Longer than anything may take here.
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

fn faults(site: &Site, on: Call, effect: Effect) {
    site.simulator.faults().push(Rule::new(on, When::Next(1), effect));
}

/// Sends a create apart from the test.
fn creating(site: &Site) -> JoinHandle<reqwest::Result<Response>> {
    let body = issue(json!({ "labels": ["rx"] }));
    tokio::spawn(site.request(Method::POST, "/rest/api/3/issue").json(&body).timeout(WAIT_TIMEOUT).send())
}

async fn until(site: &Site, call: Call, point: Point) {
    tokio::time::timeout(WAIT_TIMEOUT, site.simulator.until(call, point, 1))
        .await
        .expect("the point in time");
}

async fn answer(site: &Site) -> reqwest::Result<Response> {
    creating(site).await.unwrap()
}

#[tokio::test]
async fn never_read_holds_the_connection_until_released() {
    let site = Site::cloud().await;
    faults(&site, Call::Connection, Effect::NeverRead);
    let request = creating(&site);
    until(&site, Call::Connection, Point::Held).await;
    assert!(!request.is_finished());
    assert!(site.simulator.requests().is_empty());
    site.simulator.faults().release();
    assert!(request.await.unwrap().is_err());
    assert_eq!(answer(&site).await.unwrap().status(), 201);
}

#[tokio::test]
async fn connection_can_be_reset_or_sent_a_banner() {
    let site = Site::cloud().await;
    faults(&site, Call::Connection, Effect::ResetBefore);
    assert!(answer(&site).await.is_err());
    faults(&site, Call::Connection, Effect::Banner("SSH-2.0-OpenSSH_9.6\r\n".to_owned()));
    assert!(answer(&site).await.is_err());
    assert_eq!(site.simulator.reached(Call::Connection, Point::Accepted), 2);
    assert_eq!(site.simulator.reached(Call::Any, Point::HeadRead), 0);
}

#[tokio::test]
async fn rule_for_any_call_ignores_connections() {
    let site = Site::cloud().await;
    faults(&site, Call::Any, Effect::gateway_timeout());
    assert_eq!(answer(&site).await.unwrap().status(), 504);
    assert_eq!(site.simulator.faults().triggered(), 1);
}

#[test]
#[should_panic(expected = "this effect is not for these calls")]
fn effect_that_needs_a_request_is_not_for_a_connection() {
    let faults = ticketing_simulator::FaultScript::default();
    faults.push(Rule::new(Call::Connection, When::Always, Effect::TruncatedBody));
}

#[tokio::test]
async fn half_read_request_is_never_applied() {
    let site = Site::cloud().await;
    faults(&site, Call::Create, Effect::StopReading);
    let request = creating(&site);
    until(&site, Call::Create, Point::HalfRead).await;
    until(&site, Call::Create, Point::Held).await;
    let read = site.simulator.requests().remove(0);
    let announced: usize = read.header("content-length").unwrap().parse().unwrap();
    assert_eq!((read.body.len(), read.json), (announced / 2, None));
    site.simulator.faults().release();
    assert!(request.await.unwrap().is_err());
    assert_eq!(site.simulator.reached(Call::Create, Point::Read), 0);
    assert!(site.simulator.tickets().is_empty());
}

#[tokio::test]
async fn request_that_is_read_slowly_is_applied_in_the_end() {
    let site = Site::cloud().await;
    faults(&site, Call::Create, Effect::SlowRead { bytes: 10, every: Duration::from_millis(1) });
    let began = tokio::time::Instant::now();
    assert_eq!(answer(&site).await.unwrap().status(), 201);
    assert!(began.elapsed() >= Duration::from_millis(10));
}

#[tokio::test]
async fn stop_sending_applies_and_ends_with_the_client() {
    let site = Site::cloud().await;
    faults(&site, Call::Create, Effect::StopSending);
    let response = answer(&site).await.unwrap();
    until(&site, Call::Create, Point::HalfSent).await;
    assert_eq!((response.status().as_u16(), site.simulator.tickets().len()), (201, 1));
    assert_eq!(site.simulator.requests()[0].status, Some(201));
    let reading = tokio::spawn(response.bytes());
    until(&site, Call::Create, Point::Held).await;
    assert!(!reading.is_finished());
    reading.abort();
    site.simulator.faults().release();
}

#[tokio::test]
async fn status_line_alone_is_no_answer() {
    let site = Site::cloud().await;
    faults(&site, Call::Create, Effect::StatusLineOnly);
    let request = creating(&site);
    until(&site, Call::Create, Point::Held).await;
    assert!(!request.is_finished());
    site.simulator.faults().release();
    assert!(request.await.unwrap().is_err());
    assert_eq!(site.simulator.tickets().len(), 1);
}

#[tokio::test]
async fn answer_can_announce_more_than_it_sends() {
    let site = Site::cloud().await;
    faults(&site, Call::Create, Effect::AnnounceMore(4 << 30));
    let mut response = answer(&site).await.unwrap();
    assert_eq!(response.content_length(), Some(4 << 30));
    assert!(response.chunk().await.unwrap().unwrap().len() < 1_000);
    site.simulator.faults().release();
    assert!(response.chunk().await.is_err());
}

#[tokio::test]
async fn interim_answer_goes_before_the_usual_one() {
    let site = Site::cloud().await;
    for status in [100, 102, 103] {
        faults(&site, Call::Create, Effect::Interim(status));
        let response = answer(&site).await.unwrap();
        assert_eq!(response.status(), 201, "{status}");
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert!(body["key"].is_string(), "{status}");
    }
    assert_eq!(site.simulator.tickets().len(), 3);
}

#[tokio::test]
async fn plays_long_headers_and_broken_chunks() {
    let site = Site::cloud().await;
    faults(&site, Call::Create, Effect::LongHeader(100_000));
    assert_eq!(answer(&site).await.unwrap().headers()["x-long"].len(), 100_000);
    faults(&site, Call::Create, Effect::LongHeader(1_000_000));
    assert!(answer(&site).await.is_err());
    faults(&site, Call::Create, Effect::BrokenChunks);
    let response = answer(&site).await.unwrap();
    assert_eq!(response.status(), 201);
    assert!(response.bytes().await.is_err());
    assert_eq!(site.simulator.tickets().len(), 3);
}

#[tokio::test]
async fn plays_bodiless_statuses_and_errors_within_200() {
    let site = Site::cloud().await;
    for status in [202, 204] {
        faults(&site, Call::Create, Effect::EmptyBody { status, applied: true });
        let response = answer(&site).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(response.bytes().await.unwrap().is_empty());
    }
    faults(&site, Call::Create, Effect::ErrorWithin200);
    let response = answer(&site).await.unwrap();
    assert_eq!(response.status(), 200);
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert!(body["errorMessages"][0].is_string());
    assert_eq!(site.simulator.tickets().len(), 2);
}

#[tokio::test]
async fn late_applications_happen_on_release() {
    let site = Site::cloud().await;
    faults(&site, Call::Create, Effect::ApplyLate(Duration::from_secs(3_600)));
    assert!(answer(&site).await.is_err());
    assert!(site.simulator.tickets().is_empty());
    site.simulator.faults().release();
    until(&site, Call::Create, Point::Applied).await;
    assert_eq!(site.simulator.tickets().len(), 1);
}

#[tokio::test]
async fn held_connection_ends_with_its_client_despite_unread_bytes() {
    let site = Site::cloud().await;
    faults(&site, Call::Connection, Effect::NeverRead);
    let address = site.simulator.base_url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(b"POST /rest/api/3/issue HTTP/1.1\r\n").await.unwrap();
    until(&site, Call::Connection, Point::Held).await;
    stream.shutdown().await.unwrap();
    // The other side closes, by whatever means, once it has seen that this one did.
    let end = tokio::time::timeout(WAIT_TIMEOUT, stream.read(&mut [0; 8])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

#[tokio::test]
async fn dropping_the_simulator_releases_held_connections() {
    let site = Site::cloud().await;
    faults(&site, Call::Create, Effect::Hang { applied: false });
    let request =
        client().post(format!("{}/rest/api/3/issue", site.simulator.base_url())).timeout(WAIT_TIMEOUT);
    let request = tokio::spawn(request.send());
    until(&site, Call::Create, Point::Held).await;
    drop(site);
    let error = request.await.unwrap().unwrap_err();
    assert!(!error.is_timeout(), "{error:?}");
}
