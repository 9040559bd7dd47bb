//! Ticket systems that return oversized keys, names and messages: no delivery, event or list grows with them.
//!
//! Each name fits the largest reply body that is read, so that the limit of texts is tested and not that of
//! replies.

use Verdict::{Refused, UnknownThenAbsent, UnknownThenFound};
use rhythmx_ticketing::v1::stream_ticket_events_response::Message;
use rhythmx_ticketing::v1::ticketing_service_client::TicketingServiceClient;
use rhythmx_ticketing::v1::{self, AttemptKind, AttemptOutcome, DeliveryState};
use serde_json::{Value, json};
use ticketing_harness::{Plan, Subscriber, WAIT_TIMEOUT, World, creates, from_oldest, incident};
use ticketing_simulator::{Call, Effect, Named, Profile, Reply, Vendor};
use tonic::transport::{Channel, Endpoint};

use super::calls::{CallFault, VENDORS, Verdict, deliver, name, plan, simulator, start, system};
use super::cell::{Cell, CellContext};
use super::site_fixture::{Bounds, Site, SiteFixture, attempts};

const FAMILY: &str = "oversized";

/// Size limit of every message that the server sends; gRPC clients accept four times as much by default.
const MAX_MESSAGE: usize = 1024 * 1024;
/// Size limit of the log of a cell.
const MAX_LOG: usize = 1024 * 1024;
/// Characters of a text that a reply contains once, and of one that it contains up to three times. The
/// largest reply body that is read has 4 MiB.
const SINGLE_TEXT_CHARS: usize = 3_900_000;
const REPEATED_TEXT_CHARS: usize = 1_000_000;
/// Characters of a name in every row of a search.
const ROW_NAME_CHARS: usize = 1_000_000;

