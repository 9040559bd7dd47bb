//! Callers that disconnect, set a short deadline, or send an incomplete request.

use std::time::Duration;

use rhythmx_ticketing::Client;
use rhythmx_ticketing::v1::ticketing_service_client::TicketingServiceClient;
use rhythmx_ticketing::v1::{self, DeliveryState, TicketSystem};
use ticketing_failpoints::Point;
use ticketing_harness::{World, creates, incident, state};
use ticketing_simulator::{Call, Effect, Rule, When};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::cell::{Cell, CellContext};
use super::held_push::{LOOK_UP_POINTS, PUSH_POINTS};
use super::relay::Relay;

const FAMILY: &str = "callers";
/// Time limit for an accepted push when only its caller fails.
const RECOVERY_LIMIT: Duration = Duration::from_secs(2);
/// Time for the server to notice that a caller has disconnected.
const DISCONNECT_NOTICE: Duration = Duration::from_millis(50);
/// Bytes that carry the HTTP/2 preface and the headers of a call, but not a whole incident.
const PARTIAL_REQUEST: usize = 900;

/// Deadline of a caller whose deadline passes: long enough for the push to reach any point, shorter than it
/// is held there.
const SHORT_DEADLINE: Duration = Duration::from_millis(500);

/// Ways in which a caller abandons its call.
#[derive(Debug, Clone, Copy)]
enum Disconnect {
    CancelCall,
    ResetConnection,
    /// The gRPC deadline passes, which the server also sees.
    DeadlineExceeded,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for disconnect in [Disconnect::CancelCall, Disconnect::ResetConnection, Disconnect::DeadlineExceeded] {
        for point in PUSH_POINTS {
            for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
                let at = format!("{}, {}", point.name(), system.as_str_name());
                let run = move |context| abandon_call(context, disconnect, point, system);
                cells.push(Cell::new(FAMILY, disconnect.name(), at, run));
            }
        }
    }
    for point in LOOK_UP_POINTS {
        for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
            let at = format!("{}, {}", point.name(), system.as_str_name());
            let run = move |context| deadline_during_look_up(context, point, system);
            cells.push(Cell::new(FAMILY, Disconnect::DeadlineExceeded.name(), at, run));
        }
    }
    for timeout in ["1m", "50m"] {
        let fault = format!("deadline of {timeout}s passes");
        cells.push(Cell::new(FAMILY, fault, "200 pushes", move |context| short_deadlines(context, timeout)));
    }
    cells.push(Cell::new(FAMILY, "unusual deadlines", "CreateTicket", unusual_deadlines));
    cells.push(Cell::new(FAMILY, "deadline of 11,000 years", "the create hangs", huge_deadline));
    cells.push(Cell::new(
        FAMILY,
        "half a request, then disconnected",
        "CreateTicket",
        partial_request_then_disconnect,
    ));
    cells.push(Cell::new(FAMILY, "half a request, then idle", "100 callers", partial_request_then_idle));
    cells
}

async fn abandon_call(context: CellContext, disconnect: Disconnect, point: Point, system: TicketSystem) {
    let mut world = context.plan().in_a_process().with_long_deadlines().start().await;
    let relay = Relay::to(&world.server).await;
    let mut client = disconnect.apply_deadline(relay.client().await);
    world.server.arm(point);
    let request =
        v1::CreateTicketRequest { incident: Some(incident("INC-1")), destination: Some(system.into()) };
    let call = tokio::spawn(async move { client.create_ticket(request).await });
    world.server.until_held(point).await;
    match disconnect {
        Disconnect::CancelCall => call.abort(),
        Disconnect::ResetConnection => relay.cut(),
        Disconnect::DeadlineExceeded => check_deadline_answer(&world, call.await.unwrap()),
    }
    world.wait(DISCONNECT_NOTICE).await;
    let fault_at = Instant::now();
    world.server.release();
    world.until_all_delivered(1).await;
    context.recovered(fault_at.elapsed(), RECOVERY_LIMIT);
    // A caller without an answer repeats its call.
    assert!(world.push("INC-1", system).await.already_existed);
    let simulator = world.simulator(system);
    assert_eq!((simulator.tickets().len(), creates(simulator)), (1, 1));
    world.finish().await;
}

