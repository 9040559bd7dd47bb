//! Reading one ticket.

use serde_json::{Map, json};
use ticketing_core::fault::FaultKind;
use ticketing_core::system::TicketSystem;
use ticketing_simulator::{Call, Effect, Reply};

use crate::support::Site;

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
