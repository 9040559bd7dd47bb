//! A thousand concurrent callers that push the same incident.

use std::collections::BTreeSet;
use std::time::Duration;

use rhythmx_ticketing::{Client, v1};
use ticketing_harness::{Plan, World, creates, incident};
use ticketing_simulator::{Call, Effect, Rule, Simulator, When};
use tokio::task::JoinSet;
use tonic::Status;

use super::cell::{Cell, CellContext};

const FAMILY: &str = "load";
const AT_ONCE: &str = "1,000 at once";
const CALLERS: usize = 1_000;
/// Longer than all calls take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(90);
/// The server's limit of concurrent streams on a connection.
const CALLS_PER_CONNECTION: usize = 100;

/// Fault of the server between two batches of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interruption {
    Nothing,
    Restart,
    /// While the calls of the first batch are in flight.
    Kill,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![
        Cell::new(FAMILY, AT_ONCE, "the same body", |context| run(context, Interruption::Nothing, false)),
        Cell::new(FAMILY, AT_ONCE, "another body each", |context| run(context, Interruption::Nothing, true)),
        Cell::new(FAMILY, AT_ONCE, "again after a restart", |context| {
            run(context, Interruption::Restart, true)
        }),
        Cell::new(FAMILY, AT_ONCE, "again after kill -9", |context| run(context, Interruption::Kill, true)),
    ];
    for applied in [true, false] {
        let at = if applied { "the create hangs, applied" } else { "the create hangs, not applied" };
        cells.push(Cell::new(FAMILY, AT_ONCE, at, move |context| hanging_create(context, applied)));
    }
    cells
}

async fn run(context: CellContext, interruption: Interruption, bodies_differ: bool) {
    let plan = context.plan().with_long_deadlines();
    let mut world = start(if interruption == Interruption::Kill { plan.in_a_process() } else { plan }).await;
    let body = move |round: usize, n: usize| {
        let text = format!("Note {round}-{n}.");
        let investigation_notes = if bodies_differ { text } else { "Note 0-0.".to_owned() };
        v1::Incident { investigation_notes, ..incident("INC-1") }
    };
    let first = tokio::spawn(push_at_once(&world, move |n| body(1, n)).await);
    if interruption == Interruption::Kill {
        world.until_tickets(v1::TicketSystem::Jira, 1).await;
        world.crash().await;
        // Some callers have an answer and others do not: all repeat their calls.
        first.await.unwrap();
        expect_accepted(push_at_once(&world, move |n| body(2, n)).await.await);
    } else {
        expect_accepted(first.await.unwrap());
    }
    let deliveries = world.until_all_delivered(2).await;
    let notes = [&world.jira, &world.servicenow].map(note_of);
    if interruption == Interruption::Restart {
        world.restart().await;
    }
    if interruption != Interruption::Kill {
        // The tickets exist by now: a different body changes nothing, and the answer has `already_existed`.
        let late = expect_accepted(push_at_once(&world, move |n| body(3, n)).await.await);
        assert!(late.iter().all(|answer| answer.already_existed), "{late:#?}");
    }
    assert_eq!(world.deliveries().await, deliveries);
    assert_eq!([&world.jira, &world.servicenow].map(note_of), notes);
    check_one_ticket_each(world).await;
}

async fn hanging_create(context: CellContext, applied: bool) {
    // Long enough for all calls to arrive while the create hangs.
    let plan = context.plan().with_flag("--attempt-deadline=3s").with_flag("--lease=9s");
    let mut world = start(plan).await;
    for simulator in [&world.jira, &world.servicenow] {
        simulator.faults().push(Rule::new(Call::Create, When::Next(1), Effect::Hang { applied }));
    }
    expect_accepted(push_at_once(&world, |_| incident("INC-1")).await.await);
    world.until_all_delivered(2).await;
    let sent = if applied { 1 } else { 2 };
    assert_eq!([&world.jira, &world.servicenow].map(creates), [sent; 2]);
    check_one_ticket_each(world).await;
}

/// Starts a world in which auto-push sends everything to both Jira and ServiceNow.
async fn start(plan: Plan) -> World {
    let mut world = plan.start().await;
    let values = vec![v1::TicketSystem::Jira.into(), v1::TicketSystem::Servicenow.into()];
    let auto_push = v1::AutoPushSettings {
        enabled: Some(true),
        minimum_severity: Some(v1::Severity::Low.into()),
        systems: Some(v1::TicketSystemList { values }),
        ..Default::default()
    };
    world.configure(v1::ConfigureRequest { auto_push: Some(auto_push), ..Default::default() }).await;
    world
}

/// The answer to one caller.
#[derive(Debug)]
struct Answer {
    deliveries: Vec<v1::Delivery>,
    /// Every delivery existed before the call.
    already_existed: bool,
}

/// Connects all callers. The returned future makes all its calls at once, alternating between CreateTicket for
/// Jira, CreateTicket for ServiceNow and SubmitIncident.
async fn push_at_once(
    world: &World,
    body: impl Fn(usize) -> v1::Incident + Copy + Send + 'static,
) -> impl Future<Output = Vec<Result<Answer, Status>>> + Send + 'static {
    let mut clients = vec![];
    for _ in 0..CALLERS / CALLS_PER_CONNECTION {
        clients.push(world.server.client().await.with_deadline(DEADLINE));
    }
    let acknowledged = world.acknowledged.clone();
    async move {
        let mut calls = JoinSet::new();
        for n in 0..CALLERS {
            calls.spawn(call(clients[n % clients.len()].clone(), n, body(n)));
        }
        let answers = calls.join_all().await;
        for delivery in answers.iter().flatten().flat_map(|answer| &answer.deliveries) {
            acknowledged.note(delivery);
        }
        answers
    }
}

async fn call(mut client: Client, n: usize, incident: v1::Incident) -> Result<Answer, Status> {
    let system = match n % 3 {
        0 => v1::TicketSystem::Jira,
        1 => v1::TicketSystem::Servicenow,
        _ => {
            let answer = client.submit_incident(incident).await?;
            let already_existed = answer.results.iter().all(|result| result.already_existed);
            let deliveries = answer.results.into_iter().filter_map(|result| result.delivery).collect();
            return Ok(Answer { deliveries, already_existed });
        }
    };
    let request = v1::CreateTicketRequest { incident: Some(incident), destination: Some(system.into()) };
    let v1::CreateTicketResponse { delivery, already_existed, .. } = client.create_ticket(request).await?;
    Ok(Answer { deliveries: delivery.into_iter().collect(), already_existed })
}

fn expect_accepted(answers: Vec<Result<Answer, Status>>) -> Vec<Answer> {
    assert_eq!(answers.len(), CALLERS);
    answers.into_iter().map(|answer| answer.expect("every call is answered")).collect()
}

/// Returns the only note of the only ticket: no ticket mixes two bodies.
fn note_of(simulator: &Simulator) -> String {
    let tickets = simulator.tickets();
    let [ticket] = tickets.as_slice() else { panic!("{} tickets", tickets.len()) };
    let text = serde_json::to_string(&ticket.fields).unwrap();
    let notes: BTreeSet<_> =
        text.match_indices("Note ").map(|(at, _)| text[at..].split('.').next().unwrap()).collect();
    assert_eq!(notes.len(), 1, "{text}");
    notes.first().unwrap().to_string()
}

async fn check_one_ticket_each(world: World) {
    for simulator in [&world.jira, &world.servicenow] {
        assert_eq!(simulator.tickets().len(), 1);
    }
    assert_eq!(world.acknowledged.count(), 2);
    world.finish().await;
}
