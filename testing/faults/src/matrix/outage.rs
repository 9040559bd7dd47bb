//! Refused connections, connections that never establish, and DNS failures: nothing was sent, and the create
//! is sent after recovery.

use std::time::Duration;

use rhythmx_ticketing::v1::{ConfigureRequest, ConnectionConditionKind, Delivery, DeliveryState, FaultKind};
use ticketing_harness::{Plan, World, creates, text};
use ticketing_simulator::{Call, Effect, Vendor};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;

use super::calls::{
    VENDORS, deliver, inject, inject_into_early_look_ups, name, plan, simulator, start, system,
};
use super::cell::{Cell, CellContext};

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
enum OutageStart {
    Preparation,
    Create,
    LookUp,
    /// From before the first attempt until the last retry.
    UntilRetriesExhausted,
    /// The same, and no other push reveals the recovery.
    QuietUntilRetriesExhausted,
}

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for vendor in VENDORS {
        for from in [
            OutageStart::Preparation,
            OutageStart::Create,
            OutageStart::LookUp,
            OutageStart::UntilRetriesExhausted,
            OutageStart::QuietUntilRetriesExhausted,
        ] {
            let at = format!("{}, {}", from.name(), name(vendor));
            for outage in [Outage::Refused, Outage::BlackHole] {
                let run = move |context| unreachable(context, outage, vendor, from);
                cells.push(Cell::new(FAMILY, outage.name(), at.clone(), run));
            }
        }
        let at = |call: &str| format!("{call}, {}", name(vendor));
        cells.push(Cell::new(FAMILY, "DNS failure", at("preparing read"), move |context| {
            unresolvable_host(context, vendor)
        }));
        for call in ["create", "look-up"] {
            let why = "the reads before a create go to the same name, and what was sent of unknown outcome had resolved; a \
                       name that ceases to resolve looks to this service like a refused connection";
            cells.push(Cell::does_not_apply(FAMILY, "DNS failure", at(call), why));
        }
    }
    cells
}

async fn unreachable(context: CellContext, outage: Outage, vendor: Vendor, from: OutageStart) {
    let mut world = start(outage.plan(plan(&context, vendor))).await;
    let before = usize::from(from.has_cached_metadata());
    if from.has_cached_metadata() {
        deliver(&mut world, "INC-0", vendor).await;
    }
    if from == OutageStart::LookUp {
        inject(&world, vendor, Call::Create, 1, Effect::ApplyThenDrop);
        inject_into_early_look_ups(&world, vendor, Effect::Hang { applied: false });
        world.push("INC-1", system(vendor)).await;
    }
    simulator(&world, vendor).stop().await;
    simulator(&world, vendor).faults().clear();
    let black_hole = outage.begin(&simulator(&world, vendor).base_url()).await;
    let pushed = world.push("INC-1", system(vendor)).await.delivery.unwrap();
    let failed = match from {
        OutageStart::UntilRetriesExhausted | OutageStart::QuietUntilRetriesExhausted => {
            let failed = world.until(&pushed.id, DeliveryState::Failed).await;
            assert_eq!(failed.last_error.as_ref().unwrap().kind(), FaultKind::Connect, "{failed:#?}");
            world.until_condition(system(vendor), ConnectionConditionKind::CircuitOpen).await;
            failed
        }
        _ => until_refused(&mut world, &pushed.id, FaultKind::Connect).await,
    };
    assert_eq!(
        creates(simulator(&world, vendor)) - before,
        usize::from(from == OutageStart::LookUp),
        "{failed:#?}"
    );
    drop(black_hole);
    simulator(&world, vendor).restart().await.unwrap();
    let restored_at = Instant::now();
    if from == OutageStart::UntilRetriesExhausted {
        // A ticket of another incident shows that the outage is over.
        deliver(&mut world, "INC-2", vendor).await;
    }
    let delivery = world.until(&pushed.id, DeliveryState::Delivered).await;
    context.recovered(restored_at.elapsed(), LIMIT);
    let all = world.deliveries().await.len();
    assert_eq!(creates(simulator(&world, vendor)), all, "each was sent once: {delivery:#?}");
    assert_eq!(simulator(&world, vendor).tickets().len(), all, "{delivery:#?}");
    world.finish().await;
}

/// A host under `.invalid`, until the settings are corrected.
async fn unresolvable_host(context: CellContext, vendor: Vendor) {
    let mut world = plan(&context, vendor).start_unconfigured().await;
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
    let jira = settings.jira;
    let servicenow = settings.servicenow;
    world.configure(ConfigureRequest { jira, servicenow, ..Default::default() }).await;
    let restored_at = Instant::now();
    let delivery = world.until(&pushed.id, DeliveryState::Delivered).await;
    context.recovered(restored_at.elapsed(), LIMIT);
    assert_eq!(creates(simulator(&world, vendor)), 1, "{delivery:#?}");
    world.finish().await;
}

/// Waits until two consecutive attempts failed with this kind of fault.
async fn until_refused(world: &mut World, id: &str, kind: FaultKind) -> Delivery {
    let deadline = Instant::now() + ticketing_harness::WAIT_TIMEOUT;
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
            Self::BlackHole => Some(BlackHole::occupy(base_url).await),
        }
    }
}

// === impl BlackHole ===

impl BlackHole {
    async fn occupy(base_url: &str) -> Self {
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

// === impl OutageStart ===

impl OutageStart {
    fn has_cached_metadata(self) -> bool {
        matches!(self, Self::Create | Self::LookUp)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Preparation => "preparing read",
            Self::Create => "create",
            Self::LookUp => "look-up",
            Self::UntilRetriesExhausted => "until the retries are exhausted",
            Self::QuietUntilRetriesExhausted => "until the retries are exhausted, and nothing else is pushed",
        }
    }
}
