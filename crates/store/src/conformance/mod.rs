//! The conformance suite of stores, independent of the database. A store runs it with one line:
//! `store_conformance!(bench)`, where `bench` opens an empty store.

mod accepting;
mod claiming;
mod configuring;
mod deciding;
mod evidence;
mod following;
mod reading;
mod restore;
mod retaining;
mod settling;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use ticketing_core::delivery::settle::SendIntent;
use ticketing_core::delivery::{Delivery, Outcome, Trigger};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::health::Purpose;
use ticketing_core::incident::{Activity, Actor, ActorKind, Incident, IncidentFields, Risk, Timeline};
use ticketing_core::policy::Policy;
use ticketing_core::system::{Authorship, Created, Destination, System, TicketRef};
use ticketing_host::manual::ManualClock;

use crate::{
    AcceptConnection, AcceptRequest, Accepted, AttemptRecord, AttemptTimes, AuditAction, ClaimKind,
    ClaimRequest, Claimed, ConnectionSummary, DONE, Intent, NewAuditEntry, Requester, Store,
};

pub use {
    accepting::*, claiming::*, configuring::*, deciding::*, evidence::*, following::*, reading::*,
    restore::*, retaining::*, settling::*,
};

pub const LEASE: Duration = Duration::from_secs(90);
/// Longer than any test locks its database.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
pub const CONNECTION: &str = "jira";

/// An empty store, and its clock.
pub struct Bench {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    /// Opens the same store again, once it is closed, with the operator's flag that it was restored from a backup.
    pub reopen_restored: Box<dyn Fn() -> BoxFuture<'static, Store> + Send + Sync>,
    /// Keeps alive what must outlive the store, such as its folder.
    pub _guard: Box<dyn Send>,
}

/// Defines a test for each behavior in this suite.
#[macro_export]
macro_rules! store_conformance {
    ($bench:path: $($behavior:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $behavior() {
                $crate::conformance::$behavior($bench().await).await;
            }
        )*
    };
    ($bench:path) => {
        $crate::store_conformance! { $bench:
            incident_becomes_one_delivery_for_each_connection,
            accepting_again_creates_no_second_delivery,
            thousand_concurrent_pushes_make_one_delivery,
            changed_incident_updates_unsent_deliveries,
            unused_snapshot_is_not_stored,
            refuses_incident_of_other_namespace,
            concurrent_pushes_of_an_incident_have_one_owner,
            accepting_again_expedites_waiting_delivery,
            claims_longest_due_first_exclusively,
            claims_first_what_callers_wait_for,
            claim_has_the_snapshot_to_send,
            claim_makes_prepared_intents_durable,
            panicking_preparer_prevents_no_claim,
            does_not_claim_before_due_time,
            clock_set_back_delays_no_pending_delivery,
            expired_claim_without_intent_is_pending,
            expired_claim_with_intent_is_unknown_outcome,
            all_leases_expire_at_start,
            refuses_intent_after_lost_lease,
            push_by_other_settings_is_refused,
            claim_by_other_settings_is_refused,
            intent_by_other_settings_is_refused,
            claim_needs_the_stored_health_to_admit_it,
            created_ticket_ends_trouble_that_is_only_stored,
            stored_pause_is_capped_by_current_bounds,
            created_ticket_is_recorded_with_its_attempt,
            records_ticket_after_lost_lease,
            refused_delivery_waits_for_retry,
            failure_of_lost_lease_only_adds_attempt,
            found_ticket_settles_and_schedules_scan,
            scans_cancelled_unknown_outcome_until_found,
            attempts_are_numbered_one_by_one,
            reads_delivery_and_attempts_consistently,
            operations_succeed_or_are_refused,
            refuses_ticket_of_another_incident,
            bulk_retry_rearms_matches_and_counts_refusals,
            defers_pending_deliveries_of_closed_connection,
            recovered_connection_rearms_waiting_and_failed,
            spent_retries_open_circuit_in_same_transaction,
            failed_deliveries_take_turns_as_probes,
            suspended_login_spends_no_retry,
            delays_count_from_acceptance_or_from_the_tick,
            health_is_stored_and_announced,
            settings_saved_together_are_read_back,
            toggle_keeps_the_secret,
            keeps_replaced_connection_while_needed,
            proxy_password_is_removed_with_connection,
            removed_secret_is_not_kept,
            removed_connection_leaves_deliveries_and_no_secret,
            removed_connection_ends_failed_deliveries_and_scans,
            every_change_of_settings_has_a_revision,
            keeps_last_connection_test,
            events_are_ordered_without_gaps,
            filtered_events_advance_the_reader,
            events_dropped_from_memory_are_read_from_table,
            trims_oldest_events_in_batches,
            subscriber_is_woken_by_the_commit,
            pages_are_newest_first_without_repeats,
            every_combination_of_filters_applies,
            only_the_newest_attempts_are_listed,
            canaries_are_our_tickets_sent_there_later,
            canaries_are_the_earliest_and_the_latest,
            deliveries_are_counted_by_state,
            summary_includes_what_was_answered_before,
            evidence_is_kept_per_scope,
            evidence_survives_a_restart,
            neighbors_were_sent_just_before_and_after,
            unproven_absence_needs_attention_until_evidence,
            new_store_is_not_restored,
            restored_store_remembers_restore_time,
            only_lease_holder_records_assumed_send,
            proven_absence_is_stored,
            unknown_outcome_counts_from_restore,
            restored_store_renames_event_stream,
            removes_content_and_attempts_of_ended_incidents,
            content_stays_while_a_delivery_of_the_incident_is_open,
            resubmission_after_removal_changes_nothing,
            new_connection_gets_removed_content_from_resubmission,
            failed_delivery_without_content_waits_for_resubmission,
            changed_resubmission_of_failed_delivery_is_a_new_revision,
            cancelled_delivery_without_content_can_be_retried_after_resubmission,
            expired_content_is_found_page_by_page,
        }
    };
}

