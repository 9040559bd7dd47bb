//! RetryDeliveries: many deliveries, a bounded page per call.

use rhythmx_ticketing::v1::{self, DeliveryState, FaultKind, TicketSystem};
use ticketing_harness::{Plan, World, refusal};

/// Deliveries to a Jira that was unavailable and has recovered, without automatic retries.
async fn with_waiting(count: usize) -> World {
    let mut world = Plan::new().with_flag("--circuit-threshold=1000").start().await;
    world.disable_automatic_retries().await;
    world.jira.stop().await;
    for index in 0..count {
        world.push(&format!("INC-{index}"), TicketSystem::Jira).await;
    }
    world.jira.restart().await.unwrap();
    world
}

async fn retry(world: &mut World, request: v1::RetryDeliveriesRequest) -> v1::RetryDeliveriesResponse {
    world.client.retry_deliveries(request).await.unwrap()
}

fn of(states: &[DeliveryState]) -> v1::RetryDeliveriesRequest {
    let states = states.iter().map(|state| (*state).into()).collect();
    let filter = v1::DeliveryFilter { states, ..Default::default() };
    v1::RetryDeliveriesRequest { filter: Some(filter), note: "Jira is back".to_owned(), ..Default::default() }
}

#[tokio::test]
async fn retries_page_by_page_with_one_audit_entry_a_call() {
    let mut world = with_waiting(5).await;
    let mut request = v1::RetryDeliveriesRequest {
        page_size: 2,
        filter: Some(v1::DeliveryFilter {
            states: vec![DeliveryState::Waiting.into()],
            connections: vec!["jira".to_owned()],
            fault_kinds: vec![FaultKind::Connect.into()],
            ..Default::default()
        }),
        ..of(&[])
    };
    let mut counts = vec![];
    loop {
        let page = retry(&mut world, request.clone()).await;
        counts.push((page.retried, page.refused));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(counts.iter().map(|(retried, _)| retried).sum::<u32>(), 5, "{counts:?}");
    assert!(counts.iter().all(|(retried, refused)| *retried <= 2 && *refused == 0), "{counts:?}");
    world.until_all_delivered(5).await;
    let audit = v1::ListAuditEntriesRequest::default();
    let entries = world.client.list_audit_entries(audit).await.unwrap().entries;
    let audited: Vec<_> = entries.iter().filter(|entry| entry.action == "RETRY_DELIVERIES").collect();
    assert_eq!(audited.len(), counts.len());
    assert!(audited[0].detail.contains("Jira is back") && audited[0].detail.contains("CONNECT"));
    world.finish().await;
}

#[tokio::test]
async fn counts_not_retriable_and_skips_cancelled() {
    let mut world = with_waiting(2).await;
    let given_up = world.deliveries().await.remove(0).id;
    let cancel = v1::CancelDeliveryRequest { delivery_id: given_up.clone(), ..Default::default() };
    world.client.cancel_delivery(cancel).await.unwrap();
    let page = retry(&mut world, of(&[])).await;
    assert_eq!((page.retried, page.refused), (1, 1));
    world.until_some(DeliveryState::Delivered).await;
    assert_eq!(world.delivery(&given_up).await.state(), DeliveryState::Cancelled);
    let page = retry(&mut world, of(&[DeliveryState::Delivered])).await;
    assert_eq!((page.retried, page.refused), (0, 1));
    let page = retry(&mut world, of(&[DeliveryState::Cancelled])).await;
    assert_eq!((page.retried, page.refused), (1, 0));
    world.until_all_delivered(2).await;
    world.finish().await;
}

#[tokio::test]
async fn refuses_deliveries_of_disabled_connection() {
    let mut world = with_waiting(1).await;
    let off = v1::JiraSettings { enabled: Some(false), ..Default::default() };
    world.try_jira(off).await.unwrap();
    let page = retry(&mut world, of(&[])).await;
    assert_eq!((page.retried, page.refused), (0, 1));
    world.finish().await;
}

#[tokio::test]
async fn page_token_belongs_to_its_filter() {
    let mut world = with_waiting(3).await;
    let first = retry(&mut world, v1::RetryDeliveriesRequest { page_size: 1, ..of(&[]) }).await;
    let foreign =
        v1::RetryDeliveriesRequest { page_token: first.next_page_token, ..of(&[DeliveryState::Failed]) };
    refusal(world.client.retry_deliveries(foreign).await).is_invalid("PAGE_TOKEN_INVALID", &["page_token"]);
    let bad = v1::RetryDeliveriesRequest { page_size: -1, note: "x".repeat(501), ..of(&[]) };
    refusal(world.client.retry_deliveries(bad).await).is_invalid("REQUEST_INVALID", &["page_size", "note"]);
    world.finish().await;
}
