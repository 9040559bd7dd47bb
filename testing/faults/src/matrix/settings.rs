//! Settings that change while a delivery is in progress, at each point of its path.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, DeliveryState, TicketEventKind, TicketSystem};
use ticketing_failpoints::Point;
use ticketing_harness::{World, creates, state, text};
use ticketing_simulator::{Call, Credential, Effect, Profile, Project, Rule, Simulator, When};

use super::cell::{Cell, CellContext};

const FAMILY: &str = "settings";
const NEW_SECRET: &str = "secret-of-the-new-settings";
const OTHER_GROUP: &str = "Network";
/// Allowance for a slow machine and the deadline of the create.
const RECOVERY_LIMIT: Duration = Duration::from_secs(12);

/// The changed setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The URL, and with it the secret.
    Site,
    /// The connection is disabled, and enabled later.
    Enabled,
    /// The ticket system accepts only a new secret, which is configured a little later.
    Secret,
    /// Jira's project, or ServiceNow's assignment group.
    Place,
    /// No further retries.
    Retries,
}

/// Point at which the setting changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    CreateHangs,
    Unknown,
    /// Held at a fail point on the path of a push.
    Held(Point),
    /// The look-up after an uncertain create is held at a fail point.
    LookUpHeld(Point),
    /// The account is locked.
    Suspended,
}

const CHANGES: [Change; 5] = [Change::Site, Change::Enabled, Change::Secret, Change::Place, Change::Retries];
const SYSTEMS: [TicketSystem; 2] = [TicketSystem::Jira, TicketSystem::Servicenow];
/// Points at which the requests under the old settings are known in advance.
const HELD: [At; 6] = [
    At::Held(Point::Claimed),
    At::Held(Point::IntentCommitted),
    At::Held(Point::RequestHalfSent),
    At::Held(Point::ReplyRead),
    At::Held(Point::Recorded),
    At::Suspended,
];

/// Requests that were sent under the old settings.
#[derive(Debug, Clone, Copy)]
struct Sent {
    system: TicketSystem,
    /// Whether they created a ticket.
    applied: bool,
    /// Number of creates.
    creates: usize,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for (change, system) in CHANGES.into_iter().flat_map(|change| SYSTEMS.map(|system| (change, system))) {
        let sent_at =
            [At::CreateHangs, At::Unknown, At::LookUpHeld(Point::LookingUp), At::LookUpHeld(Point::LookedUp)];
        for (at, applied) in sent_at.into_iter().flat_map(|at| [true, false].map(|applied| (at, applied))) {
            let made = if applied { "" } else { "not " };
            let name = format!("{}, {made}applied, {}", at.name(), system.as_str_name());
            let sent = Sent { system, applied, creates: 1 };
            cells.push(Cell::new(FAMILY, change.name(), name, move |context| run(context, change, at, sent)));
        }
        cells.extend(HELD.map(|at| held(change, at, system)));
    }
    cells
}

fn held(change: Change, at: At, system: TicketSystem) -> Cell {
    let name = format!("{}, {}", at.name(), system.as_str_name());
    if at == At::Suspended && system == TicketSystem::Servicenow {
        let why = "ServiceNow answers a locked account as it answers any refused login";
        return Cell::does_not_apply(FAMILY, change.name(), name, why);
    }
    // A delivery with a durable intent is sent under the old settings, unless the connection is disabled or
    // the old secret is refused.
    let is_intended = at == At::Held(Point::IntentCommitted);
    let stays = matches!(at, At::Suspended | At::Held(Point::Claimed));
    let creates = usize::from(!(stays || is_intended && change == Change::Enabled));
    let on_its_way = is_intended || at == At::Held(Point::RequestHalfSent);
    let refused = on_its_way && change == Change::Secret;
    let sent = Sent { system, applied: creates == 1 && !refused, creates };
    Cell::new(FAMILY, change.name(), name, move |context| run(context, change, at, sent))
}