/// A claim without preferred deliveries that prepares nothing.
pub fn claim_request(kind: ClaimKind, limit: u32) -> ClaimRequest {
    let connection = CONNECTION.to_owned();
    ClaimRequest {
        connection,
        settings_revision: 0,
        purpose: Purpose::Regular,
        kind,
        limit,
        preferred: vec![],
        for_others: 0,
        lease: LEASE,
        preparer: None,
    }
}

// === impl Bench ===

impl Bench {
    pub fn now(&self) -> Timestamp {
        use ticketing_core::clock::Clock;
        self.clock.now()
    }

    /// What is shown of [`CONNECTION`].
    pub async fn summary(&self) -> ConnectionSummary {
        self.store.summaries().await.unwrap().get(CONNECTION).cloned().unwrap_or_default()
    }

    pub async fn accept(&self, id: &str) -> Accepted {
        self.accept_as(incident(id, 90.0), false).await
    }

    pub async fn attempts(&self, id: &str) -> Vec<crate::Attempt> {
        self.store.delivery_with_attempts(id).await.unwrap().unwrap().1
    }

    pub async fn accept_as(&self, incident: Incident, expedite: bool) -> Accepted {
        let settings_revision = self.settings_revision().await;
        let request = AcceptRequest {
            incident,
            connections: vec![AcceptConnection { settings_revision, ..connection(System::Jira) }],
            expedite,
            by: Requester::default(),
        };
        self.store.accept(&request).await.unwrap().remove(0)
    }

    /// The store closed, and reopened as restored from a backup.
    pub async fn reopen_restored(mut self) -> Self {
        self.store.close().await;
        self.store = (self.reopen_restored)().await;
        self
    }

    /// Claims by the stored settings, whatever the health of the connection.
    pub async fn claim(&self, kind: ClaimKind, limit: u32) -> Vec<Claimed> {
        let settings_revision = self.settings_revision().await;
        let purpose = Purpose::OperatorRetry;
        let request = ClaimRequest { settings_revision, purpose, ..claim_request(kind, limit) };
        self.store.claim(request, self.now()).await.unwrap()
    }

    /// The revision of the stored settings of [`CONNECTION`]; 0 if there are none.
    pub async fn settings_revision(&self) -> u32 {
        let stored = self.store.settings().await.unwrap();
        stored.iter().find(|stored| stored.connection == CONNECTION).map_or(0, |stored| stored.revision)
    }

