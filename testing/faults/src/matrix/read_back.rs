//! ServiceNow truncates a description, and a request after the create fails: the read-back, or the one update
//! that adds the rest to the work notes. The ticket is delivered all the same, and no work note is written
//! twice.

use rhythmx_ticketing::v1::TicketSystem;
use ticketing_harness::{Plan, WAIT_TIMEOUT, World};
use ticketing_simulator::{Call, Effect, Profile, Rule, Vendor, When};

use super::cell::{Cell, CellContext};
use super::process::{self, ProcessFault};

type MakeEffect = fn() -> Effect;

const FAMILY: &str = "read back";
/// Ends an attempt that hangs.
const ATTEMPT_DEADLINE: &str = "--attempt-deadline=600ms";
/// Number of characters of a description that the instance stores.
const STORED: usize = 200;

/// The requests that fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FailingRequest {
    /// The update that adds the rest.
    Change,
    /// Both ways to read the work notes.
    Reads,
}

pub(super) fn cells() -> Vec<Cell> {
    let effects: [(&str, MakeEffect); 5] = [
        ("504 after applying", Effect::apply_then_gateway_timeout),
        ("dropped after applying", || Effect::ApplyThenDrop),
        ("no answer", || Effect::Hang { applied: true }),
        ("page", || Effect::Html { status: 200 }),
        ("garbage", || Effect::Garbage { status: 200, applied: true }),
    ];
    let mut cells = vec![];
    for failing in [FailingRequest::Change, FailingRequest::Reads] {
        for (fault, effect) in effects {
            cells.push(Cell::new(FAMILY, fault, failing.name(), move |context| {
                fails_requests(context, failing, effect())
            }));
        }
    }
    for fault in ProcessFault::ALL {
        cells.push(Cell::new(FAMILY, fault.name(), FailingRequest::Change.name(), move |context| {
            interrupts_update(context, fault)
        }));
    }
    cells
}

async fn fails_requests(context: CellContext, failing: FailingRequest, effect: Effect) {
    let mut world = with_truncated_description(context.plan().with_flag(ATTEMPT_DEADLINE)).start().await;
    let rule = |call: Call| Rule::new(call, When::Next(1), effect.clone());
    let (first, others) = failing.calls().split_first().expect("some request fails");
    world.servicenow.faults().push(rule(*first));
    for call in others {
        world.servicenow.faults().push_optional(rule(*call), "the first may take the time of both");
    }
    world.push("INC-1", TicketSystem::Servicenow).await;
    check(world).await;
}

/// The process fails while the update is applied and its reply is pending.
async fn interrupts_update(context: CellContext, fault: ProcessFault) {
    let mut world = with_truncated_description(process::plan(&context)).start().await;
    let hang = Effect::Hang { applied: true };
    world.servicenow.faults().push(Rule::new(Call::Update, When::Next(1), hang));
    let push = process::begin_push(&world, TicketSystem::Servicenow);
    let update_sent = world.servicenow.faults().until_triggered(1);
    tokio::time::timeout(WAIT_TIMEOUT, update_sent).await.expect("nothing is added to the work notes");
    process::inject(&mut world, fault).await;
    push.await.unwrap();
    check(world).await;
}

fn with_truncated_description(plan: Plan) -> Plan {
    let mut profile = Profile::of(Vendor::ServiceNow);
    profile.description_limit = Some(STORED);
    plan.with_servicenow(profile)
}

async fn check(mut world: World) {
    world.until_all_delivered(1).await;
    assert!(world.servicenow.faults().triggered() >= 1, "no request failed");
    let tickets = world.servicenow.tickets();
    let [ticket] = tickets.as_slice() else { panic!("{tickets:#?}") };
    let rest = "DESCRIPTION, CONTINUED";
    let notes = ticket.fields.get("work_notes").and_then(|notes| notes.as_array());
    let is_rest = |note: &&serde_json::Value| note.as_str().is_some_and(|text| text.starts_with(rest));
    let added = notes.map_or(0, |notes| notes.iter().filter(is_rest).count());
    assert!(added <= 1, "the rest was added {added} times: {ticket:#?}");
    world.finish().await;
}

// === impl FailingRequest ===

impl FailingRequest {
    fn name(self) -> &'static str {
        match self {
            Self::Change => "adding the rest",
            Self::Reads => "reading the work notes",
        }
    }

    fn calls(self) -> &'static [Call] {
        match self {
            Self::Change => &[Call::Update],
            Self::Reads => &[Call::Search, Call::Read],
        }
    }
}
