//! Ticket systems that return oversized keys, names and messages: no delivery, event or list grows with them.
//!
//! Each name fits the largest body that is read, so what is tested is the limit of the text and not that of the reply.

use Verdict::{DoubtfulAndAbsent, DoubtfulAndThere, Refused};
use rhythmx_ticketing::v1::stream_ticket_events_response::Message;
use rhythmx_ticketing::v1::ticketing_service_client::TicketingServiceClient;
use rhythmx_ticketing::v1::{self, AttemptKind, AttemptOutcome, DeliveryState};
use serde_json::{Value, json};
use ticketing_harness::{PATIENCE, Plan, Subscriber, World, creates, from_oldest, incident};
use ticketing_simulator::{Call, Effect, Named, Profile, Reply, Vendor};
use tonic::transport::{Channel, Endpoint};

use super::calls::{Storm, VENDORS, Verdict, deliver, name, plan, simulator, start, system};
use super::cell::{Cell, Stage};
use super::scene::{Bounds, Scene, Site, attempts};

const FAMILY: &str = "oversized";

/// No message that the server sends is larger. gRPC clients take four times as much by default.
const MAX_MESSAGE: usize = 1024 * 1024;
/// No log of a cell is larger.
const MAX_LOG: usize = 1024 * 1024;
/// Characters of what is said once in a reply, and of what is said up to three times. The largest body that is read has 4 MiB.
const ONCE: usize = 3_900_000;
const THRICE: usize = 1_000_000;
/// Characters of a name that is sent with every row of a search.
const OF_A_ROW: usize = 1_000_000;

/// What has such a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    /// A field that the create screen demands.
    Field,
    /// The one priority that a project offers.
    Priority,
    /// The group to which the instance gives the ticket.
    Group,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for vendor in VENDORS {
        let table = [
            (
                "201 with a key of millions of digits, after applying",
                long_key(vendor, true),
                DoubtfulAndThere,
            ),
            (
                "201 with a key of millions of digits, before applying",
                long_key(vendor, false),
                DoubtfulAndAbsent,
            ),
            (
                "201 with an ID of millions of digits",
                Effect::ApplyThenAnswer(long_id(vendor)),
                DoubtfulAndThere,
            ),
            ("400 with 4 MB of words", Effect::Answer(long_words(400)), Refused),
            ("500 with 4 MB of words", Effect::Answer(long_words(500)), DoubtfulAndAbsent),
            ("403 page with a title of 4 MB", Effect::Answer(long_title()), Refused),
        ];
        for (fault, effect, verdict) in table {
            let storm = Storm::on_create(vendor, effect, verdict);
            cells.push(Cell::new(FAMILY, fault, storm.place(), move |stage| created(stage, storm.clone())));
        }
        let things: &[_] =
            if vendor == Vendor::ServiceNow { &[Thing::Group] } else { &[Thing::Field, Thing::Priority] };
        for thing in things.iter().copied() {
            cells.push(Cell::new(FAMILY, thing.fault(), name(vendor), move |stage| {
                named(stage, vendor, thing)
            }));
        }
    }
    for site in [Site::JiraCloud, Site::JiraDataCenter, Site::ServiceNowOwnIds] {
        let fault = "look-up returns a name of a million digits";
        cells.push(Cell::new(FAMILY, fault, site.name(), move |stage| looked_up(stage, site)));
    }
    let why = "the sys_id is made from the marker, and the ticket is read by it";
    cells.push(Cell::does_not_apply(
        FAMILY,
        "look-up returns a name of a million digits",
        Site::ServiceNow.name(),
        why,
    ));
    cells
}

async fn created(stage: Stage, storm: Storm) {
    let mut world = start(patient(plan(&stage, storm.vendor))).await;
    storm.pass(&stage, &mut world).await;
    everything_fits(world).await;
}

