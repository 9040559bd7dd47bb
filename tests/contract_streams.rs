//! StreamTicketEvents: order, filters and resuming.

use rhythmx_ticketing::v1::stream_ticket_events_response::Message;
use rhythmx_ticketing::v1::ticketing_service_client::TicketingServiceClient;
use rhythmx_ticketing::v1::{self, TicketEventKind, TicketSystem};
use tonic::codec::CompressionEncoding;
use tonic::transport::Endpoint;

use ticketing_harness::{Plan, Subscriber, WAIT_TIMEOUT, after, from_oldest, refusal};

#[tokio::test]
async fn events_of_a_push_are_ordered_and_gap_free() {
    let mut world = Plan::new().start().await;
    let mut live = Subscriber::open(&world.client, v1::StreamTicketEventsRequest::default()).await;
    let delivery = world.push("INC-1", TicketSystem::Jira).await.delivery.unwrap();
    let events = live.events(3).await;
    let kinds: Vec<_> = events.iter().map(v1::TicketEvent::kind).collect();
    assert_eq!(
        kinds,
        [TicketEventKind::Accepted, TicketEventKind::AttemptStarted, TicketEventKind::Delivered]
    );
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    for event in &events {
        assert_eq!((event.incident_id.as_str(), event.connection.as_str()), ("INC-1", "jira"));
        assert_eq!(event.system(), TicketSystem::Jira);
        assert!(event.time.is_some() && !event.resume_token.is_empty());
        assert_eq!(event.delivery.as_ref().unwrap().id, delivery.id);
    }
    assert_eq!(events[2].delivery.as_ref().unwrap().ticket, delivery.ticket);
    let mut again = Subscriber::open(&world.client, from_oldest()).await;
    assert_eq!(again.events(3).await, events);
    world.finish().await;
}

#[tokio::test]
async fn every_token_resumes_right_after_its_event() {
    let mut world = Plan::new().start().await;
    world.push("INC-1", TicketSystem::Jira).await;
    world.push("INC-2", TicketSystem::Servicenow).await;
    let all = Subscriber::open(&world.client, from_oldest()).await.events(6).await;
    for (index, event) in all.iter().enumerate().take(5) {
        let rest = Subscriber::open(&world.client, after(&event.resume_token)).await.events(5 - index).await;
        assert_eq!(rest, all[index + 1..]);
    }
    world.finish().await;
}

#[tokio::test]
async fn compressed_stream_has_the_same_events() {
    let mut world = Plan::new().start().await;
    world.push("INC-1", TicketSystem::Jira).await;
    let all = Subscriber::open(&world.client, from_oldest()).await.events(3).await;
    let endpoint = Endpoint::from_shared(format!("http://{}", world.server.address)).unwrap();
    let stub = TicketingServiceClient::new(endpoint.connect().await.unwrap());
    let mut stub = stub.accept_compressed(CompressionEncoding::Gzip);
    let answer = stub.stream_ticket_events(from_oldest()).await.unwrap();
    assert_eq!(answer.metadata().get("grpc-encoding").unwrap(), "gzip");
    let mut stream = answer.into_inner();
    let mut events = vec![];
    while events.len() < all.len() {
        if let Some(Message::Event(event)) = stream.message().await.unwrap().unwrap().message {
            events.push(event);
        }
    }
    assert_eq!(events, all);
    drop(stream);
    world.finish().await;
}