/// The object with the oversized name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NamedObject {
    /// A field that the create screen requires.
    Field,
    /// The only priority of the project.
    Priority,
    /// The group to which the instance assigns the ticket.
    Group,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for vendor in VENDORS {
        let table = [
            (
                "201 with a key of millions of digits, after applying",
                long_key(vendor, true),
                UnknownThenFound,
            ),
            (
                "201 with a key of millions of digits, before applying",
                long_key(vendor, false),
                UnknownThenAbsent,
            ),
            (
                "201 with an ID of millions of digits",
                Effect::ApplyThenAnswer(long_id(vendor)),
                UnknownThenFound,
            ),
            ("400 with 4 MB of words", Effect::Answer(long_words(400)), Refused),
            ("500 with 4 MB of words", Effect::Answer(long_words(500)), UnknownThenAbsent),
            ("403 page with a title of 4 MB", Effect::Answer(long_title()), Refused),
        ];
        for (fault, effect, verdict) in table {
            let call_fault = CallFault::on_create(vendor, effect, verdict);
            cells.push(Cell::new(FAMILY, fault, call_fault.location(), move |context| {
                create_answer(context, call_fault.clone())
            }));
        }
        let objects: &[_] = if vendor == Vendor::ServiceNow {
            &[NamedObject::Group]
        } else {
            &[NamedObject::Field, NamedObject::Priority]
        };
        for object in objects.iter().copied() {
            cells.push(Cell::new(FAMILY, object.fault(), name(vendor), move |context| {
                oversized_name(context, vendor, object)
            }));
        }
    }
    for site in [Site::JiraCloud, Site::JiraDataCenter, Site::ServiceNowOwnIds] {
        let fault = "look-up returns a name of a million digits";
        cells.push(Cell::new(FAMILY, fault, site.name(), move |context| look_up_answer(context, site)));
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

async fn create_answer(context: CellContext, call_fault: CallFault) {
    let mut world = start(with_longer_deadline(plan(&context, call_fault.vendor))).await;
    call_fault.run(&context, &mut world).await;
    check_message_sizes(world).await;
}

/// The ticket is created, and the adjustment contains the name, truncated.
async fn oversized_name(context: CellContext, vendor: Vendor, object: NamedObject) {
    let mut world = start(with_longer_deadline(plan(&context, vendor))).await;
    deliver(&mut world, "INC-0", vendor).await;
    simulator(&world, vendor).edit(|profile| object.begin(profile));
    let mut stub = size_limited_client(&world).await;
    let system = system(vendor);
    let test = v1::TestConnectionRequest { destination: Some(system.into()), ..Default::default() };
    // A connection test refreshes the cached metadata.
    stub.test_connection(test).await.unwrap();
    let preview =
        v1::PreviewTicketRequest { incident: Some(incident("INC-1")), destination: Some(system.into()) };
    let previewed = stub.preview_ticket(preview).await.unwrap().into_inner();
    if object != NamedObject::Group {
        assert!(is_truncated(&previewed.ticket.unwrap().adjustments), "the preview does not say it");
    }
    simulator(&world, vendor).edit(|profile| object.end(profile));
    let delivery = deliver(&mut world, "INC-1", vendor).await;
    assert!(is_truncated(&delivery.adjustments), "the delivery does not say it: {:?}", delivery.adjustments);
    assert_eq!((delivery.attempts.len(), creates(simulator(&world, vendor))), (1, 2));
    check_message_sizes(world).await;
}

/// A ticket with an invalid key proves neither presence nor absence: the outcome stays unknown until the key
/// is valid.
async fn look_up_answer(context: CellContext, site: Site) {
    let bounds = Bounds::default().with_attempt_deadline(700);
    let mut fixture = SiteFixture::start(&context, site, bounds).await;
    let invalid_row = move |call: Call, query: &str, body: &[u8]| {
        let asked = format!("{query} {}", String::from_utf8_lossy(body));
        let marker = first_marker(&asked).filter(|_| call == Call::Search)?;
        Some(Effect::Answer(Reply::json(200, &row(site, marker))))
    };
    fixture.simulator().faults().set_generator(invalid_row);
    let id = fixture.make_outcome_unknown("INC-1", true).await;
    let delivery = fixture.until_looked_up(&id, 2).await;
    assert_eq!((delivery.state(), fixture.creates()), (DeliveryState::Reconciling, 1), "{delivery:#?}");
    assert!(attempts(&delivery, AttemptKind::LookUp, AttemptOutcome::Failed) >= 2, "{delivery:#?}");
    fixture.simulator().faults().remove_generator();
    let delivery = fixture.until_delivered_once(&id).await;
    assert_eq!(fixture.sent(&delivery), 1, "{delivery:#?}");
    check_message_sizes(fixture.world).await;
}

/// Reads lists, status and the stream from the oldest event on, before and after a restart, with a client
/// that limits its messages.
async fn check_message_sizes(mut world: World) {
    for is_last in [false, true] {
        let mut stub = size_limited_client(&world).await;
        stub.get_status(v1::GetStatusRequest {}).await.unwrap();
        let list = v1::ListDeliveriesRequest { page_size: 500, ..Default::default() };
        let listed = stub.list_deliveries(list).await.unwrap().into_inner().deliveries;
        assert!(!listed.is_empty());
        stub.list_audit_entries(v1::ListAuditEntriesRequest::default()).await.unwrap();
        let newest = Subscriber::open(&world.client, v1::StreamTicketEventsRequest::default()).await.token;
        let reading = tokio::time::timeout(WAIT_TIMEOUT, read_until(&mut stub, &newest)).await;
        assert!(reading.expect("the stream falls silent") >= listed.len(), "a delivery has no event");
        assert!(world.server.log().len() < MAX_LOG, "{} bytes of log", world.server.log().len());
        if !is_last {
            world.restart().await;
        }
    }
    world.finish().await;
}

/// Returns the number of events from the oldest one to the one with this token.
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

/// A client that accepts no message beyond the limit.
async fn size_limited_client(world: &World) -> TicketingServiceClient<Channel> {
    let address = format!("http://{}", world.server.address);
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    TicketingServiceClient::new(channel).max_decoding_message_size(MAX_MESSAGE)
}

/// Leaves time for large replies, which unoptimized builds parse slowly.
fn with_longer_deadline(plan: Plan) -> Plan {
    plan.with_flag("--attempt-deadline=2500ms").with_flag("--lease=6s")
}

/// Whether a long name was truncated.
fn is_truncated(adjustments: &[v1::Adjustment]) -> bool {
    let long = "x".repeat(100);
    adjustments.iter().any(|adjustment| {
        let texts = [adjustment.field.to_lowercase(), adjustment.reason.clone()];
        texts.iter().any(|text| text.contains(&long) && text.chars().count() <= 1_000)
    })
}

fn digits(count: usize) -> String {
    "9".repeat(count)
}

fn long_key(vendor: Vendor, is_applied: bool) -> Effect {
    let body = match vendor {
        Vendor::ServiceNow => {
            let number = json!({ "display_value": format!("INC{}", digits(SINGLE_TEXT_CHARS)), "value": "INC0010001" });
            json!({ "result": { "sys_id": display_and_value(&"a".repeat(32)), "number": number } })
        }
        _ => json!({ "id": "10001", "key": format!("SEC-{}", digits(SINGLE_TEXT_CHARS)) }),
    };
    let reply = Reply::json(201, &body);
    if is_applied { Effect::ApplyThenAnswer(reply) } else { Effect::Answer(reply) }
}

fn long_id(vendor: Vendor) -> Reply {
    let body = match vendor {
        Vendor::ServiceNow => {
            let sys_id = json!({ "display_value": "", "value": digits(SINGLE_TEXT_CHARS) });
            json!({ "result": { "sys_id": sys_id, "number": display_and_value("INC0010001") } })
        }
        _ => json!({ "id": digits(SINGLE_TEXT_CHARS), "key": "SEC-1" }),
    };
    Reply::json(201, &body)
}

fn display_and_value(text: &str) -> Value {
    json!({ "display_value": text, "value": text })
}

/// An error reply in the formats of all vendors.
fn long_words(status: u16) -> Reply {
    let words = "no ".repeat(REPEATED_TEXT_CHARS / 3);
    let error = json!({ "message": words, "detail": words });
    Reply::json(status, &json!({ "errorMessages": [words], "error": error, "status": "failure" }))
}

fn long_title() -> Reply {
    let title = "no ".repeat(SINGLE_TEXT_CHARS / 3);
    Reply::html(403, &format!("<html><head><title>{title}</title></head></html>"))
}

/// The row of a ticket with the marker and an invalid name.
fn row(site: Site, marker: &str) -> Value {
    if site.is_jira() {
        let fields = json!({ "labels": [marker], "created": "2026-01-31T12:00:00.000+0000" });
        let issue =
            json!({ "id": "10001", "key": format!("SEC-{}", digits(ROW_NAME_CHARS)), "fields": fields });
        json!({ "issues": [issue], "isLast": true, "total": 1 })
    } else {
        json!({ "result": [{ "sys_id": digits(ROW_NAME_CHARS), "number": "INC0010001", "correlation_id": marker }] })
    }
}

/// Returns the marker in a search request.
fn first_marker(asked: &str) -> Option<&str> {
    let start = asked.find("rhythmx-")?;
    asked.get(start..start + "rhythmx-".len() + 32)
}

// === impl NamedObject ===

impl NamedObject {
    fn fault(self) -> &'static str {
        match self {
            Self::Field => "required field with a name of a million characters",
            Self::Priority => "priority with a name of a million characters",
            Self::Group => "group with a name of a million characters",
        }
    }

    fn begin(self, profile: &mut Profile) {
        let long = "x".repeat(REPEATED_TEXT_CHARS);
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

    /// Lifts the requirement, so that the ticket can be created.
    fn end(self, profile: &mut Profile) {
        if self == Self::Field {
            profile.projects.iter_mut().for_each(|project| project.required.clear());
        }
    }
}
