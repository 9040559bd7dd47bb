//! ListDeliveries: pages, filters and tokens.

use std::collections::HashSet;

use prost::Message;
use rhythmx_ticketing::v1::{self, DeliveryState, FaultKind, TicketSystem};

use ticketing_harness::{Edit, Plan, World, incident, refusal, state};

#[tokio::test]
async fn pages_list_every_delivery_once_newest_first() {
    let mut world = with_deliveries(60).await;
    let mut seen = vec![];
    let mut request = v1::ListDeliveriesRequest::default();
    let mut sizes = vec![];
    loop {
        let page = world.client.list_deliveries(request.clone()).await.unwrap();
        sizes.push(page.deliveries.len());
        seen.extend(page.deliveries);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(sizes, [50, 50, 20]);
    let ids: HashSet<_> = seen.iter().map(|delivery| delivery.id.as_str()).collect();
    assert_eq!(ids.len(), 120);
    let time = |delivery: &v1::Delivery| delivery.created_at.map(|at| (at.seconds, at.nanos));
    assert!(seen.is_sorted_by(|newer, older| time(newer) >= time(older)));
    assert!(seen.iter().all(|delivery| delivery.attempts.is_empty()));
    world.finish().await;
}

#[tokio::test]
async fn every_filter_applies_on_every_page() {
    let mut world = with_deliveries(12).await;
    let mut request = v1::ListDeliveriesRequest {
        systems: vec![TicketSystem::Servicenow.into()],
        filter: of_states(vec![DeliveryState::Cancelled.into()]),
        page_size: 5,
        ..Default::default()
    };
    let mut found = 0;
    loop {
        let page = world.client.list_deliveries(request.clone()).await.unwrap();
        for delivery in &page.deliveries {
            assert_eq!(delivery.system(), TicketSystem::Servicenow);
            assert_eq!(delivery.state(), DeliveryState::Cancelled);
        }
        found += page.deliveries.len();
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(found, 12);
    let of_incident = |id: &str| {
        let filter = v1::DeliveryFilter { incident_id: id.to_owned(), ..Default::default() };
        v1::ListDeliveriesRequest { filter: Some(filter), ..Default::default() }
    };
    let request = of_incident("INC-7");
    let page = world.client.list_deliveries(request).await.unwrap();
    assert_eq!(page.deliveries.len(), 2);
    assert!(page.deliveries.iter().all(|delivery| delivery.incident_id == "INC-7"));
    let none = of_incident("INC-99");
    assert_eq!(world.client.list_deliveries(none).await.unwrap(), v1::ListDeliveriesResponse::default());
    world.finish().await;
}

#[tokio::test]
async fn reports_all_invalid_filters_at_once() {
    let mut world = Plan::new().start().await;
    let request = v1::ListDeliveriesRequest {
        systems: vec![99],
        page_size: -1,
        filter: Some(v1::DeliveryFilter {
            states: vec![0, 99],
            incident_id: "two words".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let filters = ["filter.states[0]", "filter.states[1]", "filter.incident_id"];
    let fields = [["systems[0]", "page_size"].as_slice(), &filters].concat();
    refusal(world.client.list_deliveries(request).await).is_invalid("REQUEST_INVALID", &fields);
    world.finish().await;
}

#[tokio::test]
async fn attempts_are_listed_when_they_are_asked_for() {
    let mut world = Plan::new().start().await;
    world.jira.stop().await;
    let answer = world.push("INC-1", TicketSystem::Jira).await;
    assert_eq!(state(&answer), DeliveryState::Waiting);
    world.jira.restart().await.unwrap();
    world.until(&answer.delivery.unwrap().id, DeliveryState::Delivered).await;
    let request = v1::ListDeliveriesRequest { include_attempts: true, ..Default::default() };
    let page = world.client.list_deliveries(request).await.unwrap();
    let attempts = &page.deliveries[0].attempts;
    assert!(attempts.len() >= 2);
    let numbers: Vec<_> = attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, (1..=u32::try_from(attempts.len()).unwrap()).collect::<Vec<_>>());
    assert_eq!(attempts[0].outcome(), v1::AttemptOutcome::Failed);
    assert!(attempts[0].fault.is_some());
    assert_eq!(attempts.last().unwrap().outcome(), v1::AttemptOutcome::Applied);
    world.finish().await;
}

#[tokio::test]
async fn filters_by_ticket_key_fault_connection_and_time() {
    let mut world = Plan::new().start().await;
    world.disable_automatic_retries().await;
    let delivered = world.push("INC-1", TicketSystem::Jira).await.delivery.unwrap();
    world.servicenow.stop().await;
    let waiting = world.push("INC-2", TicketSystem::Servicenow).await.delivery.unwrap();
    let of = v1::DeliveryFilter::default;
    let key = delivered.ticket.as_ref().unwrap().key.clone();
    let table = [
        (v1::DeliveryFilter { ticket_key: key, ..of() }, vec![&delivered.id]),
        (v1::DeliveryFilter { ticket_key: "SEC-99".to_owned(), ..of() }, vec![]),
        (v1::DeliveryFilter { fault_kinds: vec![FaultKind::Connect.into()], ..of() }, vec![&waiting.id]),
        (v1::DeliveryFilter { fault_kinds: vec![FaultKind::Rejected.into()], ..of() }, vec![]),
        (v1::DeliveryFilter { connections: vec!["servicenow".to_owned()], ..of() }, vec![&waiting.id]),
        (v1::DeliveryFilter { states: vec![DeliveryState::Delivered.into()], ..of() }, vec![&delivered.id]),
        (v1::DeliveryFilter { created_from: waiting.created_at, ..of() }, vec![&waiting.id]),
        (v1::DeliveryFilter { created_until: waiting.created_at, ..of() }, vec![&delivered.id]),
        (v1::DeliveryFilter { incident_id: "INC-2".to_owned(), ..of() }, vec![&waiting.id]),
        (of(), vec![&waiting.id, &delivered.id]),
    ];
    for (filter, expected) in table {
        let request = v1::ListDeliveriesRequest { filter: Some(filter.clone()), ..Default::default() };
        let page = world.client.list_deliveries(request).await.unwrap();
        let ids: Vec<_> = page.deliveries.iter().map(|delivery| &delivery.id).collect();
        assert_eq!(ids, expected, "{filter:?}");
    }
    world.servicenow.restart().await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn rows_of_megabytes_are_served_cut_and_paged_by_size() {
    let mut world = Plan::new().start().await;
    for index in 0..25 {
        world.push(&format!("INC-{index}"), TicketSystem::Jira).await;
    }
    world.server.edit(Edit::Poison).await;
    world.restart().await;
    let mut request = v1::ListDeliveriesRequest { page_size: 500, ..Default::default() };
    let mut sizes = vec![];
    loop {
        let page = world.client.list_deliveries(request.clone()).await.unwrap();
        assert!(page.encoded_len() <= 1024 * 1024, "{}", page.encoded_len());
        assert!(page.deliveries.iter().all(|delivery| delivery.ticket.as_ref().unwrap().key.len() < 1_000));
        sizes.push(page.deliveries.len());
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(sizes.iter().sum::<usize>(), 25, "{sizes:?}");
    assert!(sizes.len() > 1, "{sizes:?}");
    let oldest = v1::stream_ticket_events_request::Start::Oldest(());
    let request = v1::StreamTicketEventsRequest { start: Some(oldest), ..Default::default() };
    let mut events = world.client.stream_ticket_events(request).await.unwrap();
    let mut delivered = 0;
    while delivered < 25 {
        let message = events.message().await.unwrap().unwrap();
        assert!(message.encoded_len() <= 1024 * 1024);
        let Some(v1::stream_ticket_events_response::Message::Event(event)) = message.message else {
            continue;
        };
        delivered += usize::from(event.kind() == v1::TicketEventKind::Delivered);
    }
    world.close().await;
}

/// `count` incidents pushed to both unavailable systems, and cancelled.
async fn with_deliveries(count: usize) -> World {
    let mut world = Plan::new().with_flag("--circuit-threshold=1000").start().await;
    world.disable_automatic_retries().await;
    world.jira.stop().await;
    world.servicenow.stop().await;
    for index in 0..count {
        for system in [TicketSystem::Jira, TicketSystem::Servicenow] {
            let answer = world.try_push(incident(&format!("INC-{index}")), system).await.unwrap();
            let delivery_id = answer.delivery.unwrap().id;
            let cancel = v1::CancelDeliveryRequest { delivery_id, ..Default::default() };
            world.client.cancel_delivery(cancel).await.unwrap();
        }
    }
    world
}

fn of_states(states: Vec<i32>) -> Option<v1::DeliveryFilter> {
    Some(v1::DeliveryFilter { states, ..Default::default() })
}