async fn run(context: CellContext, change: Change, at: At, sent: Sent) {
    let plan = context.plan().with_flag("--attempt-deadline=2s").with_flag("--lease=6s");
    let plan = if matches!(at, At::Held(_) | At::LookUpHeld(_)) { plan.in_a_process() } else { plan };
    let mut world = plan.start().await;
    world.secrets.push(NEW_SECRET.to_owned());
    world.jira.edit(|profile| *profile = profile.clone().with_project(Project::new("10200", "OPS")));
    let id = bring_to_point(&mut world, at, sent).await;
    let began = tokio::time::Instant::now();
    match change {
        Change::Site => change_site(&mut world, sent).await,
        Change::Enabled => disable_and_enable(&mut world, &id, at, sent).await,
        Change::Secret => rotate_secret(&mut world, sent).await,
        Change::Place => {
            let jira = v1::JiraSettings { project_key: text("OPS"), ..Default::default() };
            let group = text(OTHER_GROUP);
            let servicenow = v1::ServiceNowSettings { assignment_group: group, ..Default::default() };
            configure(&mut world, sent.system, jira, servicenow).await;
        }
        Change::Retries => {
            let retry = v1::RetrySettings { max_retry_attempts: Some(0), ..Default::default() };
            world.configure(v1::ConfigureRequest { retry: Some(retry), ..Default::default() }).await;
            world.server.release();
            if at == At::Suspended {
                world.test_passes(sent.system).await;
            } else if !sent.applied && sent.creates > 0 {
                // It fails permanently because of the connection, which is probed from then on.
                world.until_event("INC-1", TicketEventKind::Failed).await;
            }
        }
    }
    world.server.release();
    let delivery = world.until(&id, DeliveryState::Delivered).await;
    context.recovered(began.elapsed(), RECOVERY_LIMIT);
    check(&world, change, sent, &delivery);
    world.finish().await;
}

