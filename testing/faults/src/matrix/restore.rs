//! A database is restored from an older copy, by copying files, while its tickets exist.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, DeliveryState, TicketSystem};
use ticketing_harness::{DatabaseCopy, Plan, RestoreMethod, WAIT_TIMEOUT, World, incident, retrying, state};
use ticketing_simulator::{Call, Effect, Profile, Reply, Rule, Vendor, When};
use tokio::task::JoinSet;

use super::cell::{Cell, CellContext};

const FAMILY: &str = "restore";

/// Logged when the database may have been restored.
const SUSPECTED: &str = "may have been restored from a backup";

/// The ticket system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Site {
    /// The index lags, within the bound.
    Cloud,
    /// The index lags, within the bound.
    DataCenter,
    ServiceNow,
    /// Assigns its own `sys_id`, whatever the client sends.
    ServiceNowOwnIds,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for site in [Site::Cloud, Site::DataCenter, Site::ServiceNow, Site::ServiceNowOwnIds] {
        for how in [
            RestoreMethod::DatabaseOnly,
            RestoreMethod::OverFolder,
            RestoreMethod::NewFolder,
            RestoreMethod::OtherFolder,
        ] {
            let fault = format!("older copy, {}", how.name());
            cells
                .push(Cell::new(FAMILY, fault, site.name(), move |context| restore_copy(context, site, how)));
        }
    }
    cells.push(Cell::does_not_apply(
        FAMILY,
        "older copy, a volume that is restored while the machine runs",
        "every site",
        "no process can detect it: the flag --restored tells the server",
    ));
    cells
}

/// Deliveries in each state of the copy, and later ones, are delivered before and after the restore: one
/// ticket each.
async fn restore_copy(context: CellContext, site: Site, how: RestoreMethod) {
    let plan = site.plan(&context);
    let system = site.system();
    let plan = plan.in_a_process().with_flag("--concurrency=1").with_flag("--max-concurrency=1");
    let plan = plan.with_flag("--circuit-threshold=1000");
    // Long enough for the create to hang until all others are accepted, on a busy machine too.
    let plan = plan.with_flag("--attempt-deadline=2s").with_flag("--lease=4s");
    let mut world = plan.start().await;
    world.disable_automatic_retries().await;
    let early = ["WAITING", "CANCELLED", "FAILED"];
    for id in early {
        leave_in_state(&mut world, system, id).await;
    }
    world.push("DELIVERED", system).await;
    queue_behind_hanging_create(&mut world, system, &["UNKNOWN-OUTCOME", "PENDING-1", "PENDING-2"]).await;
    world.server.kill().await;
    world.simulator(system).faults().clear();
    let copy = DatabaseCopy::of(&world).await;

    start_again(&mut world).await;
    let known = ["WAITING", "CANCELLED", "FAILED", "DELIVERED", "UNKNOWN-OUTCOME", "PENDING-1", "PENDING-2"];
    deliver(&mut world, system, &known).await;
    let later = ["LATER-1", "LATER-2"];
    for id in later {
        assert_eq!(state(&world.push(id, system).await), DeliveryState::Delivered);
    }
    assert!(!world.server.log().contains(SUSPECTED), "{}", world.server.log());
    assert_eq!(world.simulator(system).tickets().len(), 9);
    world.server.stop().await;

    copy.restore_copy(&mut world, how);
    start_again(&mut world).await;
    assert!(world.server.log().contains(SUSPECTED), "{how:?}: {}", world.server.log());
    let first = incident(later[0]);
    let second = incident(later[1]);
    for incident in [first, second] {
        world.try_push(incident, system).await.unwrap();
    }
    deliver(&mut world, system, &known).await;
    for id in later.into_iter().chain(["NEW-1", "NEW-2"]) {
        push_until_delivered(&mut world, id, system).await;
    }
    assert_eq!(world.deliveries().await.len(), 11);
    assert_eq!(world.simulator(system).tickets().len(), 11);
    world.finish().await;
}

async fn start_again(world: &mut World) {
    world.server.start_again().await;
    world.client = world.server.client().await;
    // The start is logged before the first answer.
    world.client.get_status().await.unwrap();
}

