//! What a connection says of itself, and what it never shows.

use ticketing_core::system::Dialing;
use ticketing_core::system::TicketSystem;

use crate::drafts::{draft, unknown_marker};
use crate::steps::{WITHIN, WRONG_SECRET, look_up, prepare, push};
use crate::test_system::{Calls, Failure, SECRET, TestSystem};

/// The shortest part of a secret that must not be shown, in bytes.
const PART: usize = 10;

pub async fn destination_and_accounts_are_stable(remote: &dyn TestSystem) {
    let identity = |system: &dyn TicketSystem| (system.destination(), system.login().name, system.made_by());
    let system = remote.connect(SECRET);
    let before = identity(system.as_ref());
    push(system.as_ref(), "INC-1").await;
    system.test().await;
    assert_eq!(identity(system.as_ref()), before, "after calls");
    assert_eq!(identity(remote.connect(SECRET).as_ref()), before, "of another connection");
    let (destination, login, made_by) = before;
    assert!(!destination.base_url.ends_with('/'), "{destination:?}");
    for name in [destination.base_url, destination.place, login, made_by.account] {
        assert!(!name.is_empty(), "nothing that describes a connection is empty");
    }
}

pub async fn ticket_url_leads_to_the_created_ticket(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let ticket = push(system.as_ref(), "INC-1").await.created.ticket;
    let url = system.ticket_url(&ticket.key);
    assert!(url.is_none() || url.as_ref() == Some(&ticket.url), "{url:?} is not the ticket {ticket:?}");
}

pub async fn shows_no_secret(remote: &dyn TestSystem) {
    for secret in [SECRET, WRONG_SECRET] {
        let system = remote.connect(secret);
        let identity = (system.destination(), system.login(), system.made_by());
        check_secret(secret, &format!("{system:?} {identity:?}"));
        check_secret(secret, &all_calls(system.as_ref()).await);
    }
}

/// The system repeats the secret in every refusal, also where a long text is cut.
pub async fn redacts_echoed_secret(remote: &dyn TestSystem) {
    let system = remote.connect(SECRET);
    let rendered = prepare(system.as_ref(), &draft("INC-1")).await;
    remote.fail(Calls::Any, Failure::Refused(format!("the token {SECRET} may not do this")));
    check_secret(SECRET, &all_calls(system.as_ref()).await);
    for before in (440..500).step_by(6) {
        remote.fail(Calls::Any, Failure::Refused(format!("{}{SECRET}", "x".repeat(before))));
        let outcome = system.create(&draft("INC-1"), &rendered, Dialing::default(), WITHIN).await;
        check_secret(SECRET, &format!("{:?}", outcome.expect_err("the ticket is refused")));
    }
}

/// The outcomes of all calls, as a log would show them.
async fn all_calls(system: &dyn TicketSystem) -> String {
    let draft = draft("INC-1");
    let offline = system.render_offline(&draft);
    let prepared = system.prepare(&draft).await;
    let created =
        system.create(&draft, prepared.as_ref().unwrap_or(&offline), Dialing::default(), WITHIN).await;
    let found = look_up(system, &draft.marker).await;
    let absent = look_up(system, &unknown_marker()).await;
    let read = system.read(&system.destination(), "1").await;
    let checks = system.test().await;
    format!("{offline:?} {prepared:?} {created:?} {found:?} {absent:?} {read:?} {checks:?} {system:?}")
}

fn check_secret(secret: &str, shown: &str) {
    let part = &secret[..PART];
    assert!(!shown.contains(part), "a secret is shown: {shown}");
}