/// A push is repeated while the look-up of its ticket is held, and the deadline of that second call passes
/// before the look-up ends.
async fn deadline_during_look_up(context: CellContext, point: Point, system: TicketSystem) {
    let mut world = context.plan().in_a_process().with_long_deadlines().start().await;
    world.simulator(system).faults().push(Rule::new(Call::Create, When::Next(1), Effect::ApplyThenDrop));
    world.server.arm(point);
    assert_eq!(state(&world.push("INC-1", system).await), DeliveryState::Reconciling);
    world.server.until_held(point).await;
    let mut client = Disconnect::DeadlineExceeded.apply_deadline(world.client.clone());
    let request =
        v1::CreateTicketRequest { incident: Some(incident("INC-1")), destination: Some(system.into()) };
    check_deadline_answer(&world, client.create_ticket(request).await);
    let fault_at = Instant::now();
    world.server.release();
    world.until_all_delivered(1).await;
    context.recovered(fault_at.elapsed(), RECOVERY_LIMIT);
    assert_eq!(world.simulator(system).tickets().len(), 1);
    world.finish().await;
}

/// Checks a call whose deadline passed while its delivery was held: it ends with DEADLINE_EXCEEDED, or with
/// the current state.
fn check_deadline_answer(world: &World, answer: Result<v1::CreateTicketResponse, Status>) {
    match answer {
        Ok(answer) => {
            assert_ne!(state(&answer), DeliveryState::Delivered, "no caller had that answer yet");
            world.acknowledged.note_push(&answer);
        }
        Err(status) => assert!(is_deadline_exceeded(status.code()), "{status:?}"),
    }
}

/// Two hundred callers whose deadline passes before the ticket exists.
async fn short_deadlines(context: CellContext, timeout: &'static str) {
    const CALLERS: usize = 200;
    let mut world = context.plan().with_long_deadlines().with_flag("--concurrency=32").start().await;
    for simulator in [&world.jira, &world.servicenow] {
        let slow = Rule::new(Call::Create, When::EveryNth(10), Effect::Delay(Duration::from_millis(100)));
        simulator.faults().push(slow);
    }
    let stub = stub(&world).await;
    let mut calls = JoinSet::new();
    for n in 0..CALLERS {
        let mut stub = stub.clone();
        calls.spawn(async move { stub.create_ticket(with_timeout_header(request_of(n), timeout)).await });
    }
    for answer in calls.join_all().await {
        match answer {
            Ok(answer) => world.acknowledged.note_push(answer.get_ref()),
            Err(status) => assert!(is_deadline_exceeded(status.code()), "{status:?}"),
        }
    }
    let mut asked = JoinSet::new();
    for n in 0..CALLERS {
        let mut client = world.client.clone();
        asked.spawn(async move { client.create_ticket(request_of(n)).await.unwrap() });
    }
    asked.join_all().await.iter().for_each(|answer| world.acknowledged.note_push(answer));
    assert_eq!(world.until_all_delivered(CALLERS).await.len(), CALLERS);
    assert_eq!(world.jira.tickets().len() + world.servicenow.tickets().len(), CALLERS);
    world.finish().await;
}

/// An invalid `grpc-timeout` is ignored, one that is too long counts as none, and one of zero expires at
/// once.
async fn unusual_deadlines(context: CellContext) {
    let mut world = context.plan().with_long_deadlines().start().await;
    let mut stub = stub(&world).await;
    let headers = ["99999999H", "99999999999S", "soon", "-5S", "1.5S", "S", "5s", "18446744073709551616n"];
    for (n, header) in headers.into_iter().enumerate() {
        let answer = stub.create_ticket(with_timeout_header(request_of(n), header)).await;
        let answer = answer.unwrap_or_else(|status| panic!("{header}: {status:?}")).into_inner();
        world.acknowledged.note_push(&answer);
        assert_eq!(state(&answer), DeliveryState::Delivered, "{header}");
    }
    let refused = stub.create_ticket(with_timeout_header(request_of(headers.len()), "0n")).await.unwrap_err();
    assert!(is_deadline_exceeded(refused.code()), "{refused:?}");
    world.try_push(request_of(headers.len()).incident.unwrap(), TicketSystem::Jira).await.unwrap();
    world.finish().await;
}

