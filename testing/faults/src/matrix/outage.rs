//! Refused connections, connections that never establish, and DNS failures: nothing was sent, and the create
//! is sent after recovery.

use std::time::Duration;

use rhythmx_ticketing::v1::{ConfigureRequest, ConnectionConditionKind, Delivery, DeliveryState, FaultKind};
use ticketing_harness::{Plan, World, creates, text};
use ticketing_simulator::{Call, Effect, Vendor};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;

use super::calls::{VENDORS, deliver, name, plan, simulator, start, strike, strike_early_look_ups, system};
use super::cell::{Cell, Stage};

const FAMILY: &str = "outage";

/// After the third failure a retry is due within 240 ms; the rest is allowance for a slow machine.
const LIMIT: Duration = Duration::from_secs(5);

/// Kind of outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outage {
    /// The connection is refused at once.
    Refused,
    /// SYN packets are dropped, so that the connection attempt times out.
    BlackHole,
}

/// A listener with a full backlog: connections are neither established nor refused until it is dropped.
struct BlackHole {
    _listener: TcpListener,
    _first: TcpStream,
}

/// Start of the outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Preparation,
    Create,
    LookUp,
    /// From before the first attempt until the last retry.
    UntilTheEnd,
    /// The same, and no other push reveals the recovery.
    QuietUntilTheEnd,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for vendor in VENDORS {
        for from in [From::Preparation, From::Create, From::LookUp, From::UntilTheEnd, From::QuietUntilTheEnd]
        {
            let at = format!("{}, {}", from.name(), name(vendor));
            for outage in [Outage::Refused, Outage::BlackHole] {
                let play = move |stage| silent(stage, outage, vendor, from);
                cells.push(Cell::new(FAMILY, outage.name(), at.clone(), play));
            }
        }
        let at = |call: &str| format!("{call}, {}", name(vendor));
        cells.push(Cell::new(FAMILY, "DNS failure", at("preparing read"), move |stage| lost(stage, vendor)));
        for call in ["create", "look-up"] {
            let why = "the reads before a create go to the same name, and what was sent of unknown outcome had resolved; a \
                       name that ceases to resolve looks to this service like a refused connection";
            cells.push(Cell::does_not_apply(FAMILY, "DNS failure", at(call), why));
        }
    }
    cells
}

async fn silent(stage: Stage, outage: Outage, vendor: Vendor, from: From) {
    let mut world = start(outage.plan(plan(&stage, vendor))).await;
    let before = usize::from(from.knows_the_offer());
    if from.knows_the_offer() {
        deliver(&mut world, "INC-0", vendor).await;
    }
    if from == From::LookUp {
        strike(&world, vendor, Call::Create, 1, Effect::ApplyThenDrop);
        strike_early_look_ups(&world, vendor, Effect::Hang { applied: false });
        world.push("INC-1", system(vendor)).await;
    }
    simulator(&world, vendor).stop().await;
    simulator(&world, vendor).faults().clear();
    let in_the_way = outage.begin(&simulator(&world, vendor).base_url()).await;
    let pushed = world.push("INC-1", system(vendor)).await.delivery.unwrap();
    let failed = match from {
        From::UntilTheEnd | From::QuietUntilTheEnd => {
            let failed = world.until(&pushed.id, DeliveryState::Failed).await;
            assert_eq!(failed.last_error.as_ref().unwrap().kind(), FaultKind::Connect, "{failed:#?}");
            world.until_condition(system(vendor), ConnectionConditionKind::CircuitOpen).await;
            failed
        }
        _ => until_refused(&mut world, &pushed.id, FaultKind::Connect).await,
    };
    assert_eq!(creates(simulator(&world, vendor)) - before, usize::from(from == From::LookUp), "{failed:#?}");
    drop(in_the_way);
    simulator(&world, vendor).restart().await.unwrap();
    let healed = Instant::now();
    if from == From::UntilTheEnd {
        // A ticket of another incident shows that the outage is over.
        deliver(&mut world, "INC-2", vendor).await;
    }
    let delivery = world.until(&pushed.id, DeliveryState::Delivered).await;
    stage.recovered(healed.elapsed(), LIMIT);
    let all = world.deliveries().await.len();
    assert_eq!(creates(simulator(&world, vendor)), all, "each was sent once: {delivery:#?}");
    assert_eq!(simulator(&world, vendor).tickets().len(), all, "{delivery:#?}");
    world.finish().await;
}