    /// Accepts an incident and claims its delivery.
    pub async fn claimed(&self, id: &str) -> Delivery {
        self.accept(id).await;
        self.claim(ClaimKind::Fresh, 1).await.remove(0).delivery
    }

    /// The same, and the intent to send.
    pub async fn intended(&self, id: &str) -> Delivery {
        let delivery = self.claimed(id).await;
        self.store.intend(self.intent(&delivery).await, self.now()).await.unwrap()
    }

    pub async fn intent(&self, delivery: &Delivery) -> Intent {
        Intent {
            delivery_id: delivery.id.clone(),
            settings_revision: self.settings_revision().await,
            epoch: delivery.epoch,
            send: self.send_intent(),
        }
    }

    pub fn send_intent(&self) -> SendIntent {
        SendIntent {
            destination: destination(),
            made_by: made_by(),
            index_bound: Duration::from_secs(180),
            deadline: self.now() + Duration::from_secs(30),
            marker_in_text: false,
            adjustments: vec![],
        }
    }

    pub async fn settle(&self, delivery: &Delivery, outcome: Outcome) -> Option<Delivery> {
        let attempt = AttemptRecord { outcome, ..self.attempt(delivery) };
        self.store.record_attempt(attempt, &Policy::default(), self.now()).await.unwrap()
    }

    /// A create that has failed without a request.
    pub fn attempt(&self, delivery: &Delivery) -> AttemptRecord {
        AttemptRecord {
            delivery_id: delivery.id.clone(),
            epoch: delivery.epoch,
            settings_revision: 0,
            outcome: Outcome::NotSent(fault(FaultKind::Connect)),
            times: self.times(),
            counted_from: self.now(),
            random: 0.0,
        }
    }

    pub fn times(&self) -> AttemptTimes {
        AttemptTimes { started_at: self.now(), finished_at: self.now() }
    }
}

pub fn connection(system: System) -> AcceptConnection {
    let connection = system.as_str().to_owned();
    AcceptConnection { connection, settings_revision: 0, system, trigger: Trigger::Manual }
}

pub fn destination() -> Destination {
    Destination { base_url: "https://jira.example/site".to_owned(), place: "SEC".to_owned() }
}

pub fn made_by() -> Authorship {
    Authorship { account: "analyst@example.com".to_owned(), issue_type: "Task".to_owned() }
}

pub fn created(id: &str) -> Outcome {
    Outcome::Sent(Ok(Created { ticket: ticket(id), adjustments: vec![] }))
}

pub fn ticket(id: &str) -> TicketRef {
    TicketRef {
        id: id.to_owned(),
        key: format!("SEC-{id}"),
        url: format!("https://jira.example/browse/SEC-{id}"),
    }
}

pub fn fault(kind: FaultKind) -> Fault {
    Fault::new(kind, "no")
}

pub fn incident(id: &str, score: f64) -> Incident {
    let fields = IncidentFields {
        id: id.to_owned(),
        url: None,
        actor: Actor {
            name: "jdoe \"quoted\" \u{1f600}".to_owned(),
            kind: ActorKind::User,
            entity: String::new(),
        },
        risk: Risk { score, level: None, factors: vec![] },
        activity: Activity {
            alarm_count: 1,
            threat_case_count: 0,
            unique_rule_count: 1,
            primary_rule: "line one\nline two\u{0}".to_owned(),
        },
        timeline: Timeline {
            first_alert: Timestamp::UNIX_EPOCH,
            last_alert: Timestamp::UNIX_EPOCH,
            active_duration: None,
        },
        sla: None,
        tactics: vec![],
        techniques: vec![],
        firing_rules: vec![],
        investigation_notes: String::new(),
    };
    Incident::try_new(fields, "incident").unwrap()
}

/// An audit entry of a change of settings.
#[must_use]
pub fn noted() -> NewAuditEntry {
    let actor = crate::Actor {
        name: "token:soar".to_owned(),
        role: "admin".to_owned(),
        credential: "token 1".to_owned(),
        source: "192.0.2.7:51000".to_owned(),
    };
    let at = Timestamp::UNIX_EPOCH;
    let action = AuditAction::Configure;
    let subject = "settings".to_owned();
    let outcome = DONE.to_owned();
    NewAuditEntry { at, actor, action, subject, detail: serde_json::Value::Null, outcome }
}
