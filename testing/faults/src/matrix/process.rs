//! The process is killed, stopped or suspended, at every point.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, DeliveryState, TicketSystem};
use ticketing_failpoints::Point;
use ticketing_harness::{PATIENCE, Plan, Server, Start, World, incident};
use ticketing_simulator::{self as simulator, Call, Effect, RetryAfter, Rule, When};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::cell::{Cell, Stage};
use super::held_push::{LOOKING_UP, PUSHING};
use super::tls::Trust;

const FAMILY: &str = "process";

/// The attempt deadline of the cells.
const ATTEMPT_DEADLINE: Duration = Duration::from_millis(600);
pub(crate) const LEASE: Duration = Duration::from_millis(1_500);
/// Time for a proof of absence: the server bound, the index bound, and two searches.
pub(crate) const SETTLE: Duration = Duration::from_millis(60 + 180 + 2 * 30);
/// Allowance for a slow machine.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// Fault of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Killed,
    AskedToStop,
    /// Suspended for longer than its lease.
    Asleep,
}

/// Point at which the fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Held at a fail point on the path of a push.
    Held(Point),
    /// The intent is durable, and the TLS handshake of the connection does not end.
    Connecting,
    /// The ticket system has read half of the create. The rest has left the process into the socket buffers.
    RequestHalfTaken,
    /// The ticket system has applied the create and does not answer.
    SentAndWaiting,
    /// The ticket system has applied the create and sent half of the reply's body.
    ReplyHalfRead,
    /// The first attempt was refused.
    Waiting,
    /// Held at a fail point on the path of a look-up.
    LookUpHeld(Point),
    /// Held before a duplicate scan.
    SweepHeld,
    /// The account is locked.
    Suspended,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut points: Vec<At> = PUSHING.map(At::Held).to_vec();
    points.extend([At::Connecting, At::RequestHalfTaken, At::SentAndWaiting, At::ReplyHalfRead, At::Waiting]);
    points.extend(LOOKING_UP.map(At::LookUpHeld));
    points.extend([At::SweepHeld, At::Suspended]);
    let mut cells = vec![];
    for fault in Fault::ALL {
        for at in points.iter().copied() {
            for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
                let name = format!("{}, {}", at.name(), system.as_str_name());
                if at == At::Suspended && system == TicketSystem::Servicenow {
                    let why = "ServiceNow answers a locked account as it answers any refused login";
                    cells.push(Cell::does_not_apply(FAMILY, fault.name(), name, why));
                    continue;
                }
                cells
                    .push(Cell::new(FAMILY, fault.name(), name, move |stage| play(stage, fault, at, system)));
            }
        }
        cells.push(Cell::new(FAMILY, fault.name(), "first start, tables made", move |stage| {
            in_the_first_start(stage, fault)
        }));
        cells.push(Cell::new(FAMILY, fault.name(), "closing the database", move |stage| {
            while_closing(stage, fault)
        }));
    }
    cells
}

async fn play(stage: Stage, fault: Fault, at: At, system: TicketSystem) {
    let plan = plan(&stage).with_flag("--duplicate-scan-delays=50ms,100ms,150ms");
    let trust = Trust::new();
    let plan = if at == At::Connecting { plan.under_tls(&trust.good, trust.pem_file()) } else { plan };
    let mut world = plan.start().await;
    let push = come_to(&mut world, at, system).await;
    let struck = Instant::now();
    strike(&mut world, fault).await;
    // A caller without an answer repeats its call.
    let acknowledged = push.await.unwrap();
    if acknowledged.is_none() {
        world.push("INC-1", system).await;
    }
    if at == At::Suspended {
        // Only a passed connection test or new settings end a suspension.
        let condition = world.status(system).await.condition.unwrap();
        assert_eq!(condition.kind(), v1::ConnectionConditionKind::Suspended);
        world.test_passes(system).await;
    }
    world.until_all_delivered(1).await;
    stage.recovered(struck.elapsed(), LEASE + SETTLE + GRACE);
    let deliveries = world.deliveries().await;
    assert_eq!(deliveries.len(), 1, "{deliveries:#?}");
    if let Some(id) = acknowledged {
        assert_eq!(deliveries[0].id, id, "what was acknowledged is gone");
    }
    assert_eq!(world.simulator(system).tickets().len(), 1, "{deliveries:#?}");
    world.finish().await;
}

