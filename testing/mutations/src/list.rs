//! All guards. After a file is moved or a line is edited, the path and the text here follow;
//! `text_of_each_mutation_occurs_once` finds those that do not.

use crate::{Change, Mutation};

const ATTEMPT: &str = "crates/engine/src/dispatch/attempt.rs";
const PREPARE: &str = "crates/engine/src/dispatch/prepare.rs";
const CLAIM: &str = "crates/store/src/writes/claim.rs";
const CONFIG: &str = "crates/server/src/config.rs";
const CONNECTIONS: &str = "crates/engine/src/connections.rs";
const EVIDENCE: &str = "crates/engine/src/dispatch/evidence.rs";
const GATE: &str = "crates/engine/src/connections/gate.rs";
const HTTP_CLIENT: &str = "crates/egress/src/lib.rs";
const JIRA_LOOK_UP: &str = "crates/jira/src/look_up.rs";
const LOOK_UP: &str = "crates/engine/src/dispatch/look_up.rs";
const OPEN: &str = "crates/store/src/sqlite/open.rs";
const RECORD: &str = "crates/store/src/writes/record.rs";
const RESTORE: &str = "crates/store/src/recovery/mod.rs";
const SERVICENOW_CREATE: &str = "crates/servicenow/src/create.rs";
const CONNECTION_STATE: &str = "crates/engine/src/dispatch/connection_state.rs";

