//! What a reply of an instance means. Every status has its verdict here, once.

use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::text::single_line;
use ticketing_outbound::{Reply, title_of_page};

use crate::wire::{self, FailureWords};

/// A wait that no sane rate limit asks for: the platform's are per hour.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The words that ServiceNow puts into a 403 which is about access; any other is about the record.
const ACCESS_WORDS: [&str; 5] =
    ["user not authorized", "acl", "security constraints", "insufficient rights", "permission"];

/// The words of a business rule, a data policy or the database that refuses one record.
const RECORD_WORDS: [&str; 5] =
    ["business rule", "data policy", "mandatory", "data too long", "operation failed"];

/// The fault of a reply that is not the success it was meant to be. `discreet` takes out of the vendor's words what must
/// not be repeated.
pub(crate) fn of(reply: &Reply, now: Timestamp, discreet: impl Fn(&str) -> String) -> Fault {
    let words = wire::failure_words(&reply.body);
    let said = words.as_ref().map(FailureWords::said).unwrap_or_default();
    let fault = reply.fault(&discreet(&words_of(reply, &said)));
    let (kind, hint) = verdict(reply, &said.to_lowercase());
    let retry_after = reply.retry_after.or_else(|| rate_limit_reset(reply, now));
    Fault { kind, ..fault.with_hint(hint).with_retry_after(retry_after) }
}

/// The fault of a reply with the right status and the wrong content.
pub(crate) fn unreadable(reply: &Reply, what: &str) -> Fault {
    let message = format!("HTTP {}: {what}", reply.status);
    Fault::new(FaultKind::UnreadableReply, message).with_status(reply.status)
}

/// Whether a refusal says that a record with our `sys_id` is there already.
pub(crate) fn is_duplicate(said: &str) -> bool {
    let said = said.to_lowercase();
    ["unique key violation", "duplicate entry", "duplicate key", "already exists"]
        .iter()
        .any(|words| said.contains(words))
}

/// Whether a reply has the error body of ServiceNow, whatever its language: then it is not of something before the
/// instance. Even a 200 may have one, where a query was stopped after its status was sent.
pub(crate) fn is_from_instance(reply: &Reply) -> bool {
    wire::failure_words(&reply.body).is_some()
}

/// Whether the instance let the account in and refused it the table.
pub(crate) fn is_about_the_table(fault: &Fault) -> bool {
    fault.hint.contains("servicenow.table")
}

// === impl FailureWords ===

impl FailureWords {
    fn said(&self) -> String {
        let parts = [self.message.as_deref(), self.detail.as_deref()];
        let parts = parts.into_iter().flatten().map(single_line).filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(": ")
    }
}

/// What is worth repeating of a reply: its own error words, or the title of its page.
fn words_of(reply: &Reply, said: &str) -> String {
    match said {
        "" if reply.is_html() => {
            let title = title_of_page(&reply.body).unwrap_or_else(|| "without a title".to_owned());
            format!("a page called \"{title}\"")
        }
        "" if reply.body.trim().is_empty() => "an empty body".to_owned(),
        said => said.to_owned(),
    }
}

fn verdict(reply: &Reply, said: &str) -> (FaultKind, &'static str) {
    const TABLE: &str = "check servicenow.table: the instance has no such table";
    match FaultKind::of_status(reply.status) {
        FaultKind::Dropped => {
            (FaultKind::Dropped, "the instance is overloaded and may have dropped the request")
        }
        FaultKind::UnreadableReply if reply.is_html() => (
            FaultKind::Dormant,
            "the instance sleeps, is offline or shows its login page: wake it up in a browser and check \
             servicenow.instance",
        ),
        FaultKind::Rejected | FaultKind::NotFound if said.contains("invalid table") => {
            (FaultKind::Misconfigured, TABLE)
        }
        FaultKind::Rejected if said.contains("does not represent any resource") => {
            (FaultKind::Misconfigured, "check servicenow.instance: the Table API is not at this address")
        }
        _ if is_duplicate(said) => (FaultKind::Conflict, ""),
        FaultKind::Rejected => (FaultKind::Rejected, "the instance refuses this ticket: its words say why"),
        FaultKind::Unauthorized => (
            FaultKind::Unauthorized,
            "check servicenow.username and servicenow.password, and that the account is active",
        ),
        FaultKind::Forbidden | FaultKind::NotFound if !is_from_instance(reply) => (
            FaultKind::of_status(reply.status),
            "something that is not ServiceNow's API answers: check servicenow.instance, and that this machine may \
             call it",
        ),
        FaultKind::Forbidden => forbidden(said),
        FaultKind::NotFound => (
            FaultKind::NotFound,
            "check servicenow.table, and that the account of servicenow.username may read it",
        ),
        FaultKind::TooLarge => (FaultKind::TooLarge, "the instance takes no request of this size"),
        FaultKind::RateLimited => (
            FaultKind::RateLimited,
            "the instance limits its callers: raise its rate limit or send fewer tickets",
        ),
        FaultKind::Redirected => {
            (FaultKind::Redirected, "set servicenow.instance to the address that the instance itself uses")
        }
        kind @ (FaultKind::NotPermitted
        | FaultKind::Dns
        | FaultKind::Connect
        | FaultKind::Tls
        | FaultKind::Misconfigured
        | FaultKind::TooLate
        | FaultKind::LockedOut
        | FaultKind::TimedOut
        | FaultKind::ConnectionLost
        | FaultKind::Conflict
        | FaultKind::ServerError
        | FaultKind::UnreadableReply
        | FaultKind::Dormant
        | FaultKind::Restored) => (kind, ""),
    }
}

/// A 403 is about the account, or about this one record.
fn forbidden(said: &str) -> (FaultKind, &'static str) {
    let any = |words: &[&str]| words.iter().any(|words| said.contains(words));
    if !any(&["business rule", "data policy"]) && any(&ACCESS_WORDS) || !any(&RECORD_WORDS) {
        return (
            FaultKind::Forbidden,
            "give the account of servicenow.username the role itil or sn_incident_write on servicenow.table",
        );
    }
    (
        FaultKind::Rejected,
        "a business rule or data policy of the instance refuses this ticket: exempt the account of \
         servicenow.username from it, or satisfy it",
    )
}

/// `X-RateLimit-Reset` is in seconds of Unix time on ServiceNow.
fn rate_limit_reset(reply: &Reply, now: Timestamp) -> Option<Duration> {
    if reply.status != 429 {
        return None;
    }
    let at = reply
        .header("x-ratelimit-reset")
        .trim()
        .parse()
        .ok()
        .and_then(|at| Timestamp::from_second(at).ok())?;
    let wait = Duration::try_from(at.duration_since(now)).ok()?;
    (wait <= LONGEST_WAIT).then_some(wait)
}