/// A plan with a server process of its own and these bounds.
pub(crate) fn plan(stage: &Stage) -> Plan {
    let plan = stage.plan().in_a_process();
    let plan = plan.with_flag(&format!("--attempt-deadline={}ms", ATTEMPT_DEADLINE.as_millis()));
    plan.with_flag(&format!("--lease={}ms", LEASE.as_millis()))
}

/// Pushes, and waits until the push has reached this point. The task returns the ID of the delivery if the
/// call was answered.
async fn come_to(world: &mut World, at: At, system: TicketSystem) -> JoinHandle<Option<String>> {
    let faults = world.simulator(system).faults();
    let create = |then| Rule::new(Call::Create, When::Next(1), then);
    match at {
        At::Held(point) => {
            world.server.arm(point);
            let push = begin_push(world, system);
            world.server.until_held(point).await;
            if point == Point::RequestHalfSent {
                let begun = world.simulator(system).until(Call::Create, simulator::Point::HeadRead, 1);
                tokio::time::timeout(PATIENCE, begun).await.expect("nothing is sent");
                assert_eq!(world.simulator(system).reached(Call::Create, simulator::Point::Read), 0);
            }
            push
        }
        At::Connecting => {
            let nth = 1 + reads_before_a_create(system);
            faults.push(Rule::new(Call::Connection, When::Nth(nth), Effect::NeverRead));
            let push = begin_push(world, system);
            let faults = world.simulator(system).faults();
            tokio::time::timeout(PATIENCE, faults.until_struck(1)).await.expect("nothing connects");
            push
        }
        At::RequestHalfTaken => {
            faults.push(create(Effect::StopReading));
            let push = begin_push(world, system);
            let half = world.simulator(system).until(Call::Create, simulator::Point::HalfRead, 1);
            tokio::time::timeout(PATIENCE, half).await.expect("nothing is sent");
            push
        }
        At::SentAndWaiting => {
            faults.push(create(Effect::Hang { applied: true }));
            let push = begin_push(world, system);
            world.until_tickets(system, 1).await;
            push
        }
        At::ReplyHalfRead => {
            faults.push(create(Effect::StopSending));
            let push = begin_push(world, system);
            let half = world.simulator(system).until(Call::Create, simulator::Point::HalfSent, 1);
            tokio::time::timeout(PATIENCE, half).await.expect("nothing is answered");
            push
        }
        At::Waiting => {
            faults.push(create(Effect::throttle(RetryAfter::Seconds(1))));
            let push = begin_push(world, system);
            world.until_some(DeliveryState::Waiting).await;
            push
        }
        At::LookUpHeld(point) => {
            faults.push(create(Effect::ApplyThenDrop));
            world.server.arm(point);
            let push = begin_push(world, system);
            world.server.until_held(point).await;
            push
        }
        At::SweepHeld => {
            faults.push(create(Effect::ApplyThenDrop));
            world.server.arm(Point::Sweeping);
            let push = begin_push(world, system);
            world.server.until_held(Point::Sweeping).await;
            push
        }
        At::Suspended => {
            faults.push(Rule::new(Call::Any, When::Next(1), lock_out()));
            let push = begin_push(world, system);
            world.until_condition(system, v1::ConnectionConditionKind::Suspended).await;
            push
        }
    }
}

