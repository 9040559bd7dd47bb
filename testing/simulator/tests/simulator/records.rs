//! What the simulator remembers of what happened, and the script over HTTP for it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use ticketing_simulator::{Call, Effect, Keep, Point, Profile, Rule, When};

use crate::support::{Reply, Site, issue, reply};

const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

async fn create(site: &Site, marker: &str) {
    let body = issue(json!({ "labels": [marker] }));
    // How it ends is what the record is asked for.
    let _ = site.request(Method::POST, "/rest/api/3/issue").json(&body).send().await;
}

async fn control(site: &Site, method: Method, path: &str, body: &Value) -> Reply {
    let url = format!("{}/{path}", site.simulator.control_url());
    reply(site.client.request(method, url).json(body).send().await.unwrap()).await
}

#[tokio::test]
async fn records_marker_outcome_and_effect_of_every_create() {
    let site = Site::cloud().await;
    let faults = site.simulator.faults();
    faults.push(Rule::new(Call::Create, When::Nth(2), Effect::apply_then_gateway_timeout()));
    faults.push(Rule::new(Call::Create, When::Nth(3), Effect::DropBefore));
    for marker in ["rx-1", "rx-2", "rx-3"] {
        create(&site, marker).await;
        site.get("/rest/api/3/myself").await;
    }
    site.simulator.clear_requests();
    let creates = site.simulator.creates();
    let recorded: Vec<_> = creates
        .iter()
        .map(|create| {
            (create.number, create.markers[0].as_str(), create.ticket_key.as_deref(), create.answered)
        })
        .collect();
    let expected = [
        (0, "rx-1", Some("SEC-1"), Some(201)),
        (2, "rx-2", Some("SEC-2"), Some(504)),
        (4, "rx-3", None, None),
    ];
    assert_eq!(recorded, expected);
    assert_eq!(creates[0].faults, None);
    assert_eq!(creates[2].faults, Some(Effect::DropBefore));
    assert!(creates[1].applied_at >= Some(creates[1].arrived_at) && creates[2].applied_at.is_none());
}

#[tokio::test]
async fn late_create_is_recorded_when_applied() {
    let site = Site::cloud().await;
    site.simulator.faults().push(Rule::new(
        Call::Create,
        When::Next(1),
        Effect::ApplyLate(Duration::from_secs(3_600)),
    ));
    create(&site, "rx-1").await;
    assert_eq!(site.simulator.creates()[0].applied_at, None);
    site.simulator.faults().release();
    tokio::time::timeout(WAIT_TIMEOUT, site.simulator.until(Call::Create, Point::Applied, 1)).await.unwrap();
    assert_eq!(site.simulator.creates()[0].ticket_key.as_deref(), Some("SEC-1"));
}

#[tokio::test]
async fn requests_can_be_kept_without_bodies_or_not_at_all() {
    let site = Site::cloud().await;
    create(&site, "rx-1").await;
    site.simulator.keep_requests(Keep::Heads);
    create(&site, "rx-2").await;
    let requests = site.simulator.requests();
    assert!(requests.len() == 2 && requests.iter().all(|r| r.body.is_empty() && r.json.is_none()));
    assert!(requests.iter().all(|request| request.status == Some(201)));
    site.simulator.keep_requests(Keep::Nothing);
    create(&site, "rx-3").await;
    assert!(site.simulator.requests().is_empty());
    site.simulator.keep_requests(Keep::Everything);
    create(&site, "rx-4").await;
    assert_eq!(site.simulator.requests()[0].status, Some(201));
    assert_eq!(site.simulator.creates().iter().map(|c| c.number).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!((site.simulator.with_tickets(<[_]>::len), site.simulator.with_creates(<[_]>::len)), (4, 4));
}

#[tokio::test]
async fn tests_can_wait_for_faults_and_progress() {
    let site = Site::cloud().await;
    let effect = Effect::Delay(Duration::from_millis(1));
    site.simulator.faults().push(Rule::new(Call::Create, When::Always, effect));
    let simulator = &site.simulator;
    let waiting = async {
        simulator.faults().until_triggered(2).await;
        simulator.until(Call::Create, Point::Answered, 2).await;
    };
    let both = async { tokio::join!(waiting, create(&site, "rx-1"), create(&site, "rx-2")) };
    tokio::time::timeout(WAIT_TIMEOUT, both).await.unwrap();
    for point in [Point::HeadRead, Point::Read, Point::Applied, Point::Answered] {
        assert_eq!(simulator.reached(Call::Create, point), 2, "{point:?}");
    }
    assert_eq!((simulator.faults().triggered(), simulator.reached(Call::Any, Point::Held)), (2, 0));
}

#[tokio::test]
async fn people_and_records_are_scripted_over_http_too() {
    let site = Site::cloud().await;
    create(&site, "rx-1").await;
    let post = Method::POST;
    assert_eq!(control(&site, post.clone(), "tickets/SEC-1/clone", &json!({})).await.1["key"], "SEC-2");
    let foreign = json!({ "fields": { "labels": ["rx-1"] } });
    assert_eq!(control(&site, post.clone(), "tickets", &foreign).await.1["key"], "SEC-3");
    let changes = [
        (Method::PUT, "tickets/SEC-2/key", json!({ "key": "OPS-1" }), 204),
        (Method::PUT, "tickets/SEC-1/removed-marker", json!({ "marker": "rx-1" }), 204),
        (Method::PUT, "tickets/SEC-1/removed-marker", json!({ "marker": "rx-1" }), 404),
        (Method::PUT, "tickets/SEC-1/fields", json!({ "fields": { "summary": "Changed" } }), 204),
        (Method::DELETE, "tickets/SEC-3", json!({}), 204),
        (Method::DELETE, "tickets/SEC-3", json!({}), 404),
        (Method::PUT, "keep", json!({ "requests": "nothing" }), 204),
        (Method::PUT, "keep", json!({ "requests": "some" }), 400),
        (Method::PUT, "index-lag", json!({ "ms": "never" }), 204),
        (post.clone(), "release", json!({}), 204),
        (post, "faults", json!({ "on": "connection", "when": "always", "then": "gzip_bomb" }), 400),
    ];
    for (method, path, body, status) in changes {
        assert_eq!(control(&site, method, path, &body).await.0, status, "{path} {body}");
    }
    let tickets = site.simulator.tickets();
    assert_eq!((tickets[0].labels().len(), tickets[0].fields["summary"].as_str()), (0, Some("Changed")));
    assert_eq!((tickets[1].key.as_str(), tickets[2].deleted), ("OPS-1", true));
    let (_, creates) = control(&site, Method::GET, "creates", &json!({})).await;
    assert_eq!((&creates[0]["ticket_key"], &creates[0]["answered"]), (&json!("SEC-1"), &json!(201)));
    let (_, points) = control(&site, Method::GET, "points", &json!({})).await;
    let applied = json!({ "call": "create", "point": "applied", "times": 1 });
    assert!(points["points"].as_array().unwrap().contains(&applied), "{points}");
    assert_eq!(site.simulator.edit(|profile| profile.index_lag), Profile::NEVER);
}
