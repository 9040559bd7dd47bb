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
const PATIENCE: Duration = Duration::from_secs(20);

fn weather(site: &Site, on: Call, effect: Effect) {
    site.simulator.weather().push(Rule::new(on, When::Next(1), effect));
}

/// Sends a create apart from the test.
fn creating(site: &Site) -> JoinHandle<reqwest::Result<Response>> {
    let body = issue(json!({ "labels": ["rx"] }));
    tokio::spawn(site.request(Method::POST, "/rest/api/3/issue").json(&body).timeout(PATIENCE).send())
}

async fn until(site: &Site, call: Call, point: Point) {
    tokio::time::timeout(PATIENCE, site.simulator.until(call, point, 1)).await.expect("the point in time");
}

async fn answer(site: &Site) -> reqwest::Result<Response> {
    creating(site).await.unwrap()
}

#[tokio::test]
async fn a_connection_that_is_accepted_and_never_read_holds_until_released() {
    let site = Site::cloud().await;
    weather(&site, Call::Connection, Effect::NeverRead);
    let request = creating(&site);
    until(&site, Call::Connection, Point::Held).await;
    assert!(!request.is_finished());
    assert!(site.simulator.requests().is_empty());
    site.simulator.weather().release();
    assert!(request.await.unwrap().is_err());
    assert_eq!(answer(&site).await.unwrap().status(), 201);
}

#[tokio::test]
async fn a_connection_can_be_reset_before_any_byte_or_meet_a_server_of_another_kind() {
    let site = Site::cloud().await;
    weather(&site, Call::Connection, Effect::ResetBefore);
    assert!(answer(&site).await.is_err());
    weather(&site, Call::Connection, Effect::Banner("SSH-2.0-OpenSSH_9.6\r\n".to_owned()));
    assert!(answer(&site).await.is_err());
    assert_eq!(site.simulator.reached(Call::Connection, Point::Accepted), 2);
    assert_eq!(site.simulator.reached(Call::Any, Point::HeadRead), 0);
}

#[tokio::test]
async fn a_connection_is_no_call_to_a_rule_about_any() {
    let site = Site::cloud().await;
    weather(&site, Call::Any, Effect::gateway_timeout());
    assert_eq!(answer(&site).await.unwrap().status(), 504);
    assert_eq!(site.simulator.weather().struck(), 1);
}

#[test]
#[should_panic(expected = "this effect is not for these calls")]
fn an_effect_that_needs_a_request_is_not_for_a_connection() {
    let weather = ticketing_simulator::Weather::default();
    weather.push(Rule::new(Call::Connection, When::Always, Effect::TruncatedBody));
}

#[tokio::test]
async fn a_request_that_is_read_by_half_is_not_applied_even_when_released() {
    let site = Site::cloud().await;
    weather(&site, Call::Create, Effect::StopReading);
    let request = creating(&site);
    until(&site, Call::Create, Point::HalfRead).await;
    until(&site, Call::Create, Point::Held).await;
    let read = site.simulator.requests().remove(0);
    let announced: usize = read.header("content-length").unwrap().parse().unwrap();
    assert_eq!((read.body.len(), read.json), (announced / 2, None));
    site.simulator.weather().release();
    assert!(request.await.unwrap().is_err());
    assert_eq!(site.simulator.reached(Call::Create, Point::Read), 0);
    assert!(site.simulator.tickets().is_empty());
}

#[tokio::test]
async fn a_request_that_is_read_slowly_is_applied_in_the_end() {
    let site = Site::cloud().await;
    weather(&site, Call::Create, Effect::SlowRead { bytes: 10, every: Duration::from_millis(1) });
    let began = tokio::time::Instant::now();
    assert_eq!(answer(&site).await.unwrap().status(), 201);
    assert!(began.elapsed() >= Duration::from_millis(10));
}

#[tokio::test]
async fn an_answer_that_stops_in_its_body_was_applied_and_ends_with_its_client() {
    let site = Site::cloud().await;
    weather(&site, Call::Create, Effect::StopSending);
    let response = answer(&site).await.unwrap();
    until(&site, Call::Create, Point::HalfSent).await;
    assert_eq!((response.status().as_u16(), site.simulator.tickets().len()), (201, 1));
    assert_eq!(site.simulator.requests()[0].status, Some(201));
    let reading = tokio::spawn(response.bytes());
    until(&site, Call::Create, Point::Held).await;
    assert!(!reading.is_finished());
    reading.abort();
    site.simulator.weather().release();
}

