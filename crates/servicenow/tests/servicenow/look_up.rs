//! The result of a look-up, and when an empty one counts.

use serde_json::{Map, json};
use ticketing_core::fault::FaultKind;
use ticketing_core::system::TicketSystem;
use ticketing_simulator::{Call, Effect, Reply};

use crate::support::{Site, ticket_draft};

fn foreign(site: &Site, correlation_id: &str, created: &str) -> String {
    let fields = json!({ "correlation_id": correlation_id, "sys_created_on": created });
    site.simulator.add_foreign_ticket(fields.as_object().cloned().unwrap_or_default())
}

#[tokio::test]
async fn lists_both_tickets_of_one_marker_oldest_first() {
    let site = Site::of(|_| {}).await;
    let marker = ticket_draft("INC-1").marker;
    let younger = foreign(&site, marker.as_str(), "2026-01-02 00:00:00");
    let older = foreign(&site, marker.as_str(), "2026-01-01 00:00:00");
    let found = site.look_up(&ticket_draft("INC-1")).await.unwrap();
    let keys: Vec<_> = found.tickets.iter().map(|found| found.ticket.key.as_str()).collect();
    assert_eq!(keys, [older, younger]);
    assert_eq!(found.tickets[0].created_at, "2026-01-01T00:00:00Z".parse().ok());
}

#[tokio::test]
async fn lower_number_is_older_within_a_second() {
    let site = Site::of(|_| {}).await;
    let marker = ticket_draft("INC-1").marker;
    let made: Vec<_> = (0..8).map(|_| foreign(&site, marker.as_str(), "2026-01-01 00:00:00")).collect();
    let found = site.look_up(&ticket_draft("INC-1")).await.unwrap();
    let keys: Vec<_> = found.tickets.into_iter().map(|found| found.ticket.key).collect();
    assert_eq!(keys, made);
}

#[tokio::test]
async fn finds_ticket_by_sys_id_when_query_is_ignored() {
    let site = Site::of(|profile| profile.ignores_correlation_id = true).await;
    site.simulator.add_foreign_ticket(Map::new());
    let created = site.push(&ticket_draft("INC-1")).await.unwrap();
    for effect in
        [Effect::ReturnsEverything, Effect::ReturnsNothing, Effect::Garbage { status: 200, applied: false }]
    {
        site.simulator.faults().clear();
        site.strike(Call::Search, effect);
        let found = site.look_up(&ticket_draft("INC-1")).await.unwrap();
        assert_eq!(found.tickets.len(), 1);
        assert_eq!(found.tickets[0].ticket, created.ticket);
    }
}

#[tokio::test]
async fn hidden_rows_leave_outcome_unknown() {
    let site = Site::of(|_| {}).await;
    site.answer(Call::Search, Reply::json(200, &json!({ "result": [] })).header("x-total-count", "1"));
    assert_eq!(site.look_up(&ticket_draft("INC-1")).await.unwrap_err().kind, FaultKind::UnreadableReply);
}

#[tokio::test]
async fn interrupted_search_proves_nothing() {
    let site = Site::of(|_| {}).await;
    let error = json!({ "message": "Transaction cancelled: maximum execution time exceeded", "detail": "" });
    let ticket_draft = ticket_draft("INC-1");
    let row = json!({ "sys_id": "c537bae64f411200adf9f8e18110c76e", "correlation_id": ticket_draft.marker });
    for (rows, found) in [(json!([]), None), (json!([row]), Some(1))] {
        let body = json!({ "result": rows, "error": error, "status": "failure" });
        site.simulator.faults().clear();
        site.answer(Call::Search, Reply::json(200, &body));
        match site.look_up(&ticket_draft).await {
            Ok(search_result) => assert_eq!(Some(search_result.tickets.len()), found),
            Err(fault) => assert_eq!((fault.kind, None), (FaultKind::UnreadableReply, found)),
        }
    }
}

#[tokio::test]
async fn failed_search_is_not_empty() {
    let site = Site::of(|_| {}).await;
    let table = [
        (Reply::html(200, "<html><title>Instance Hibernating page</title></html>"), FaultKind::Dormant),
        (Reply::json(202, &json!({})), FaultKind::Dropped),
        (Reply::json(200, &json!({ "result": {} })), FaultKind::UnreadableReply),
        (Reply::json(200, &json!([])), FaultKind::UnreadableReply),
        (Reply::json(401, &json!({})), FaultKind::Unauthorized),
        (Reply::json(403, &json!({})), FaultKind::Forbidden),
        (Reply::json(404, &json!({})), FaultKind::NotFound),
        (Reply::json(429, &json!({})), FaultKind::RateLimited),
        (Reply::json(500, &json!({})), FaultKind::ServerError),
    ];
    for call in [Call::Search, Call::Read] {
        for (reply, kind) in &table {
            site.simulator.faults().clear();
            site.answer(call, reply.clone());
            let fault = site.look_up(&ticket_draft("INC-1")).await.unwrap_err();
            assert_eq!(fault.kind, *kind, "{call:?} {reply:?}");
        }
    }
}

#[tokio::test]
async fn refuses_destination_that_is_no_table() {
    let site = Site::of(|_| {}).await;
    let mut search = site.search(&ticket_draft("INC-1"));
    search.destination.place = "incident/../sys_user".to_owned();
    assert_eq!(site.system.look_up(&search).await.unwrap_err().kind, FaultKind::Misconfigured);
    assert_eq!(site.simulator.requests().len(), 0);
}
