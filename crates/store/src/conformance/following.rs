use std::time::Duration;

use ticketing_core::delivery::EventKind;
use ticketing_core::system::System;

use super::{Bench, created};
use crate::{EventFilter, EventPage};

pub async fn events_are_ordered_without_gaps(bench: Bench) {
    let delivery = bench.intended("INC-1").await;
    bench.settle(&delivery, created("1")).await.unwrap();
    let page = all(&bench).await;
    let listed: Vec<_> = page.events.iter().map(|event| (event.seq, event.kind)).collect();
    let expected = [(1, EventKind::Accepted), (2, EventKind::AttemptStarted), (3, EventKind::Delivered)];
    assert_eq!(listed, expected);
    assert_eq!(page.read_to, 3);
    assert_eq!(page.events[2].delivery_id(), Some(delivery.id.as_str()));
    assert_eq!(page.events[2].incident_id(), Some("INC-1"));
    let bounds = bench.store.event_bounds().await.unwrap();
    assert_eq!((bounds.first, bounds.last), (Some(1), 3));
    assert_eq!(bench.store.events_after(3, &EventFilter::default(), 9).await.unwrap().read_to, 3);
}

pub async fn filtered_events_advance_the_reader(bench: Bench) {
    bench.claimed("INC-1").await;
    bench.accept("INC-2").await;
    let seqs = async |filter: EventFilter| {
        let page = bench.store.events_after(0, &filter, 100).await.unwrap();
        assert_eq!(page.read_to, 3);
        page.events.iter().map(|event| event.seq).collect::<Vec<_>>()
    };
    let of = EventFilter::default;
    assert_eq!(seqs(EventFilter { incident_id: Some("INC-2".to_owned()), ..of() }).await, [3]);
    assert_eq!(seqs(EventFilter { kinds: vec![EventKind::Accepted], ..of() }).await, [1, 3]);
    assert_eq!(seqs(EventFilter { systems: vec![System::ServiceNow], ..of() }).await, [0_u64; 0]);
}

pub async fn events_dropped_from_memory_are_read_from_table(bench: Bench) {
    for n in 0..3 {
        bench.accept(&format!("INC-{n}")).await;
    }
    let live = all(&bench).await;
    let accepts = (3..1_100).map(|n| {
        let store = bench.store.clone();
        tokio::spawn(async move {
            let (incident, connections) =
                (super::incident(&format!("INC-{n}"), 90.0), vec![super::connection(System::Jira)]);
            store
                .accept(&super::AcceptRequest {
                    incident,
                    connections,
                    expedite: false,
                    by: crate::Requester::default(),
                })
                .await
                .unwrap();
        })
    });
    for accept in accepts.collect::<Vec<_>>() {
        accept.await.unwrap();
    }
    let read = bench.store.events_after(0, &EventFilter::default(), 3).await.unwrap();
    assert_eq!(read, live);
    let kinds = vec![EventKind::Cancelled, EventKind::Failed];
    let filter = EventFilter { kinds, systems: vec![System::Jira], ..EventFilter::default() };
    let none = bench.store.events_after(0, &filter, 3).await.unwrap();
    assert_eq!((none.events.len(), none.read_to), (0, 1_100));
    let mut seq = 0;
    while seq < 1_100 {
        let page = bench.store.events_after(seq, &EventFilter::default(), 100).await.unwrap();
        let seqs: Vec<u64> = page.events.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (seq + 1..=page.read_to).collect::<Vec<_>>());
        seq = page.read_to;
    }
}

pub async fn trims_oldest_events_in_batches(bench: Bench) {
    for n in 0..5 {
        bench.accept(&format!("INC-{n}")).await;
        bench.clock.advance(Duration::from_secs(1));
    }
    let before = bench.now() - Duration::from_secs(2);
    assert_eq!(bench.store.trim_events(before, 2).await.unwrap(), 2);
    assert_eq!(bench.store.trim_events(before, 2).await.unwrap(), 1);
    assert_eq!(bench.store.trim_events(before, 2).await.unwrap(), 0);
    let bounds = bench.store.event_bounds().await.unwrap();
    assert_eq!((bounds.first, bounds.last), (Some(4), 5));
    bench.store.trim_events(bench.now(), 9).await.unwrap();
    let bounds = bench.store.event_bounds().await.unwrap();
    assert_eq!((bounds.first, bounds.last), (None, 5));
    bench.accept("INC-9").await;
    assert_eq!(bench.store.event_bounds().await.unwrap().first, Some(6));
}

pub async fn subscriber_is_woken_by_the_commit(bench: Bench) {
    let mut newest = bench.store.subscribe();
    assert_eq!(*newest.borrow_and_update(), 0);
    bench.accept("INC-1").await;
    newest.changed().await.unwrap();
    assert_eq!(*newest.borrow(), 1);
}

async fn all(bench: &Bench) -> EventPage {
    bench.store.events_after(0, &EventFilter::default(), 100).await.unwrap()
}
