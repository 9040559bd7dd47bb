//! Classifies the replies of an instance. The meaning of every status is decided here, once.
//!
//! Status and headers decide. Messages of the instance, in any language, and pages of intermediaries only
//! choose a hint; [`evidence`](crate::evidence) finds out what a refused insert concerns.

use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::text::single_line;
use ticketing_egress::foreign::{self, ForeignKind, HintNames};
use ticketing_egress::{Reply, mentions, title_of_page};

use crate::wire::{self, ErrorBody};

const NAMES: HintNames =
    HintNames { system: "ServiceNow", address: "servicenow.instance", proxy: "servicenow.proxy_url" };

/// Phrases that ServiceNow documents for refusals by an ACL, a business rule, or a data policy. They choose
/// hints.
const ACCESS_PHRASES: [&str; 5] =
    ["user not authorized", "acl", "security constraints", "insufficient rights", "permission"];
const RULE_PHRASES: [&str; 2] = ["business rule", "aborted by business rule"];
const POLICY_PHRASES: [&str; 3] = ["data policy", "mandatory", "fields are mandatory"];

/// The fault of an unsuccessful reply. `discreet` redacts the vendor's message.
pub(crate) fn of(reply: &Reply, discreet: impl Fn(&str) -> String) -> Fault {
    let words = wire::error_body(&reply.body);
    let error_text = words.as_ref().map(ErrorBody::error_text).unwrap_or_default();
    let fault = reply.fault(&discreet(&excerpt_of(reply, &error_text)));
    let (kind, hint) = verdict(reply, &error_text);
    Fault { kind, ..fault.with_hint(discreet(&hint)) }
}

/// The fault of a reply with the right status and invalid content.
pub(crate) fn unreadable(reply: &Reply, what: &str) -> Fault {
    let message = format!("HTTP {}: {what}", reply.status);
    Fault::new(FaultKind::UnreadableReply, message).with_status(reply.status)
}

/// Whether a refusal reports that a record with our `sys_id` already exists.
pub(crate) fn is_duplicate(error_text: &str) -> bool {
    let error_text = error_text.to_lowercase();
    ["unique key violation", "duplicate entry", "duplicate key", "already exists"]
        .iter()
        .any(|words| error_text.contains(words))
}

/// Whether a reply has the error body of ServiceNow, in any language, and so does not come from an
/// intermediary. Even a 200 may have one, if a query was aborted after its status was sent.
pub(crate) fn is_from_instance(reply: &Reply) -> bool {
    wire::is_failure(&reply.body)
}

/// Whether the instance authenticated the account and refused it the table: its own error to a valid login.
pub(crate) fn is_about_the_table(fault: &Fault) -> bool {
    fault.hint.contains("servicenow.table")
}

// === impl ErrorBody ===

impl ErrorBody {
    fn error_text(&self) -> String {
        let parts = [self.message.as_deref(), self.detail.as_deref()];
        let parts = parts.into_iter().flatten().map(single_line).filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(": ")
    }
}

/// The part of a reply worth repeating: its error message, the title of its page, or its redirect connection.
fn excerpt_of(reply: &Reply, error_text: &str) -> String {
    if let Some(location) = foreign::points_to(reply) {
        return format!("it points to {location}");
    }
    match error_text {
        "" if reply.is_html() => match title_of_page(&reply.body) {
            Some(title) => format!("a page called \"{title}\""),
            None => "a page without a title".to_owned(),
        },
        "" if reply.body.trim().is_empty() => "an empty body".to_owned(),
        error_text => error_text.to_owned(),
    }
}

fn verdict(reply: &Reply, error_text: &str) -> (FaultKind, String) {
    let kind = kind(reply, error_text);
    let hint = match (kind, foreign_hint(reply)) {
        // The kind is more specific, or its hint is the safer one.
        (FaultKind::Dropped | FaultKind::Conflict, _) | (_, None) => {
            plain_hint(kind, reply, error_text).to_owned()
        }
        (_, Some(hint)) => hint,
    };
    (kind, hint)
}

fn kind(reply: &Reply, error_text: &str) -> FaultKind {
    match FaultKind::of_status(reply.status) {
        FaultKind::UnreadableReply if reply.is_html() => FaultKind::Dormant,
        FaultKind::Rejected | FaultKind::NotFound if is_about_the_address(error_text) => {
            FaultKind::Misconfigured
        }
        FaultKind::Rejected if reply.status == 402 => FaultKind::Forbidden,
        _ if is_duplicate(error_text) => FaultKind::Conflict,
        kind => kind,
    }
}

/// The instance has no such table, or no Table API. The platform writes both in English whatever the user's
/// language.
fn is_about_the_address(error_text: &str) -> bool {
    mentions(error_text, "invalid table") || mentions(error_text, "does not represent any resource")
}

