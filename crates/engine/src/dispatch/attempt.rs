//! One attempt: prepare, make the intent durable, send, record.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::delivery::{Delivery, Outcome, State};
use ticketing_core::error_chain::ErrorChain;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::health::Observation;
use ticketing_core::system::{Dialing, Rendered, TicketDraft, TicketSystem};
use ticketing_failpoints::{self as failpoints, Point};
use ticketing_store::{AttemptRecord, AttemptTimes, Claimed, IntendError, Intent, Prepared};
use tracing::Instrument;

use super::Dispatcher;
use super::dispatch_due::connection_disabled;
use super::prepare::{Sender, send_intent};
use crate::connections::InForce;

/// Delay between attempts to record an outcome.
const RECORD_RETRY_DELAY: Duration = Duration::from_millis(200);

/// How long an attempt waits for changed settings to come into force, before it begins again with them.
const MAX_SETTINGS_DELAY: Duration = Duration::from_secs(5);

/// The end of an attempt.
enum Ended {
    With(Outcome),
    /// The lease was lost before anything was sent, or the ticket is searched for first.
    Superseded,
    /// The settings were changed before the intent: the create must be prepared again.
    SettingsChanged,
}

/// A create whose intent is durable.
struct Create<'a> {
    api: &'a Arc<dyn TicketSystem>,
    ticket_draft: &'a TicketDraft,
    rendered: &'a Rendered,
    deadline: Timestamp,
    dialing: Dialing,
}

impl Dispatcher {
    /// Runs the claimed attempt, and records its outcome. What was prepared is sent by the ticket system that it was
    /// prepared for.
    pub(super) async fn attempt(&self, claimed: Claimed, sender: Option<Sender>) {
        let Claimed { delivery, draft: ticket_draft, prepared, counted_from } = claimed;
        let caller = self.0.caller_spans.take(&delivery.id);
        let span = tracing::info_span!(
            parent: &caller, "attempt", delivery = %delivery.id, incident = %delivery.incident_id, connection = %delivery.connection,
            epoch = delivery.epoch,
        );
        async {
            failpoints::pass(Point::Claimed).await;
            let started_at = self.0.clock.now();
            let (outcome, in_force) = match (prepared, sender) {
                (Some(Prepared { rendered, send }), Some(sender)) => {
                    let ticket_draft = &ticket_draft;
                    let (in_force, dialing) = sender.into_parts();
                    let api = &in_force.api;
                    let create =
                        Create { api, ticket_draft, rendered: &rendered, deadline: send.deadline, dialing };
                    (self.send_intended(&delivery, create).await, Some(in_force))
                }
                _ => match self.prepare_and_create(&delivery, &ticket_draft).await {
                    Some(ended) => ended,
                    None => return,
                },
            };
            let settings_revision = in_force.as_ref().map_or(0, |in_force| in_force.settings_revision);
            let api = in_force.map(|in_force| in_force.api);
            let fault = fault_of(&outcome).cloned();
            failpoints::pass(Point::ReplyRead).await;
            // Record the connection's health before the delivery can be due again, so that a locked account is not called again.
            if let Some(fault) = &fault {
                let failure = self.failure(&delivery.connection, fault, started_at, &delivery.id);
                self.observe(&delivery.connection, api.as_ref(), failure).await;
            }
            self.record(&delivery, settings_revision, outcome, started_at, counted_from).await;
            failpoints::pass(Point::Recorded).await;
            if fault.is_none() {
                self.observe(&delivery.connection, api.as_ref(), Observation::Created).await;
                self.read_back(&delivery, api.as_ref());
            }
        }
        .instrument(span)
        .await;
    }

    /// Lets the limits of concurrent creates, and of creates in a second, follow what the ticket system can take.
    fn adapt_concurrency(&self, connection: &str, fault: Option<&Fault>, began: Timestamp) {
        let state = self.state(connection);
        let now = self.0.clock.now();
        let in_flight = state.sends_in_flight();
        state.adapt(|limit| match fault {
            None => limit.succeeded(began, now, in_flight),
            Some(fault) => limit.failed(fault, began, now),
        });
        state.rate(|rate| match fault {
            None => rate.succeeded(now),
            Some(fault) if asks_for_less(fault) => rate.throttled(began, now),
            Some(_) => {}
        });
    }