/// The ticket is made, and the adjustment names the thing as far as a name goes.
async fn named(stage: Stage, vendor: Vendor, thing: Thing) {
    let mut world = start(patient(plan(&stage, vendor))).await;
    deliver(&mut world, "INC-0", vendor).await;
    simulator(&world, vendor).edit(|profile| thing.begin(profile));
    let mut stub = limited(&world).await;
    let system = system(vendor);
    let test = v1::TestConnectionRequest { destination: Some(system.into()), ..Default::default() };
    // After a test, what the site offers is read anew.
    stub.test_connection(test).await.unwrap();
    let preview =
        v1::PreviewTicketRequest { incident: Some(incident("INC-1")), destination: Some(system.into()) };
    let previewed = stub.preview_ticket(preview).await.unwrap().into_inner();
    if thing != Thing::Group {
        assert!(is_cut(&previewed.ticket.unwrap().adjustments), "the preview does not say it");
    }
    simulator(&world, vendor).edit(|profile| thing.end(profile));
    let delivery = deliver(&mut world, "INC-1", vendor).await;
    assert!(is_cut(&delivery.adjustments), "the delivery does not say it: {:?}", delivery.adjustments);
    assert_eq!((delivery.attempts.len(), creates(simulator(&world, vendor))), (1, 2));
    everything_fits(world).await;
}

/// Neither a ticket nor an absence: its outcome stays unknown until the ticket is named as tickets are.
async fn looked_up(stage: Stage, site: Site) {
    let bounds = Bounds::default().with_attempt_deadline(700);
    let mut scene = Scene::start(&stage, site, bounds).await;
    let lie = move |call: Call, query: &str, body: &[u8]| {
        let asked = format!("{query} {}", String::from_utf8_lossy(body));
        let marker = first_marker(&asked).filter(|_| call == Call::Search)?;
        Some(Effect::Answer(Reply::json(200, &row(site, marker))))
    };
    scene.simulator().faults().set_generator(lie);
    let id = scene.make_outcome_unknown("INC-1", true).await;
    let delivery = scene.until_looked_up(&id, 2).await;
    assert_eq!((delivery.state(), scene.creates()), (DeliveryState::Reconciling, 1), "{delivery:#?}");
    assert!(attempts(&delivery, AttemptKind::LookUp, AttemptOutcome::Failed) >= 2, "{delivery:#?}");
    scene.simulator().faults().remove_generator();
    let delivery = scene.until_delivered_once(&id).await;
    assert_eq!(scene.sent(&delivery), 1, "{delivery:#?}");
    everything_fits(scene.world).await;
}

/// Lists, status and the stream from the oldest event on, before and after a restart, to a client that takes no more.
async fn everything_fits(mut world: World) {
    for is_last in [false, true] {
        let mut stub = limited(&world).await;
        stub.get_status(v1::GetStatusRequest {}).await.unwrap();
        let list = v1::ListDeliveriesRequest { page_size: 500, ..Default::default() };
        let listed = stub.list_deliveries(list).await.unwrap().into_inner().deliveries;
        assert!(!listed.is_empty());
        stub.list_audit_entries(v1::ListAuditEntriesRequest::default()).await.unwrap();
        let newest = Subscriber::open(&world.client, v1::StreamTicketEventsRequest::default()).await.token;
        let reading = tokio::time::timeout(PATIENCE, read_until(&mut stub, &newest)).await;
        assert!(reading.expect("the stream falls silent") >= listed.len(), "a delivery has no event");
        assert!(world.server.log().len() < MAX_LOG, "{} bytes of log", world.server.log().len());
        if !is_last {
            world.restart().await;
        }
    }
    world.finish().await;
}

/// How many events a stream tells from the oldest one to the one of this token.
async fn read_until(stub: &mut TicketingServiceClient<Channel>, newest: &str) -> usize {
    let mut stream = stub.stream_ticket_events(from_oldest()).await.unwrap().into_inner();
    let mut events = 0;
    loop {
        let message = stream.message().await.unwrap().expect("the stream goes on");
        let token = match message.message.expect("a message is an event or a bookmark") {
            Message::Event(event) => {
                events += 1;
                event.resume_token
            }
            Message::Bookmark(bookmark) => bookmark.resume_token,
        };
        if token == newest {
            return events;
        }
    }
}

/// A client that takes no message beyond the limit.
async fn limited(world: &World) -> TicketingServiceClient<Channel> {
    let address = format!("http://{}", world.server.address);
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    TicketingServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE)
}

