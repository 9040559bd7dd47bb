//! Creating tickets: once, and with a known or an unknown outcome.

use std::time::Duration;
use ticketing_core::system::Dialing;

use ticketing_core::fault::{FaultKind, Scope};

use crate::drafts::draft;
use crate::steps::{WITHIN, WRONG_SECRET, creates, found_keys, prepare, push, requests_after, writes};
use crate::test_system::{Calls, Failure, RequestKind, SECRET, TestSystem};

/// The time of a call that gets no reply.
const BRIEFLY: Duration = Duration::from_millis(300);

pub async fn create_sends_exactly_the_rendered_body(remote: &dyn TestSystem) {
    let pushed = push(remote.connect(SECRET).as_ref(), "INC-1").await;
    assert_eq!(pushed.created.adjustments, [], "the place offers everything");
    let requests = remote.requests();
    let [create] = writes(&requests)[..] else { panic!("one request writes: {requests:?}") };
    assert_eq!((create.kind, &create.body), (RequestKind::Create, &pushed.rendered.body));
    assert_eq!(remote.tickets().len(), 1);
}

/// One request, whether or not the system executed it: a repetition could create a second ticket.
pub async fn lost_reply_is_an_unknown_outcome(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let mut tickets = 0;
    for applied in [false, true] {
        let table = [
            (Failure::ServerError { applied }, FaultKind::ServerError),
            (Failure::Disconnect { applied }, FaultKind::ConnectionLost),
            (Failure::Unreadable { applied }, FaultKind::UnreadableReply),
        ];
        for (failure, kind) in table {
            let draft = draft(&format!("INC-{kind:?}-{applied}"));
            let rendered = prepare(system.as_ref(), &draft).await;
            let before = remote.requests().len();
            remote.fail(Calls::Create, failure.clone());
            let fault = system
                .create(&draft, &rendered, Dialing::default(), WITHIN)
                .await
                .expect_err("the reply is lost");
            assert_eq!(fault.kind, kind, "{failure:?}: {fault:?}");
            assert!(fault.is_ambiguous(), "{failure:?} is an unknown outcome");
            assert_eq!(creates(&requests_after(remote, before)), 1, "{failure:?}: one request creates");
            tickets += usize::from(applied);
            assert_eq!(remote.tickets().len(), tickets, "{failure:?}");
            remote.recover();
            let found = found_keys(system.as_ref(), &draft.marker).await;
            assert_eq!(found.len(), usize::from(applied), "{failure:?}");
        }
    }
}

pub async fn stops_waiting_at_the_deadline(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let draft = draft("INC-1");
    let rendered = prepare(system.as_ref(), &draft).await;
    let before = remote.requests().len();
    remote.fail(Calls::Create, Failure::Silence);
    let outcome =
        tokio::time::timeout(WITHIN, system.create(&draft, &rendered, Dialing::default(), BRIEFLY)).await;
    let fault = outcome.expect("the create ends in its time").expect_err("no reply comes");
    assert_eq!((fault.kind, fault.is_ambiguous()), (FaultKind::TimedOut, true), "{fault:?}");
    assert_eq!(creates(&requests_after(remote, before)), 1, "one request creates");
}

pub async fn sends_nothing_after_the_deadline(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let draft = draft("INC-1");
    let rendered = prepare(system.as_ref(), &draft).await;
    let before = remote.requests().len();
    let outcome = system.create(&draft, &rendered, Dialing::default(), Duration::ZERO).await;
    let fault = outcome.expect_err("the deadline has passed");
    assert_eq!((fault.kind, fault.is_ambiguous()), (FaultKind::TooLate, false), "{fault:?}");
    assert_eq!(requests_after(remote, before), []);
}

pub async fn refused_ticket_is_a_definite_failure(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let draft = draft("INC-1");
    let rendered = prepare(system.as_ref(), &draft).await;
    remote.fail(Calls::Create, Failure::Refused("the affected host is missing".to_owned()));
    let fault = system
        .create(&draft, &rendered, Dialing::default(), WITHIN)
        .await
        .expect_err("the ticket is refused");
    assert_eq!((fault.kind, fault.is_ambiguous()), (FaultKind::Rejected, false), "{fault:?}");
    assert_eq!(fault.kind.scope(), Scope::Ticket);
    assert!(fault.message.contains("the affected host is missing"), "the reason is lost: {fault:?}");
    assert_eq!(remote.tickets(), []);
}

/// Each repetition could lock the account.
pub async fn refused_login_is_definite_and_not_repeated(remote: &dyn TestSystem) {
    let draft = draft("INC-1");
    let rendered = prepare(remote.connect(SECRET).as_ref(), &draft).await;
    let before = remote.requests().len();
    let outcome = remote.connect(WRONG_SECRET).create(&draft, &rendered, Dialing::default(), WITHIN).await;
    let fault = outcome.expect_err("the login is refused");
    assert!(fault.kind.is_login_refused() && !fault.is_ambiguous(), "{fault:?}");
    assert_eq!(requests_after(remote, before).len(), 1, "a refused login is not tried again");
    assert_eq!(remote.tickets(), []);
}

pub async fn throttled_call_has_the_requested_delay(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let draft = draft("INC-1");
    let rendered = prepare(system.as_ref(), &draft).await;
    let delay = Duration::from_secs(1_847);
    remote.fail(Calls::Any, Failure::Throttled(delay));
    let created =
        system.create(&draft, &rendered, Dialing::default(), WITHIN).await.expect_err("calls are throttled");
    let read = system.read(&system.destination(), "1").await;
    for fault in [Some(created), read.err()].into_iter().flatten() {
        assert_eq!((fault.kind, fault.is_ambiguous()), (FaultKind::RateLimited, false), "{fault:?}");
        assert_eq!(fault.retry_after, Some(delay), "{fault:?}");
    }
    assert_eq!(remote.tickets(), []);
}

pub async fn removed_place_is_a_definite_failure_of_the_connection(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let draft = draft("INC-1");
    let rendered = prepare(system.as_ref(), &draft).await;
    remote.remove_place();
    let fault =
        system.create(&draft, &rendered, Dialing::default(), WITHIN).await.expect_err("the place is gone");
    assert_eq!((fault.kind, fault.is_ambiguous()), (FaultKind::Misconfigured, false), "{fault:?}");
    assert_ne!(fault.kind.scope(), Scope::Ticket);
    assert_eq!(remote.tickets(), []);
}
