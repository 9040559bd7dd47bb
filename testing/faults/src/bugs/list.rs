//! Every bug that the suite has found, and how each is replayed.

/// A promise that was broken once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bug {
    /// Summary in one sentence.
    pub(super) summary: &'static str,
    pub(super) found_by: FoundBy,
    /// It is fixed while each of these passes.
    pub(super) replays: &'static [Replay],
}

/// What found it.
#[derive(Debug, Clone, Copy)]
pub(super) enum FoundBy {
    /// A command of this program.
    Command(&'static str),
    ByHand,
}

/// How a bug, or a hard fault script, is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replay {
    /// A test of the workspace, by its function name.
    Test(&'static str),
    /// Cells of the matrix, by a part of their names.
    Cells(&'static str),
    Power {
        cuts: u32,
        seed: u64,
    },
    History {
        deliveries: usize,
        seed: u64,
        /// Faults per thousand first creates.
        fault_rate: u64,
        kills: usize,
    },
}

use FoundBy::{ByHand, Command};
use Replay::{Cells, History, Power, Test};

/// In the order of the table in docs/src/internals/proof.md.
pub(super) const BUGS: &[Bug] = &[
    Bug {
        summary: "A canary created within the server bound of a send of unknown outcome proved its absence too early",
        found_by: Command("model"),
        replays: &[
            Test("canary_is_newer_than_server_bound"),
            Cells("stale result / canary, created before the send was over"),
        ],
    },
    Bug {
        summary: "The newer of two tickets stayed the reference if it was known first",
        found_by: Command(r#"matrix --only "index / ""#),
        replays: &[Test("older_of_two_tickets_is_the_reference")],
    },
    Bug {
        summary: "A ticket that reconciliation found while an operator named another was dropped",
        found_by: Command(r#"matrix --only "operators / ""#),
        replays: &[Test("keeps_found_ticket_beside_named_one")],
    },
    Bug {
        summary: "An empty Jira search that was incomplete, or had status 200 with errors, proved an absence",
        found_by: Command(r#"matrix --only "look-up / ""#),
        replays: &[Test("truncated_empty_answer_proves_nothing")],
    },
    Bug {
        summary: "A ServiceNow search that was canceled within a 200 proved an absence",
        found_by: Command(r#"matrix --only "look-up / ""#),
        replays: &[Test("interrupted_search_proves_nothing")],
    },
    Bug {
        summary: "Of two ServiceNow tickets of one second the younger could become the reference",
        found_by: Command(r#"matrix --only "manual edits / ""#),
        replays: &[Test("lower_number_is_older_within_a_second")],
    },
    Bug {
        summary: "After `200 {}` Jira Cloud was taken for Data Center, whose searches Cloud refuses: deliveries stayed RECONCILING forever",
        found_by: Command(r#"matrix --only "connection / ""#),
        replays: &[Test("detects_flavour_from_account_without_server_info")],
    },
    Bug {
        summary: "After an unknown outcome with Retry-After, a search was due at once while the connection was paused",
        found_by: Command(r#"matrix --only "throttling / ""#),
        replays: &[Test("retry_after_delays_reconciliation")],
    },
    Bug {
        summary: "The directory entry of a new data folder was not synced: a power cut lost the folder with acknowledged pushes",
        found_by: Command("power --seed 1"),
        replays: &[Test("pushes_of_the_first_start_survive_a_power_cut"), Power { cuts: 20, seed: 1 }],
    },
    Bug {
        summary: "After a first start that was interrupted while writing its key, no server started again",
        found_by: Command("power --seed 1"),
        replays: &[Test("next_start_succeeds_after_failed_key_write"), Power { cuts: 20, seed: 1 }],
    },
    Bug {
        summary: "After a restore from an older copy, tickets were created twice",
        found_by: Command(r#"matrix --only "restore / ""#),
        replays: &[Test("recognizes_immediately_swapped_copy"), Cells("restore / older copy, ")],
    },
    Bug {
        summary: "A second server started after the lock file was removed",
        found_by: ByHand,
        replays: &[Cells("second instance / second server / the lock file removed")],
    },
    Bug {
        summary: "A database copied without its write-ahead log opened as a new installation that did not know its own tickets",
        found_by: Command(r#"matrix --only "restore / ""#),
        replays: &[Test("refuses_empty_database_with_mark_of_full_one")],
    },
    Bug {
        summary: "A clock set forward between two runs let absences be proven too early; set back, it delayed due deliveries",
        found_by: Command(r#"matrix --only "clock / ""#),
        replays: &[Cells("clock / set ")],
    },
    Bug {
        summary: "A page token of another installation was accepted",
        found_by: Command(r#"matrix --only "tokens / ""#),
        replays: &[Test("page_token_is_bound_to_store_and_filters")],
    },
    Bug {
        summary: "All TLS failures had the same message",
        found_by: Command(r#"matrix --only "tls / ""#),
        replays: &[Test("untrusted_certificate_delays_ticket_and_names_the_reason")],
    },
    Bug {
        summary: "A connection that was never established counted as an unknown outcome where an attempt ends within 10 s, although nothing was sent",
        found_by: Command(r#"matrix --only "outage / ""#),
        replays: &[Test("connect_timeout_is_definite_failure")],
    },
    Bug {
        summary: "A connection that was disabled after a delivery was claimed, or after its intent was durable, still received it",
        found_by: Command(r#"matrix --only "settings / disabled""#),
        replays: &[Test("disabling_stops_a_claimed_delivery_before_its_send")],
    },
    Bug {
        summary: r"A secret that a ticket system repeated in escaped form (`&amp;`, `\u0026`, `%26`) was not redacted",
        found_by: Command(r#"matrix --only "secret echo / ""#),
        replays: &[Test("redacts_escaped_secret_echo")],
    },
    Bug {
        summary: "A delivery was shown in a state older than the attempts that were listed with it",
        found_by: Command(r#"matrix --only "races / ""#),
        replays: &[Test("reads_delivery_and_attempts_consistently")],
    },
    Bug {
        summary: "A locked account got one more login when a retry was due before the lock was known",
        found_by: Command(r#"matrix --only "process / ""#),
        replays: &[Cells("logins / account locked, and a retry is due")],
    },
    Bug {
        summary: "A caller whose connections broke was restricted for a while, as if it had flooded",
        found_by: Command(r#"matrix --only "streams / ""#),
        replays: &[
            Test("caller_may_reconnect_at_once_after_broken_connections"),
            Cells("streams / 10,000 reconnections"),
        ],
    },
    Bug {
        summary: "An empty search proved an absence although the account could not see what it creates, or labels did not stay: a second ticket",
        found_by: ByHand,
        replays: &[Test("does_not_prove_absence_without_evidence"), Cells("evidence / ")],
    },
    Bug {
        summary: "Cells on searches, proofs and preparing reads passed although their faults never triggered",
        found_by: ByHand,
        replays: &[Test("fails_cell_whose_fault_never_triggered")],
    },
];

/// Fault scripts that found no bug, but are the hardest ones: every outcome unknown, a process that is killed
/// repeatedly, and both. Few concurrent callers, so that a busy machine stays within the bounds.
pub(super) const HARD_SCRIPTS: &[Replay] = &[
    History { deliveries: 1_000, seed: 42, fault_rate: 1_000, kills: 0 },
    History { deliveries: 400, seed: 7, fault_rate: 300, kills: 8 },
    History { deliveries: 600, seed: 1, fault_rate: 1_000, kills: 4 },
    Power { cuts: 20, seed: 7 },
];

// === impl Bug ===

impl Bug {
    /// As a row of the table in docs/src/internals/proof.md.
    pub(super) fn row(&self) -> String {
        let found_by = match self.found_by {
            Command(command) => format!("`{command}`"),
            ByHand => "by hand".to_owned(),
        };
        let shown_by: Vec<_> = self.replays.iter().map(|replay| format!("`{replay}`")).collect();
        format!("| {} | {found_by} | {} |", self.summary, shown_by.join(", "))
    }
}

// === impl Replay ===

impl Replay {
    /// The arguments of this program; `None` for a test of the workspace.
    pub(super) fn arguments(self) -> Option<Vec<String>> {
        let words = match self {
            Test(_) => return None,
            Cells(only) => vec!["matrix".to_owned(), "--only".to_owned(), only.to_owned()],
            Power { cuts, seed } => split(&format!("power --cuts {cuts} --seed {seed}")),
            History { deliveries, seed, fault_rate, kills } => split(&format!(
                "history --deliveries {deliveries} --seed {seed} --fault-rate {fault_rate} --kills {kills} --callers 12 \
                 --concurrency 16 --no-naive"
            )),
        };
        Some(words)
    }
}

impl std::fmt::Display for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Test(name) => f.write_str(name),
            Cells(only) => write!(f, r#"matrix --only "{only}""#),
            other => f.write_str(&other.arguments().unwrap_or_default().join(" ")),
        }
    }
}

fn split(words: &str) -> Vec<String> {
    words.split(' ').map(str::to_owned).collect()
}