/// The hint for a reply of an intermediary. A page of unknown origin is less specific than the status.
fn foreign_hint(reply: &Reply) -> Option<String> {
    let found = foreign::recognize(reply)?;
    match found.kind {
        ForeignKind::Page => None,
        // The page of a hibernating instance is not always recognized, nor distinguished from the login page.
        ForeignKind::LoginPage if reply.status < 300 => {
            Some(format!("{}; a hibernating instance may show such a page, too", found.hint(&NAMES)))
        }
        _ => Some(found.hint(&NAMES)),
    }
}

/// The default hint of a kind.
fn plain_hint(kind: FaultKind, reply: &Reply, error_text: &str) -> &'static str {
    const FOREIGN: &str = "something that is not ServiceNow's API answers: check servicenow.instance, and that this machine may \
                           call it (the instance's IP address access control may refuse it)";
    match kind {
        FaultKind::Dropped => "the instance is overloaded and may have dropped the request",
        FaultKind::Dormant => {
            "the instance hibernates, is offline or shows its login page: open it in a browser and check servicenow.instance"
        }
        FaultKind::Misconfigured if mentions(error_text, "invalid table") => {
            "check servicenow.table: the instance has no such table"
        }
        FaultKind::Misconfigured => "check servicenow.instance: the Table API is not at this address",
        FaultKind::Rejected => item_hint(reply, error_text),
        FaultKind::Unauthorized if asks_for_a_second_factor(reply) => {
            "the instance asks for multi-factor authentication (MFA): exempt the account of servicenow.username from it, or allow \
             basic authentication without it for APIs"
        }
        FaultKind::Unauthorized => {
            "check servicenow.username and servicenow.password, and that the account is active, not locked, and may log in with a \
             password: an instance that takes OAuth alone or asks for multi-factor authentication (MFA) has to exempt it"
        }
        FaultKind::Forbidden | FaultKind::NotFound if wire::error_body(&reply.body).is_none() => FOREIGN,
        FaultKind::Forbidden => ROLE,
        FaultKind::NotFound => {
            "check servicenow.table, and that the account of servicenow.username may read it"
        }
        FaultKind::TooLarge => "the instance rejects requests of this size",
        FaultKind::RateLimited => {
            "the instance limits its callers: raise its rate limit or send fewer tickets"
        }
        FaultKind::Redirected => "set servicenow.instance to the address that the instance itself uses",
        FaultKind::NotPermitted
        | FaultKind::Dns
        | FaultKind::Connect
        | FaultKind::Tls
        | FaultKind::TooLate
        | FaultKind::LockedOut
        | FaultKind::TimedOut
        | FaultKind::ConnectionLost
        | FaultKind::Conflict
        | FaultKind::ServerError
        | FaultKind::UnreadableReply
        | FaultKind::Restored => "",
    }
}

const ROLE: &str =
    "give the account of servicenow.username the role itil or sn_incident_write on servicenow.table";

/// The hint for an insert that is refused although the login may read the table.
pub(crate) fn hint_of_refused_item(reply: &Reply) -> String {
    let error_text = wire::error_body(&reply.body).map(|words| words.error_text()).unwrap_or_default();
    foreign_hint(reply).unwrap_or_else(|| item_hint(reply, &error_text).to_owned())
}

fn item_hint(reply: &Reply, error_text: &str) -> &'static str {
    let any = |phrases: &[&str]| phrases.iter().any(|phrase| mentions(error_text, phrase));
    match () {
        () if any(&POLICY_PHRASES) => {
            "a data policy of the instance requires the fields that its error message names: give them a default value in ServiceNow, or \
             exempt the account of servicenow.username from the policy"
        }
        () if any(&RULE_PHRASES) => {
            "a business rule of the instance refuses this ticket: exempt the account of servicenow.username from it, or satisfy \
             it"
        }
        () if any(&ACCESS_PHRASES) => {
            "the account of servicenow.username may read servicenow.table but not insert into it: give it the role itil or \
             sn_incident_write, and write access to the fields of a ticket"
        }
        () if reply.is_html() => {
            "a gateway in front of the instance answered this ticket with a page of its own: look for a firewall that objects to its \
             content, and let it exempt the Table API of servicenow.instance"
        }
        () => {
            "the instance refuses this ticket by a business rule, a data policy or an access rule (ACL): its error message says which; \
             satisfy it, or exempt the account of servicenow.username"
        }
    }
}

/// Basic authentication, but the instance requires a second factor.
fn asks_for_a_second_factor(reply: &Reply) -> bool {
    reply.headers.contains_key("x-mfa_token") || reply.headers.contains_key("x-mfa-token")
}
