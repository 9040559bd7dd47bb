//! Concurrent operations of operators on one delivery, and on the settings.

use std::time::Duration;

use rhythmx_ticketing::v1::{DeliveryState, TicketSystem};
use rhythmx_ticketing::{Client, v1};
use ticketing_harness::{WAIT_TIMEOUT, World, incident, refusal, retry, retrying, text};
use ticketing_simulator::{Call, Effect, Rule, When};
use tokio::task::JoinSet;
use tonic::{Code, Status};

use super::cell::{Cell, CellContext};

const FAMILY: &str = "operators";
const OPERATIONS: usize = 50;

/// State of the delivery when the operations begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DeliveryPhase {
    Waiting,
    Failed,
    CreateHangs { applied: bool },
    Unknown { applied: bool },
}

pub(super) fn cells() -> Vec<Cell> {
    let hangs = [true, false].map(|applied| DeliveryPhase::CreateHangs { applied });
    let unknown_outcomes = [true, false].map(|applied| DeliveryPhase::Unknown { applied });
    let mut cells = vec![];
    for at in [DeliveryPhase::Waiting, DeliveryPhase::Failed].into_iter().chain(hangs).chain(unknown_outcomes)
    {
        for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
            let name = format!("{}, {}", at.name(), system.as_str_name());
            cells.push(Cell::new(FAMILY, "50 operations at once", name, move |context| {
                operate_at_once(context, at, system)
            }));
        }
    }
    for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
        let name = format!("unknown outcome, not applied, {}", system.as_str_name());
        cells.push(Cell::new(FAMILY, "50 times create_anyway", name, move |context| {
            create_anyway_at_once(context, system)
        }));
    }
    cells.push(Cell::new(FAMILY, "Configure 100 times at once", "pushes going on", configure_at_once));
    cells.push(Cell::new(FAMILY, "TestConnection 50 times at once", "Configure, pushes", test_at_once));
    cells
}

/// RetryDelivery, CancelDelivery, ResolveDelivery, CreateTicket and SubmitIncident, ten of each.
async fn operate_at_once(context: CellContext, at: DeliveryPhase, system: TicketSystem) {
    let mut world = context.plan().with_flag("--attempt-deadline=2s").with_flag("--lease=6s").start().await;
    let id = bring_to_phase(&mut world, at, system).await;
    let other_ticket = world.simulator(system).add_foreign_ticket(serde_json::Map::new());
    let mut operations = JoinSet::new();
    for n in 0..OPERATIONS {
        let client = world.client.clone();
        let id = id.clone();
        let other_ticket = other_ticket.clone();
        operations.spawn(async move { (n, operate(client, n, id, other_ticket, system).await) });
    }
    for (n, answer) in operations.join_all().await {
        if answer.is_err() {
            let refused = refusal(answer);
            assert_eq!(
                (refused.code, refused.reason.as_str()),
                (Code::FailedPrecondition, "DELIVERY_STATE"),
                "{n}"
            );
        }
    }
    let settled = until_settled(&mut world, &id).await;
    if settled.state() == DeliveryState::Cancelled {
        world.client.retry_delivery(retrying(&id)).await.unwrap();
    }
    let delivery = world.until(&id, DeliveryState::Delivered).await;
    let tickets = world.simulator(system).tickets().into_iter().map(|ticket| ticket.key);
    let keys: Vec<_> = tickets.filter(|key| *key != other_ticket).collect();
    let reference = delivery.ticket.as_ref().unwrap();
    if reference.key == other_ticket {
        assert!(keys.len() <= 1, "{keys:?}: {delivery:#?}");
    } else {
        assert_eq!(keys, [reference.key.as_str()], "{delivery:#?}");
    }
    world.finish().await;
}

