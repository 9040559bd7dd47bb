//! ResolveDelivery: an operator names the ticket of a delivery, which is read to verify it.

use std::sync::Arc;

use ticketing_core::delivery::{Delivery, Resolution, State};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::health::Admission;
use ticketing_core::limits;
use ticketing_core::marker::Marker;
use ticketing_core::system::{Destination, ReadTicket, TicketRef, TicketSystem};
use ticketing_store::{Actor, NamedTicket, Operation};
use tokio::time::Instant;

use super::{App, AppError};

/// Maximum number of characters of a ticket system's message in a refusal, which is sent in a header.
const MAX_CAUSE: usize = 200;

/// The operator's request.
#[derive(Debug, Clone)]
pub struct Resolve {
    pub delivery_id: String,
    /// ID and URL may be empty.
    pub ticket: TicketRef,
    pub note: String,
    /// Whether to accept the ticket if it cannot be read.
    pub allow_unverified: bool,
}

/// Why a ticket is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketRefused {
    pub delivery_id: String,
    pub ticket_key: String,
    /// The invalid field of the request.
    pub field: &'static str,
    /// What was read.
    pub why: String,
}

// === impl App ===

impl App {
    /// Accepts the ticket that an operator names once it was verified: it exists where the connection creates
    /// tickets, and belongs to no other incident. If it cannot be read, it is accepted only with the
    /// operator's permission. Repeating the call changes nothing.
    ///
    /// # Errors
    /// [`AppError::DeliveryNotFound`], [`AppError::DeliveryState`], [`AppError::TicketNotFound`],
    /// [`AppError::TicketInUse`], [`AppError::TicketUnverified`], or a store failure.
    pub async fn resolve(
        &self,
        by: &Actor,
        resolve: Resolve,
        deadline: Instant,
    ) -> Result<Delivery, AppError> {
        let delivery = self.delivery(&resolve.delivery_id).await?.delivery;
        let is_same = delivery.ticket.as_ref().is_some_and(|known| known.key == resolve.ticket.key);
        let is_known = delivery.resolution != Some(Resolution::Unverified);
        if delivery.state == State::Delivered && (is_known || resolve.allow_unverified) && is_same {
            return Ok(delivery);
        }
        if delivery.state == State::Attempting
            || (delivery.state == State::Delivered && delivery.resolution.is_none())
        {
            let delivery_id = delivery.id;
            let state = delivery.state.as_str();
            return Err(AppError::DeliveryState { delivery_id, state, operation: "resolved" });
        }
        let named = match self.read_ticket(&delivery, &resolve.ticket.key, deadline).await {
            Ok(read) => self.check(&delivery, &resolve, read).await?,
            Err(cause) if resolve.allow_unverified => {
                tracing::warn!(
                    delivery = %delivery.id, ticket = %resolve.ticket.key, %cause, "accepted an unverified ticket"
                );
                self.unread(&delivery, resolve.ticket)
            }
            Err(cause) => {
                let title = delivery.system.title();
                let why = format!(
                    "{title} could not be asked for {}: {}; try again, or set allow_unverified",
                    resolve.ticket.key,
                    limits::cut(&cause, MAX_CAUSE)
                );
                return Err(AppError::TicketUnverified(resolve.refused("ticket_key", why)));
            }
        };
        self.operate(by, &resolve.delivery_id, Operation::Resolve(named), &resolve.note).await
    }

    /// Reads the ticket from where the connection creates tickets, or else from where the delivery was sent;
    /// `None` if it does not exist in either place.
    ///
    /// # Errors
    /// Why no ticket system could be called, for display.
    async fn read_ticket(
        &self,
        delivery: &Delivery,
        key: &str,
        deadline: Instant,
    ) -> Result<Option<Placed>, String> {
        let mut found = None;
        for Place { api, destination } in self.places(delivery)? {
            let within =
                deadline.saturating_duration_since(Instant::now()).min(self.0.bounds.attempt_deadline);
            let read = tokio::time::timeout(within, api.read(&destination, key)).await;
            let read =
                read.unwrap_or_else(|_| Err(Fault::new(FaultKind::TimedOut, "it did not answer in time")));
            let Some(ticket) = read.map_err(|fault| fault.to_string())? else { continue };
            let is_placed = ticket.place == destination.place;
            let place = destination.place;
            if is_placed || ticket.marker.as_ref() == Some(&delivery.marker) {
                return Ok(Some(Placed { ticket, place, is_placed: true }));
            }
            found.get_or_insert(Placed { ticket, place, is_placed: false });
        }
        Ok(found)
    }