    /// Creates by the settings in force; if they change before the intent, again by the new ones. Returns the outcome, and
    /// what it was created by. `None` if the lease was lost before anything was sent, or if the ticket is searched for
    /// first.
    async fn prepare_and_create(
        &self,
        delivery: &Delivery,
        ticket_draft: &TicketDraft,
    ) -> Option<(Outcome, Option<InForce>)> {
        let connection = &delivery.connection;
        loop {
            let Some(in_force) = self.0.connections.in_force(connection) else {
                let fault = Fault::new(FaultKind::Misconfigured, "the ticket system lacks settings");
                return Some((Outcome::NotSent(fault.with_hint("send its settings with Configure")), None));
            };
            match self.try_to_create(&in_force, delivery, ticket_draft).await {
                Ended::With(outcome) => return Some((outcome, Some(in_force))),
                Ended::Superseded => return None,
                Ended::SettingsChanged => {}
            }
            let changed = self.0.connections.until_changed(connection, in_force.settings_revision);
            if tokio::time::timeout(MAX_SETTINGS_DELAY, changed).await.is_err() {
                let fault =
                    Fault::new(FaultKind::Misconfigured, "the settings were changed during the attempt");
                return Some((Outcome::NotSent(fault), Some(in_force)));
            }
        }
    }

    async fn try_to_create(
        &self,
        in_force: &InForce,
        delivery: &Delivery,
        ticket_draft: &TicketDraft,
    ) -> Ended {
        let api = &in_force.api;
        if !self.0.connections.is_enabled(&delivery.connection) {
            return Ended::With(Outcome::NotSent(connection_disabled()));
        }
        let attempt_deadline = self.schedule().policy.bounds.attempt_deadline;
        let prepared = tokio::time::timeout(attempt_deadline, api.prepare(ticket_draft)).await;
        let rendered = match prepared {
            Ok(Ok(rendered)) => rendered,
            Ok(Err(fault)) => return Ended::With(Outcome::NotSent(fault)),
            Err(_) => return Ended::With(Outcome::NotSent(not_prepared_in_time())),
        };
        match self.should_search_first(delivery, api, &rendered).await {
            Ok(false) => {}
            Ok(true) => return Ended::Superseded,
            Err(error) => {
                tracing::error!(
                    error = %ErrorChain(&error),
                    "failed to record the assumed send"
                );
                return Ended::Superseded;
            }
        }
        // Opened while the intent commits; dropped, and thereby closed, if nothing is sent.
        let dialing = api.dial();
        match self.intend(delivery, in_force, &rendered, attempt_deadline).await {
            Ok(deadline) => {
                let create = Create { api, ticket_draft, rendered: &rendered, deadline, dialing };
                Ended::With(self.send_intended(delivery, create).await)
            }
            Err(IntendError::SettingsChanged) => Ended::SettingsChanged,
            Err(IntendError::LeaseLost) => {
                tracing::warn!("the lease was lost before the send");
                Ended::Superseded
            }
            Err(IntendError::Store(error)) => {
                tracing::error!(error = %ErrorChain(&error), "failed to store the send intent");
                Ended::Superseded
            }
        }
    }

    /// Makes the intent durable. Returns the send deadline.
    async fn intend(
        &self,
        delivery: &Delivery,
        in_force: &InForce,
        rendered: &Rendered,
        attempt_deadline: Duration,
    ) -> Result<Timestamp, IntendError> {
        let now = self.0.clock.now();
        let deadline = now + attempt_deadline;
        let InForce { api, settings_revision } = in_force;
        let send = send_intent(api.as_ref(), rendered, deadline);
        let delivery_id = delivery.id.clone();
        let epoch = delivery.epoch;
        let intent = Intent { delivery_id, settings_revision: *settings_revision, epoch, send };
        self.0.store.intend(intent, now).await.map(|_| deadline)
    }

    /// Sends what has a durable intent.
    async fn send_intended(&self, delivery: &Delivery, create: Create<'_>) -> Outcome {
        failpoints::pass(Point::IntentCommitted).await;
        // The connection may have been disabled since: then nothing is sent.
        if !self.0.connections.is_enabled(&delivery.connection) {
            return Outcome::NotSent(connection_disabled());
        }
        self.send(&delivery.connection, create).await
    }

