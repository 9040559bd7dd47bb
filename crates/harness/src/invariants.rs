//! What must hold after every test.

use std::collections::HashMap;

use rhythmx_ticketing::v1;
use rhythmx_ticketing::v1::stream_ticket_events_request::Start;
use rhythmx_ticketing::v1::stream_ticket_events_response::Message;

use super::{PATIENCE, SECRETS, World};

/// Every delivered ticket exists exactly once, no marker stands on two tickets, and the events have no gap.
pub(crate) async fn check(world: &mut World) {
    let mut tickets: HashMap<String, Vec<String>> = HashMap::new();
    for simulator in [&world.jira, &world.servicenow] {
        for ticket in simulator.tickets().into_iter().filter(|ticket| !ticket.foreign) {
            for marker in
                ticket.marker_candidates().into_iter().filter(|marker| marker.starts_with("rhythmx-"))
            {
                tickets.entry(marker).or_default().push(ticket.key.clone());
            }
        }
    }
    for (marker, keys) in &tickets {
        assert_eq!(keys.len(), 1, "marker {marker} stands on {keys:?}");
    }
    for delivery in world.deliveries().await {
        if delivery.state() != v1::DeliveryState::Delivered || is_resolved_by_hand(&delivery) {
            continue;
        }
        let ours = tickets.get(&delivery.marker).map(|keys| keys[0].as_str());
        let reference = delivery.ticket.as_ref().expect("a delivered one has its ticket");
        // A ticket that a person gave our marker may be the older one.
        let known: Vec<_> =
            [reference].into_iter().chain(&delivery.duplicates).map(|t| t.key.as_str()).collect();
        assert!(ours.is_some_and(|ours| known.contains(&ours)), "{ours:?}: {delivery:#?}");
    }
    check_events(world).await;
}

/// No secret is in any file of the server.
pub(crate) fn check_secrets(world: &World) {
    for (name, bytes) in world.server.written() {
        for secret in SECRETS {
            for form in [secret.to_owned(), base64(secret)] {
                let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
                assert!(!found, "the secret {secret:?} is in {name}");
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("panicked at"), "{name} tells of a panic:\n{text}");
    }
}

async fn check_events(world: &mut World) {
    let request = v1::StreamTicketEventsRequest { start: Some(Start::Oldest(())), ..Default::default() };
    let mut stream = world.client.stream_ticket_events(request).await.unwrap();
    let newest = newest(world).await;
    let mut last = 0;
    while last < newest {
        let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("the stream fell silent");
        if let Some(Message::Event(event)) = message.unwrap().unwrap().message {
            assert_eq!(event.sequence, last + 1, "event {} came after {last}", event.sequence);
            last = event.sequence;
        }
    }
}

/// The number of the newest event: a new stream begins with a bookmark behind it, so all before it can be awaited.
async fn newest(world: &mut World) -> u64 {
    // Each delivery was accepted at least; more may come, and the check only needs a start without gaps.
    u64::try_from(world.deliveries().await.len()).unwrap()
}

fn is_resolved_by_hand(delivery: &v1::Delivery) -> bool {
    use v1::AttemptOutcome::{Created, Found};
    !delivery.attempts.iter().any(|attempt| matches!(attempt.outcome(), Created | Found))
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD_NO_PAD.encode(text)
}
