//! Steps that several behaviors share.

use std::time::Duration;

use ticketing_core::fault::Fault;
use ticketing_core::marker::Marker;
use ticketing_core::system::{Created, Rendered, Search, SearchResult, TicketDraft, TicketSystem};

use crate::drafts::draft;
use crate::test_system::{Request, RequestKind, TestSystem};

/// Longer than a call takes that gets a reply.
pub(crate) const WITHIN: Duration = Duration::from_secs(5);

/// A secret that no system accepts.
pub(crate) const WRONG_SECRET: &str = "Wr0ng-conformance-secret-3Kp";

/// A ticket that was created.
pub(crate) struct Pushed {
    pub(crate) draft: TicketDraft,
    pub(crate) rendered: Rendered,
    pub(crate) created: Created,
}

/// Creates the ticket of an incident.
pub(crate) async fn push(system: &dyn TicketSystem, id: &str) -> Pushed {
    let draft = draft(id);
    let rendered = prepare(system, &draft).await;
    let created = system.create(&draft, &rendered, system.dial(), WITHIN).await;
    let created = created.unwrap_or_else(|fault| panic!("the ticket is not created: {fault:?}"));
    Pushed { draft, rendered, created }
}

pub(crate) async fn prepare(system: &dyn TicketSystem, draft: &TicketDraft) -> Rendered {
    let rendered = system.prepare(draft).await;
    rendered.unwrap_or_else(|fault| panic!("the ticket is not prepared: {fault:?}"))
}

/// A search at the destination of the connection.
pub(crate) fn search(system: &dyn TicketSystem, marker: &Marker) -> Search {
    let destination = system.destination();
    Search { marker: marker.clone(), destination, marker_in_text: false, canaries: Vec::new() }
}

pub(crate) async fn look_up(system: &dyn TicketSystem, marker: &Marker) -> Result<SearchResult, Fault> {
    system.look_up(&search(system, marker)).await
}

/// The keys of the tickets with a marker.
pub(crate) async fn found_keys(system: &dyn TicketSystem, marker: &Marker) -> Vec<String> {
    let found = look_up(system, marker).await;
    let found = found.unwrap_or_else(|fault| panic!("the search fails: {fault:?}"));
    found.tickets.into_iter().map(|found| found.ticket.key).collect()
}

/// The requests after the first `count`.
pub(crate) fn requests_after(remote: &dyn TestSystem, count: usize) -> Vec<Request> {
    remote.requests().split_off(count)
}

pub(crate) fn creates(requests: &[Request]) -> usize {
    requests.iter().filter(|request| request.kind == RequestKind::Create).count()
}

/// The requests that change something.
pub(crate) fn writes(requests: &[Request]) -> Vec<&Request> {
    requests.iter().filter(|request| request.kind != RequestKind::Read).collect()
}

pub(crate) fn check_nothing_written(remote: &dyn TestSystem) {
    let requests = remote.requests();
    assert!(writes(&requests).is_empty(), "a request writes: {requests:?}");
    assert_eq!(remote.tickets(), []);
}
