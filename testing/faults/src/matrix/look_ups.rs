//! Look-ups that fail or return wrong results: neither may end an unknown outcome.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, AttemptKind};
use serde_json::{Value, json};
use ticketing_simulator::{Call, Effect, Reply, RetryAfter, When};
use tokio::time::Instant;

use super::cell::{Cell, Stage};
use super::scene::{Bounds, GRACE, Scene, Site, key, status};

const FAMILY: &str = "look-up";

/// Fault of the searches.
#[derive(Debug, Clone)]
enum Lie {
    /// Faults of searches.
    Search(Effect),
    /// Faults of searches and of reads of single tickets.
    All(Effect),
    /// The credentials are ignored, and Jira answers anonymous users with an empty list.
    Stranger,
    /// The account has no permission to see the project or table.
    Hidden,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for site in Site::ALL {
        for (fault, lie) in lies(site) {
            cells.push(Cell::new(FAMILY, fault, site.name(), move |stage| lied_to(stage, site, lie.clone())));
        }
        cells.push(Cell::new(FAMILY, "look-up returns every row twice", site.name(), move |stage| {
            every_row_twice(stage, site)
        }));
    }
    cells
}

fn lies(site: Site) -> Vec<(String, Lie)> {
    let mut lies: Vec<(String, Lie)> = [
        ("look-up returns foreign rows", Lie::Search(Effect::ReturnsForeign)),
        ("look-up returns everything", Lie::Search(Effect::ReturnsEverything)),
        ("look-up has ever more pages", Lie::Search(Effect::EndlessPages)),
        ("look-up says it has failed inside a 200", Lie::Search(answer(&failed_inside_200(site)))),
        ("look-up is answered 200 with an error and no rows", Lie::Search(answer(&failure(site)))),
        ("look-up is answered 200 with an empty object", Lie::Search(answer(&json!({})))),
        ("look-up is answered 200 with no body", all_empty()),
        ("look-up is answered with a page for people", Lie::All(Effect::Html { status: 200 })),
        ("look-up is answered with garbage", Lie::All(Effect::Garbage { status: 200, applied: false })),
        ("look-up is answered elsewhere", Lie::All(elsewhere())),
        ("look-up is throttled", Lie::All(Effect::throttle(RetryAfter::Seconds(1)))),
        ("look-up hangs", Lie::All(Effect::Hang { applied: false })),
        ("look-up takes too long", Lie::All(Effect::Delay(Bounds::default().attempt_deadline * 2))),
        ("look-up is answered drop by drop", Lie::All(drop_by_drop())),
        ("look-up is cut off", Lie::All(Effect::DropBefore)),
        ("look-up is reset", Lie::All(Effect::ResetBefore)),
        ("look-up is answered in half", Lie::All(Effect::TruncatedBody)),
        ("look-up as a stranger", Lie::Stranger),
        ("look-up without sight of the project", Lie::Hidden),
    ]
    .map(|(fault, lie)| (fault.to_owned(), lie))
    .to_vec();
    let statuses = [400, 401, 403, 404, 408, 410, 500, 502, 503, 504];
    lies.extend(statuses.map(|code| (format!("look-up is answered {code}"), Lie::All(status(code)))));
    let pages = paging(site).into_iter();
    lies.extend(pages.map(|(fault, body)| (fault.to_owned(), Lie::Search(answer(&body)))));
    lies
}

/// A reply with status 200 whose body says that the search did not complete.
fn failed_inside_200(site: Site) -> Value {
    match site {
        Site::JiraCloud => {
            json!({ "issues": [], "isLast": true, "errorMessages": ["The index is being built."] })
        }
        Site::JiraDataCenter => {
            json!({ "startAt": 0, "maxResults": 50, "total": 0, "issues": [], "warningMessages": ["The index is being built."] })
        }
        // ServiceNow sends the status first, so a query that is cancelled midway still has status 200.
        Site::ServiceNow | Site::ServiceNowOwnIds => json!({
            "result": [],
            "error": {
                "message": "Transaction cancelled: maximum execution time exceeded",
                "detail": "maximum execution time exceeded Check logs for error trace or enable glide.rest.debug property to verify REST request processing",
            },
            "status": "failure",
        }),
    }
}

fn failure(site: Site) -> Value {
    match site {
        Site::JiraCloud | Site::JiraDataCenter => json!({ "errorMessages": ["Not now."], "errors": {} }),
        Site::ServiceNow | Site::ServiceNowOwnIds => {
            json!({ "error": { "message": "Not now.", "detail": "" }, "status": "failure" })
        }
    }
}

/// Pages that never end, or that hold fewer rows than announced.
fn paging(site: Site) -> Vec<(&'static str, Value)> {
    let stranger =
        json!({ "id": "999", "key": "SEC-999", "fields": { "labels": ["other"], "created": null } });
    match site {
        Site::JiraCloud => vec![
            (
                "look-up has endless empty pages",
                json!({ "issues": [], "nextPageToken": "again", "isLast": false }),
            ),
            (
                "look-up has endless pages",
                json!({ "issues": [stranger], "nextPageToken": "again", "isLast": false }),
            ),
            ("look-up names no next page", json!({ "issues": [], "isLast": false })),
        ],
        Site::JiraDataCenter => vec![
            ("look-up has endless pages", json!({ "issues": [stranger], "total": 1_000_000 })),
            ("look-up counts rows that it does not show", json!({ "issues": [], "total": 3 })),
        ],
        Site::ServiceNow | Site::ServiceNowOwnIds => vec![],
    }
}