    async fn send(&self, connection: &str, create: Create<'_>) -> Outcome {
        let Create { api, ticket_draft, rendered, deadline, dialing } = create;
        let left = deadline.duration_since(self.0.clock.now());
        match Duration::try_from(left) {
            Ok(within) if !within.is_zero() => {
                let began = self.0.clock.now();
                let outcome = Outcome::Sent(api.create(ticket_draft, rendered, dialing, within).await);
                self.adapt_concurrency(connection, fault_of(&outcome), began);
                outcome
            }
            _ => Outcome::NotSent(Fault::new(
                FaultKind::TooLate,
                "the send deadline passed before the request began",
            )),
        }
    }

    /// Records the outcome, however long the store is unavailable: a created ticket must be recorded.
    async fn record(
        &self,
        delivery: &Delivery,
        settings_revision: u32,
        outcome: Outcome,
        started_at: Timestamp,
        counted_from: Timestamp,
    ) {
        log(&outcome);
        loop {
            let policy = self.schedule().policy;
            let now = self.0.clock.now();
            let record = AttemptRecord {
                delivery_id: delivery.id.clone(),
                epoch: delivery.epoch,
                settings_revision,
                outcome: outcome.clone(),
                times: AttemptTimes { started_at, finished_at: now },
                counted_from,
                random: self.0.entropy.unit(),
            };
            match self.0.store.record_attempt(record, &policy, now).await {
                Ok(settled) => {
                    settled.iter().for_each(log_if_failed);
                    return self.note_spent_retries(settled.as_ref()).await;
                }
                Err(error) => {
                    tracing::error!(
                        error = %ErrorChain(&error),
                        "failed to record the outcome; retrying"
                    );
                    if !self.wait_to_record_again().await {
                        return;
                    }
                }
            }
        }
    }

    /// A delivery that FAILED may have changed the health of its connection.
    pub(super) async fn note_spent_retries(&self, settled: Option<&Delivery>) {
        if let Some(failed) = settled.filter(|delivery| delivery.state == State::Failed) {
            self.read_health(&failed.connection).await;
        }
    }

    /// Waits briefly, unless the server is closing.
    pub(super) async fn wait_to_record_again(&self) -> bool {
        tokio::select! {
            () = self.0.closing.cancelled() => false,
            () = tokio::time::sleep(RECORD_RETRY_DELAY) => true,
        }
    }
}

fn fault_of(outcome: &Outcome) -> Option<&Fault> {
    match outcome {
        Outcome::NotSent(fault) | Outcome::Sent(Err(fault)) => Some(fault),
        Outcome::Sent(Ok(_)) => None,
    }
}

/// A 429 says something about the rate unless the request may be repeated at once.
fn asks_for_less(fault: &Fault) -> bool {
    fault.kind == FaultKind::RateLimited && fault.retry_after != Some(Duration::ZERO)
}

fn not_prepared_in_time() -> Fault {
    Fault::new(FaultKind::TimedOut, "the ticket system did not return its create metadata in time")
}

/// Logs that a delivery has FAILED: nothing is retried automatically any more, so operators must act.
pub(super) fn log_if_failed(delivery: &Delivery) {
    if delivery.state != State::Failed {
        return;
    }
    tracing::error!(
        delivery = %delivery.id, incident = %delivery.incident_id, connection = %delivery.connection,
        state = delivery.state.as_str(), failures = delivery.failures,
        fault = delivery.last_error.as_ref().map(|error| tracing::field::display(&error.fault)),
        "the delivery FAILED: no retries left"
    );
}

fn log(outcome: &Outcome) {
    match outcome {
        Outcome::Sent(Ok(created)) => tracing::info!(ticket = %created.ticket.key, "the ticket was created"),
        Outcome::Sent(Err(fault)) if fault.is_ambiguous() => {
            tracing::warn!(kind = fault.kind.as_str(), %fault, "the outcome of the create is unknown");
        }
        Outcome::Sent(Err(fault)) | Outcome::NotSent(fault) => {
            tracing::warn!(kind = fault.kind.as_str(), %fault, "no ticket was created");
        }
    }
}
