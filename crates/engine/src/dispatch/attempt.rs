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
use ticketing_store::{AttemptRecord, AttemptTimes, Claimed, Intent, Prepared, StoreError};
use tracing::Instrument;

use super::Dispatcher;
use super::dispatch_due::connection_disabled;
use super::prepare::{Sender, send_intent};

/// Delay between attempts to record an outcome.
const RECORD_RETRY_DELAY: Duration = Duration::from_millis(200);

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
            let (api, dialing) = sender.filter(|_| prepared.is_some()).map(Sender::into_parts).unzip();
            let api = api.or_else(|| self.0.connections.current(&delivery.connection));
            let outcome = match (prepared, api.as_ref()) {
                (Some(Prepared { rendered, send }), Some(api)) => {
                    let ticket_draft = &ticket_draft;
                    let dialing = dialing.unwrap_or_default();
                    let create =
                        Create { api, ticket_draft, rendered: &rendered, deadline: send.deadline, dialing };
                    Some(self.send_intended(&delivery, create).await)
                }
                _ => self.try_to_create(api.as_ref(), &delivery, &ticket_draft).await,
            };
            let Some(outcome) = outcome else { return };
            let fault = fault_of(&outcome).cloned();
            failpoints::pass(Point::ReplyRead).await;
            // Record the connection's health before the delivery can be due again, so that a locked account is not called again.
            if let Some(fault) = &fault {
                let failure = self.failure(&delivery.connection, fault, started_at, &delivery.id);
                self.observe(&delivery.connection, api.as_ref(), failure).await;
            }
            self.record(&delivery, outcome, started_at, counted_from).await;
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

    /// `None` if the lease was lost before anything was sent, or if the ticket is searched for first.
    async fn try_to_create(
        &self,
        api: Option<&Arc<dyn TicketSystem>>,
        delivery: &Delivery,
        ticket_draft: &TicketDraft,
    ) -> Option<Outcome> {
        let Some(api) = api else {
            let fault = Fault::new(FaultKind::Misconfigured, "the ticket system lacks settings");
            return Some(Outcome::NotSent(fault.with_hint("send its settings with Configure")));
        };
        if !self.0.connections.is_enabled(&delivery.connection) {
            return Some(Outcome::NotSent(connection_disabled()));
        }
        let attempt_deadline = self.schedule().policy.bounds.attempt_deadline;
        let prepared = tokio::time::timeout(attempt_deadline, api.prepare(ticket_draft)).await;
        let rendered = match prepared {
            Ok(Ok(rendered)) => rendered,
            Ok(Err(fault)) => return Some(Outcome::NotSent(fault)),
            Err(_) => return Some(Outcome::NotSent(not_prepared_in_time())),
        };
        match self.should_search_first(delivery, api, &rendered).await {
            Ok(false) => {}
            Ok(true) => return None,
            Err(error) => {
                tracing::error!(
                    error = %ErrorChain(&error),
                    "failed to record the assumed send"
                );
                return None;
            }
        }
        // Opened while the intent commits; dropped, and thereby closed, if nothing is sent.
        let dialing = api.dial();
        match self.intend(delivery, api, &rendered, attempt_deadline).await {
            Ok(Some(deadline)) => {
                let create = Create { api, ticket_draft, rendered: &rendered, deadline, dialing };
                Some(self.send_intended(delivery, create).await)
            }
            Ok(None) => {
                tracing::warn!("the lease was lost before the send");
                None
            }
            Err(error) => {
                tracing::error!(error = %ErrorChain(&error), "failed to store the send intent");
                None
            }
        }
    }

    /// Makes the intent durable. Returns the send deadline.
    async fn intend(
        &self,
        delivery: &Delivery,
        api: &Arc<dyn TicketSystem>,
        rendered: &Rendered,
        attempt_deadline: Duration,
    ) -> Result<Option<Timestamp>, StoreError> {
        let now = self.0.clock.now();
        let deadline = now + attempt_deadline;
        let send = send_intent(api.as_ref(), rendered, deadline);
        let intent = Intent { delivery_id: delivery.id.clone(), epoch: delivery.epoch, send };
        Ok(self.0.store.intend(intent, now).await?.map(|_| deadline))
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
