//! Event checks after every test: complete, unique, ordered, and resumable anywhere.

use std::collections::{HashMap, HashSet};

use rhythmx_ticketing::v1::stream_ticket_events_response::Message;
use rhythmx_ticketing::v1::{self, DeliveryState, TicketEventKind};

use super::{Subscriber, World, after, from_oldest};

/// Numbered from 1 without a gap, up to the newest; the events of each delivery fit its state; and a stream
/// reopened in the middle continues with the next one. Returns the deliveries whose ticket an operator named.
pub(crate) async fn check(world: &World, deliveries: &[v1::Delivery]) -> HashSet<String> {
    let events = all(world).await;
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.sequence, index as u64 + 1, "out of order or with a gap: {event:#?}");
    }
    let mut events_by_delivery: HashMap<&str, Vec<&v1::TicketEvent>> = HashMap::new();
    for event in &events {
        if let Some(delivery) = &event.delivery {
            events_by_delivery.entry(&delivery.id).or_default().push(event);
        }
    }
    for delivery in deliveries {
        check_delivery(delivery, events_by_delivery.get(delivery.id.as_str()).map_or(&[], Vec::as_slice));
    }
    if let [.., _] = events.as_slice() {
        let middle = &events[(events.len() - 1) / 2];
        let mut resumed = Subscriber::open(&world.client, after(&middle.resume_token)).await;
        if let Some(next) = events.get(middle.sequence as usize) {
            assert_eq!(&resumed.event().await, next, "what follows a token changes");
        }
    }
    let resolved = events.into_iter().filter(|event| event.kind() == TicketEventKind::Resolved);
    resolved.filter_map(|event| Some(event.delivery?.id)).collect()
}

/// Every event up to the newest at the time of the call.
async fn all(world: &World) -> Vec<v1::TicketEvent> {
    // A stream of new events begins with a bookmark after the newest event.
    let newest = Subscriber::open(&world.client, v1::StreamTicketEventsRequest::default()).await.token;
    let mut stream = Subscriber::open(&world.client, from_oldest()).await;
    let mut events = vec![];
    while stream.token != newest {
        match stream.next().await.unwrap() {
            Message::Event(event) => events.push(event),
            Message::Bookmark(_) => {}
        }
    }
    events
}

fn check_delivery(delivery: &v1::Delivery, events_of_it: &[&v1::TicketEvent]) {
    use TicketEventKind::{Accepted, Cancelled, Delivered, Failed, Resolved};
    let kinds: Vec<_> = events_of_it.iter().map(|event| event.kind()).collect();
    let times = |wanted: &[TicketEventKind]| kinds.iter().filter(|kind| wanted.contains(kind)).count();
    assert!(kinds.first() == Some(&Accepted) && times(&[Accepted]) == 1, "{kinds:?}: {delivery:#?}");
    // An operator may correct an earlier ticket; nothing else occurs twice.
    let delivered = times(&[Delivered]);
    let resolved = times(&[Resolved]);
    let ends_once = delivered <= 1 && (delivered == 0 || resolved == 0);
    assert!(ends_once, "it is reported as delivered more than once: {kinds:?}: {delivery:#?}");
    let has_final_event = match delivery.state() {
        DeliveryState::Delivered => delivered + resolved > 0,
        DeliveryState::Failed => times(&[Failed]) > 0,
        DeliveryState::Cancelled => times(&[Cancelled]) > 0,
        _ => true,
    };
    assert!(has_final_event, "there is no event of its final state: {kinds:?}: {delivery:#?}");
}