/// With time for large replies, which tests that are not optimised read slowly.
fn patient(plan: Plan) -> Plan {
    plan.with_flag("--attempt-deadline=2500ms").with_flag("--lease=6s")
}

/// Whether a name was cut where it entered.
fn is_cut(adjustments: &[v1::Adjustment]) -> bool {
    let long = "x".repeat(100);
    adjustments.iter().any(|said| {
        let texts = [said.field.to_lowercase(), said.reason.clone()];
        texts.iter().any(|text| text.contains(&long) && text.chars().count() <= 1_000)
    })
}

fn digits(count: usize) -> String {
    "9".repeat(count)
}

fn long_key(vendor: Vendor, is_applied: bool) -> Effect {
    let body = match vendor {
        Vendor::ServiceNow => {
            let number = json!({ "display_value": format!("INC{}", digits(ONCE)), "value": "INC0010001" });
            json!({ "result": { "sys_id": both(&"a".repeat(32)), "number": number } })
        }
        _ => json!({ "id": "10001", "key": format!("SEC-{}", digits(ONCE)) }),
    };
    let reply = Reply::json(201, &body);
    if is_applied { Effect::ApplyThenAnswer(reply) } else { Effect::Answer(reply) }
}

fn long_id(vendor: Vendor) -> Reply {
    let body = match vendor {
        Vendor::ServiceNow => {
            let sys_id = json!({ "display_value": "", "value": digits(ONCE) });
            json!({ "result": { "sys_id": sys_id, "number": both("INC0010001") } })
        }
        _ => json!({ "id": digits(ONCE), "key": "SEC-1" }),
    };
    Reply::json(201, &body)
}

fn both(text: &str) -> Value {
    json!({ "display_value": text, "value": text })
}

/// In the words of every vendor.
fn long_words(status: u16) -> Reply {
    let words = "no ".repeat(THRICE / 3);
    let error = json!({ "message": words, "detail": words });
    Reply::json(status, &json!({ "errorMessages": [words], "error": error, "status": "failure" }))
}

fn long_title() -> Reply {
    let title = "no ".repeat(ONCE / 3);
    Reply::html(403, &format!("<html><head><title>{title}</title></head></html>"))
}

/// The row of a ticket that bears the marker, and has no name that can be believed.
fn row(site: Site, marker: &str) -> Value {
    if site.is_jira() {
        let fields = json!({ "labels": [marker], "created": "2026-01-31T12:00:00.000+0000" });
        let issue = json!({ "id": "10001", "key": format!("SEC-{}", digits(OF_A_ROW)), "fields": fields });
        json!({ "issues": [issue], "isLast": true, "total": 1 })
    } else {
        json!({ "result": [{ "sys_id": digits(OF_A_ROW), "number": "INC0010001", "correlation_id": marker }] })
    }
}

/// The marker that a search is about.
fn first_marker(asked: &str) -> Option<&str> {
    let start = asked.find("rhythmx-")?;
    asked.get(start..start + "rhythmx-".len() + 32)
}

// === impl Thing ===

impl Thing {
    fn fault(self) -> &'static str {
        match self {
            Self::Field => "required field with a name of a million characters",
            Self::Priority => "priority with a name of a million characters",
            Self::Group => "group with a name of a million characters",
        }
    }

    fn begin(self, profile: &mut Profile) {
        let long = "x".repeat(THRICE);
        match self {
            Self::Field => profile.projects.iter_mut().for_each(|project| {
                project.screen.insert(long.clone());
                project.required.insert(long.clone());
            }),
            Self::Priority => profile
                .projects
                .iter_mut()
                .for_each(|project| project.priorities = vec![Named::new("99", long.clone())]),
            Self::Group => {
                let group = Named::new("f".repeat(32), long);
                profile.assigns_group = Some(group.id.clone());
                profile.groups.push(group);
            }
        }
    }

    /// The ticket is to be made all the same.
    fn end(self, profile: &mut Profile) {
        if self == Self::Field {
            profile.projects.iter_mut().for_each(|project| project.required.clear());
        }
    }
}
