//! The process is killed, stopped or suspended while events are written and streamed.

use rhythmx_ticketing::v1::stream_ticket_events_response::Message;
use rhythmx_ticketing::v1::{TicketEvent, TicketEventKind, TicketSystem};
use ticketing_harness::{PATIENCE, Subscriber, after, from_oldest};
use tokio::sync::watch;
use tokio::time::Instant;

use super::cell::{Cell, Stage};
use super::flow::Flow;
use super::process::{Fault, GRACE, LEASE, SETTLE, plan, strike};

const FAMILY: &str = "process";
const CALLERS: usize = 4;
/// Number of events that are read before the fault.
const BEFORE: u64 = 12;

pub(super) fn cells() -> Vec<Cell> {
    let cell = |fault: Fault| Cell::new(FAMILY, fault.name(), "streaming", move |stage| play(stage, fault));
    Fault::ALL.map(cell).to_vec()
}

/// A subscriber receives every event once and in order, although the fault strikes the process while it
/// streams.
async fn play(stage: Stage, fault: Fault) {
    let mut world = plan(&stage).start().await;
    let flow = Flow::begin(&world, CALLERS);
    let (seen, mut newest) = watch::channel(0);
    let subscriber = Subscriber::open(&world.client, from_oldest()).await;
    let reading = tokio::spawn(read_to_its_end(subscriber, seen));
    let enough = tokio::time::timeout(PATIENCE, newest.wait_for(|newest| *newest >= BEFORE)).await;
    assert!(enough.is_ok_and(|enough| enough.is_ok()), "no events come");
    assert!(flow.under_way() > 0, "no call is under way, so that no event is to come");
    let struck = Instant::now();
    strike(&mut world, fault).await;
    let after_it = flow.begun();
    flow.until_more(CALLERS).await;
    let pushed = flow.end().await;
    assert!(pushed > after_it, "nothing was pushed after the fault");
    world.until_all_delivered(pushed).await;
    stage.recovered(struck.elapsed(), LEASE + SETTLE + GRACE);
    // A suspended process did not end the stream, so the subscriber must.
    drop(newest);
    let (mut events, token) = reading.await.unwrap();
    let known = events.len();
    world.push("INC-LAST", TicketSystem::Jira).await;
    let mut subscriber = Subscriber::open(&world.client, after(&token)).await;
    while !events
        .last()
        .is_some_and(|event| event.incident_id == "INC-LAST" && event.kind() == TicketEventKind::Delivered)
    {
        events.push(subscriber.event().await);
    }
    assert!(events.len() > known, "nothing is told after the fault");
    let numbers: Vec<_> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>());
    world.finish().await;
}

/// Reads the events of a stream until the process or the subscriber ends it.
async fn read_to_its_end(mut subscriber: Subscriber, seen: watch::Sender<u64>) -> (Vec<TicketEvent>, String) {
    let mut events = vec![];
    loop {
        let message = tokio::select! {
            message = subscriber.next() => message,
            () = seen.closed() => break,
        };
        match message {
            Ok(Message::Event(event)) => {
                seen.send_replace(event.sequence);
                events.push(event);
            }
            Ok(Message::Bookmark(_)) => {}
            Err(_) => break,
        }
    }
    (events, subscriber.token)
}
