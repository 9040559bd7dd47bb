//! Classifies replies other than the documented success, with hints for fixing them.
//!
//! Status and headers decide. Localized messages, and pages of intermediaries, only choose a hint; if a
//! status leaves open what a refused create concerns, [`evidence`](crate::evidence) finds out.

use serde_json::Value;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::text::{shorten, single_line};
use ticketing_egress::foreign::{self, ForeignKind, HintNames};
use ticketing_egress::{Reply, mentions, read_json, title_of_page};

use crate::wire::ErrorCollection;

const MAX_WORDS: usize = 400;

const NAMES: HintNames = HintNames { system: "Jira", address: "jira.url", proxy: "jira.proxy_url" };

/// The purpose of a request, which limits the meaning of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Available to every account: `serverInfo`, `myself`, `mypermissions`.
    Account,
    /// A read of the project, or a search.
    Project,
    /// The create.
    Create,
}

/// Classifies an unsuccessful reply. The message contains Jira's text, and nothing that we sent.
pub(crate) fn classify(reply: &Reply, purpose: Purpose) -> Fault {
    let error_body = ErrorBody::read(reply);
    let words = match foreign::points_to(reply) {
        Some(location) => format!("it points to {location}"),
        None => error_body.words(),
    };
    let kind = kind(reply, &error_body);
    let hint = hint(kind, reply, &error_body, purpose);
    Fault { kind, ..reply.fault(&words) }.with_hint(hint)
}

/// A success with an undocumented body.
pub(crate) fn unreadable(reply: &Reply, expected: &str, purpose: Purpose) -> Fault {
    let classified = kind(reply, &ErrorBody::default());
    if classified == FaultKind::LockedOut || classified == FaultKind::Unauthorized || reply.is_html() {
        return classify(reply, purpose);
    }
    let message = format!("HTTP {} without {expected}", reply.status);
    Fault::new(FaultKind::UnreadableReply, message)
        .with_status(reply.status)
        .with_hint("check that jira.url is the address of Jira itself, not of a gateway in front of Jira")
}

/// The fields named in a definite refusal, each with its message.
pub(crate) fn refused_fields(reply: &Reply) -> Vec<(String, String)> {
    if reply.status == 400 { ErrorBody::read(reply).fields } else { Vec::new() }
}

/// Whether headers or status alone show that a refusal concerns the login or the site, in any language.
pub(crate) fn is_about_the_connection(reply: &Reply) -> bool {
    is_anonymous(reply)
        || reply.status == 402
        || reply.header("x-seraph-loginreason").contains("AUTHORISATION_FAILED")
}

/// Whether Jira treated the call as anonymous, according to a header: then the reply shows only what
/// anonymous users may see.
pub(crate) fn is_anonymous(reply: &Reply) -> bool {
    reply.header("x-ausername").trim().eq_ignore_ascii_case("anonymous")
}

/// The fault of a read that Jira answered without accepting the login: the reply shows only what anonymous users may see.
pub(crate) fn answered_anonymously(reply: &Reply) -> Option<Fault> {
    let login = reply.header("x-seraph-loginreason");
    if login.contains("AUTHENTICATED_FAILED") || login.contains("AUTHENTICATION_DENIED") {
        return Some(classify(reply, Purpose::Account));
    }
    let message = format!("HTTP {}: Jira treated the call as anonymous", reply.status);
    let hint = plain_hint(FaultKind::Unauthorized, &ErrorBody::default(), Purpose::Account);
    let fault = Fault::new(FaultKind::Unauthorized, message).with_status(reply.status).with_hint(hint);
    is_anonymous(reply).then_some(fault)
}

/// Whether a refusal mentions a login, so that the login should be checked.
pub(crate) fn speaks_of_login(reply: &Reply) -> bool {
    let error_body = ErrorBody::read(reply);
    ["anonymous", "logged in", "log in", "logging in", "authenticated"]
        .iter()
        .any(|phrase| error_body.mentions(phrase))
}

/// The hint for a create that is refused although the login may create issues in the project.
pub(crate) fn item_hint(reply: &Reply) -> String {
    let error_body = ErrorBody::read(reply);
    if let Some(hint) = foreign_hint(reply, FaultKind::Rejected) {
        return hint;
    }
    if let Some(hint) = phrase_hint(reply, &error_body) {
        return hint.to_owned();
    }
    if reply.status == 400 {
        return "a rule of the project's workflow (a validator) or a required field refuses this ticket: do what Jira's \
                error message asks for, or exempt the issue type of jira.issue_type or this account from the rule"
            .to_owned();
    }
    "Jira, or a gateway in front of Jira, refuses this ticket alone, for the same login may create in jira.project_key: look for a \
     firewall, a security setting or an app that objects to its content, then try the delivery again"
        .to_owned()
}