pub(super) fn begin_push(world: &World, system: TicketSystem) -> JoinHandle<Option<String>> {
    let mut client = world.client.clone().with_deadline(ATTEMPT_DEADLINE * 4);
    tokio::spawn(async move {
        let request =
            v1::CreateTicketRequest { incident: Some(incident("INC-1")), destination: Some(system.into()) };
        let answer = client.create_ticket(request).await.ok()?;
        Some(answer.delivery?.id)
    })
}

/// Number of reads before a create: Jira's issue types and the fields of one, ServiceNow's group.
fn reads_before_a_create(system: TicketSystem) -> u64 {
    if system == TicketSystem::Jira { 2 } else { 1 }
}

pub(super) async fn strike(world: &mut World, fault: Fault) {
    match fault {
        Fault::Killed => {
            world.server.kill().await;
            world.server.release();
            world.server.start_again().await;
        }
        Fault::AskedToStop => {
            world.server.ask_to_stop().await;
            world.server.release();
            let ended = world.server.until_ended().await;
            assert!(ended.success(), "it ended with {ended}: {}", world.server.log());
            world.server.start_again().await;
        }
        Fault::Asleep => {
            world.server.pause().await;
            tokio::time::sleep(LEASE + SETTLE).await;
            world.server.go_on().await;
            world.server.release();
        }
    }
    world.client = world.server.client().await;
}

/// The schema exists, and the tables are empty.
async fn in_the_first_start(stage: Stage, fault: Fault) {
    let mut world = plan(&stage).start_unconfigured().await;
    // A new server, since the world's server has completed its first start.
    let mut server = Server::prepare(Start { process: true, ..world.server.next_start().clone() });
    server.arm(Point::Migrated);
    server.start_again().await;
    server.until_held(Point::Migrated).await;
    std::mem::swap(&mut world.server, &mut server);
    server.stop().await;
    let struck = Instant::now();
    strike(&mut world, fault).await;
    stage.recovered(struck.elapsed(), LEASE + SETTLE + GRACE);
    let settings = world.settings();
    world.configure(settings).await;
    world.push("INC-1", TicketSystem::Jira).await;
    world.until_all_delivered(1).await;
    world.finish().await;
}

/// The server was asked to stop, and is about to close its database. A second signal changes nothing.
async fn while_closing(stage: Stage, fault: Fault) {
    let mut world = plan(&stage).start().await;
    for n in 0..20 {
        world.push(&format!("INC-{n}"), TicketSystem::Jira).await;
    }
    world.server.arm(Point::Closing);
    world.server.ask_to_stop().await;
    world.server.until_held(Point::Closing).await;
    let struck = Instant::now();
    if fault == Fault::Asleep {
        world.server.pause().await;
        tokio::time::sleep(LEASE + SETTLE).await;
        world.server.go_on().await;
        world.server.release();
        let ended = world.server.until_ended().await;
        assert!(ended.success(), "it ended with {ended}: {}", world.server.log());
        world.server.start_again().await;
        world.client = world.server.client().await;
    } else {
        strike(&mut world, fault).await;
    }
    world.until_all_delivered(20).await;
    stage.recovered(struck.elapsed(), LEASE + SETTLE + GRACE);
    world.finish().await;
}

fn lock_out() -> Effect {
    Effect::captcha("https://jira.example/login.jsp")
}

// === impl Fault ===

impl Fault {
    pub(super) const ALL: [Self; 3] = [Self::Killed, Self::AskedToStop, Self::Asleep];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Killed => "kill -9",
            Self::AskedToStop => "SIGTERM",
            Self::Asleep => "SIGSTOP",
        }
    }
}

// === impl At ===

impl At {
    fn name(self) -> &'static str {
        match self {
            Self::Held(point) | Self::LookUpHeld(point) => point.name(),
            Self::Connecting => "connecting",
            Self::RequestHalfTaken => "request sent, half of it read",
            Self::SentAndWaiting => "sent and waiting",
            Self::ReplyHalfRead => "half of the reply sent",
            Self::Waiting => "waiting",
            Self::SweepHeld => Point::Sweeping.name(),
            Self::Suspended => "suspended",
        }
    }
}
