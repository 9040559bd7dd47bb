//! Oversized replies: the server's memory does not grow with them.

use ticketing_simulator::{Effect, Vendor};

use super::calls::{AffectedCall, CallFault, VENDORS, Verdict, deliver, plan, start};
use super::cell::{Cell, CellContext};

const FAMILY: &str = "huge replies";

const MEBIBYTE: u64 = 1 << 20;
/// Limit of the growth of the process's memory: a multiple of the largest reply body that is read (4 MiB).
const GROWTH: u64 = 24 * MEBIBYTE;

pub(super) fn cells() -> Vec<Cell> {
    let floods = [
        ("huge body of 1 GiB", Effect::HugeBody(1_024 * MEBIBYTE)),
        ("gzip bomb of 64 MiB", Effect::GzipBomb),
    ];
    let mut cells = vec![];
    for vendor in VENDORS {
        for affected in [AffectedCall::Create(Verdict::UnknownThenFound), AffectedCall::Search] {
            cells.extend(floods.clone().map(|(fault, effect)| {
                let call_fault = CallFault { vendor, affected, effect, times: 1 };
                Cell::new(FAMILY, fault, call_fault.location(), move |context| {
                    run(context, call_fault.clone())
                })
            }));
        }
    }
    cells
}

async fn run(context: CellContext, call_fault: CallFault) {
    let mut world = start(plan(&context, call_fault.vendor).in_a_process()).await;
    // Warm-up, so that one-time allocations are not measured.
    let other = match call_fault.vendor {
        Vendor::ServiceNow => Vendor::JiraCloud,
        Vendor::JiraCloud | Vendor::JiraDataCenter => Vendor::ServiceNow,
    };
    for number in 0..3 {
        deliver(&mut world, &format!("INC-other-{number}"), other).await;
    }
    let before = world.server.peak_memory();
    call_fault.run(&context, &mut world).await;
    let growth = world.server.peak_memory() - before;
    assert!(growth < GROWTH, "the memory grew by {} KiB", growth / 1_024);
    world.finish().await;
}
