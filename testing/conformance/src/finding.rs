//! Finding tickets by their marker, and proving their absence.

use std::time::Duration;

use ticketing_core::fault::FaultKind;
use ticketing_core::system::{SearchResult, Visibility};

use crate::drafts::unknown_marker;
use crate::steps::{WRONG_SECRET, found_keys, look_up, push, search};
use crate::test_system::{Calls, Failure, SECRET, TestSystem, Ticket};

pub async fn created_ticket_is_found_by_its_marker(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    push(system.as_ref(), "INC-1").await;
    let pushed = push(system.as_ref(), "INC-2").await;
    let ticket = &pushed.created.ticket;
    let stored = Ticket { id: ticket.id.clone(), key: ticket.key.clone() };
    assert!(remote.tickets().contains(&stored), "{stored:?} is not a ticket of the remote");
    assert!(ticket.url.starts_with("http"), "no link for people: {ticket:?}");
    for system in [system, remote.connect(SECRET)] {
        let result = look_up(system.as_ref(), &pushed.draft.marker).await.expect("the search succeeds");
        let [found] = result.tickets.as_slice() else { panic!("one ticket has the marker: {result:?}") };
        assert_eq!(&found.ticket, ticket);
        assert!(found.created_at.is_some(), "the time of creation is unknown: {found:?}");
    }
}

pub async fn unknown_marker_is_an_empty_result(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    push(system.as_ref(), "INC-1").await;
    assert_eq!(look_up(system.as_ref(), &unknown_marker()).await, Ok(SearchResult::default()));
}

pub async fn empty_result_needs_a_working_login(remote: &dyn TestSystem) {
    let refused = look_up(remote.connect(WRONG_SECRET).as_ref(), &unknown_marker()).await;
    let fault = refused.expect_err("an empty result needs a working login");
    assert!(fault.kind.is_login_refused(), "{fault:?}");
    remote.fail(Calls::Any, Failure::LoginIgnored);
    let ignored = look_up(remote.connect(SECRET).as_ref(), &unknown_marker()).await;
    ignored.expect_err("an empty result needs a working login");
}

pub async fn empty_result_needs_access_to_the_place(remote: &dyn TestSystem) {
    remote.withdraw_access();
    let fault = look_up(remote.connect(SECRET).as_ref(), &unknown_marker()).await;
    let fault = fault.expect_err("an empty result needs access to the place");
    assert!(matches!(fault.kind, FaultKind::Forbidden | FaultKind::NotFound), "{fault:?}");
}

pub async fn empty_result_needs_an_existing_place(remote: &dyn TestSystem) {
    remote.remove_place();
    let fault = look_up(remote.connect(SECRET).as_ref(), &unknown_marker()).await;
    let fault = fault.expect_err("an empty result needs an existing place");
    assert!(matches!(fault.kind, FaultKind::Misconfigured | FaultKind::NotFound), "{fault:?}");
}

pub async fn failed_search_is_a_fault(remote: &dyn TestSystem) {
    remote.add_ticket("");
    let system = remote.connect(SECRET);
    let table = [
        (Failure::ServerError { applied: false }, FaultKind::ServerError),
        (Failure::Disconnect { applied: false }, FaultKind::ConnectionLost),
        (Failure::Unreadable { applied: false }, FaultKind::UnreadableReply),
        (Failure::QueryIgnored, FaultKind::UnreadableReply),
        (Failure::LoginRefused, FaultKind::Unauthorized),
        (Failure::Throttled(Duration::from_secs(60)), FaultKind::RateLimited),
    ];
    for (failure, kind) in table {
        remote.fail(Calls::Search, failure.clone());
        let outcome = look_up(system.as_ref(), &unknown_marker()).await;
        let fault = outcome.expect_err("a failed search proves nothing");
        assert_eq!(fault.kind, kind, "{failure:?}: {fault:?}");
    }
}

pub async fn never_returns_ticket_of_another_marker(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let pushed = push(system.as_ref(), "INC-1").await;
    push(system.as_ref(), "INC-2").await;
    let marker = &pushed.draft.marker;
    for similar in [String::new(), format!("{marker}0"), format!("x-{marker}")] {
        remote.add_ticket(&similar);
    }
    let ours = [pushed.created.ticket.key];
    assert_eq!(found_keys(system.as_ref(), marker).await, ours);
    remote.fail(Calls::Search, Failure::QueryIgnored);
    if let Ok(result) = look_up(system.as_ref(), marker).await {
        let keys: Vec<_> = result.tickets.into_iter().map(|found| found.ticket.key).collect();
        assert_eq!(keys, ours, "the search ignored the marker");
    }
}

/// Where a search shows a ticket at once, no canary is needed, and none need be reported.
pub async fn sees_canary_that_the_search_shows(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let canary = push(system.as_ref(), "INC-1").await.draft.marker;
    let mut wanted = search(system.as_ref(), &unknown_marker());
    wanted.canaries = vec![canary.clone()];
    let shown = system.look_up(&wanted).await.expect("the search succeeds");
    assert_eq!(shown.tickets, [], "a canary is not the ticket");
    assert!(shown.canary_seen || system.visibility() == Visibility::Immediate, "the canary is not seen");
    (wanted.marker, wanted.canaries) = (canary, vec![unknown_marker()]);
    let hidden = system.look_up(&wanted).await.expect("the search succeeds");
    assert!(!hidden.canary_seen, "the ticket is not a canary: {hidden:?}");
}

pub async fn lists_each_ticket_of_one_marker_oldest_first(remote: &dyn TestSystem) {
    let marker = unknown_marker();
    let keys = [(); 3].map(|()| remote.add_ticket(marker.as_str()));
    let system = remote.connect(SECRET);
    assert_eq!(found_keys(system.as_ref(), &marker).await, keys);
    remote.fail(Calls::Search, Failure::RowsRepeated);
    assert_eq!(found_keys(system.as_ref(), &marker).await, keys, "a row that is repeated is one ticket");
}

pub async fn finds_moved_ticket_under_its_new_key(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let pushed = push(system.as_ref(), "INC-1").await;
    let before = pushed.created.ticket;
    let key = remote.move_ticket(&before.key);
    assert_ne!(key, before.key);
    let result = look_up(system.as_ref(), &pushed.draft.marker).await.expect("the search succeeds");
    let [found] = result.tickets.as_slice() else { panic!("one ticket has the marker: {result:?}") };
    assert_eq!((&found.ticket.id, &found.ticket.key), (&before.id, &key));
    let url = system.ticket_url(&key).unwrap_or(before.url);
    assert_eq!(found.ticket.url, url);
}