#[tokio::test]
async fn an_answer_of_a_status_line_alone_is_none() {
    let site = Site::cloud().await;
    weather(&site, Call::Create, Effect::StatusLineOnly);
    let request = creating(&site);
    until(&site, Call::Create, Point::Held).await;
    assert!(!request.is_finished());
    site.simulator.weather().release();
    assert!(request.await.unwrap().is_err());
    assert_eq!(site.simulator.tickets().len(), 1);
}

#[tokio::test]
async fn an_answer_can_announce_more_than_it_ever_sends() {
    let site = Site::cloud().await;
    weather(&site, Call::Create, Effect::AnnounceMore(4 << 30));
    let mut response = answer(&site).await.unwrap();
    assert_eq!(response.content_length(), Some(4 << 30));
    assert!(response.chunk().await.unwrap().unwrap().len() < 1_000);
    site.simulator.weather().release();
    assert!(response.chunk().await.is_err());
}

#[tokio::test]
async fn an_interim_answer_goes_before_the_usual_one() {
    let site = Site::cloud().await;
    for status in [100, 102, 103] {
        weather(&site, Call::Create, Effect::Interim(status));
        let response = answer(&site).await.unwrap();
        assert_eq!(response.status(), 201, "{status}");
        let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert!(body["key"].is_string(), "{status}");
    }
    assert_eq!(site.simulator.tickets().len(), 3);
}

#[tokio::test]
async fn a_header_can_be_longer_than_a_client_takes_and_chunks_can_be_none() {
    let site = Site::cloud().await;
    weather(&site, Call::Create, Effect::LongHeader(100_000));
    assert_eq!(answer(&site).await.unwrap().headers()["x-long"].len(), 100_000);
    weather(&site, Call::Create, Effect::LongHeader(1_000_000));
    assert!(answer(&site).await.is_err());
    weather(&site, Call::Create, Effect::BrokenChunks);
    let response = answer(&site).await.unwrap();
    assert_eq!(response.status(), 201);
    assert!(response.bytes().await.is_err());
    assert_eq!(site.simulator.tickets().len(), 3);
}

#[tokio::test]
async fn an_answer_can_have_no_body_by_its_status_or_an_error_under_200() {
    let site = Site::cloud().await;
    for status in [202, 204] {
        weather(&site, Call::Create, Effect::EmptyBody { status, applied: true });
        let response = answer(&site).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(response.bytes().await.unwrap().is_empty());
    }
    weather(&site, Call::Create, Effect::ErrorWithin200);
    let response = answer(&site).await.unwrap();
    assert_eq!(response.status(), 200);
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert!(body["errorMessages"][0].is_string());
    assert_eq!(site.simulator.tickets().len(), 2);
}

#[tokio::test]
async fn what_was_to_be_applied_late_is_applied_on_release() {
    let site = Site::cloud().await;
    weather(&site, Call::Create, Effect::ApplyLate(Duration::from_secs(3_600)));
    assert!(answer(&site).await.is_err());
    assert!(site.simulator.tickets().is_empty());
    site.simulator.weather().release();
    until(&site, Call::Create, Point::Applied).await;
    assert_eq!(site.simulator.tickets().len(), 1);
}

#[tokio::test]
async fn a_held_connection_ends_with_its_client_though_bytes_of_it_are_unread() {
    let site = Site::cloud().await;
    weather(&site, Call::Connection, Effect::NeverRead);
    let address = site.simulator.base_url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(b"POST /rest/api/3/issue HTTP/1.1\r\n").await.unwrap();
    until(&site, Call::Connection, Point::Held).await;
    stream.shutdown().await.unwrap();
    // The other side closes, by whatever means, once it has seen that this one did.
    let end = tokio::time::timeout(PATIENCE, stream.read(&mut [0; 8])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
}

#[tokio::test]
async fn a_dropped_simulator_lets_go_of_what_it_held() {
    let site = Site::cloud().await;
    weather(&site, Call::Create, Effect::Hang { applied: false });
    let request = client().post(format!("{}/rest/api/3/issue", site.simulator.base_url())).timeout(PATIENCE);
    let request = tokio::spawn(request.send());
    until(&site, Call::Create, Point::Held).await;
    drop(site);
    let error = request.await.unwrap().unwrap_err();
    assert!(!error.is_timeout(), "{error:?}");
}
