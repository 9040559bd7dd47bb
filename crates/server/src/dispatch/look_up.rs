//! Looks for the tickets of deliveries in doubt, and later for duplicates.

use ticketing_core::delivery::look_up::LookUp;
use ticketing_core::delivery::{Delivery, Sweep};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::marker::Marker;
use ticketing_core::system::{Destination, Search, Sighting};
use ticketing_core::target::Observation;
use tracing::Instrument;

use super::Dispatcher;
use crate::store::{AttemptTimes, Claimed, LookUpRecord, StoreError, SweepRecord, WitnessQuery};

/// Witnesses named to one search: a human may have removed some.
const WITNESSES: u32 = 10;
/// Sweeps begun in one step.
const SWEEPS_AT_A_TIME: u32 = 20;

impl Dispatcher {
    /// Carries out the look-up that was claimed, and records what it proves.
    pub(super) async fn look_up(&self, claimed: Claimed) {
        let delivery = claimed.delivery;
        let span = tracing::info_span!(
            "look_up", delivery = %delivery.id, incident = %delivery.incident_id, target = %delivery.target,
        );
        async {
            let asked_at = self.0.clock.now();
            let witnesses = self.witnesses(&delivery).await.unwrap_or_default();
            let had_witnesses = !witnesses.is_empty();
            let answer = match delivery.send.as_ref() {
                Some(send) => self.search(&delivery, &send.destination, witnesses).await,
                None => Ok(Sighting::default()),
            };
            self.record_look_up(&delivery, LookUp { answer, had_witnesses, asked_at }).await;
        }
        .instrument(span)
        .await;
    }

    /// Searches again for what was once in doubt.
    pub(super) async fn sweep(&self) {
        let due = match self.0.store.due_sweeps(self.0.clock.now(), SWEEPS_AT_A_TIME).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "sweeps could not be read");
                return;
            }
        };
        for delivery in due {
            if self.0.closing.is_cancelled() || !self.0.connections.is_enabled(&delivery.target) {
                continue;
            }
            if let Some(sweep) = delivery.sweep.clone() {
                self.sweep_one(&delivery, &sweep).await;
            }
        }
    }

    async fn sweep_one(&self, delivery: &Delivery, sweep: &Sweep) {
        let started_at = self.0.clock.now();
        let answer = self.search(delivery, &sweep.destination, vec![]).await;
        let (policy, now) = (self.schedule().policy, self.0.clock.now());
        let times = AttemptTimes { started_at, finished_at: now };
        let record = SweepRecord { delivery_id: delivery.id.clone(), step: sweep.step, answer, times };
        match self.0.store.record_sweep(record, &policy, now).await {
            Ok(Some(swept)) if swept.duplicates.len() > delivery.duplicates.len() => {
                let tickets: Vec<_> = swept.duplicates.iter().map(|ticket| ticket.key.as_str()).collect();
                tracing::error!(delivery = %delivery.id, ?tickets, "further tickets bear the same marker");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the sweep could not be recorded");
            }
        }
    }

    /// Tickets of ours that were made after the doubtful send.
    async fn witnesses(&self, delivery: &Delivery) -> Result<Vec<Marker>, StoreError> {
        match delivery.send.as_ref().filter(|send| !send.index_bound.is_zero()) {
            Some(send) => {
                let (destination, after) = (send.destination.clone(), send.deadline);
                self.0.store.witnesses(&WitnessQuery { destination, after, limit: WITNESSES }).await
            }
            None => Ok(vec![]),
        }
    }

    async fn search(
        &self,
        delivery: &Delivery,
        destination: &Destination,
        witnesses: Vec<Marker>,
    ) -> Result<Sighting, Fault> {
        let Some(api) = self.0.connections.for_destination(&delivery.target, destination) else {
            let message = format!("{} can not be searched: its settings are gone", destination.base_url);
            return Err(Fault::new(FaultKind::Misconfigured, message)
                .with_hint("look for the marker there and use ResolveDelivery or CancelDelivery"));
        };
        let search = Search { marker: delivery.marker.clone(), destination: destination.clone(), witnesses };
        let limit = self.schedule().policy.bounds.attempt_deadline;
        let in_time = tokio::time::timeout(limit, api.look_up(&search)).await;
        in_time.unwrap_or_else(|_| Err(Fault::new(FaultKind::TimedOut, "the search did not end in time")))
    }

    async fn record_look_up(&self, delivery: &Delivery, look_up: LookUp) {
        let fault = look_up.answer.as_ref().err().cloned();
        loop {
            let (policy, now) = (self.schedule().policy, self.0.clock.now());
            let times = AttemptTimes { started_at: look_up.asked_at, finished_at: now };
            let (delivery_id, epoch) = (delivery.id.clone(), delivery.epoch);
            let record = LookUpRecord { delivery_id, epoch, look_up: look_up.clone(), times };
            match self.0.store.record_look_up(record, &policy, now).await {
                Ok(settled) => {
                    let state = settled.map(|delivery| delivery.state);
                    tracing::info!(
                        ?state,
                        fault = fault.as_ref().map(tracing::field::display),
                        "looked for the ticket"
                    );
                    break;
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the look-up could not be recorded yet"
                    );
                    if !self.may_record_again().await {
                        return;
                    }
                }
            }
        }
        let observation = fault.as_ref().map_or(Observation::Searched, Observation::Failure);
        self.observe(&delivery.target, observation).await;
    }
}
