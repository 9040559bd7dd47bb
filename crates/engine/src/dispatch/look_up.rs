//! Looks up deliveries of unknown outcome, and scans for duplicates.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use ticketing_core::delivery::look_up::LookUp;
use ticketing_core::delivery::{Delivery, DuplicateScan};
use ticketing_core::error_chain::ErrorChain;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::health::{Admission, Observation};
use ticketing_core::marker::Marker;
use ticketing_core::system::{Search, SearchResult, TicketSystem};
use ticketing_failpoints::{self as failpoints, Point};
use ticketing_store::{AttemptTimes, CanaryQuery, Claimed, DuplicateScanRecord, LookUpRecord, StoreError};
use tracing::Instrument;

use super::Dispatcher;
use super::attempt::log_if_failed;
use super::connection_state::warn;

/// Number of canaries in one search: a person may have deleted some.
const MAX_CANARIES: u32 = 10;
/// Number of duplicate scans per run.
const MAX_SCANS_PER_PASS: u32 = 20;

impl Dispatcher {
    /// Runs the claimed look-up, and records what it proves.
    pub(super) async fn look_up(&self, claimed: Claimed) {
        let delivery = claimed.delivery;
        let span = tracing::info_span!(
            parent: &self.0.caller_spans.take(&delivery.id), "look_up", delivery = %delivery.id,
            incident = %delivery.incident_id, connection = %delivery.connection,
        );
        async {
            failpoints::pass(Point::LookingUp).await;
            let asked_at = self.0.clock.now();
            let canaries = match self.canaries(&delivery, asked_at).await {
                Ok(canaries) => canaries,
                // Without its canaries a search would prove too much: the lease expires, and it is repeated.
                Err(error) => return warn(&error, &delivery.connection, "failed to read the canaries"),
            };
            let had_canaries = !canaries.is_empty();
            let Some(send) = delivery.send.as_ref() else { return };
            let search = Search {
                marker: delivery.marker.clone(),
                destination: send.destination.clone(),
                marker_in_text: send.marker_in_text,
                canaries,
            };
            let (answer, api) = self.search(&delivery.connection, &search).await;
            let evidence = match self.evidence_of(&delivery, &answer, api.as_ref(), asked_at).await {
                Ok(evidence) => evidence,
                Err(error) => {
                    return warn(&error, &delivery.connection, "failed to read the search evidence");
                }
            };
            failpoints::pass(Point::LookedUp).await;
            let failure = |fault| self.failure(&delivery.connection, fault, asked_at, &delivery.id);
            let observation = answer.as_ref().map_or_else(failure, |_| Observation::Searched);
            self.observe(&delivery.connection, api.as_ref(), observation).await;
            self.record_look_up(&delivery, LookUp { answer, had_canaries, evidence, asked_at }).await;
        }
        .instrument(span)
        .await;
    }

    /// Runs the due duplicate scans one after the other, in the background. A failing connection is not scanned.
    pub(super) fn scan_for_duplicates(&self, connection: &str) {
        let dispatcher = self.clone();
        let connection = connection.to_owned();
        self.0.tasks.spawn(async move {
            let state = dispatcher.state(&connection);
            let Ok(_one_at_a_time) = state.scanning.try_lock() else { return };
            let now = dispatcher.0.clock.now();
            match dispatcher.0.store.due_duplicate_scans(&connection, now, MAX_SCANS_PER_PASS).await {
                Ok(due) => dispatcher.run_duplicate_scans(&connection, due).await,
                Err(error) => warn(&error, &connection, "failed to read due duplicate scans"),
            }
        });
    }

    async fn run_duplicate_scans(&self, connection: &str, due: Vec<Delivery>) {
        for delivery in due {
            if self.0.closing.is_cancelled() || self.admission(connection) != Admission::Open {
                return;
            }
            if let Some(duplicate_scan) = delivery.duplicate_scan.clone() {
                self.run_duplicate_scan(&delivery, &duplicate_scan).await;
            }
        }
    }

    async fn run_duplicate_scan(&self, delivery: &Delivery, duplicate_scan: &DuplicateScan) {
        failpoints::pass(Point::Sweeping).await;
        let started_at = self.0.clock.now();
        let answer = self.search_everywhere(delivery).await;
        let policy = self.schedule().policy;
        let now = self.0.clock.now();
        let times = AttemptTimes { started_at, finished_at: now };
        let record = DuplicateScanRecord {
            delivery_id: delivery.id.clone(),
            step: duplicate_scan.step,
            answer,
            times,
        };
        match self.0.store.record_duplicate_scan(record, &policy, now).await {
            Ok(Some(scanned)) if scanned.duplicates.len() > delivery.duplicates.len() => {
                let tickets: Vec<_> = scanned.duplicates.iter().map(|ticket| ticket.key.as_str()).collect();
                tracing::error!(delivery = %delivery.id, ?tickets, "further tickets bear the same marker");
            }
            Ok(_) => {}
            Err(error) => warn(&error, &delivery.connection, "failed to record the duplicate scan"),
        }
    }