/// Leaves a delivery in the state that its incident is named after.
async fn leave_in_state(world: &mut World, system: TicketSystem, name: &str) {
    let refusing =
        Effect::Answer(Reply::json(400, &serde_json::json!({ "error": { "message": "not now" } })));
    world.simulator(system).faults().push(Rule::new(Call::Create, When::Always, refusing));
    let attempts = |max_retry_attempts| v1::ConfigureRequest {
        retry: Some(v1::RetrySettings { max_retry_attempts: Some(max_retry_attempts), ..Default::default() }),
        ..Default::default()
    };
    world.configure(attempts(if name == "FAILED" { 0 } else { 5 })).await;
    let delivery = world.push(name, system).await.delivery.unwrap();
    if name == "CANCELLED" {
        let request = v1::CancelDeliveryRequest { delivery_id: delivery.id.clone(), note: String::new() };
        world.client.cancel_delivery(request).await.unwrap();
    }
    let now = world.delivery(&delivery.id).await.state();
    assert_eq!(now.as_str_name(), format!("DELIVERY_STATE_{name}"));
    world.configure(attempts(5)).await;
    world.simulator(system).faults().clear();
}

/// Submits incidents: the first is being sent, and the others are queued behind it.
async fn queue_behind_hanging_create(world: &mut World, system: TicketSystem, ids: &[&str]) {
    let hanging = Effect::Hang { applied: true };
    world.simulator(system).faults().push(Rule::new(Call::Create, When::Always, hanging));
    let tickets = world.simulator(system).tickets().len();
    // The calls return once all tickets exist.
    let mut callers = JoinSet::new();
    for id in ids {
        let mut client = world.client.clone();
        let request =
            v1::CreateTicketRequest { incident: Some(incident(id)), destination: Some(system.into()) };
        callers.spawn(async move { drop(client.create_ticket(request).await) });
        world.until_tickets(system, tickets + 1).await;
    }
    let wait = async {
        while pending(&world.deliveries().await) < ids.len() - 1 {
            world.wait(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, wait).await.expect("they are not accepted in time");
}

fn pending(deliveries: &[v1::Delivery]) -> usize {
    deliveries.iter().filter(|delivery| delivery.state() == DeliveryState::Pending).count()
}

/// Has every one of these delivered, with RetryDelivery where needed.
async fn deliver(world: &mut World, system: TicketSystem, incidents: &[&str]) {
    let all = world.deliveries().await;
    for name in incidents {
        let delivery = all.iter().find(|delivery| delivery.incident_id == *name);
        let delivery = delivery.unwrap_or_else(|| panic!("{name} is not there"));
        assert_eq!(delivery.system(), system);
        if matches!(
            delivery.state(),
            DeliveryState::Waiting | DeliveryState::Cancelled | DeliveryState::Failed
        ) {
            world.client.retry_delivery(retrying(&delivery.id)).await.unwrap();
        }
        world.until(&delivery.id, DeliveryState::Delivered).await;
    }
}

async fn push_until_delivered(world: &mut World, id: &str, system: TicketSystem) {
    let delivery = world.push(id, system).await.delivery.unwrap();
    world.until(&delivery.id, DeliveryState::Delivered).await;
}

// === impl Site ===

impl Site {
    fn name(self) -> &'static str {
        match self {
            Self::Cloud => "Jira Cloud",
            Self::DataCenter => "Jira Data Center",
            Self::ServiceNow => "ServiceNow",
            Self::ServiceNowOwnIds => "ServiceNow that ignores our sys_id",
        }
    }

    fn system(self) -> TicketSystem {
        match self {
            Self::Cloud | Self::DataCenter => TicketSystem::Jira,
            Self::ServiceNow | Self::ServiceNowOwnIds => TicketSystem::Servicenow,
        }
    }

    fn plan(self, context: &CellContext) -> Plan {
        let lagging = |vendor| Profile::of(vendor).with_index_lag(Duration::from_millis(150));
        match self {
            Self::Cloud => context.plan().with_jira(Vendor::JiraCloud, lagging(Vendor::JiraCloud)),
            Self::DataCenter => {
                context.plan().with_jira(Vendor::JiraDataCenter, lagging(Vendor::JiraDataCenter))
            }
            Self::ServiceNow => context.plan(),
            Self::ServiceNowOwnIds => {
                let mut profile = Profile::of(Vendor::ServiceNow);
                profile.ignores_sys_id = true;
                context.plan().with_servicenow(profile)
            }
        }
    }
}
