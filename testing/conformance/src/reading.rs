//! Reading one ticket.

use ticketing_core::system::Destination;

use crate::drafts::unknown_marker;
use crate::steps::{WRONG_SECRET, push, requests_after, search};
use crate::test_system::{SECRET, TestSystem};

/// Texts that name no ticket of any system, and that would change the address or the query of a request.
const NO_NAMES: [&str; 6] = ["", "..", "../x", "1/../../x", "1?x=y", "x^ORactive=true"];

pub async fn reads_ticket_by_id_and_by_key(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    push(system.as_ref(), "INC-1").await;
    let pushed = push(system.as_ref(), "INC-2").await;
    let ticket = &pushed.created.ticket;
    let destination = system.destination();
    for name in [&ticket.id, &ticket.key] {
        let read = system.read(&destination, name).await.expect("the read succeeds");
        let read = read.unwrap_or_else(|| panic!("{name} is a ticket"));
        assert_eq!((&read.ticket, &read.place), (ticket, &destination.place));
        assert_eq!(read.marker.as_ref(), Some(&pushed.draft.marker));
        assert!(read.created_at.is_some(), "the time of creation is unknown: {read:?}");
    }
}

pub async fn reads_ticket_without_marker(remote: &dyn TestSystem) {
    let key = remote.add_ticket("");
    let system = remote.connect(SECRET);
    let read = system.read(&system.destination(), &key).await.expect("the read succeeds");
    let read = read.unwrap_or_else(|| panic!("{key} is a ticket"));
    assert_eq!((read.ticket.key, read.marker), (key, None));
}

pub async fn reads_moved_ticket_by_its_id(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let ticket = push(system.as_ref(), "INC-1").await.created.ticket;
    let key = remote.move_ticket(&ticket.key);
    let read = system.read(&system.destination(), &ticket.id).await.expect("the read succeeds");
    let read = read.expect("a moved ticket keeps its ID").ticket;
    assert_eq!((read.id, read.key), (ticket.id, key));
}

pub async fn deleted_ticket_reads_as_none(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let ticket = push(system.as_ref(), "INC-1").await.created.ticket;
    remote.delete_ticket(&ticket.key);
    for name in [&ticket.id, &ticket.key] {
        assert_eq!(system.read(&system.destination(), name).await, Ok(None), "{name}");
    }
}

pub async fn text_that_names_no_ticket_is_not_requested(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    push(system.as_ref(), "INC-1").await;
    let before = remote.requests().len();
    let huge = "9".repeat(4_000);
    for name in NO_NAMES.into_iter().chain([huge.as_str()]) {
        assert_eq!(system.read(&system.destination(), name).await, Ok(None), "{name}");
    }
    assert_eq!(requests_after(remote, before), []);
}

pub async fn read_needs_a_working_login(remote: &dyn TestSystem) {
    let ticket = push(remote.connect(SECRET).as_ref(), "INC-1").await.created.ticket;
    remote.delete_ticket(&ticket.key);
    let system = remote.connect(WRONG_SECRET);
    for name in [&ticket.id, &ticket.key] {
        let fault = system.read(&system.destination(), name).await;
        let fault = fault.expect_err("absence needs a working login");
        assert!(fault.kind.is_login_refused(), "{name}: {fault:?}");
    }
}

pub async fn never_sends_login_to_another_address(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let pushed = push(system.as_ref(), "INC-1").await;
    let before = remote.requests().len();
    let address = "https://former.example".to_owned();
    let elsewhere = Destination { base_url: address, ..system.destination() };
    let mut wanted = search(system.as_ref(), &unknown_marker());
    wanted.destination = elsewhere.clone();
    let searched = system.look_up(&wanted).await.expect_err("the connection has another address");
    let read = system.read(&elsewhere, &pushed.created.ticket.id).await;
    let read = read.expect_err("the connection has another address");
    for fault in [searched, read] {
        assert!(!fault.is_ambiguous(), "{fault:?}");
    }
    assert_eq!(requests_after(remote, before), []);
}
