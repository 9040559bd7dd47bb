//! The process is killed, stopped or suspended, at every point.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, DeliveryState, TicketSystem};
use ticketing_failpoints::Point;
use ticketing_harness::{Plan, Server, Start, WAIT_TIMEOUT, World, incident};
use ticketing_simulator::{self as simulator, Call, Effect, RetryAfter, Rule, When};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::cell::{Cell, CellContext};
use super::held_push::{LOOK_UP_POINTS, PUSH_POINTS};
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
pub(super) enum ProcessFault {
    Killed,
    Terminated,
    /// Suspended for longer than its lease.
    Suspended,
}

/// Point at which the fault is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Held at a fail point on the path of a push.
    Held(Point),
    /// The TLS handshake of the create's connection, which began with the commit of the intent, does not end.
    Connecting,
    /// The ticket system has read half of the create. The rest has left the process into the socket buffers.
    RequestHalfRead,
    /// The ticket system has applied the create and does not answer.
    SentAndWaiting,
    /// The ticket system has applied the create and sent half of the reply's body.
    ReplyHalfRead,
    /// The first attempt was refused.
    Waiting,
    /// Held at a fail point on the path of a look-up.
    LookUpHeld(Point),
    /// Held before a duplicate scan.
    DuplicateScanHeld,
    /// The account is locked.
    AccountLocked,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut points: Vec<At> = PUSH_POINTS.map(At::Held).to_vec();
    points.extend([At::Connecting, At::RequestHalfRead, At::SentAndWaiting, At::ReplyHalfRead, At::Waiting]);
    points.extend(LOOK_UP_POINTS.map(At::LookUpHeld));
    points.extend([At::DuplicateScanHeld, At::AccountLocked]);
    let mut cells = vec![];
    for fault in ProcessFault::ALL {
        for at in points.iter().copied() {
            for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
                let name = format!("{}, {}", at.name(), system.as_str_name());
                if at == At::AccountLocked && system == TicketSystem::Servicenow {
                    let why = "ServiceNow answers a locked account as it answers any refused login";
                    cells.push(Cell::does_not_apply(FAMILY, fault.name(), name, why));
                    continue;
                }
                cells.push(Cell::new(FAMILY, fault.name(), name, move |context| {
                    run(context, fault, at, system)
                }));
            }
        }
        cells.push(Cell::new(FAMILY, fault.name(), "first start, tables made", move |context| {
            during_first_start(context, fault)
        }));
        cells.push(Cell::new(FAMILY, fault.name(), "closing the database", move |context| {
            while_closing(context, fault)
        }));
    }
    cells
}

async fn run(context: CellContext, fault: ProcessFault, at: At, system: TicketSystem) {
    let plan = plan(&context).with_flag("--duplicate-scan-delays=50ms,100ms,150ms");
    let trust = Trust::new();
    let plan = if at == At::Connecting { plan.under_tls(&trust.good, trust.pem_file()) } else { plan };
    let mut world = plan.start().await;
    let push = bring_to_point(&mut world, at, system).await;
    let fault_at = Instant::now();
    inject(&mut world, fault).await;
    // A caller without an answer repeats its call.
    let acknowledged = push.await.unwrap();
    if acknowledged.is_none() {
        world.push("INC-1", system).await;
    }
    if at == At::AccountLocked {
        // Only a passed connection test or new settings end a suspension.
        let condition = world.status(system).await.condition.unwrap();
        assert_eq!(condition.kind(), v1::ConnectionConditionKind::Suspended);
        world.test_passes(system).await;
    }
    world.until_all_delivered(1).await;
    context.recovered(fault_at.elapsed(), LEASE + SETTLE + GRACE);
    let deliveries = world.deliveries().await;
    assert_eq!(deliveries.len(), 1, "{deliveries:#?}");
    if let Some(id) = acknowledged {
        assert_eq!(deliveries[0].id, id, "an acknowledged delivery is lost");
    }
    assert_eq!(world.simulator(system).tickets().len(), 1, "{deliveries:#?}");
    world.finish().await;
}

/// A plan with a server process of its own and these bounds.
pub(crate) fn plan(context: &CellContext) -> Plan {
    let plan = context.plan().in_a_process();
    let plan = plan.with_flag(&format!("--attempt-deadline={}ms", ATTEMPT_DEADLINE.as_millis()));
    plan.with_flag(&format!("--lease={}ms", LEASE.as_millis()))
}

