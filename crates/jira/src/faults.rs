//! What a reply that is not the documented success means, in words that say what to mend.

use serde_json::Value;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::text::{shorten, single_line};
use ticketing_outbound::{Reply, title_of_page};

use crate::wire::ErrorCollection;

const LONGEST_WORDS: usize = 400;

/// Judges a reply that is not the success its caller hoped for. The message repeats what Jira said, and nothing of ours.
pub(crate) fn judge(reply: &Reply) -> Fault {
    let said = Said::read(reply);
    let fault = reply.fault(&said.words());
    let kind = kind(reply, &said);
    let hint = hint(kind, &said);
    Fault { kind, ..fault }.with_hint(hint)
}

/// A success whose body is not what Jira documents.
pub(crate) fn unreadable(reply: &Reply, expected: &str) -> Fault {
    let judged = kind(reply, &Said::default());
    if judged == FaultKind::LockedOut || judged == FaultKind::Unauthorized || reply.is_html() {
        return judge(reply);
    }
    let message = format!("HTTP {} without {expected}", reply.status);
    Fault::new(FaultKind::UnreadableReply, message)
        .with_status(reply.status)
        .with_hint("check that jira.url is the address of Jira itself, and what stands before it")
}

/// The fields that a definite refusal names, with what is wrong with each.
pub(crate) fn refused_fields(reply: &Reply) -> Vec<(String, String)> {
    if reply.status == 400 { Said::read(reply).fields } else { Vec::new() }
}

/// What a reply says, whatever it is written in.
#[derive(Debug, Default)]
struct Said {
    messages: Vec<String>,
    fields: Vec<(String, String)>,
}

// === impl Said ===

impl Said {
    fn read(reply: &Reply) -> Self {
        if let Ok(collection) = serde_json::from_str::<ErrorCollection>(&reply.body) {
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
        let lists = [&collection.error_messages, &collection.message, &collection.error_message];
        let mut messages: Vec<String> = lists.into_iter().flat_map(texts).collect();
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
        shorten(&single_line(&all.join("; ")), LONGEST_WORDS)
    }

    fn names(&self, field: &str) -> bool {
        self.fields.iter().any(|(name, _)| name == field)
    }

    fn mentions(&self, words: &str) -> bool {
        self.messages.iter().any(|message| message.contains(words))
    }
}

/// The status decides, but for three things: Jira's login header, which is right where the status is not; a page for
/// people where JSON was due; and a refusal that names the project or the issue type.
fn kind(reply: &Reply, said: &Said) -> FaultKind {
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
        200 | 201 | 203 if reply.is_html() => FaultKind::Dormant,
        400 if said.names("project") || said.names("issuetype") => FaultKind::Misconfigured,
        400 if said.mentions("permission to create issues") => FaultKind::Forbidden,
        status => FaultKind::of_status(status),
    }
}

fn hint(kind: FaultKind, said: &Said) -> &'static str {
    match kind {
        FaultKind::Unauthorized if said.mentions("Client must be authenticated") => {
            "check jira.email and the API token, which may have expired; if it is a scoped token, set jira.cloud_id"
        }
        FaultKind::Unauthorized if said.mentions("scope does not match") => {
            "give the token the scopes read:jira-work, write:jira-work and read:jira-user"
        }
        FaultKind::Unauthorized => {
            "check jira.email and the API token (or the personal access token): it may be wrong, expired or revoked"
        }
        FaultKind::LockedOut => {
            "log in to Jira once in a browser as this account and solve the CAPTCHA, then check the token and test again"
        }
        FaultKind::Forbidden => "grant the account Browse projects and Create issues in jira.project_key",
        FaultKind::NotFound => {
            "check jira.url (with its context path) and jira.project_key, and that the account may see the project"
        }
        FaultKind::Misconfigured if said.names("issuetype") => {
            "set jira.issue_type to a type that the project offers"
        }
        FaultKind::Misconfigured => "check jira.project_key, and that the account may create issues there",
        FaultKind::Rejected if said.mentions("is required") || !said.fields.is_empty() => {
            "let the project accept the fields named, or make them optional for this issue type"
        }
        FaultKind::Redirected => {
            "set jira.url to the address to which Jira itself answers, with https if it has it"
        }
        FaultKind::Dormant => {
            "a page for people came instead of an answer: check jira.url and what stands before Jira"
        }
        FaultKind::TooLarge => "Jira, or something before it, takes no request of this size",
        _ => "",
    }
}

/// The texts of a value, however deep.
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