/// A call ends with its first attempt, however long the deadline of its caller is.
async fn huge_deadline(context: CellContext) {
    let plan = context.plan().with_flag("--attempt-deadline=3s").with_flag("--lease=9s");
    let mut world = plan.start().await;
    world.jira.faults().push(Rule::new(Call::Create, When::Next(1), Effect::Hang { applied: true }));
    let began = Instant::now();
    let answer =
        stub(&world).await.create_ticket(with_timeout_header(request_of(0), "99999999H")).await.unwrap();
    assert_eq!(state(answer.get_ref()), DeliveryState::Reconciling);
    assert!(began.elapsed() < RECOVERY_LIMIT * 4, "answered after {:?}", began.elapsed());
    world.acknowledged.note_push(answer.get_ref());
    world.until_all_delivered(1).await;
    assert_eq!(world.jira.tickets().len(), 1);
    world.finish().await;
}

async fn partial_request_then_disconnect(context: CellContext) {
    let mut world = context.plan().with_long_deadlines().start().await;
    let relay = Relay::with_byte_limit(&world.server, PARTIAL_REQUEST).await;
    let mut client = relay.client().await;
    let call = tokio::spawn(async move { client.create_ticket(request_of(0)).await });
    world.wait(DISCONNECT_NOTICE).await;
    assert!(!call.is_finished());
    relay.cut();
    call.await.unwrap().unwrap_err();
    world.wait(DISCONNECT_NOTICE).await;
    assert_eq!(world.deliveries().await, [], "half an incident is none");
    assert!(!world.push("INC-0", TicketSystem::Jira).await.already_existed);
    world.finish().await;
}

/// Other callers are served meanwhile, and the server stops when requested.
async fn partial_request_then_idle(context: CellContext) {
    let mut world = context.plan().with_long_deadlines().with_flag("--shutdown-grace=500ms").start().await;
    let mut relays = vec![];
    let mut calls = JoinSet::new();
    for n in 0..100 {
        let relay = Relay::with_byte_limit(&world.server, PARTIAL_REQUEST).await;
        let mut stub = stub_at(&relay.address).await;
        calls.spawn(async move { stub.create_ticket(request_of(n)).await.map(drop) });
        relays.push(relay);
    }
    world.wait(DISCONNECT_NOTICE).await;
    for n in 100..110 {
        assert_eq!(
            state(&world.push(&format!("INC-{n}"), TicketSystem::Jira).await),
            DeliveryState::Delivered
        );
    }
    let began = Instant::now();
    world.restart().await;
    context.recovered(began.elapsed(), RECOVERY_LIMIT * 2);
    assert!(calls.join_all().await.iter().all(Result::is_err));
    assert_eq!(world.deliveries().await.len(), 10);
    world.finish().await;
}

/// The n-th incident; even numbers go to Jira, odd numbers to ServiceNow.
fn request_of(n: usize) -> v1::CreateTicketRequest {
    let system = if n.is_multiple_of(2) { TicketSystem::Jira } else { TicketSystem::Servicenow };
    v1::CreateTicketRequest {
        incident: Some(incident(&format!("INC-{n}"))),
        destination: Some(system.into()),
    }
}

/// A client without checks of its own, so that a call can have any `grpc-timeout` header.
async fn stub(world: &World) -> TicketingServiceClient<Channel> {
    stub_at(&world.server.address).await
}

async fn stub_at(address: &str) -> TicketingServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    TicketingServiceClient::new(endpoint.connect().await.unwrap())
}

fn with_timeout_header<T>(message: T, header: &'static str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("grpc-timeout", header.parse().unwrap());
    request
}

/// Client and server both enforce the deadline; here it can surface as CANCELLED.
fn is_deadline_exceeded(code: Code) -> bool {
    matches!(code, Code::DeadlineExceeded | Code::Cancelled)
}

// === impl Disconnect ===

impl Disconnect {
    fn name(self) -> &'static str {
        match self {
            Self::CancelCall => "caller cancels",
            Self::ResetConnection => "caller's connection is reset",
            Self::DeadlineExceeded => "caller's deadline passes",
        }
    }

    fn apply_deadline(self, client: Client) -> Client {
        match self {
            Self::CancelCall | Self::ResetConnection => client,
            Self::DeadlineExceeded => client.with_deadline(SHORT_DEADLINE),
        }
    }
}