async fn bring_to_phase(world: &mut World, at: DeliveryPhase, system: TicketSystem) -> String {
    let faults = |then| world.simulator(system).faults().push(Rule::new(Call::Create, When::Next(1), then));
    match at {
        DeliveryPhase::Waiting | DeliveryPhase::Failed => {
            world.simulator(system).stop().await;
            let max_retry_attempts = Some(if at == DeliveryPhase::Failed { 0 } else { 5 });
            let retry = v1::RetrySettings { max_retry_attempts, ..retry(60_000, 60_000, 60) };
            world.configure(v1::ConfigureRequest { retry: Some(retry), ..Default::default() }).await;
        }
        DeliveryPhase::CreateHangs { applied } => faults(Effect::Hang { applied }),
        DeliveryPhase::Unknown { applied: true } => faults(Effect::ApplyThenDrop),
        DeliveryPhase::Unknown { applied: false } => faults(Effect::DropBefore),
    }
    if let DeliveryPhase::CreateHangs { .. } = at {
        let mut client = world.client.clone().with_deadline(Duration::from_secs(1));
        let request =
            v1::CreateTicketRequest { incident: Some(incident("INC-1")), destination: Some(system.into()) };
        tokio::spawn(async move { client.create_ticket(request).await });
        world.until_some(DeliveryState::Attempting).await;
        return world.deliveries().await[0].id.clone();
    }
    let id = world.push("INC-1", system).await.delivery.unwrap().id;
    if let DeliveryPhase::Waiting | DeliveryPhase::Failed = at {
        world.simulator(system).restart().await.unwrap();
    }
    id
}

async fn operate(
    mut client: Client,
    n: usize,
    delivery_id: String,
    ticket_key: String,
    system: TicketSystem,
) -> Result<(), Status> {
    match n % 5 {
        0 => client.retry_delivery(retrying(delivery_id)).await.map(drop),
        1 => client
            .cancel_delivery(v1::CancelDeliveryRequest { delivery_id, note: format!("by hand {n}") })
            .await
            .map(drop),
        2 => {
            let request = v1::ResolveDeliveryRequest { delivery_id, ticket_key, ..Default::default() };
            client.resolve_delivery(request).await.map(drop)
        }
        3 => {
            let request = v1::CreateTicketRequest {
                incident: Some(incident("INC-1")),
                destination: Some(system.into()),
            };
            client.create_ticket(request).await.map(drop)
        }
        _ => client.submit_incident(incident("INC-1")).await.map(drop),
    }
}