/// Whether a refusal is an error collection of Jira's REST API, rather than a reply of an intermediary.
pub(crate) fn is_from_jira(reply: &Reply) -> bool {
    serde_json::from_str::<ErrorCollection>(&reply.body)
        .is_ok_and(|collection| collection.error_messages.is_array() || collection.errors.is_object())
}

/// Whether the next request would fail in the same way, or must not be sent.
pub(crate) fn is_final(kind: FaultKind) -> bool {
    match kind {
        FaultKind::NotPermitted
        | FaultKind::Dns
        | FaultKind::Connect
        | FaultKind::Tls
        | FaultKind::Misconfigured
        | FaultKind::Unauthorized
        | FaultKind::LockedOut
        | FaultKind::RateLimited => true,
        FaultKind::TooLate
        | FaultKind::Rejected
        | FaultKind::Forbidden
        | FaultKind::NotFound
        | FaultKind::TooLarge
        | FaultKind::TimedOut
        | FaultKind::ConnectionLost
        | FaultKind::Redirected
        | FaultKind::Conflict
        | FaultKind::ServerError
        | FaultKind::UnreadableReply
        | FaultKind::Dormant
        | FaultKind::Dropped
        | FaultKind::Restored => false,
    }
}

/// The message of a reply, in any format.
#[derive(Debug, Default)]
struct ErrorBody {
    messages: Vec<String>,
    fields: Vec<(String, String)>,
}

// === impl ErrorBody ===

impl ErrorBody {
    fn read(reply: &Reply) -> Self {
        if let Some(collection) = read_json::<ErrorCollection>(&reply.body) {
            return Self::of_json(&collection);
        }
        let words = match (reply.is_html(), between(&reply.body, "<message>", "</message>")) {
            (true, _) => title_of_page(&reply.body).map(|title| format!("a page called \"{title}\"")),
            (false, Some(message)) => Some(message.to_owned()),
            (false, None) => {
                Some(reply.body.clone()).filter(|body| !body.trim_start().starts_with(['{', '[', '<']))
            }
        };
        Self { messages: words.into_iter().collect(), fields: Vec::new() }
    }

    fn of_json(collection: &ErrorCollection) -> Self {
        let lists = [
            &collection.error_messages,
            &collection.message,
            &collection.error_message,
            &collection.error,
            &collection.error_description,
            &collection.detail,
        ];
        let mut messages: Vec<String> = Vec::new();
        for text in lists.into_iter().flat_map(texts) {
            // Some sites repeat a message in two members.
            if !messages.contains(&text) {
                messages.push(text);
            }
        }
        let fields = match &collection.errors {
            Value::Object(fields) => {
                fields.iter().map(|(field, value)| (field.clone(), texts(value).join(", "))).collect()
            }
            other => {
                messages.extend(texts(other));
                Vec::new()
            }
        };
        Self { messages, fields }
    }

    fn words(&self) -> String {
        let fields = self.fields.iter().map(|(field, text)| format!("{field}: {text}"));
        let all: Vec<String> = self.messages.iter().cloned().chain(fields).collect();
        shorten(&single_line(&all.join("; ")), MAX_WORDS)
    }

    fn names(&self, field: &str) -> bool {
        self.fields.iter().any(|(name, _)| name == field)
    }

    /// Whether a message contains the phrase as whole words.
    fn mentions(&self, phrase: &str) -> bool {
        self.messages.iter().any(|message| mentions(message, phrase))
    }
}

/// The status decides, with three exceptions: Jira's login headers, which are more reliable; a page where
/// JSON was expected; and a refusal that names the project or the issue type.
fn kind(reply: &Reply, error_body: &ErrorBody) -> FaultKind {
    let login = reply.header("x-seraph-loginreason");
    let denied = reply.header("x-authentication-denied-reason");
    let refusal = matches!(reply.status, 200 | 400..=404);
    if refusal && (login.contains("AUTHENTICATION_DENIED") || denied.contains("CAPTCHA")) {
        return FaultKind::LockedOut;
    }
    if refusal && login.contains("AUTHENTICATED_FAILED") {
        return FaultKind::Unauthorized;
    }
    match reply.status {
        400..=404 if is_anonymous(reply) => FaultKind::Unauthorized,
        200 | 201 | 203 if reply.is_html() => FaultKind::Dormant,
        400 if error_body.names("project") || error_body.names("issuetype") => FaultKind::Misconfigured,
        402 => FaultKind::Forbidden,
        status => FaultKind::of_status(status),
    }
}