/// A host under `.invalid`, until the settings are corrected.
async fn lost(stage: Stage, vendor: Vendor) {
    let mut world = plan(&stage, vendor).start_unconfigured().await;
    let settings = world.settings();
    let mut wrong = settings.clone();
    if let Some(jira) = &mut wrong.jira {
        jira.url = text("https://jira.invalid");
    }
    if let Some(servicenow) = &mut wrong.servicenow {
        servicenow.instance = text("https://servicenow.invalid");
    }
    world.configure(wrong).await;
    let pushed = world.push("INC-1", system(vendor)).await.delivery.unwrap();
    until_refused(&mut world, &pushed.id, FaultKind::Dns).await;
    assert!(simulator(&world, vendor).requests().is_empty());
    let (jira, servicenow) = (settings.jira, settings.servicenow);
    world.configure(ConfigureRequest { jira, servicenow, ..Default::default() }).await;
    let healed = Instant::now();
    let delivery = world.until(&pushed.id, DeliveryState::Delivered).await;
    stage.recovered(healed.elapsed(), LIMIT);
    assert_eq!(creates(simulator(&world, vendor)), 1, "{delivery:#?}");
    world.finish().await;
}

/// Waits until two consecutive attempts failed with this kind of fault.
async fn until_refused(world: &mut World, id: &str, kind: FaultKind) -> Delivery {
    let deadline = Instant::now() + ticketing_harness::PATIENCE;
    loop {
        let delivery = world.delivery(id).await;
        let met = |attempt: &rhythmx_ticketing::v1::Attempt| {
            attempt.fault.as_ref().is_some_and(|fault| fault.kind() == kind)
        };
        let last: Vec<_> = delivery.attempts.iter().rev().take(2).collect();
        if last.len() == 2 && last.into_iter().all(met) {
            return delivery;
        }
        assert!(Instant::now() < deadline, "not {kind:?} in time: {delivery:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

// === impl Outage ===

impl Outage {
    fn name(self) -> &'static str {
        match self {
            Self::Refused => "connection refused",
            Self::BlackHole => "black hole before the connection is made",
        }
    }

    /// The connect timeout is half of the attempt deadline.
    fn plan(self, plan: Plan) -> Plan {
        match self {
            Self::Refused => plan,
            Self::BlackHole => plan.with_flag("--attempt-deadline=600ms"),
        }
    }

    /// Takes over the address of a simulator that has stopped.
    async fn begin(self, base_url: &str) -> Option<BlackHole> {
        match self {
            Self::Refused => None,
            Self::BlackHole => Some(BlackHole::at(base_url).await),
        }
    }
}

// === impl BlackHole ===

impl BlackHole {
    async fn at(base_url: &str) -> Self {
        let authority = base_url.split('/').nth(2).unwrap();
        let address = authority.parse().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        // With an empty backlog the kernel accepts one connection and drops later SYN packets.
        let listener = socket.listen(0).unwrap();
        let first = TcpStream::connect(address).await.unwrap();
        Self { _listener: listener, _first: first }
    }
}

// === impl From ===

impl From {
    fn knows_the_offer(self) -> bool {
        matches!(self, Self::Create | Self::LookUp)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Preparation => "preparing read",
            Self::Create => "create",
            Self::LookUp => "look-up",
            Self::UntilTheEnd => "until the retries are spent",
            Self::QuietUntilTheEnd => "until the retries are spent, and nothing else is pushed",
        }
    }
}