/// Pushes, and waits until the push has reached this point.
async fn bring_to_point(world: &mut World, at: At, sent: Sent) -> String {
    let faults = world.simulator(sent.system).faults();
    let applied = sent.applied;
    let lost = if applied { Effect::ApplyThenDrop } else { Effect::DropBefore };
    match at {
        At::CreateHangs => faults.push(Rule::new(Call::Create, When::Next(1), Effect::Hang { applied })),
        At::Unknown | At::LookUpHeld(_) => faults.push(Rule::new(Call::Create, When::Next(1), lost)),
        At::Suspended => {
            let locked = Effect::captcha("https://jira.example/login.jsp");
            faults.push(Rule::new(Call::Any, When::Next(1), locked));
        }
        At::Held(_) => {}
    }
    if at == At::Unknown {
        // Prolongs the unknown outcome.
        let slow = Effect::Delay(Duration::from_millis(300));
        world.simulator(sent.system).faults().push(Rule::new(Call::Search, When::Next(1), slow));
        let answer = world.push("INC-1", sent.system).await;
        assert_eq!(state(&answer), DeliveryState::Reconciling);
        return answer.delivery.unwrap().id;
    }
    if let At::Held(point) | At::LookUpHeld(point) = at {
        world.server.arm(point);
    }
    begin_push(world, sent.system);
    match at {
        At::Held(point) | At::LookUpHeld(point) => world.server.until_held(point).await,
        At::Suspended => world.until_condition(sent.system, v1::ConnectionConditionKind::Suspended).await,
        At::CreateHangs | At::Unknown => {
            let hangs = async {
                while creates(world.simulator(sent.system)) == 0 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(RECOVERY_LIMIT, hangs).await.expect("the create is sent");
        }
    }
    world.deliveries().await[0].id.clone()
}

/// Pushes in the background.
fn begin_push(world: &World, system: TicketSystem) {
    let mut client = world.client.clone();
    let acknowledged = world.acknowledged.clone();
    let incident = Some(ticketing_harness::incident("INC-1"));
    let request = v1::CreateTicketRequest { incident, destination: Some(system.into()) };
    tokio::spawn(async move { acknowledged.note_push(&client.create_ticket(request).await.unwrap()) });
}

/// Changes the URL to another site of the same vendor, which needs another secret.
async fn change_site(world: &mut World, sent: Sent) {
    let profile = world.simulator(sent.system).edit(|profile| profile.clone());
    let new =
        Simulator::start(world.simulator(sent.system).vendor(), with_new_secret(profile)).await.unwrap();
    let jira =
        v1::JiraSettings { url: text(new.base_url()), api_token: text(NEW_SECRET), ..Default::default() };
    let instance = text(new.base_url());
    let password = text(NEW_SECRET);
    let servicenow = v1::ServiceNowSettings { instance, password, ..Default::default() };
    world.other_sites.push(new);
    configure(world, sent.system, jira, servicenow).await;
}

async fn disable_and_enable(world: &mut World, id: &str, at: At, sent: Sent) {
    for enabled in [Some(false), Some(true)] {
        let jira = v1::JiraSettings { enabled, ..Default::default() };
        let servicenow = v1::ServiceNowSettings { enabled, ..Default::default() };
        configure(world, sent.system, jira, servicenow).await;
        if enabled == Some(false) {
            world.server.release();
            world.wait(Duration::from_millis(400)).await;
            let begun = creates(world.simulator(sent.system));
            assert_eq!(begun, sent.creates, "nothing is sent where nothing may be: {at:?}");
            assert_ne!(world.delivery(id).await.state(), DeliveryState::Failed);
        }
    }
}

/// While the old secret is refused, no search proves anything.
async fn rotate_secret(world: &mut World, sent: Sent) {
    let simulator = world.simulator(sent.system);
    simulator.edit(|profile| *profile = with_new_secret(profile.clone()));
    world.server.release();
    world.wait(Duration::from_millis(600)).await;
    assert_eq!(creates(world.simulator(sent.system)), sent.creates, "an anonymous look-up proves nothing");
    let jira = v1::JiraSettings { api_token: text(NEW_SECRET), ..Default::default() };
    let servicenow = v1::ServiceNowSettings { password: text(NEW_SECRET), ..Default::default() };
    configure(world, sent.system, jira, servicenow).await;
}

fn with_new_secret(profile: Profile) -> Profile {
    let Some(Credential::Basic { user, .. }) = profile.credentials.first().cloned() else {
        panic!("both log in with a user and a secret")
    };
    profile.only_credential(Credential::Basic { user, secret: NEW_SECRET.to_owned() })
}

/// Changes the settings of one of the two connections.
async fn configure(
    world: &mut World,
    system: TicketSystem,
    jira: v1::JiraSettings,
    servicenow: v1::ServiceNowSettings,
) {
    let request = match system {
        TicketSystem::Jira => v1::ConfigureRequest { jira: Some(jira), ..Default::default() },
        _ => v1::ConfigureRequest { servicenow: Some(servicenow), ..Default::default() },
    };
    world.configure(request).await;
}

/// A ticket that was created before the change stays in the old place; otherwise it is created under the new
/// settings.
fn check(world: &World, change: Change, sent: Sent, delivery: &v1::Delivery) {
    let old = world.simulator(sent.system);
    let (there, other_sites) =
        (old.tickets().len(), world.other_sites.iter().map(|new| new.tickets().len()).sum());
    let moved = change == Change::Site && !sent.applied;
    assert_eq!((there, other_sites), if moved { (0, 1) } else { (1, 0) }, "{delivery:#?}");
    let site = if moved { &world.other_sites[0] } else { old };
    assert!(delivery.ticket.as_ref().unwrap().url.starts_with(&site.base_url()), "{delivery:#?}");
    if change == Change::Site {
        assert_eq!(
            creates(&world.other_sites[0]),
            usize::from(moved),
            "the look-up goes where the send went"
        );
        let logins = |site: &Simulator| {
            let mut logins: Vec<_> =
                site.requests().iter().filter_map(|r| r.header("authorization").map(str::to_owned)).collect();
            logins.dedup();
            logins
        };
        let old = logins(old);
        let new = logins(&world.other_sites[0]);
        assert!(
            old.len() <= 1 && new.iter().all(|login| !old.contains(login)),
            "each site sees its own secret alone"
        );
    }
    if change == Change::Place {
        check_place(&old.tickets()[0], sent);
    }
}

fn check_place(ticket: &ticketing_simulator::Ticket, sent: Sent) {
    match sent.system {
        TicketSystem::Jira => assert_eq!(ticket.container, if sent.applied { "SEC" } else { "OPS" }),
        _ => {
            let network = Profile::of(ticketing_simulator::Vendor::ServiceNow).groups[0].clone();
            let group = ticket.fields["assignment_group"].to_string();
            assert_eq!(network.name, OTHER_GROUP);
            assert_eq!(group.contains(&network.id), !sent.applied, "{group}");
        }
    }
}

// === impl Change ===

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Site => "other site",
            Self::Enabled => "disabled and enabled",
            Self::Secret => "secret rotated",
            Self::Place => "other project or group",
            Self::Retries => "retries set to zero",
        }
    }
}

// === impl At ===

impl At {
    fn name(self) -> &'static str {
        match self {
            Self::CreateHangs => "the create hangs",
            Self::Unknown => "unknown outcome",
            Self::Held(point) | Self::LookUpHeld(point) => point.name(),
            Self::Suspended => "suspended",
        }
    }
}
