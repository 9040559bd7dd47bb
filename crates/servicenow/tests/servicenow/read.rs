//! Reading one ticket.

use serde_json::{Map, json};
use ticketing_core::fault::FaultKind;
use ticketing_core::system::{Destination, TicketSystem};
use ticketing_simulator::{Call, Effect, Reply};

use crate::support::{Site, ticket_draft};

#[tokio::test]
async fn reads_number_table_and_marker_by_number_and_by_sys_id() {
    let site = Site::of(|_| {}).await;
    let ticket_draft = ticket_draft("INC-1");
    let created = site.push(&ticket_draft).await.unwrap();
    for name in [&created.ticket.key, &created.ticket.id] {
        let read = site.system.read(&site.system.destination(), name).await.unwrap().unwrap();
        assert_eq!((&read.ticket, read.place.as_str()), (&created.ticket, "incident"));
        assert_eq!(read.marker.as_ref(), Some(&ticket_draft.marker));
        assert!(read.created_at.is_some());
    }
}

#[tokio::test]
async fn reads_foreign_ticket_without_marker() {
    let site = Site::of(|_| {}).await;
    let number = site.simulator.add_foreign_ticket(Map::new());
    let read = site.system.read(&site.system.destination(), &number).await.unwrap().unwrap();
    assert_eq!((read.ticket.key, read.marker), (number, None));
}

#[tokio::test]
async fn absent_ticket_is_none() {
    let site = Site::of(|_| {}).await;
    let names = ["INC9999999", &"0".repeat(32), "", "INC1^ORactive=true", "../x", &"9".repeat(41)];
    for name in names {
        assert_eq!(site.system.read(&site.system.destination(), name).await, Ok(None), "{name}");
    }
}

#[tokio::test]
async fn rows_of_an_ignored_query_are_not_the_ticket() {
    let site = Site::of(|_| {}).await;
    site.simulator.add_foreign_ticket(Map::new());
    site.strike(Call::Search, Effect::ReturnsEverything);
    let fault = site.system.read(&site.system.destination(), "INC9999999").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::UnreadableReply);
}

#[tokio::test]
async fn hidden_row_is_not_absence() {
    let site = Site::of(|_| {}).await;
    site.answer(Call::Search, Reply::json(200, &json!({ "result": [] })).header("x-total-count", "1"));
    let fault = site.system.read(&site.system.destination(), "INC0000001").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::UnreadableReply);
}

#[tokio::test]
async fn refused_login_is_a_fault() {
    let site = Site::of(|profile| profile.credentials.clear()).await;
    let fault = site.system.read(&site.system.destination(), "INC0000001").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unauthorized);
}

#[tokio::test]
async fn never_calls_another_instance() {
    let site = Site::of(|_| {}).await;
    let elsewhere =
        Destination { base_url: "https://former.example".to_owned(), ..site.system.destination() };
    let fault = site.system.read(&elsewhere, "INC0000001").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Misconfigured);
    assert!(site.simulator.requests().is_empty());
}
