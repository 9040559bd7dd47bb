//! ListDeliveries: pages, filters and tokens.

use std::collections::HashSet;

use rhythmx_ticketing::v1::{self, DeliveryState, TicketSystem};

use ticketing_harness::{Plan, World, incident, refusal, state};

#[tokio::test]
async fn a_hundred_and_twenty_deliveries_are_paged_newest_first_each_once() {
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
async fn every_filter_is_held_on_every_page() {
    let mut world = with_deliveries(12).await;
    let mut request = v1::ListDeliveriesRequest {
        systems: vec![TicketSystem::Servicenow.into()],
        states: vec![DeliveryState::Cancelled.into()],
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
    let request = v1::ListDeliveriesRequest { incident_id: "INC-7".to_owned(), ..Default::default() };
    let page = world.client.list_deliveries(request).await.unwrap();
    assert_eq!(page.deliveries.len(), 2);
    assert!(page.deliveries.iter().all(|delivery| delivery.incident_id == "INC-7"));
    let none = v1::ListDeliveriesRequest { incident_id: "INC-99".to_owned(), ..Default::default() };
    assert_eq!(world.client.list_deliveries(none).await.unwrap(), v1::ListDeliveriesResponse::default());
    world.finish().await;
}

#[tokio::test]
async fn a_token_belongs_to_the_filters_that_it_was_made_for() {
    let mut world = with_deliveries(4).await;
    let request = v1::ListDeliveriesRequest { page_size: 3, ..Default::default() };
    let token = world.client.list_deliveries(request.clone()).await.unwrap().next_page_token;
    let foreign = v1::ListDeliveriesRequest {
        states: vec![DeliveryState::Cancelled.into()],
        page_token: token.clone(),
        ..Default::default()
    };
    let garbage = v1::ListDeliveriesRequest { page_token: "yesterday".to_owned(), ..request.clone() };
    let cut = v1::ListDeliveriesRequest { page_token: token[1..].to_owned(), ..request };
    for request in [foreign, garbage, cut] {
        refusal(world.client.list_deliveries(request).await)
            .is_invalid("PAGE_TOKEN_INVALID", &["page_token"]);
    }
    world.finish().await;
}

#[tokio::test]
async fn every_bad_filter_is_told_at_once() {
    let mut world = Plan::new().start().await;
    let request = v1::ListDeliveriesRequest {
        states: vec![0, 99],
        systems: vec![99],
        incident_id: "two words".to_owned(),
        page_size: -1,
        ..Default::default()
    };
    refusal(world.client.list_deliveries(request).await)
        .is_invalid("REQUEST_INVALID", &["states[0]", "states[1]", "systems[0]", "incident_id", "page_size"]);
    world.finish().await;
}

#[tokio::test]
async fn the_attempts_are_listed_when_they_are_asked_for() {
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
    assert_eq!(attempts.last().unwrap().outcome(), v1::AttemptOutcome::Created);
    world.finish().await;
}

/// `count` incidents pushed to both systems, which are down, and given up.
async fn with_deliveries(count: usize) -> World {
    let mut world = Plan::new().with_flag("--circuit-threshold=1000").start().await;
    world.retry_by_hand_alone().await;
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