    /// Places where the ticket may be, each with its connection: first where tickets are created now, then
    /// where the delivery was sent.
    fn places(&self, delivery: &Delivery) -> Result<Vec<Place>, String> {
        let title = delivery.system.title();
        let connections = &self.0.connections;
        let Some(current) = connections.current(&delivery.connection) else {
            return Err(format!("{title} is not configured"));
        };
        if let Admission::Closed(until) = self.0.dispatcher.health(&delivery.connection).admission(self.now())
        {
            let until = until.map(|until| format!(" until {until:.0}")).unwrap_or_default();
            return Err(format!("{title} is paused{until}, see its condition in GetStatus"));
        }
        let mut places = vec![Place { destination: current.destination(), api: current }];
        let sent = delivery.send.iter().map(|send| &send.destination).chain(&delivery.uncertain_sends);
        for destination in sent {
            if places.iter().any(|known| known.destination == *destination) {
                continue;
            }
            if let Some(api) = connections.for_destination(&delivery.connection, destination) {
                places.push(Place { api, destination: destination.clone() });
            }
        }
        Ok(places)
    }

    /// The ticket that was read, if it can belong to the delivery.
    async fn check(
        &self,
        delivery: &Delivery,
        resolve: &Resolve,
        read: Option<Placed>,
    ) -> Result<NamedTicket, AppError> {
        let title = delivery.system.title();
        let key = &resolve.ticket.key;
        let Some(Placed { ticket: read, place, is_placed }) = read else {
            let why = format!("{title} has no ticket {key} that its account may see");
            return Err(AppError::TicketNotFound(resolve.refused("ticket_key", why)));
        };
        let ticket = read.ticket;
        if !is_placed {
            let connection = &delivery.connection;
            let why =
                format!("{} is in {}, and {connection} creates tickets in {place}", ticket.key, read.place);
            return Err(AppError::TicketNotFound(resolve.refused("ticket_key", why)));
        }
        if !resolve.ticket.id.is_empty() && resolve.ticket.id != ticket.id {
            let why = format!("{} has the ID {}", ticket.key, ticket.id);
            return Err(AppError::TicketNotFound(resolve.refused("ticket_id", why)));
        }
        if let Some(marker) = read.marker.filter(|marker| *marker != delivery.marker) {
            let owner = self.0.store.incident_of_marker(&marker).await?;
            let whose = owner.map_or_else(|| "another incident".to_owned(), |id| format!("incident {id}"));
            let why = format!("{} bears the marker of {whose}", ticket.key);
            return Err(AppError::TicketInUse(resolve.refused("ticket_key", why)));
        }
        // ServiceNow's `sys_id` is derived from the marker, and may be the only trace of it on a ticket.
        let derived = Marker::of_hex(&ticket.id).filter(|marker| *marker != delivery.marker);
        Ok(NamedTicket { ticket, resolution: Resolution::Verified, markers: derived.into_iter().collect() })
    }

    /// The ticket as the operator names it.
    fn unread(&self, delivery: &Delivery, mut ticket: TicketRef) -> NamedTicket {
        if ticket.url.is_empty()
            && let Some(api) = self.0.connections.current(&delivery.connection)
        {
            ticket.url = api.ticket_url(&ticket.key).unwrap_or_default();
        }
        NamedTicket { ticket, resolution: Resolution::Unverified, markers: vec![] }
    }
}

/// A place where a ticket may be, and the connection to it.
#[derive(Debug)]
struct Place {
    api: Arc<dyn TicketSystem>,
    destination: Destination,
}

/// A ticket that was read.
#[derive(Debug)]
struct Placed {
    ticket: ReadTicket,
    /// The expected place.
    place: String,
    is_placed: bool,
}

// === impl Resolve ===

impl Resolve {
    fn refused(&self, field: &'static str, why: String) -> TicketRefused {
        let delivery_id = self.delivery_id.clone();
        let ticket_key = self.ticket.key.clone();
        TicketRefused { delivery_id, ticket_key, field, why }
    }
}