/// Waits until the delivery is in a final state.
async fn until_settled(world: &mut World, id: &str) -> v1::Delivery {
    let settled = async {
        loop {
            let delivery = world.delivery(id).await;
            if let DeliveryState::Delivered | DeliveryState::Cancelled = delivery.state() {
                return delivery;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, settled).await.expect("it comes to an end")
}

/// One call overrides the unknown outcome; later ones find the ticket, or an attempt in flight.
async fn create_anyway_at_once(context: CellContext, system: TicketSystem) {
    let plan = context.plan().with_long_deadlines().with_flag("--server-bound=30s");
    let mut world = plan.start().await;
    let id = bring_to_phase(&mut world, DeliveryPhase::Unknown { applied: false }, system).await;
    let mut operations = JoinSet::new();
    for _ in 0..OPERATIONS {
        operations.spawn(create_anyway_until_settled(world.client.clone(), id.clone()));
    }
    let granted =
        tokio::time::timeout(WAIT_TIMEOUT, operations.join_all()).await.expect("they come to an end");
    assert!(granted.contains(&true), "no call could override the unknown outcome");
    world.until(&id, DeliveryState::Delivered).await;
    assert_eq!(world.simulator(system).tickets().len(), 1);
    world.finish().await;
}

/// Repeats `create_anyway` while a look-up is in flight. Returns whether it was granted.
async fn create_anyway_until_settled(mut client: Client, delivery_id: String) -> bool {
    loop {
        let request = v1::RetryDeliveryRequest { delivery_id: delivery_id.clone(), create_anyway: true };
        let answer = client.retry_delivery(request).await;
        if answer.is_ok() {
            return true;
        }
        let refused = refusal(answer);
        refused.is(Code::FailedPrecondition, "DELIVERY_STATE", &[]);
        if refused.metadata["state"] != "RECONCILING" {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Each call sets the same number in two settings, and its answer has that number in both.
async fn configure_at_once(context: CellContext) {
    const CHANGES: usize = 100;
    const PUSHES: usize = 100;
    let mut world = context.plan().with_long_deadlines().start().await;
    let pushes = spawn_pushes(&world, PUSHES);
    let mut changes = JoinSet::new();
    for n in 0..CHANGES {
        let mut client = world.client.clone();
        changes.spawn(async move {
            let answer = client.configure(change(n)).await.unwrap();
            (n, answer.jira.unwrap().labels, answer.retry.unwrap().jitter.unwrap())
        });
    }
    for (n, labels, jitter) in changes.join_all().await {
        assert_eq!(
            (labels, jitter),
            (vec![label_of(n)], jitter_of(n)),
            "the answer shows what its change led to"
        );
    }
    let in_force = world.configure(v1::ConfigureRequest::default()).await;
    let last = (0..CHANGES).find(|n| in_force.jira.as_ref().unwrap().labels == [label_of(*n)]).unwrap();
    assert_eq!(in_force.retry.as_ref().unwrap().jitter, Some(jitter_of(last)));
    pushes.await.unwrap();
    world.until_all_delivered(PUSHES).await;
    assert_eq!(world.jira.tickets().len(), PUSHES);
    world.restart().await;
    let stored = world.configure(v1::ConfigureRequest::default()).await;
    assert_eq!(stored, in_force, "what is in force is what is stored");
    world.finish().await;
}

async fn test_at_once(context: CellContext) {
    const PUSHES: usize = 50;
    let mut world = context.plan().with_long_deadlines().with_flag("--tests-per-minute=1000").start().await;
    let pushes = spawn_pushes(&world, PUSHES);
    let mut calls = JoinSet::new();
    for n in 0..OPERATIONS {
        let mut client = world.client.clone();
        calls.spawn(async move {
            client.configure(change(n)).await.unwrap();
            let request =
                v1::TestConnectionRequest { destination: Some(TicketSystem::Jira.into()), unsaved: None };
            let test = client.test_connection(request).await.unwrap().test.unwrap();
            assert!(test.passed, "{test:#?}");
        });
    }
    calls.join_all().await;
    pushes.await.unwrap();
    world.until_all_delivered(PUSHES).await;
    assert_eq!(world.jira.tickets().len(), PUSHES, "no test leaves a ticket");
    world.finish().await;
}

/// The n-th change: a label and a jitter.
fn change(n: usize) -> v1::ConfigureRequest {
    let jitter = jitter_of(n);
    let labels = v1::JiraLabels { values: vec![label_of(n)] };
    v1::ConfigureRequest {
        jira: Some(v1::JiraSettings { labels: Some(labels), issue_type: text("Task"), ..Default::default() }),
        retry: Some(v1::RetrySettings { jitter: Some(jitter), ..Default::default() }),
        ..Default::default()
    }
}

fn label_of(n: usize) -> String {
    format!("change-{n}")
}

fn jitter_of(n: usize) -> f64 {
    n as f64 / 1_000.0
}

fn spawn_pushes(world: &World, count: usize) -> tokio::task::JoinHandle<()> {
    let client = world.client.clone();
    let acknowledged = world.acknowledged.clone();
    tokio::spawn(async move {
        let ids = (0..count).map(|n| format!("INC-{n}")).collect();
        for (_, answer) in ticketing_harness::push_all(&client, ids, TicketSystem::Jira, 8).await {
            acknowledged.note_push(&answer.unwrap());
        }
    })
}

// === impl DeliveryPhase ===

impl DeliveryPhase {
    fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::CreateHangs { applied: true } => "the create hangs, applied",
            Self::CreateHangs { applied: false } => "the create hangs, not applied",
            Self::Unknown { applied: true } => "unknown outcome, applied",
            Self::Unknown { applied: false } => "unknown outcome, not applied",
        }
    }
}
