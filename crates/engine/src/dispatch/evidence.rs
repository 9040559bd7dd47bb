//! Determines whether a search can find our tickets, by reading delivered ones back.
//!
//! The first created ticket of a place is read back at once, so that problems are known before a proof of
//! absence needs the evidence; after a failure, each later one is. A proof reads the tickets sent around the
//! send of unknown outcome, unless they were seen before. A ticket that is hidden, or has lost its marker,
//! withdraws the evidence.

use std::sync::Arc;

use ticketing_core::delivery::Delivery;
use ticketing_core::evidence::{Evidence, SearchScope};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::health::Admission;
use ticketing_core::system::{ReadTicket, SearchResult, TicketSystem};
use ticketing_store::{SearchEvidence, StoreError};
use tracing::Instrument;

use super::Dispatcher;
use super::connection_state::warn;

impl Dispatcher {
    /// The evidence for the search that returned `answer`. Determined only for an empty result that could
    /// prove absence.
    pub(super) async fn evidence_of(
        &self,
        delivery: &Delivery,
        answer: &Result<SearchResult, Fault>,
        api: Option<&Arc<dyn TicketSystem>>,
        asked_at: jiff::Timestamp,
    ) -> Result<Evidence, StoreError> {
        let (Ok(search_result), Some(api), Some(send)) = (answer, api, &delivery.send) else {
            return Ok(Evidence::NoTicket);
        };
        let scope = SearchScope::of(send, api.made_by().account);
        if !search_result.tickets.is_empty() {
            // Found tickets are recorded, whatever the evidence.
            if let Err(error) = self.note_evidence(&delivery.connection, &scope, &delivery.id, true).await {
                warn(&error, &delivery.connection, "failed to record that the search finds tickets of ours");
            }
            return Ok(Evidence::Shown);
        }
        match delivery.is_provable(asked_at, self.schedule().policy.bounds.server_bound) {
            true => self.evidence(delivery, &scope, api, search_result.canary_seen).await,
            false => Ok(verdict(self.0.store.evidence(&scope).await?.as_ref())),
        }
    }

    /// Reads back a newly delivered ticket, in the background, if nothing is known yet of the search in its
    /// scope. Does not affect the delivery.
    pub(super) fn read_back(&self, delivery: &Delivery, api: Option<&Arc<dyn TicketSystem>>) {
        let (Some(api), connection) = (api.cloned(), delivery.connection.clone()) else { return };
        let dispatcher = self.clone();
        let id = delivery.id.clone();
        let read_back = async move {
            let state = dispatcher.state(&connection);
            let Ok(_one_at_a_time) = state.reading_back.try_lock() else { return };
            if dispatcher.admission(&connection) != Admission::Open {
                return;
            }
            tokio::select! {
                () = dispatcher.0.closing.cancelled() => {}
                read = dispatcher.read_back_unless_shown(&id, &api) => if let Err(error) = read {
                    warn(&error, &connection, "failed to record whether tickets can be read back");
                }
            }
        };
        self.0.tasks.spawn(read_back.in_current_span());
    }

    async fn read_back_unless_shown(
        &self,
        delivery_id: &str,
        api: &Arc<dyn TicketSystem>,
    ) -> Result<(), StoreError> {
        let delivery = self.0.store.delivery(delivery_id).await?;
        let Some(delivery) = delivery else { return Ok(()) };
        let Some(send) = &delivery.send else { return Ok(()) };
        let scope = SearchScope::of(send, api.made_by().account);
        let known = self.0.store.evidence(&scope).await?;
        if known.as_ref().is_none_or(|known| !known.is_shown) {
            self.is_shown(&delivery, &scope, known.as_ref(), api).await?;
        }
        Ok(())
    }

    /// The evidence for a search for the ticket of `delivery`. A canary that the search found is the ticket
    /// after it.
    async fn evidence(
        &self,
        delivery: &Delivery,
        scope: &SearchScope,
        api: &Arc<dyn TicketSystem>,
        canary_seen: bool,
    ) -> Result<Evidence, StoreError> {
        let Some(send) = &delivery.send else { return Ok(Evidence::NoTicket) };
        let sent_at = if send.is_assumed { send.deadline } else { send.at };
        let known = self.0.store.evidence(scope).await?;
        let mut evidence = if canary_seen { Evidence::Shown } else { verdict(known.as_ref()) };
        for neighbor in self.0.store.neighbors(scope, sent_at).await? {
            let is_after = neighbor.send.as_ref().is_some_and(|send| send.at > sent_at);
            if canary_seen && is_after {
                continue;
            }
            match self.is_shown(&neighbor, scope, known.as_ref(), api).await? {
                Some(true) => evidence = Evidence::Shown,
                Some(false) => return Ok(Evidence::NotShown),
                None if evidence == Evidence::Shown => {}
                None => return Ok(Evidence::NotShown),
            }
        }
        if canary_seen && evidence == Evidence::Shown {
            self.note_evidence(&delivery.connection, scope, "", true).await?;
        }
        Ok(evidence)
    }