fn hint(kind: FaultKind, reply: &Reply, error_body: &ErrorBody, purpose: Purpose) -> String {
    if kind == FaultKind::LockedOut {
        return "log in to Jira once in a browser as this account and solve the CAPTCHA, then check the token and test again"
            .to_owned();
    }
    if kind != FaultKind::TooLarge
        && let Some(hint) = foreign_hint(reply, kind)
    {
        return hint;
    }
    if let Some(hint) = phrase_hint(reply, error_body) {
        return hint.to_owned();
    }
    match kind {
        FaultKind::Rejected if !error_body.fields.is_empty() => {
            let fields: Vec<&str> = error_body.fields.iter().map(|(field, _)| field.as_str()).collect();
            shorten(
                &format!(
                    "let the project accept or stop requiring for the issue type of jira.issue_type: {}",
                    fields.join(", ")
                ),
                MAX_WORDS,
            )
        }
        FaultKind::Rejected if purpose == Purpose::Create => item_hint(reply),
        _ => plain_hint(kind, error_body, purpose).to_owned(),
    }
}

/// The default hint of a kind.
fn plain_hint(kind: FaultKind, error_body: &ErrorBody, purpose: Purpose) -> &'static str {
    match kind {
        FaultKind::Unauthorized => {
            "check jira.email and the API token (or the personal access token): it may be wrong, expired or revoked, or this \
             Jira may take no such token"
        }
        FaultKind::Forbidden if purpose == Purpose::Account => {
            "Jira refuses this account or this machine everything: check the site's IP allowlist, that the account may use Jira, \
             and on Data Center that this kind of login is allowed (if not, use a personal access token)"
        }
        FaultKind::Forbidden => "grant the account Browse projects and Create issues in jira.project_key",
        FaultKind::NotFound => {
            "check jira.url (with its context path) and jira.project_key, and that the account may see the project"
        }
        FaultKind::Misconfigured if error_body.names("issuetype") => {
            "set jira.issue_type to a type that the project offers"
        }
        FaultKind::Misconfigured => "check jira.project_key, and that the account may create issues there",
        FaultKind::Redirected => {
            "set jira.url to the address to which Jira itself answers, with https if it has it"
        }
        FaultKind::Dormant => {
            "a web page came instead of an API response: check jira.url, and look for a gateway in front of Jira"
        }
        FaultKind::TooLarge => "Jira, or a gateway in front of Jira, rejects requests of this size",
        _ => "",
    }
}

/// The hint for a reply of an intermediary. A plain page is less specific than a kind that concerns the
/// login.
fn foreign_hint(reply: &Reply, kind: FaultKind) -> Option<String> {
    let found = foreign::recognize(reply)?;
    let says_more = match found.kind {
        ForeignKind::Page => !matches!(kind, FaultKind::Unauthorized | FaultKind::LockedOut),
        _ => true,
    };
    says_more.then(|| found.hint(&NAMES))
}

/// The hint for a phrase that Atlassian documents, in English, for a refusal. The text of a 400 can come from
/// any validator or workflow rule.
fn phrase_hint(reply: &Reply, error_body: &ErrorBody) -> Option<&'static str> {
    const HINTS: &[(&[&str], &str)] = &[
        (
            &["allowlist", "allow list", "allowlisted", "whitelist", "ip address"],
            "the site's IP allowlist blocks this machine: let an organization admin add its outgoing address, or send requests \
             by a proxy (jira.proxy_url) whose address is listed",
        ),
        (
            &[
                "basic authentication has been disabled",
                "basic auth",
                "basic authentication",
                "basic authentication is disabled",
            ],
            "this Jira takes no user name and password: set jira.personal_access_token to a personal access token of the account",
        ),
        (
            &["xsrf"],
            "Jira's XSRF check refused the request, since something on the way adds a browser's headers: let the proxy before \
             Jira pass User-Agent, Origin and Referer unchanged",
        ),
        (
            &[
                "anonymous",
                "not logged in",
                "logging in first",
                "not authenticated",
                "authentication required",
            ],
            "Jira treated the call as anonymous: check jira.email and the API token (or the personal access token, which Jira \
             knows from version 8.14 on)",
        ),
        (
            &["client must be authenticated"],
            "check jira.email and the API token, which may have expired; if it is a scoped token, set jira.cloud_id",
        ),
        (
            &["scope does not match"],
            "give the token the scopes read:jira-work, write:jira-work and read:jira-user",
        ),
        (
            &["license", "licence", "licensed", "unlicensed", "user limit"],
            "Jira's license does not admit this account or this site: give the account access to Jira, or have the license renewed",
        ),
        (
            &[
                "site is unavailable",
                "site unavailable",
                "deactivated",
                "suspended",
                "payment",
                "subscription",
            ],
            "the site is suspended or deactivated, usually for an unpaid or ended subscription: let its owner check the billing, \
             and check jira.url",
        ),
        (&["archived"], "restore the archived project, or set jira.project_key to another"),
        (
            &["read-only mode", "read only mode"],
            "Jira is in read-only mode for maintenance: wait, deliveries are tried again",
        ),
    ];
    if !(401..=404).contains(&reply.status) {
        return None;
    }
    HINTS
        .iter()
        .find(|(phrases, _)| phrases.iter().any(|phrase| error_body.mentions(phrase)))
        .map(|(_, hint)| *hint)
}

/// The texts in a value, at any depth.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inner, _)| inner)
}
