//! Look-ups that fail or return wrong results: neither may end an unknown outcome.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, AttemptKind};
use serde_json::{Value, json};
use ticketing_simulator::{Call, Effect, Reply, RetryAfter, When};
use tokio::time::Instant;

use super::cell::{Cell, CellContext};
use super::site_fixture::{Bounds, GRACE, Site, SiteFixture, key, status};

const FAMILY: &str = "look-up";

/// Fault of the searches.
#[derive(Debug, Clone)]
enum LookUpFault {
    /// Faults of searches.
    Search(Effect),
    /// Faults of searches and of reads of single tickets.
    All(Effect),
    /// The credentials are ignored, and Jira answers anonymous users with an empty list.
    IgnoredCredentials,
    /// The account has no permission to see the project or table.
    NoPermission,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for site in Site::ALL {
        for (fault, fault_kind) in look_up_faults(site) {
            cells.push(Cell::new(FAMILY, fault, site.name(), move |context| {
                keeps_outcome_unknown(context, site, fault_kind.clone())
            }));
        }
        cells.push(Cell::new(FAMILY, "look-up returns every row twice", site.name(), move |context| {
            ignores_repeated_rows(context, site)
        }));
    }
    cells
}

fn look_up_faults(site: Site) -> Vec<(String, LookUpFault)> {
    let mut look_up_faults: Vec<(String, LookUpFault)> = [
        ("look-up returns foreign rows", LookUpFault::Search(Effect::ReturnsForeign)),
        ("look-up returns everything", LookUpFault::Search(Effect::ReturnsEverything)),
        ("look-up repeats its first page endlessly", LookUpFault::Search(Effect::EndlessPages)),
        (
            "look-up is answered 200 with partial rows and an error",
            LookUpFault::Search(answer(&failed_inside_200(site))),
        ),
        ("look-up is answered 200 with an error and no rows", LookUpFault::Search(answer(&failure(site)))),
        ("look-up is answered 200 with an empty object", LookUpFault::Search(answer(&json!({})))),
        ("look-up is answered 200 with no body", all_empty()),
        ("look-up is answered with an HTML page", LookUpFault::All(Effect::Html { status: 200 })),
        (
            "look-up is answered with garbage",
            LookUpFault::All(Effect::Garbage { status: 200, applied: false }),
        ),
        ("look-up is redirected", LookUpFault::All(redirect())),
        ("look-up is throttled", LookUpFault::All(Effect::throttle(RetryAfter::Seconds(1)))),
        ("look-up hangs", LookUpFault::All(Effect::Hang { applied: false })),
        ("look-up takes too long", LookUpFault::All(Effect::Delay(Bounds::default().attempt_deadline * 2))),
        ("look-up is answered byte by byte", LookUpFault::All(byte_by_byte())),
        ("look-up has its connection closed", LookUpFault::All(Effect::DropBefore)),
        ("look-up has its connection reset", LookUpFault::All(Effect::ResetBefore)),
        ("look-up is answered with a truncated body", LookUpFault::All(Effect::TruncatedBody)),
        ("look-up with ignored credentials", LookUpFault::IgnoredCredentials),
        ("look-up without permission for the project", LookUpFault::NoPermission),
    ]
    .map(|(fault, fault_kind)| (fault.to_owned(), fault_kind))
    .to_vec();
    let statuses = [400, 401, 403, 404, 408, 410, 500, 502, 503, 504];
    look_up_faults
        .extend(statuses.map(|code| (format!("look-up is answered {code}"), LookUpFault::All(status(code)))));
    let pages = paging(site).into_iter();
    look_up_faults.extend(pages.map(|(fault, body)| (fault.to_owned(), LookUpFault::Search(answer(&body)))));
    look_up_faults
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
    let foreign_issue =
        json!({ "id": "999", "key": "SEC-999", "fields": { "labels": ["other"], "created": null } });
    match site {
        Site::JiraCloud => vec![
            (
                "look-up has endless empty pages",
                json!({ "issues": [], "nextPageToken": "again", "isLast": false }),
            ),
            (
                "look-up has endless pages",
                json!({ "issues": [foreign_issue], "nextPageToken": "again", "isLast": false }),
            ),
            ("look-up names no next page", json!({ "issues": [], "isLast": false })),
        ],
        Site::JiraDataCenter => vec![
            ("look-up has endless pages", json!({ "issues": [foreign_issue], "total": 1_000_000 })),
            ("look-up counts rows that it does not show", json!({ "issues": [], "total": 3 })),
        ],
        Site::ServiceNow | Site::ServiceNowOwnIds => vec![],
    }
}