    /// Whether the ticket of `delivered` is visible with its marker; not read again if it was. `None` if
    /// unknown.
    async fn is_shown(
        &self,
        delivered: &Delivery,
        scope: &SearchScope,
        known: Option<&SearchEvidence>,
        api: &Arc<dyn TicketSystem>,
    ) -> Result<Option<bool>, StoreError> {
        if known.is_some_and(|known| known.is_shown && known.delivery_id == delivered.id) {
            return Ok(Some(true));
        }
        match self.read_ticket(delivered, scope, api).await {
            Ok(read) => {
                let is_shown = read.is_some_and(|read| bears(&read, delivered));
                self.note_evidence(&delivered.connection, scope, &delivered.id, is_shown).await?;
                Ok(Some(is_shown))
            }
            Err(fault) => {
                tracing::warn!(
                    ticket_of = %delivered.id, kind = fault.kind.as_str(), status = fault.status,
                    "failed to read a delivered ticket back"
                );
                Ok(None)
            }
        }
    }

    async fn read_ticket(
        &self,
        delivered: &Delivery,
        scope: &SearchScope,
        api: &Arc<dyn TicketSystem>,
    ) -> Result<Option<ReadTicket>, Fault> {
        let Some(ticket) = &delivered.ticket else { return Ok(None) };
        let id_or_key = if ticket.id.is_empty() { &ticket.key } else { &ticket.id };
        let began = self.0.clock.now();
        let limit = self.schedule().policy.bounds.attempt_deadline;
        let read = tokio::time::timeout(limit, api.read(&scope.destination, id_or_key)).await;
        let too_late = || Err(Fault::new(FaultKind::TimedOut, "the ticket was not read in time"));
        let read = read.unwrap_or_else(|_| too_late());
        if let Err(fault) = &read
            && matches!(fault.kind, FaultKind::Unauthorized | FaultKind::LockedOut | FaultKind::RateLimited)
        {
            let failure = self.failure(&delivered.connection, fault, began, &delivered.id);
            self.observe(&delivered.connection, Some(api), failure).await;
        }
        read
    }

    /// Stores the observation, and makes deliveries that waited for it due for a look-up.
    async fn note_evidence(
        &self,
        connection: &str,
        scope: &SearchScope,
        delivery_id: &str,
        is_shown: bool,
    ) -> Result<(), StoreError> {
        let known = self.0.store.evidence(scope).await?;
        let evidence = SearchEvidence { delivery_id: delivery_id.to_owned(), is_shown };
        if known.as_ref() == Some(&evidence) {
            return Ok(());
        }
        let was_shown = known.is_some_and(|known| known.is_shown);
        // The identity of the ticket matters only for the newest one, which a found ticket need not be.
        if !(was_shown && is_shown && delivery_id.is_empty()) {
            self.0.store.save_evidence(scope.clone(), evidence, self.0.clock.now()).await?;
        }
        let place = &scope.destination;
        match (was_shown, is_shown) {
            (false, true) => {
                tracing::info!(%connection, base_url = %place.base_url, place = %place.place, "the search finds tickets of ours");
                if self.0.store.search_proven(connection, self.0.clock.now()).await? > 0 {
                    self.allow_look_ups(connection);
                    self.wake();
                }
            }
            (_, false) => tracing::error!(
                %connection, base_url = %place.base_url, place = %place.place, delivery = %delivery_id,
                "a delivered ticket is hidden from the account or has lost its marker: absence cannot be proven there"
            ),
            (true, true) => {}
        }
        Ok(())
    }
}

/// The evidence from the last observation.
fn verdict(known: Option<&SearchEvidence>) -> Evidence {
    match known {
        Some(SearchEvidence { is_shown: true, .. }) => Evidence::Shown,
        Some(_) => Evidence::NotShown,
        None => Evidence::NoTicket,
    }
}

/// Whether the ticket has the delivery's marker, or the ID derived from it.
fn bears(read: &ReadTicket, delivery: &Delivery) -> bool {
    read.marker.as_ref() == Some(&delivery.marker) || read.ticket.id == delivery.marker.hex()
}