/// Every guard. The order decides which slice of `--one-in` has it.
pub const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "intent",
        prevents: "The intent is durable before the first byte of a create. Without it, a server that is killed while a \
                   request is under way does not know that it was sent, and sends it again.",
        changes: &[
            Change {
                file: ATTEMPT,
                text: "let deadline = now + attempt_deadline;",
                replacement: "let deadline = now + attempt_deadline;
        if true {
            return Ok(Some(deadline));
        }",
            },
            Change {
                file: CLAIM,
                text: ".intend(epoch, prepared.send.clone(), self.now)?.delivery",
                replacement: "",
            },
        ],
        cells: "kill -9 / sent and waiting",
        covered_by: None,
    },
    Mutation {
        name: "look-up",
        prevents: "A create of unknown outcome is searched for before it is sent again. Without it, a reply that was lost \
                   leads to a second ticket.",
        changes: &[Change {
            file: ATTEMPT,
            text: "Outcome::Sent(api.create(ticket_draft, rendered, dialing, within).await)",
            replacement: "match api.create(ticket_draft, rendered, dialing, within).await {
                    Err(fault) => Outcome::NotSent(fault),
                    answer => Outcome::Sent(answer),
                }",
        }],
        cells: "504 after applying",
        covered_by: None,
    },
    Mutation {
        name: "index-bound",
        prevents: "An empty search proves absence only after the index bound. Without it, a ticket that the search index \
                   does not show yet is created again.",
        changes: &[Change {
            file: PREPARE,
            text: "index_bound: api.visibility().index_bound(),",
            replacement: "index_bound: std::time::Duration::ZERO,",
        }],
        cells: "index lag: within the bound",
        covered_by: None,
    },
    Mutation {
        name: "in-flight-bound",
        prevents: "An empty search proves absence only after the server bound, when no request can be applied any more. \
                   Without it, a request that is applied late makes a second ticket.",
        changes: &[Change {
            file: CONFIG,
            text: "server_bound: self.server_bound,",
            replacement: "server_bound: Duration::ZERO,",
        }],
        cells: "applied late",
        covered_by: None,
    },
    Mutation {
        name: "second-answer",
        prevents: "Absence by an indexed search requires a canary or a second empty answer. Without it, one answer of an \
                   index that lags more than usual leads to a second ticket.",
        changes: &[Change {
            file: LOOK_UP,
            text: "let evidence = match self.evidence_of(",
            replacement:
                "let answer = answer.map(|search_result| SearchResult { canary_seen: true, ..search_result });
            let evidence = match self.evidence_of(",
        }],
        cells: "index lag: canary not visible yet",
        covered_by: None,
    },
    Mutation {
        name: "send-deadline",
        prevents: "Nothing is sent after the deadline of the intent. Without it, a worker that was paused sends after \
                   another one has proven the absence and created the ticket.",
        changes: &[Change {
            file: ATTEMPT,
            text: "_ => Outcome::NotSent(Fault::new(",
            replacement: "_ if true => {
                let within = Duration::from_secs(60);
                Outcome::Sent(api.create(ticket_draft, rendered, dialing, within).await)
            }
            _ => Outcome::NotSent(Fault::new(",
        }],
        cells: "paused worker / failpoint-intent-committed",
        covered_by: None,
    },
    Mutation {
        name: "epoch",
        prevents: "Only the current fencing token settles a delivery. Without it, a worker whose lease was taken over ends \
                   the attempt of its successor with an outdated failure.",
        changes: &[Change {
            file: RECORD,
            text: "let is_suspended = work.health(",
            replacement: "let epoch = delivery.epoch;
        let is_suspended = work.health(",
        }],
        cells: "stale claim settles",
        covered_by: None,
    },
    Mutation {
        name: "lease-term",
        prevents: "A lease is not taken over before it expires. Without it, two workers attempt the same delivery, and the \
                   fencing token alone keeps the result of the first from counting.",
        changes: &[Change { file: CLAIM, text: "self.leases == Leases::All", replacement: "true" }],
        cells: "refusal, recorded within the lease",
        covered_by: Some("epoch"),
    },
    Mutation {
        name: "late-success",
        prevents: "A ticket that was created is recorded even after the lease was lost. Without it, the ticket of a \
                   delivery that was canceled meanwhile is not known.",
        changes: &[Change {
            file: RECORD,
            text: "let is_suspended = work.health(",
            replacement: "if delivery.state != State::Attempting || delivery.epoch != epoch {
            return Ok(None);
        }
        let is_suspended = work.health(",
        }],
        cells: "late success, cancelled",
        covered_by: None,
    },
    Mutation {
        name: "look-up-epoch",
        prevents: "Only the current fencing token ends an unknown outcome by absence. Without it, the empty answer of an \
                   earlier reconciliation counts for a later send; the time of the search alone keeps it from counting.",
        changes: &[Change {
            file: RECORD,
            text: "settle_look_up(epoch, look_up,",
            replacement: "settle_look_up(delivery.epoch, look_up,",
        }],
        cells: "empty answer, recorded in the next reconciliation",
        covered_by: Some("asked-at"),
    },
    Mutation {
        name: "asked-at",
        prevents: "A search proves the state at its request, not at its reply. Without it, an answer that took long counts \
                   as one from after the bound.",
        changes: &[Change {
            file: RECORD,
            text: "let answer = look_up.answer.clone();",
            replacement: "let answer = look_up.answer.clone();
        let mut look_up = look_up;
        look_up.asked_at = self.now;",
        }],
        cells: "empty answer, recorded after the bound",
        covered_by: None,
    },
    Mutation {
        name: "canary-age",
        prevents: "A canary was created after the uncertain send could last be applied. Without it, a canary that is older \
                   than the missing ticket proves its absence.",
        changes: &[Change {
            file: LOOK_UP,
            text: "let from = delivery.canaries_from(self.schedule().policy.bounds.server_bound);",
            replacement: "let from = delivery.send.as_ref().map(|send| send.deadline);",
        }],
        cells: "canary, created before the send was over",
        covered_by: None,
    },
    Mutation {
        name: "search-evidence",
        prevents: "An empty answer counts only where the search is known to show tickets of ours. Without it, an account \
                   that does not see what it creates makes tickets without end.",
        changes: &[Change {
            file: EVIDENCE,
            text: "let (Ok(search_result), Some(api), Some(send)) = (answer, api, &delivery.send) else {",
            replacement: "if true {
            return Ok(Evidence::Shown);
        }
        let (Ok(search_result), Some(api), Some(send)) = (answer, api, &delivery.send) else {",
        }],
        cells: "evidence / ",
        covered_by: None,
    },
    Mutation {
        name: "marker-check",
        prevents: "A row counts as found only if it has exactly the marker. Without it, a search that returns other rows \
                   has a ticket of another incident recorded.",
        changes: &[
            Change {
                file: JIRA_LOOK_UP,
                text: "    markers.contains(marker)\n",
                replacement: "    true || markers.contains(marker)\n",
            },
            Change {
                file: SERVICENOW_CREATE,
                text: r#"record.value("correlation_id").as_deref() == Some(marker.as_str())"#,
                replacement: r#"true || record.value("correlation_id").as_deref() == Some(marker.as_str())"#,
            },
        ],
        cells: "look-up returns foreign rows",
        covered_by: None,
    },
    Mutation {
        name: "synchronous",
        prevents: "Committed data is synced to disk before its caller is answered. Without it, a power cut loses pushes \
                   that were acknowledged.",
        changes: &[Change {
            file: OPEN,
            text: "SqliteSynchronous::Full",
            replacement: "SqliteSynchronous::Off",
        }],
        cells: "power cut",
        covered_by: None,
    },
    Mutation {
        name: "store-lock",
        prevents: "One server at a time has the database. Without it, a second one on the same folder sends the same \
                   deliveries.",
        changes: &[Change {
            file: OPEN,
            text: "Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: database.to_owned() }),",
            replacement: "Err(TryLockError::WouldBlock) => Ok(file),",
        }],
        cells: "second server",
        covered_by: None,
    },
    Mutation {
        name: "no-redirects",
        prevents: "Redirects are not followed. Without it, a create is repeated at an address that no operator entered, \
                   with its credentials.",
        changes: &[Change {
            file: HTTP_CLIENT,
            text: ".redirect(Policy::none())",
            replacement: ".redirect(Policy::default())",
        }],
        cells: "redirect",
        covered_by: None,
    },
    Mutation {
        name: "suspicion",
        prevents: "A database that was restored from a backup is recognized at the start. Without it, tickets that were \
                   created after the backup are created again.",
        changes: &[Change {
            file: RESTORE,
            text: "    if let Some(copied_at) = kept.copied_at {",
            replacement: "    if true {
        return None;
    }
    if let Some(copied_at) = kept.copied_at {",
        }],
        cells: "older copy, ",
        covered_by: None,
    },
    Mutation {
        name: "login-stop",
        prevents: "Calls stop to a connection that refused the login or locked the account. Without it, each waiting \
                   delivery sends the refused login again.",
        changes: &[Change {
            file: CONNECTION_STATE,
            text: "match self.state(connection).health().admission(",
            replacement: "let mut health = self.state(connection).health();
        health.condition = Condition::Ok;
        health.probe_after = None;
        match health.admission(",
        }],
        cells: "and many pushes",
        covered_by: None,
    },
    Mutation {
        name: "lock-out",
        prevents: "A lockable login has fewer calls in flight, and fewer refused, than would lock it. Without it, one wrong \
                   password locks the account for every program that uses it.",
        changes: &[
            Change {
                file: GATE,
                text: "if !self.inner.login().is_lockable {\n            return call.await;",
                replacement: "if true {\n            return call.await;",
            },
            Change {
                file: CONNECTIONS,
                text: "let is_lockable = connection.current?.login().is_lockable;",
                replacement: "let is_lockable = connection.current?.login().is_lockable && false;",
            },
        ],
        cells: "many pushes at once",
        covered_by: None,
    },
];
