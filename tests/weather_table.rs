//! Every answer that a ticket system can give to a create, on each of the three: what it means at first, and that in the
//! end there is one ticket, without a hand.

use std::time::Duration;

use rhythmx_ticketing::v1::{AttemptKind, AttemptOutcome, DeliveryState, TicketSystem};
use ticketing_simulator::{Call, Effect, Profile, Reply, RetryAfter, Rule, Simulator, Vendor, When};
use tokio::task::JoinSet;

use ticketing_harness::{Plan, World, creates};

/// How many lines of the table are played at once.
const AT_ONCE: usize = 8;

/// What the create of a line must be taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Certainly no ticket: WAITING, and sent again.
    Refused,
    /// Perhaps a ticket: RECONCILING, and looked for; there is none, so it is sent again.
    DoubtfulAndAbsent,
    /// Perhaps a ticket: RECONCILING, and looked for; there is one.
    DoubtfulAndThere,
    /// ServiceNow says that there is a conflict, which is held against our `sys_id` at once: there is a ticket.
    Found,
}

use Verdict::{DoubtfulAndAbsent, DoubtfulAndThere, Found, Refused};

#[tokio::test]
async fn jira_cloud_makes_one_ticket_in_every_weather() {
    play(Vendor::JiraCloud).await;
}

#[tokio::test]
async fn jira_data_center_makes_one_ticket_in_every_weather() {
    play(Vendor::JiraDataCenter).await;
}

#[tokio::test]
async fn servicenow_makes_one_ticket_in_every_weather() {
    play(Vendor::ServiceNow).await;
}

async fn play(vendor: Vendor) {
    let mut lines = table(vendor).into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some((effect, verdict)) = lines.next()
        {
            running.spawn(play_line(vendor, effect, verdict));
        }
        match running.join_next().await {
            Some(played) => played.unwrap(),
            None => return,
        }
    }
}

fn table(vendor: Vendor) -> Vec<(Effect, Verdict)> {
    let mut table = vec![
        (Effect::throttle(RetryAfter::Seconds(1)), Refused),
        (Effect::throttle(RetryAfter::DateIn(1)), Refused),
        (status(429), Refused),
        (Effect::Answer(reply(429).header("retry-after", "soon")), Refused),
        (Effect::unavailable(1), DoubtfulAndAbsent),
        (Effect::DropBefore, DoubtfulAndAbsent),
        (Effect::ApplyThenDrop, DoubtfulAndThere),
        (Effect::ResetBefore, DoubtfulAndAbsent),
        (Effect::ApplyThenReset, DoubtfulAndThere),
        (Effect::Hang { applied: false }, DoubtfulAndAbsent),
        (Effect::Hang { applied: true }, DoubtfulAndThere),
        (Effect::TruncatedBody, DoubtfulAndThere),
        (Effect::SlowBody { bytes: 1, every: Duration::from_millis(100) }, DoubtfulAndThere),
        (Effect::HugeBody(8 << 20), DoubtfulAndThere),
        (Effect::GzipBomb, DoubtfulAndThere),
        (Effect::ApplyLate(Duration::from_millis(300)), DoubtfulAndThere),
        (Effect::ForeignSuccess, DoubtfulAndAbsent),
        (Effect::Html { status: 200 }, DoubtfulAndAbsent),
        (Effect::Answer(Reply::json(200, &serde_json::json!({}))), DoubtfulAndAbsent),
    ];
    table.extend([400, 401, 403, 404, 413, 422].map(|code| (status(code), Refused)));
    for code in [202, 408, 409, 500, 502, 503, 504] {
        table.push((status(code), DoubtfulAndAbsent));
        let at_once = code == 409 && vendor == Vendor::ServiceNow;
        let verdict = if at_once { Found } else { DoubtfulAndThere };
        table.push((Effect::ApplyThenAnswer(reply(code)), verdict));
    }
    for (applied, verdict) in [(false, DoubtfulAndAbsent), (true, DoubtfulAndThere)] {
        table.push((Effect::Garbage { status: 201, applied }, verdict));
        table.push((Effect::EmptyBody { status: 201, applied }, verdict));
    }
    for status in [301, 302, 307] {
        let location = "http://127.0.0.1:9/elsewhere".to_owned();
        table.push((Effect::Redirect { status, location }, DoubtfulAndAbsent));
    }
    table
}

async fn play_line(vendor: Vendor, effect: Effect, verdict: Verdict) {
    use AttemptKind::{Create, LookUp};
    use AttemptOutcome::{Ambiguous, Created, Failed};
    let line = format!("{vendor:?}, {effect:?}");
    let mut world = world_of(vendor).await;
    let system = system_of(vendor);
    simulator(&world, vendor).weather().push(Rule::new(Call::Create, When::Next(1), effect));
    let id = world.push("INC-1", system).await.delivery.unwrap().id;
    let delivery = world.until(&id, DeliveryState::Delivered).await;
    let told: Vec<_> = delivery.attempts.iter().map(|attempt| (attempt.kind(), attempt.outcome())).collect();
    let expected: &[_] = match verdict {
        Refused => &[(Create, Failed), (Create, Created)],
        DoubtfulAndAbsent | DoubtfulAndThere => &[(Create, Ambiguous)],
        Found => &[(Create, Created)],
    };
    assert!(told.starts_with(expected), "{line}: {delivery:#?}");
    let last = if verdict == DoubtfulAndThere { (LookUp, AttemptOutcome::Found) } else { (Create, Created) };
    assert_eq!(told.last(), Some(&last), "{line}: {delivery:#?}");
    let sent = if matches!(verdict, DoubtfulAndThere | Found) { 1 } else { 2 };
    assert_eq!(creates(simulator(&world, vendor)), sent, "{line}: {delivery:#?}");
    assert_eq!(simulator(&world, vendor).tickets().len(), 1, "{line}: {delivery:#?}");
    world.finish().await;
}

async fn world_of(vendor: Vendor) -> World {
    let jira = if vendor == Vendor::JiraDataCenter { vendor } else { Vendor::JiraCloud };
    let plan = Plan::new().with_jira(jira, Profile::of(jira));
    // Nothing but the weather is to be too slow, on a busy machine too.
    plan.with_flag("--attempt-deadline=2s").with_flag("--lease=6s").start().await
}

fn system_of(vendor: Vendor) -> TicketSystem {
    match vendor {
        Vendor::JiraCloud | Vendor::JiraDataCenter => TicketSystem::Jira,
        Vendor::ServiceNow => TicketSystem::Servicenow,
    }
}

fn simulator(world: &World, vendor: Vendor) -> &Simulator {
    match vendor {
        Vendor::JiraCloud | Vendor::JiraDataCenter => &world.jira,
        Vendor::ServiceNow => &world.servicenow,
    }
}

fn status(status: u16) -> Effect {
    Effect::Answer(reply(status))
}

fn reply(status: u16) -> Reply {
    Reply::html(status, "<html><head><title>A page</title></head><body></body></html>")
}
