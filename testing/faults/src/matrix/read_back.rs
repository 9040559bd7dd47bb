//! ServiceNow truncates a description, and a request after the create fails: the read-back, or the one update
//! that adds the rest to the work notes. The ticket is delivered all the same, and no work note is written
//! twice.

use rhythmx_ticketing::v1::TicketSystem;
use ticketing_harness::{PATIENCE, Plan, World};
use ticketing_simulator::{Call, Effect, Profile, Rule, Vendor, When};

use super::cell::{Cell, Stage};
use super::process::{self, Fault};

type MakeEffect = fn() -> Effect;

const FAMILY: &str = "read back";
/// Ends an attempt that hangs.
const ATTEMPT_DEADLINE: &str = "--attempt-deadline=600ms";
/// Number of characters of a description that the instance stores.
const STORED: usize = 200;

/// The requests that fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Struck {
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
    for struck in [Struck::Change, Struck::Reads] {
        for (fault, effect) in effects {
            cells.push(Cell::new(FAMILY, fault, struck.name(), move |stage| pushed(stage, struck, effect())));
        }
    }
    for fault in Fault::ALL {
        cells.push(Cell::new(FAMILY, fault.name(), Struck::Change.name(), move |stage| {
            interrupted(stage, fault)
        }));
    }
    cells
}

async fn pushed(stage: Stage, struck: Struck, effect: Effect) {
    let mut world = cutting(stage.plan().with_flag(ATTEMPT_DEADLINE)).start().await;
    let rule = |call: Call| Rule::new(call, When::Next(1), effect.clone());
    let (first, others) = struck.calls().split_first().expect("something is struck");
    world.servicenow.faults().push(rule(*first));
    for call in others {
        world.servicenow.faults().push_optional(rule(*call), "the first may take the time of both");
    }
    world.push("INC-1", TicketSystem::Servicenow).await;
    check(world).await;
}

/// The process fails while the update is applied and its reply is pending.
async fn interrupted(stage: Stage, fault: Fault) {
    let mut world = cutting(process::plan(&stage)).start().await;
    let hang = Effect::Hang { applied: true };
    world.servicenow.faults().push(Rule::new(Call::Update, When::Next(1), hang));
    let push = process::begin_push(&world, TicketSystem::Servicenow);
    let struck = world.servicenow.faults().until_struck(1);
    tokio::time::timeout(PATIENCE, struck).await.expect("nothing is added to the work notes");
    process::strike(&mut world, fault).await;
    push.await.unwrap();
    check(world).await;
}

fn cutting(plan: Plan) -> Plan {
    let mut profile = Profile::of(Vendor::ServiceNow);
    profile.description_limit = Some(STORED);
    plan.with_servicenow(profile)
}

async fn check(mut world: World) {
    world.until_all_delivered(1).await;
    assert!(world.servicenow.faults().struck() >= 1, "nothing was struck");
    let tickets = world.servicenow.tickets();
    let [ticket] = tickets.as_slice() else { panic!("{tickets:#?}") };
    let rest = "DESCRIPTION, CONTINUED";
    let notes = ticket.fields.get("work_notes").and_then(|notes| notes.as_array());
    let is_rest = |note: &&serde_json::Value| note.as_str().is_some_and(|text| text.starts_with(rest));
    let added = notes.map_or(0, |notes| notes.iter().filter(is_rest).count());
    assert!(added <= 1, "the rest was added {added} times: {ticket:#?}");
    world.finish().await;
}

// === impl Struck ===

impl Struck {
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