/// Two deliveries of unknown outcome, one with a ticket and one without. While look-ups are wrong, neither
/// create is repeated and neither delivery gets a foreign ticket; afterwards each ends with one ticket.
async fn keeps_outcome_unknown(context: CellContext, site: Site, fault_kind: LookUpFault) {
    let bounds = Bounds { interval: Duration::from_millis(80), ..Bounds::default() };
    let mut fixture = SiteFixture::start(&context, site, bounds).await;
    // A ticket of another user, and one of ours.
    fixture.simulator().add_foreign_ticket(serde_json::Map::new());
    fixture.push_through("INC-0").await;
    fault_kind.inject_before_creates(&fixture);
    let made = fixture.make_outcome_unknown("INC-1", true).await;
    let not_made = fixture.make_outcome_unknown("INC-2", false).await;
    fault_kind.inject_after_creates(&fixture);
    if fault_kind.refuses_login() && !site.is_jira() {
        // The account could be locked: after one further probe there are no logins until an operator tests
        // the connection.
        fixture.world.until_condition(site.system(), v1::ConnectionConditionKind::Suspended).await;
    } else {
        fixture.until_looked_up_or_delivered(&made, 2).await;
        fixture.until_looked_up_or_delivered(&not_made, 2).await;
    }
    for id in [&made, &not_made] {
        let delivery = fixture.world.delivery(id).await;
        assert!(fixture.sent(&delivery) <= 1, "it was sent again: {delivery:#?}");
    }
    let early = fixture.world.delivery(&not_made).await;
    assert_eq!(key(&early), "", "there is no ticket: {early:#?}");
    fault_kind.remove(&fixture);
    let ended = Instant::now();
    if fault_kind.refuses_login() {
        let test =
            v1::TestConnectionRequest { destination: Some(site.system().into()), ..Default::default() };
        fixture.world.client.test_connection(test).await.unwrap();
    }
    fixture.until_delivered_once(&made).await;
    fixture.until_delivered_once(&not_made).await;
    // A throttled connection is paused for a second; after many failed look-ups the next one is ten intervals
    // away.
    let backoff = Duration::from_secs(1) + bounds.interval * 10;
    context.recovered(ended.elapsed(), backoff + bounds.proof() + GRACE);
    fixture.world.finish().await;
}

/// A search that returns a ticket twice has found one ticket.
async fn ignores_repeated_rows(context: CellContext, site: Site) {
    let mut fixture =
        SiteFixture::start(&context, site, Bounds::default().with_duplicate_scans([20, 40, 60])).await;
    fixture.inject(Call::Search, When::Always, Effect::ReturnsTwice);
    let made = fixture.make_outcome_unknown("INC-1", true).await;
    let not_made = fixture.make_outcome_unknown("INC-2", false).await;
    for id in [made, not_made] {
        let scanned = |delivery: &v1::Delivery| {
            delivery.attempts.iter().filter(|attempt| attempt.kind() == AttemptKind::DuplicateScan).count()
                == 3
        };
        fixture.until(&id, "the last duplicate scan", scanned).await;
        fixture.until_delivered_once(&id).await;
    }
    fixture.world.finish().await;
}

fn answer(body: &Value) -> Effect {
    Effect::Answer(Reply::json(200, body).header("x-ausername", "analyst").header("x-aaccountid", "712020:1"))
}

fn all_empty() -> LookUpFault {
    LookUpFault::All(Effect::EmptyBody { status: 200, applied: false })
}

fn redirect() -> Effect {
    Effect::Redirect { status: 302, location: "/login".to_owned() }
}

fn byte_by_byte() -> Effect {
    Effect::SlowBody { bytes: 1, every: Duration::from_millis(50) }
}

// === impl LookUpFault ===

impl LookUpFault {
    fn inject_before_creates(&self, fixture: &SiteFixture) {
        match self {
            Self::Search(effect) => fixture.inject(Call::Search, When::Always, effect.clone()),
            Self::All(effect) => {
                fixture.inject(Call::Search, When::Always, effect.clone());
                let why = "no ticket is read where the search fails by itself";
                fixture.inject_optional(Call::Read, effect.clone(), why);
            }
            // The creates need the login and the permission, which `inject_after_creates` removes.
            Self::IgnoredCredentials | Self::NoPermission => fixture.refuse_look_ups(),
        }
    }

    /// Starts the faults that the creates must not meet.
    fn inject_after_creates(&self, fixture: &SiteFixture) {
        match self {
            Self::Search(_) | Self::All(_) => {}
            Self::IgnoredCredentials => {
                fixture.simulator().faults().clear();
                fixture.inject(Call::Any, When::Always, Effect::IgnoresLogin);
            }
            Self::NoPermission => {
                fixture.simulator().edit(|profile| {
                    profile.withdrawn.extend(["BROWSE_PROJECTS", "read"].map(str::to_owned));
                });
                fixture.simulator().faults().clear();
            }
        }
    }

    /// Whether the credentials are refused; the server then backs off its logins.
    fn refuses_login(&self) -> bool {
        match self {
            Self::IgnoredCredentials => true,
            Self::All(Effect::Answer(reply)) => reply.status == 401,
            Self::Search(_) | Self::All(_) | Self::NoPermission => false,
        }
    }

    fn remove(&self, fixture: &SiteFixture) {
        fixture.simulator().edit(|profile| profile.withdrawn.clear());
        fixture.simulator().faults().clear();
    }
}
