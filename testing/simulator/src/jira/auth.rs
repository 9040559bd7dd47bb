//! Authentication, and the ways in which Jira reports failed authentication.

use super::Flavour;
use crate::effect::captcha;
use crate::message::{Answer, Request, decode_basic};
use crate::profile::Credential;
use crate::site_request::SiteRequest;
use crate::state::State;

/// Result of the `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    User(String),
    Anonymous,
    /// Credentials that are wrong, or not accepted at this base URL.
    Rejected,
    /// A scoped token at the site's URL instead of the gateway's.
    ScopedOnSite,
    /// Data Center requires a CAPTCHA after too many wrong passwords.
    LockedOut,
}

impl Caller {
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::User(name) => Some(name),
            Self::Anonymous | Self::Rejected | Self::ScopedOnSite | Self::LockedOut => None,
        }
    }
}

pub(super) fn caller(flavour: Flavour, state: &mut State, request: &Request, gateway: bool) -> Caller {
    let Some(header) = request.header("authorization") else { return Caller::Anonymous };
    let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
    let basic = scheme.eq_ignore_ascii_case("basic").then(|| decode_basic(rest)).flatten();
    let locked = state.profile.captcha_after.is_some_and(|limit| state.failed_logins >= limit);
    if flavour == Flavour::DataCenter && basic.is_some() && locked {
        return Caller::LockedOut;
    }
    let bearer = scheme.eq_ignore_ascii_case("bearer").then_some(rest);
    let found =
        state.profile.credentials.iter().find_map(|known| judge(known, basic.as_ref(), bearer, gateway));
    match found {
        Some(caller) => {
            if basic.is_some() {
                state.failed_logins = 0;
            }
            caller
        }
        None => {
            state.failed_logins += u32::from(basic.is_some());
            Caller::Rejected
        }
    }
}

/// The reply to a request that is refused before it reaches a resource, if it is.
pub(super) fn refusal(
    flavour: Flavour,
    turn: &SiteRequest<'_>,
    caller: &Caller,
    gateway: bool,
    path: &[&str],
) -> Option<Answer> {
    let request = turn.request;
    let anonymous_door = path.last() == Some(&"serverInfo") || path.first() == Some(&"browse");
    match caller {
        Caller::User(_) => None,
        Caller::LockedOut => Some(captcha_wall(turn)),
        Caller::Anonymous | Caller::Rejected if gateway => Some(gateway_refusal()),
        Caller::Rejected if flavour == Flavour::DataCenter => Some(seraph_refusal()),
        Caller::ScopedOnSite if !anonymous_door => Some(
            Answer::jira_status(request, 401, "Client must be authenticated to access this resource.")
                .with_header("x-seraph-loginreason", "AUTHENTICATED_FAILED"),
        ),
        Caller::Anonymous | Caller::Rejected | Caller::ScopedOnSite => None,
    }
}

/// Jira's 401 for a resource that requires authentication.
pub(super) fn needs_login(request: &Request, caller: &Caller) -> Answer {
    let answer = Answer::jira_status(request, 401, "Client must be authenticated to access this resource.");
    rejected_mark(caller, answer)
}

/// The 401 of an unauthenticated write.
pub(super) fn not_authenticated(caller: &Caller) -> Answer {
    let message = "You are not authenticated. Authentication required to perform this operation.";
    rejected_mark(caller, Answer::jira_messages(401, &[message]))
}

fn rejected_mark(caller: &Caller, answer: Answer) -> Answer {
    match caller {
        Caller::Rejected => answer.with_header("x-seraph-loginreason", "AUTHENTICATED_FAILED"),
        _ => answer,
    }
}

fn judge(
    known: &Credential,
    basic: Option<&(String, String)>,
    bearer: Option<&str>,
    gateway: bool,
) -> Option<Caller> {
    match known {
        Credential::Basic { user, secret } => {
            let (name, given) = basic?;
            (name.eq_ignore_ascii_case(user) && given == secret).then(|| Caller::User(user.clone()))
        }
        Credential::Scoped { user, token } => {
            let (name, given) = basic?;
            let known = name.eq_ignore_ascii_case(user) && given == token;
            known.then(|| if gateway { Caller::User(user.clone()) } else { Caller::ScopedOnSite })
        }
        Credential::Bearer { token } => (bearer? == token).then(|| Caller::User("analyst".to_owned())),
    }
}

fn captcha_wall(turn: &SiteRequest<'_>) -> Answer {
    let reply = captcha(&format!("{}{}/login.jsp", turn.origin, turn.state.profile.context_path));
    let mut answer = Answer::empty(reply.status);
    answer.headers = reply.headers.into_iter().collect();
    answer.body = reply.body.into();
    answer
}

fn gateway_refusal() -> Answer {
    Answer::json(401, &serde_json::json!({ "code": 401, "message": "Unauthorized" }))
}

fn seraph_refusal() -> Answer {
    Answer::html(401, "<html><head><title>Unauthorized (401)</title></head><body>Basic Authentication Failure - Reason : AUTHENTICATED_FAILED</body></html>")
        .with_header("x-seraph-loginreason", "AUTHENTICATED_FAILED")
        .with_header("www-authenticate", "OAuth realm=\"Jira\"")
}