#[tokio::test]
async fn stream_applies_every_filter() {
    let mut world = Plan::new().start().await;
    for id in ["INC-1", "INC-2"] {
        for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
            world.push(id, system).await;
        }
    }
    let request = v1::StreamTicketEventsRequest { incident_id: "INC-2".to_owned(), ..from_oldest() };
    let events = Subscriber::open(&world.client, request).await.events(6).await;
    assert!(events.iter().all(|event| event.incident_id == "INC-2"));
    let systems = vec![TicketSystem::Servicenow.into()];
    let request = v1::StreamTicketEventsRequest { systems: systems.clone(), ..from_oldest() };
    let events = Subscriber::open(&world.client, request).await.events(6).await;
    assert!(events.iter().all(|event| event.system() == TicketSystem::Servicenow));
    let kinds = vec![TicketEventKind::Delivered.into(), TicketEventKind::Accepted.into()];
    let request = v1::StreamTicketEventsRequest { kinds, ..from_oldest() };
    let events = Subscriber::open(&world.client, request).await.events(8).await;
    let count = |kind| events.iter().filter(|event| event.kind() == kind).count();
    assert_eq!((count(TicketEventKind::Accepted), count(TicketEventKind::Delivered)), (4, 4));
    let request = v1::StreamTicketEventsRequest {
        incident_id: "INC-1".to_owned(),
        systems,
        kinds: vec![TicketEventKind::Delivered.into()],
        ..from_oldest()
    };
    let event = Subscriber::open(&world.client, request).await.event().await;
    assert_eq!((event.incident_id.as_str(), event.kind()), ("INC-1", TicketEventKind::Delivered));
    world.finish().await;
}

#[tokio::test]
async fn bookmarks_advance_a_stream_without_matches() {
    let mut world = Plan::new().with_flag("--bookmark-interval=50ms").start().await;
    let request = v1::StreamTicketEventsRequest { incident_id: "INC-9".to_owned(), ..from_oldest() };
    let mut filtered = Subscriber::open(&world.client, request).await;
    let beginning = filtered.token.clone();
    world.push("INC-1", TicketSystem::Jira).await;
    let moved = async {
        while filtered.token == beginning {
            assert!(matches!(filtered.next().await.unwrap(), Message::Bookmark(_)));
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, moved).await.expect("the token moves");
    // A bookmark may be in the middle of a delivery's events, so its end is awaited too.
    let newest = Subscriber::open(&world.client, v1::StreamTicketEventsRequest::default()).await.token;
    let caught_up = async {
        while filtered.token != newest {
            filtered.next().await.unwrap();
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, caught_up).await.expect("the token reaches the newest event");
    world.push("INC-2", TicketSystem::Jira).await;
    let next = Subscriber::open(&world.client, after(&newest)).await.event().await;
    assert_eq!(next.incident_id, "INC-2");
    world.finish().await;
}

#[tokio::test]
async fn bad_filters_and_foreign_tokens_are_refused() {
    let mut world = Plan::new().start().await;
    let request = v1::StreamTicketEventsRequest {
        incident_id: "two words".to_owned(),
        systems: vec![0],
        kinds: vec![0, 99],
        start: None,
    };
    refusal(world.client.stream_ticket_events(request).await)
        .is_invalid("REQUEST_INVALID", &["incident_id", "systems[0]", "kinds[0]", "kinds[1]"]);
    let mut other = Plan::new().start().await;
    other.push("INC-1", TicketSystem::Jira).await;
    world.push("INC-1", TicketSystem::Jira).await;
    let foreign = Subscriber::open(&other.client, from_oldest()).await.event().await.resume_token;
    for token in ["yesterday", "", &foreign] {
        refusal(world.client.stream_ticket_events(after(token)).await)
            .is_invalid("RESUME_TOKEN_INVALID", &["resume_token"]);
    }
    other.finish().await;
    world.finish().await;
}

#[tokio::test]
async fn stream_resumes_exactly_after_a_restart() {
    let mut world = Plan::new().in_a_process().start().await;
    let mut seen = vec![];
    let mut before = Subscriber::open(&world.client, from_oldest()).await;
    for index in 0..3 {
        world.push(&format!("INC-{index}"), TicketSystem::Jira).await;
    }
    // Some of the events are read before the restart, the others after it.
    seen.extend(before.events(4).await);
    let token = before.token.clone();
    world.restart().await;
    let mut resumed = Subscriber::open(&world.client, after(&token)).await;
    world.push("INC-3", TicketSystem::Jira).await;
    seen.extend(resumed.events(8).await);
    assert_eq!(seen.iter().map(|event| event.sequence).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
    world.finish().await;
}