/// Pushes, and waits until the push has reached this point. The task returns the ID of the delivery if the
/// call was answered.
async fn bring_to_point(world: &mut World, at: At, system: TicketSystem) -> JoinHandle<Option<String>> {
    let faults = world.simulator(system).faults();
    let create = |then| Rule::new(Call::Create, When::Next(1), then);
    match at {
        At::Held(point) => {
            world.server.arm(point);
            let push = begin_push(world, system);
            world.server.until_held(point).await;
            if point == Point::RequestHalfSent {
                let begun = world.simulator(system).until(Call::Create, simulator::Point::HeadRead, 1);
                tokio::time::timeout(WAIT_TIMEOUT, begun).await.expect("nothing is sent");
                assert_eq!(world.simulator(system).reached(Call::Create, simulator::Point::Read), 0);
            }
            push
        }
        At::Connecting => {
            // The first connection is that of the reads.
            faults.push(Rule::new(Call::Connection, When::Nth(2), Effect::NeverRead));
            let push = begin_push(world, system);
            let faults = world.simulator(system).faults();
            tokio::time::timeout(WAIT_TIMEOUT, faults.until_triggered(1)).await.expect("nothing connects");
            push
        }
        At::RequestHalfRead => {
            faults.push(create(Effect::StopReading));
            let push = begin_push(world, system);
            let half = world.simulator(system).until(Call::Create, simulator::Point::HalfRead, 1);
            tokio::time::timeout(WAIT_TIMEOUT, half).await.expect("nothing is sent");
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
            tokio::time::timeout(WAIT_TIMEOUT, half).await.expect("nothing is answered");
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
        At::DuplicateScanHeld => {
            faults.push(create(Effect::ApplyThenDrop));
            world.server.arm(Point::Sweeping);
            let push = begin_push(world, system);
            world.server.until_held(Point::Sweeping).await;
            push
        }
        At::AccountLocked => {
            faults.push(Rule::new(Call::Any, When::Next(1), locked_account()));
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

pub(super) async fn inject(world: &mut World, fault: ProcessFault) {
    match fault {
        ProcessFault::Killed => {
            world.server.kill().await;
            world.server.release();
            world.server.start_again().await;
        }
        ProcessFault::Terminated => {
            world.server.send_sigterm().await;
            world.server.release();
            let ended = world.server.until_ended().await;
            assert!(ended.success(), "it ended with {ended}: {}", world.server.log());
            world.server.start_again().await;
        }
        ProcessFault::Suspended => {
            world.server.pause().await;
            tokio::time::sleep(LEASE + SETTLE).await;
            world.server.resume().await;
            world.server.release();
        }
    }
    world.client = world.server.client().await;
}

/// The schema exists, and the tables are empty.
async fn during_first_start(context: CellContext, fault: ProcessFault) {
    let mut world = plan(&context).start_unconfigured().await;
    // A new server, since the world's server has completed its first start.
    let mut server = Server::prepare(Start { process: true, ..world.server.next_start().clone() });
    server.arm(Point::Migrated);
    server.start_again().await;
    server.until_held(Point::Migrated).await;
    std::mem::swap(&mut world.server, &mut server);
    server.stop().await;
    let fault_at = Instant::now();
    inject(&mut world, fault).await;
    context.recovered(fault_at.elapsed(), LEASE + SETTLE + GRACE);
    let settings = world.settings();
    world.configure(settings).await;
    world.push("INC-1", TicketSystem::Jira).await;
    world.until_all_delivered(1).await;
    world.finish().await;
}

/// The server was asked to stop, and is about to close its database. A second signal changes nothing.
async fn while_closing(context: CellContext, fault: ProcessFault) {
    let mut world = plan(&context).start().await;
    for n in 0..20 {
        world.push(&format!("INC-{n}"), TicketSystem::Jira).await;
    }
    world.server.arm(Point::Closing);
    world.server.send_sigterm().await;
    world.server.until_held(Point::Closing).await;
    let fault_at = Instant::now();
    if fault == ProcessFault::Suspended {
        world.server.pause().await;
        tokio::time::sleep(LEASE + SETTLE).await;
        world.server.resume().await;
        world.server.release();
        let ended = world.server.until_ended().await;
        assert!(ended.success(), "it ended with {ended}: {}", world.server.log());
        world.server.start_again().await;
        world.client = world.server.client().await;
    } else {
        inject(&mut world, fault).await;
    }
    world.until_all_delivered(20).await;
    context.recovered(fault_at.elapsed(), LEASE + SETTLE + GRACE);
    world.finish().await;
}

fn locked_account() -> Effect {
    Effect::captcha("https://jira.example/login.jsp")
}

// === impl ProcessFault ===

impl ProcessFault {
    pub(super) const ALL: [Self; 3] = [Self::Killed, Self::Terminated, Self::Suspended];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Killed => "kill -9",
            Self::Terminated => "SIGTERM",
            Self::Suspended => "SIGSTOP",
        }
    }
}

// === impl At ===

impl At {
    fn name(self) -> &'static str {
        match self {
            Self::Held(point) | Self::LookUpHeld(point) => point.name(),
            Self::Connecting => "connecting",
            Self::RequestHalfRead => "request sent, half of it read",
            Self::SentAndWaiting => "sent and waiting",
            Self::ReplyHalfRead => "half of the reply sent",
            Self::Waiting => "waiting",
            Self::DuplicateScanHeld => Point::Sweeping.name(),
            Self::AccountLocked => "suspended",
        }
    }
}
