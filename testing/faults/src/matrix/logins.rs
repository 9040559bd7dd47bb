//! Refused logins and locked accounts: further attempts must not lock an account permanently.

use std::time::Duration;

use rhythmx_ticketing::v1::{
    ConfigureRequest, ConnectionConditionKind, PreviewTicketRequest, TestConnectionRequest,
};
use ticketing_failpoints::Point;
use ticketing_harness::{World, incident, retry, text};
use ticketing_simulator::{Call, Credential, Effect, Rule, Vendor, When};
use tokio::task::JoinSet;

use super::calls::{VENDORS, name, plan, simulator, start, system};
use super::cell::{Cell, CellContext};
use super::held_push;
use super::site_fixture::status;

const FAMILY: &str = "logins";

/// Number of pushes while the connection is paused.
const PUSHES: usize = 20;
/// Processor tick in ms, longer than a cell.
const TICK: i32 = 600_000;
/// Time within which an unwanted request would be sent.
const QUIET_TIME: Duration = Duration::from_millis(500);
/// Number of concurrent pushes with the wrong password.
const CONCURRENT: usize = 12;
const PASSWORD: &str = "correct-horse-battery";

/// Calls that log in concurrently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calls {
    Pushes,
    /// Pushes, previews and connection tests.
    All,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for vendor in VENDORS {
        for (fault, refusal, becomes) in [
            ("login refused, and many pushes", status(401), ConnectionConditionKind::LoginRefused),
            ("account locked, and many pushes", account_locked(), ConnectionConditionKind::Suspended),
        ] {
            if vendor == Vendor::ServiceNow && becomes == ConnectionConditionKind::Suspended {
                let why = "ServiceNow answers a locked account as it answers any refused login";
                cells.push(Cell::does_not_apply(FAMILY, fault, name(vendor), why));
                continue;
            }
            cells.push(Cell::new(FAMILY, fault, name(vendor), move |context| {
                stops_after_refusal(context, vendor, refusal.clone(), becomes)
            }));
        }
    }
    for (vendor, limit) in [(Vendor::JiraDataCenter, 3), (Vendor::ServiceNow, 5)] {
        for (calls, reads) in [(Calls::Pushes, ""), (Calls::All, ", with previews and tests in flight")] {
            let fault = format!("wrong password, and many pushes at once{reads}");
            let run = move |context| wrong_password(context, vendor, limit, calls);
            cells.push(Cell::new(FAMILY, fault, name(vendor), run));
        }
    }
    for vendor in [Vendor::JiraCloud, Vendor::JiraDataCenter] {
        cells.push(Cell::new(FAMILY, "account locked, and a retry is due", name(vendor), move |context| {
            sends_nothing_after_lock(context, vendor)
        }));
    }
    cells
}

/// The vendor counts refused logins, concurrent ones included. However many calls are pending, the server
/// sends fewer wrong logins than lock the account, so that the right password works afterwards.
async fn wrong_password(context: CellContext, vendor: Vendor, limit: usize, calls: Calls) {
    // Leaves time for slow replies, also to the optional reads, whose timeout is a third of the deadline.
    let plan = plan(&context, vendor).with_flag("--attempt-deadline=5s").with_flag("--lease=12s");
    let mut world = start(plan.with_flag("--tests-per-minute=1000")).await;
    let user = "svc".to_owned();
    let secret = PASSWORD.to_owned();
    simulator(&world, vendor).edit(|profile| profile.credentials.push(Credential::Basic { user, secret }));
    // Slow enough for all calls to be in flight before the first is refused.
    let slow = Effect::Delay(Duration::from_millis(500));
    simulator(&world, vendor).faults().push(Rule::new(Call::Any, When::Always, slow));
    world.configure(with_password(&world, "not-the-password")).await;
    simulator(&world, vendor).clear_requests();
    let triggered = simulator(&world, vendor).faults().triggered();
    let ids = (0..CONCURRENT).map(|n| format!("INC-{n}")).collect();
    let reads = if calls == Calls::All { begin_reads(&world, vendor) } else { JoinSet::new() };
    world.push_all(ids, system(vendor), CONCURRENT).await;
    reads.join_all().await;
    world.until_condition(system(vendor), ConnectionConditionKind::Suspended).await;
    world.wait(QUIET_TIME).await;
    let refused = simulator(&world, vendor).requests().len();
    assert!((1..limit).contains(&refused), "{refused} logins were refused");
    assert!(simulator(&world, vendor).faults().triggered() - triggered >= refused as u64);
    assert_eq!(world.counts().await.failed, 0, "a suspension spends no retry");
    simulator(&world, vendor).faults().clear();
    world.configure(with_password(&world, PASSWORD)).await;
    world.until_all_delivered(CONCURRENT).await;
    world.finish().await;
}

