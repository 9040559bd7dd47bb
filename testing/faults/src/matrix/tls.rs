//! TLS handshakes that fail: nothing was sent, whichever call they affect, and the create is sent after
//! recovery.

use std::path::Path;
use std::time::Duration;

use rhythmx_ticketing::v1::{Attempt, AttemptOutcome, Delivery, DeliveryState, FaultKind};
use tempfile::TempDir;
use ticketing_harness::{World, creates};
use ticketing_simulator::{Authority, Call, Certificate, Effect, Identity, Rule, Vendor, When};
use tokio::time::Instant;

use super::calls::{
    VENDORS, deliver, inject, inject_into_early_look_ups, name, plan, simulator, start, system,
};
use super::cell::{Cell, CellContext};

const FAMILY: &str = "tls";

/// An attempt that hangs in its handshake, its retry, and allowance for a slow machine.
const LIMIT: Duration = Duration::from_secs(8);

/// Fault of the TLS server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TlsFault {
    Presents(Certificate),
    NotTls,
    /// The handshake never ends.
    HandshakeHangs,
}

/// The first call that the fault affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FaultStart {
    Preparation,
    Create,
    LookUp,
}

/// The certificate authority of the ticket systems.
pub(super) struct Trust {
    authority: Authority,
    pub(super) good: Identity,
    _folder: TempDir,
}

pub(super) fn cells() -> Vec<Cell> {
    let certificates = [Certificate::Expired, Certificate::WrongName, Certificate::Untrusted];
    let faults: Vec<_> = certificates
        .map(TlsFault::Presents)
        .into_iter()
        .chain([TlsFault::NotTls, TlsFault::HandshakeHangs])
        .collect();
    let mut cells = vec![];
    for fault in faults {
        for vendor in VENDORS {
            for from in [FaultStart::Preparation, FaultStart::Create, FaultStart::LookUp] {
                let at = format!("{}, {}", from.name(), name(vendor));
                cells.push(Cell::new(FAMILY, fault.name(), at, move |context| {
                    run(context, vendor, fault, from)
                }));
            }
        }
    }
    cells
}

async fn run(context: CellContext, vendor: Vendor, fault: TlsFault, from: FaultStart) {
    let trust = Trust::new();
    let plan = plan(&context, vendor).under_tls(&trust.good, trust.pem_file());
    let mut world = start(plan).await;
    if from != FaultStart::Preparation {
        deliver(&mut world, "INC-0", vendor).await;
    }
    let before = creates(simulator(&world, vendor));
    if from == FaultStart::LookUp {
        inject(&world, vendor, Call::Create, 1, Effect::ApplyThenDrop);
        inject_into_early_look_ups(&world, vendor, Effect::DropBefore);
        world.push("INC-1", system(vendor)).await;
    }
    fault.begin(&trust, &world, vendor);
    let pushed = world.push("INC-1", system(vendor)).await.delivery.unwrap();
    let failed = until_failed_with(&mut world, &pushed.id, fault).await;
    assert_eq!(
        creates(simulator(&world, vendor)) - before,
        usize::from(from == FaultStart::LookUp),
        "{failed:#?}"
    );
    simulator(&world, vendor).faults().clear();
    simulator(&world, vendor).present(&trust.good);
    let restored_at = Instant::now();
    let delivery = world.until(&pushed.id, DeliveryState::Delivered).await;
    context.recovered(restored_at.elapsed(), LIMIT);
    assert_eq!(creates(simulator(&world, vendor)) - before, 1, "it was sent once: {delivery:#?}");
    assert_eq!(simulator(&world, vendor).tickets().len(), 1 + before, "{delivery:#?}");
    world.finish().await;
}

/// Waits until the last attempt failed with this fault.
async fn until_failed_with(world: &mut World, id: &str, fault: TlsFault) -> Delivery {
    let deadline = Instant::now() + ticketing_harness::WAIT_TIMEOUT;
    loop {
        let delivery = world.delivery(id).await;
        if delivery.attempts.last().is_some_and(|attempt| fault.matches(attempt)) {
            return delivery;
        }
        assert!(Instant::now() < deadline, "not met in time: {delivery:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

// === impl TlsFault ===

impl TlsFault {
    fn name(self) -> &'static str {
        match self {
            Self::Presents(Certificate::Expired) => "certificate expired",
            Self::Presents(Certificate::WrongName) => "certificate for another host",
            Self::Presents(_) => "certificate untrusted",
            Self::NotTls => "not TLS at all",
            Self::HandshakeHangs => "handshake that never ends",
        }
    }

    fn begin(self, trust: &Trust, world: &World, vendor: Vendor) {
        let system = simulator(world, vendor);
        let always = When::Always;
        match self {
            Self::Presents(certificate) => system.present(&trust.authority.issue(certificate).unwrap()),
            Self::NotTls => system.faults().push(Rule::new(Call::Connection, always, Effect::plain_http())),
            Self::HandshakeHangs => {
                system.faults().push(Rule::new(Call::Connection, always, Effect::NeverRead));
            }
        }
    }

    /// A failed handshake is reported at once; one that hangs times out after half of the attempt deadline.
    /// Nothing was sent in either case.
    fn matches(self, attempt: &Attempt) -> bool {
        let kind = attempt.fault.as_ref().map(rhythmx_ticketing::v1::Fault::kind);
        let expected = if self == Self::HandshakeHangs { FaultKind::Connect } else { FaultKind::Tls };
        kind == Some(expected) && attempt.outcome() != AttemptOutcome::Ambiguous
    }
}

// === impl FaultStart ===

impl FaultStart {
    fn name(self) -> &'static str {
        match self {
            Self::Preparation => "preparing read",
            Self::Create => "create",
            Self::LookUp => "look-up",
        }
    }
}

// === impl Trust ===

impl Trust {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path()).unwrap();
        let good = authority.issue(Certificate::Good).unwrap();
        Self { authority, good, _folder: folder }
    }

    /// The authorities that the server trusts.
    pub(super) fn pem_file(&self) -> &Path {
        self.authority.pem_file()
    }
}
