//! Whether a refused insert concerns its ticket alone or the connection.
//!
//! A refusal concerns only the ticket unless there is evidence that the connection is the cause, because a
//! failing connection stops all its tickets. Evidence is one read of the table with the same login right
//! after the refusal: if it is refused, too, the connection is the cause; if it succeeds, or fails in
//! transport, the ticket is. A refused login is never retried: each attempt may bring its account closer to a
//! lock-out.

use std::time::Duration;

use ticketing_core::fault::{Fault, FaultKind};
use ticketing_egress::Reply;

use crate::client::{Client, Deadline};
use crate::faults;
use crate::wire::Record;

/// Timeout of the read.
const BUDGET: Duration = Duration::from_secs(5);

/// The fault of an insert into `table` refused by `reply`, classified as `refusal`.
pub(crate) async fn check_scope(
    client: &Client,
    table: &str,
    reply: &Reply,
    refusal: Fault,
    deadline: Deadline,
) -> Fault {
    // A status of 402 means that the site is not paid for.
    let leaves_open =
        matches!(refusal.kind, FaultKind::Forbidden | FaultKind::NotFound) && reply.status != 402;
    if !leaves_open {
        return refusal;
    }
    let trouble = match client.time_left(deadline) {
        Ok(left) => trouble(client, table, left.min(BUDGET)).await,
        Err(_) => None,
    };
    let Some(found) = trouble else {
        let hint = client.discreet(&faults::hint_of_refused_item(reply));
        return Fault { kind: FaultKind::Rejected, ..refusal }.with_hint(hint);
    };
    let kind = match (found.kind, refusal.kind) {
        (FaultKind::Unauthorized | FaultKind::LockedOut, _) => found.kind,
        (_, FaultKind::NotFound) => FaultKind::NotFound,
        _ => FaultKind::Forbidden,
    };
    Fault { kind, ..refusal }.with_hint(found.hint)
}

/// The problem of the connection, if a read of the table shows one.
async fn trouble(client: &Client, table: &str, budget: Duration) -> Option<Fault> {
    let query = [("sysparm_limit", "1"), ("sysparm_fields", "sys_id")];
    let fault = client.list::<Vec<Record>>(table, &query, budget).await.err()?;
    match fault.kind {
        FaultKind::Unauthorized
        | FaultKind::Forbidden
        | FaultKind::LockedOut
        | FaultKind::NotFound
        | FaultKind::Misconfigured
        | FaultKind::Redirected
        | FaultKind::Dormant => Some(fault),
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
        | FaultKind::Restored => None,
    }
}