    /// Searches every place where a send ever had an unknown outcome and that still has a connection. A place
    /// that cannot be searched says nothing about whether tickets can be created; a refused login does.
    async fn search_everywhere(&self, delivery: &Delivery) -> Result<SearchResult, Fault> {
        let mut all = SearchResult::default();
        for destination in &delivery.uncertain_sends {
            let marker = delivery.marker.clone();
            let destination = destination.clone();
            let search = Search { marker, destination, marker_in_text: false, canaries: vec![] };
            let began = self.0.clock.now();
            let (answer, api) = self.search(&delivery.connection, &search).await;
            if let Err(fault) = &answer
                && matches!(
                    fault.kind,
                    FaultKind::Unauthorized | FaultKind::LockedOut | FaultKind::RateLimited
                )
            {
                let failure = self.failure(&delivery.connection, fault, began, &delivery.id);
                self.observe(&delivery.connection, api.as_ref(), failure).await;
            }
            match answer {
                Ok(search_result) => all.tickets.extend(search_result.tickets),
                Err(_) if api.is_none() => {}
                Err(fault) => return Err(fault),
            }
        }
        let mut seen = HashSet::new();
        all.tickets.retain(|found| seen.insert(found.ticket.id.clone()));
        // Tickets of the same time keep the order of their site.
        all.tickets.sort_by_key(|found| (found.created_at.is_none(), found.created_at));
        Ok(all)
    }

    /// Tickets of ours that were created when nothing of the send of unknown outcome could be applied any
    /// more, and that the index must show by now.
    async fn canaries(&self, delivery: &Delivery, asked_at: Timestamp) -> Result<Vec<Marker>, StoreError> {
        let from = delivery.canaries_from(self.schedule().policy.bounds.server_bound);
        match delivery.send.as_ref().filter(|send| !send.index_bound.is_zero()).zip(from) {
            Some((send, after)) => {
                let destination = send.destination.clone();
                let made_by = send.made_by.clone();
                let until = delivery.canaries_until(asked_at);
                let query = CanaryQuery { destination, made_by, after, until, limit: MAX_CANARIES };
                self.0.store.canaries(&query).await
            }
            None => Ok(vec![]),
        }
    }

    /// The result of a search, and the connection that was used, if any.
    async fn search(
        &self,
        connection: &str,
        search: &Search,
    ) -> (Result<SearchResult, Fault>, Option<Arc<dyn TicketSystem>>) {
        let Some(api) = self.0.connections.for_destination(connection, &search.destination) else {
            let message =
                format!("{} cannot be searched: its settings were removed", search.destination.base_url);
            let fault = Fault::new(FaultKind::Misconfigured, message).with_hint(
                "look for the marker there and use ResolveDelivery, CancelDelivery, or RetryDelivery with create_anyway",
            );
            return (Err(fault), None);
        };
        let limit = self.schedule().policy.bounds.attempt_deadline;
        let in_time = tokio::time::timeout(limit, api.look_up(search)).await;
        let too_late = || Err(Fault::new(FaultKind::TimedOut, "the search did not end in time"));
        (in_time.unwrap_or_else(|_| too_late()), Some(api))
    }

    async fn record_look_up(&self, delivery: &Delivery, look_up: LookUp) {
        let fault = look_up.answer.as_ref().err().cloned();
        loop {
            let policy = self.schedule().policy;
            let now = self.0.clock.now();
            let times = AttemptTimes { started_at: look_up.asked_at, finished_at: now };
            let delivery_id = delivery.id.clone();
            let epoch = delivery.epoch;
            let record = LookUpRecord { delivery_id, epoch, look_up: look_up.clone(), times };
            match self.0.store.record_look_up(record, &policy, now).await {
                Ok(settled) => {
                    self.note_spent_retries(settled.as_ref()).await;
                    let state = settled.as_ref().map(|delivery| delivery.state);
                    tracing::info!(
                        ?state,
                        fault = fault.as_ref().map(tracing::field::display),
                        "recorded a look-up"
                    );
                    settled.iter().for_each(log_if_failed);
                    break;
                }
                Err(error) => {
                    tracing::error!(
                        error = %ErrorChain(&error),
                        "failed to record the look-up; retrying"
                    );
                    if !self.wait_to_record_again().await {
                        return;
                    }
                }
            }
        }
    }
}