/// Two deliveries of unknown outcome, one with a ticket and one without. While look-ups are wrong, neither
/// create is repeated and neither delivery gets a foreign ticket; afterwards each ends with one ticket.
async fn lied_to(stage: Stage, site: Site, lie: Lie) {
    let bounds = Bounds { interval: Duration::from_millis(80), ..Bounds::default() };
    let mut scene = Scene::start(&stage, site, bounds).await;
    // A ticket of another user, and one of ours.
    scene.simulator().add_foreign_ticket(serde_json::Map::new());
    scene.push_through("INC-0").await;
    lie.begin(&scene);
    let made = scene.make_outcome_unknown("INC-1", true).await;
    let not_made = scene.make_outcome_unknown("INC-2", false).await;
    lie.unfold(&scene);
    if lie.is_of_login() && !site.is_jira() {
        // The account could be locked: after one further probe there are no logins until an operator tests
        // the connection.
        scene.world.until_condition(site.system(), v1::ConnectionConditionKind::Suspended).await;
    } else {
        scene.until_looked_up_or_delivered(&made, 2).await;
        scene.until_looked_up_or_delivered(&not_made, 2).await;
    }
    for id in [&made, &not_made] {
        let delivery = scene.world.delivery(id).await;
        assert!(scene.sent(&delivery) <= 1, "it was sent again: {delivery:#?}");
    }
    let early = scene.world.delivery(&not_made).await;
    assert_eq!(key(&early), "", "there is no ticket: {early:#?}");
    lie.end(&scene);
    let ended = Instant::now();
    if lie.is_of_login() {
        let test =
            v1::TestConnectionRequest { destination: Some(site.system().into()), ..Default::default() };
        scene.world.client.test_connection(test).await.unwrap();
    }
    scene.until_delivered_once(&made).await;
    scene.until_delivered_once(&not_made).await;
    // A throttled connection is paused for a second; after many failed look-ups the next one is ten intervals
    // away.
    let patience = Duration::from_secs(1) + bounds.interval * 10;
    stage.recovered(ended.elapsed(), patience + bounds.proof() + GRACE);
    scene.world.finish().await;
}

/// A search that returns a ticket twice has found one ticket.
async fn every_row_twice(stage: Stage, site: Site) {
    let mut scene = Scene::start(&stage, site, Bounds::default().with_duplicate_scans([20, 40, 60])).await;
    scene.inject(Call::Search, When::Always, Effect::ReturnsTwice);
    let made = scene.make_outcome_unknown("INC-1", true).await;
    let not_made = scene.make_outcome_unknown("INC-2", false).await;
    for id in [made, not_made] {
        let swept = |delivery: &v1::Delivery| {
            delivery.attempts.iter().filter(|attempt| attempt.kind() == AttemptKind::DuplicateScan).count()
                == 3
        };
        scene.until(&id, "the last sweep", swept).await;
        scene.until_delivered_once(&id).await;
    }
    scene.world.finish().await;
}

fn answer(body: &Value) -> Effect {
    Effect::Answer(Reply::json(200, body).header("x-ausername", "analyst").header("x-aaccountid", "712020:1"))
}

fn all_empty() -> Lie {
    Lie::All(Effect::EmptyBody { status: 200, applied: false })
}

fn elsewhere() -> Effect {
    Effect::Redirect { status: 302, location: "/login".to_owned() }
}

fn drop_by_drop() -> Effect {
    Effect::SlowBody { bytes: 1, every: Duration::from_millis(50) }
}

// === impl Lie ===

impl Lie {
    fn begin(&self, scene: &Scene) {
        match self {
            Self::Search(effect) => scene.inject(Call::Search, When::Always, effect.clone()),
            Self::All(effect) => {
                scene.inject(Call::Search, When::Always, effect.clone());
                let why = "no ticket is read where the search fails by itself";
                scene.inject_optional(Call::Read, effect.clone(), why);
            }
            // The creates need the login and the permission, which `unfold` removes.
            Self::Stranger | Self::Hidden => scene.refuse_look_ups(),
        }
    }

    /// Starts the faults that the creates must not meet.
    fn unfold(&self, scene: &Scene) {
        match self {
            Self::Search(_) | Self::All(_) => {}
            Self::Stranger => {
                scene.simulator().faults().clear();
                scene.inject(Call::Any, When::Always, Effect::IgnoresLogin);
            }
            Self::Hidden => {
                scene.simulator().edit(|profile| {
                    profile.withdrawn.extend(["BROWSE_PROJECTS", "read"].map(str::to_owned));
                });
                scene.simulator().faults().clear();
            }
        }
    }

    /// Whether the credentials are refused; the server then backs off its logins.
    fn is_of_login(&self) -> bool {
        match self {
            Self::Stranger => true,
            Self::All(Effect::Answer(reply)) => reply.status == 401,
            Self::Search(_) | Self::All(_) | Self::Hidden => false,
        }
    }

    fn end(&self, scene: &Scene) {
        scene.simulator().edit(|profile| profile.withdrawn.clear());
        scene.simulator().faults().clear();
    }
}