/// Starts previews and connection tests, as many of each as there are pushes.
fn begin_reads(world: &World, vendor: Vendor) -> JoinSet<()> {
    let system = system(vendor);
    let mut reads = JoinSet::new();
    for n in 0..CONCURRENT {
        let mut client = world.client.clone();
        reads.spawn(async move {
            let incident = Some(incident(&format!("INC-{n}")));
            let destination = Some(system.into());
            client.preview_ticket(PreviewTicketRequest { incident, destination }).await.unwrap();
        });
        let mut client = world.client.clone();
        reads.spawn(async move {
            let request = TestConnectionRequest { destination: Some(system.into()), ..Default::default() };
            let test = client.test_connection(request).await.unwrap().test.unwrap();
            assert!(!test.passed, "the password is wrong: {test:#?}");
        });
    }
    reads
}

/// Settings of an account with this password.
fn with_password(world: &World, password: &str) -> ConfigureRequest {
    let mut settings = world.settings();
    if let Some(jira) = &mut settings.jira {
        jira.personal_access_token = None;
        jira.email = text("svc");
        jira.api_token = text(password);
    }
    if let Some(servicenow) = &mut settings.servicenow {
        servicenow.username = text("svc");
        servicenow.password = text(password);
    }
    ConfigureRequest { jira: settings.jira, servicenow: settings.servicenow, ..Default::default() }
}

/// The refusal and the suspension become visible together: no tick sees the one without the other.
async fn sends_nothing_after_lock(context: CellContext, vendor: Vendor) {
    let mut world = start(plan(&context, vendor).in_a_process()).await;
    simulator(&world, vendor).faults().push(Rule::new(Call::Any, When::Next(1), account_locked()));
    world.server.arm(Point::Recorded);
    let push = held_push::begin_push(&world, "INC-1", system(vendor));
    world.server.until_held(Point::Recorded).await;
    let requests_before = simulator(&world, vendor).requests().len();
    world.wait(QUIET_TIME).await;
    assert_eq!(simulator(&world, vendor).requests().len(), requests_before, "something was sent");
    world.server.release();
    held_push::finish(&mut world, push, system(vendor)).await;
    world.test_passes(system(vendor)).await;
    world.until_all_delivered(1).await;
    world.finish().await;
}

/// After one refusal the server sends at most one probe a tick, however many incidents are pushed, until an
/// operator tests the connection. The waiting deliveries are sent then.
async fn stops_after_refusal(
    context: CellContext,
    vendor: Vendor,
    refusal: Effect,
    becomes: ConnectionConditionKind,
) {
    let mut world = start(plan(&context, vendor)).await;
    let ticks = ConfigureRequest { retry: Some(retry(60, TICK, TICK)), ..Default::default() };
    world.configure(ticks).await;
    simulator(&world, vendor).faults().push(Rule::new(Call::Any, When::Always, refusal));
    world.push("INC-0", system(vendor)).await;
    // ServiceNow can lock the account, so the next tick may already have sent the one further probe.
    loop {
        let condition = world.status(system(vendor)).await.condition.unwrap().kind();
        if condition == becomes || condition == ConnectionConditionKind::Suspended {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let requests_before = simulator(&world, vendor).requests().len();
    for n in 1..=PUSHES {
        world.push(&format!("INC-{n}"), system(vendor)).await;
    }
    world.wait(QUIET_TIME).await;
    let requests_since = simulator(&world, vendor).requests().len() - requests_before;
    // A tick that was scheduled before the interval was changed still occurs, with one probe.
    assert!(requests_since <= 1, "the login was tried {requests_since} times more");
    simulator(&world, vendor).faults().clear();
    world.test_passes(system(vendor)).await;
    world.until_all_delivered(1 + PUSHES).await;
    world.finish().await;
}

fn account_locked() -> Effect {
    Effect::captcha("https://jira.example/login.jsp")
}
