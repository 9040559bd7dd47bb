//! What holds for the replies of every ticket system.

use std::sync::Arc;

use serde_json::Value;
use ticketing_core::fault::{Certainty, Fault, FaultKind};
use ticketing_core::marker::Marker;
use ticketing_core::secret::{Secret, SecretKind};
use ticketing_core::system::TicketSystem;
use ticketing_core::violation::Violations;
use ticketing_egress::{HttpClient, redact, title_of_page};
use ticketing_vendor::Draft;

use super::VENDORS;

/// A secret that no seed contains, since what an adapter reads is redacted.
const LOGIN_SECRET: &str = "correct-horse-battery-staple";
pub(super) const HTML: (&str, &str) = ("content-type", "text/html");
/// The secret that `hidden` must redact.
const SECRET: &str = "s3cr3t+/=&<\"0";

/// Connects with the settings, by a secret of the given kind.
pub(super) fn connect(draft: &Draft, kind: SecretKind, client: &HttpClient) -> Arc<dyn TicketSystem> {
    let vendor = VENDORS.of(draft.system());
    let secret = Secret::new(kind, LOGIN_SECRET);
    let mut violations = Violations::default();
    let connection = vendor.connect(draft, Some(&secret), Some(client.clone()), "settings", &mut violations);
    connection.unwrap_or_else(|| panic!("{violations}"))
}

/// A marker that a reply may contain.
pub(super) fn marker() -> Marker {
    Marker::parse("rhythmx-0123456789abcdef0123456789abcdef").expect("a marker by its form")
}

/// The body with its JSON escapes decoded, which could hide a marker. `None` for a body that the readers
/// accept because they skip parts that no JSON value can hold, such as 1e400 or a list nested 200 deep.
pub(super) fn decoded(body: &str) -> Option<String> {
    serde_json::from_str::<Value>(body).ok().map(|page| page.to_string())
}

/// Checks that a fault is bounded and printable, and is a definite failure only if the status proves one.
pub(super) fn check_fault(fault: &Fault, status: u16) {
    assert!(fault.message.chars().count() <= 500, "{fault:?}");
    assert!(!fault.message.chars().any(char::is_control), "{fault:?}");
    let definite = fault.kind.certainty() == Certainty::Definite;
    // Jira marks an anonymous request in a header of a reply with status 200.
    let kept_out = status == 200 && matches!(fault.kind, FaultKind::Unauthorized | FaultKind::LockedOut);
    let refused = kept_out || matches!(status, 400..=407 | 410..=499);
    assert!(refused || !definite, "after {status} a ticket may be there: {fault:?}");
}

pub(super) fn hidden_seeds() -> Vec<Vec<u8>> {
    let pages = [
        "<html><head><title>x</title></head>",
        "&lt;title&gt; %3Ctitle%3E \\u003ctitle",
        "a&amp;b \\\"c\\\" %2B+",
        "",
    ];
    pages.map(Vec::from).to_vec()
}

/// Inserts the secret at three positions of the page.
pub(super) fn hidden(input: &[u8]) {
    let page = String::from_utf8_lossy(input);
    let middle = page.char_indices().map(|(at, _)| at).nth(page.chars().count() / 2).unwrap_or(0);
    let echoed = [SECRET, &page[..middle], SECRET, &page[middle..], SECRET].concat();
    let hidden = redact(&echoed, SECRET);
    assert!(!hidden.contains(SECRET), "{hidden}");
    let title = title_of_page(&format!("<title>{hidden}</title>"));
    assert!(title.is_none_or(|title| !title.contains(SECRET)));
    let _ = title_of_page(&page);
}
