//! The process is killed, stopped or suspended while events are written and streamed.

use rhythmx_ticketing::v1::stream_ticket_events_response::Message;
use rhythmx_ticketing::v1::{TicketEvent, TicketEventKind, TicketSystem};
use ticketing_harness::{Subscriber, WAIT_TIMEOUT, after, from_oldest};
use tokio::sync::watch;
use tokio::time::Instant;

use super::cell::{Cell, CellContext};
use super::process::{GRACE, LEASE, ProcessFault, SETTLE, inject, plan};
use super::push_load::PushLoad;

const FAMILY: &str = "process";
const CALLERS: usize = 4;
/// Number of events that are read before the fault.
const EVENTS_BEFORE: u64 = 12;

pub(super) fn cells() -> Vec<Cell> {
    let cell = |fault: ProcessFault| {
        Cell::new(FAMILY, fault.name(), "streaming", move |context| run(context, fault))
    };
    ProcessFault::ALL.map(cell).to_vec()
}

/// A subscriber receives every event once and in order, although the fault hits the process while it
/// streams.
async fn run(context: CellContext, fault: ProcessFault) {
    let mut world = plan(&context).start().await;
    let load = PushLoad::begin(&world, CALLERS);
    let (seen, mut newest) = watch::channel(0);
    let subscriber = Subscriber::open(&world.client, from_oldest()).await;
    let reading = tokio::spawn(read_to_its_end(subscriber, seen));
    let enough = tokio::time::timeout(WAIT_TIMEOUT, newest.wait_for(|newest| *newest >= EVENTS_BEFORE)).await;
    assert!(enough.is_ok_and(|enough| enough.is_ok()), "no events come");
    assert!(load.in_flight() > 0, "no call is under way, so that no event is to come");
    let fault_at = Instant::now();
    inject(&mut world, fault).await;
    let after_it = load.started();
    load.until_started(CALLERS).await;
    let pushed = load.finish().await;
    assert!(pushed > after_it, "nothing was pushed after the fault");
    world.until_all_delivered(pushed).await;
    context.recovered(fault_at.elapsed(), LEASE + SETTLE + GRACE);
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
    assert!(events.len() > known, "there is no event after the fault");
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
