//! Whether a refused create concerns its ticket alone or the connection.
//!
//! A refusal concerns only the ticket unless there is evidence that the connection is the cause, because a
//! failing connection stops all its tickets. Evidence is the language-independent part of headers and status,
//! or one read with the same login right after the refusal. If that read is refused, too, or reports a
//! missing permission, the connection is the cause; if it succeeds, or fails in transport, the ticket is. A
//! refused login is never retried: each attempt may bring its account closer to a lock-out.

use std::time::Duration;

use ticketing_core::fault::{Fault, FaultKind};
use ticketing_egress::Reply;

use crate::client::{Api, Client};
use crate::faults;
use crate::wire::{Myself, Permissions};

/// Timeout of the read.
const BUDGET: Duration = Duration::from_secs(5);

/// The permissions that an account needs in a project.
pub(crate) const REQUIRED: [&str; 2] = ["BROWSE_PROJECTS", "CREATE_ISSUES"];

/// The result of the read.
enum Finding {
    /// The login may create issues there.
    Sound,
    /// The problem of the connection.
    Trouble(Fault),
}

/// The fault of a create refused by `reply`, classified as `refusal`; `left` is the remaining time.
pub(crate) async fn check_scope(
    client: &Client,
    api: Api,
    project: &str,
    reply: &Reply,
    refusal: Fault,
    left: Duration,
) -> Fault {
    if !leaves_open(&refusal, reply) {
        return refusal;
    }
    match find(client, api, project, reply, left.min(BUDGET)).await {
        Finding::Sound => Fault { kind: FaultKind::Rejected, ..refusal }.with_hint(faults::item_hint(reply)),
        Finding::Trouble(found) => {
            let kind = match (found.kind, refusal.kind) {
                (FaultKind::Unauthorized | FaultKind::LockedOut, _) => found.kind,
                (_, FaultKind::NotFound) => FaultKind::NotFound,
                _ => FaultKind::Forbidden,
            };
            let message = format!("{}; then {}", refusal.message, found.message);
            let fault = Fault::new(kind, message).with_hint(found.hint).with_retry_after(refusal.retry_after);
            Fault { status: refusal.status, ..fault }
        }
    }
}

fn leaves_open(refusal: &Fault, reply: &Reply) -> bool {
    match refusal.kind {
        FaultKind::Forbidden | FaultKind::NotFound => !faults::is_about_the_connection(reply),
        // A refusal that names no field may concern the permissions of the account.
        FaultKind::Rejected => reply.status == 400 && faults::refused_fields(reply).is_empty(),
        _ => false,
    }
}

async fn find(client: &Client, api: Api, project: &str, reply: &Reply, budget: Duration) -> Finding {
    let answer = if faults::speaks_of_login(reply) {
        client.read_within::<Myself>(Api::V2, &["myself"], &[], budget).await.map(|_| None)
    } else {
        missing(client, api, project, budget).await
    };
    match answer {
        Ok(None) => Finding::Sound,
        Ok(Some(fault)) => Finding::Trouble(fault),
        Err(fault) => match fault.kind {
            FaultKind::Unauthorized
            | FaultKind::Forbidden
            | FaultKind::LockedOut
            | FaultKind::NotFound
            | FaultKind::Misconfigured
            | FaultKind::Redirected
            | FaultKind::Dormant => Finding::Trouble(fault),
            // Inconclusive.
            FaultKind::NotPermitted
            | FaultKind::Dns
            | FaultKind::Connect
            | FaultKind::Tls
            | FaultKind::TooLate
            | FaultKind::Rejected
            | FaultKind::TooLarge
            | FaultKind::RateLimited
            | FaultKind::TimedOut
            | FaultKind::ConnectionLost
            | FaultKind::Conflict
            | FaultKind::ServerError
            | FaultKind::UnreadableReply
            | FaultKind::Dropped
            | FaultKind::Restored => Finding::Sound,
        },
    }
}

/// The fault of an account that lacks a permission in a project; `None` if it has all of them.
pub(crate) async fn missing(
    client: &Client,
    api: Api,
    project: &str,
    budget: Duration,
) -> Result<Option<Fault>, Fault> {
    let asked = REQUIRED.join(",");
    let query = [("projectKey", project), ("permissions", asked.as_str())];
    // Data Center ignores this parameter, and returns all permissions.
    let query = if api == Api::V3 { &query[..] } else { &query[..1] };
    let answer = client.read_within::<Permissions>(api, &["mypermissions"], query, budget).await?;
    let granted = |name: &&str| answer.value.permissions.get(*name).is_some_and(|it| it.have_permission);
    let missing: Vec<&str> = REQUIRED.into_iter().filter(|name| !granted(name)).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    if faults::is_anonymous(&answer.reply) {
        let fault = Fault::new(FaultKind::Unauthorized, "Jira treated the call as anonymous");
        return Ok(Some(
            fault.with_hint("check jira.email and the API token (or the personal access token)"),
        ));
    }
    let message = format!("the account lacks {} in project {project}", missing.join(" and "));
    let hint = "grant the account Browse projects and Create issues in the project's permission scheme";
    Ok(Some(Fault::new(FaultKind::Forbidden, message).with_hint(hint)))
}
