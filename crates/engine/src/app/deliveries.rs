//! GetDelivery, ListDeliveries, RetryDelivery, RetryDeliveries and CancelDelivery.

use ticketing_core::clean::clean;
use ticketing_core::delivery::Delivery;
use ticketing_core::delivery::operate::OperationError;
use ticketing_store::{
    Actor, Attempt, DeliveryFilter, DeliveryPage, OperateError, Operation, PageKey, RetriedPage, RetryRequest,
};
use tokio::time::Instant;

use super::{App, AppError, TicketRefused};

/// A delivery with its attempts.
#[derive(Debug, Clone)]
pub struct DeliveryWithAttempts {
    pub delivery: Delivery,
    /// The newest attempts, oldest first; empty unless requested.
    pub attempts: Vec<Attempt>,
}

/// A page of deliveries.
#[derive(Debug, Clone)]
pub struct Page {
    /// Newest first.
    pub deliveries: Vec<DeliveryWithAttempts>,
    /// Start of the next page, if any.
    pub next: Option<PageKey>,
}

/// Which deliveries to retry.
#[derive(Debug, Clone)]
pub struct RetryMany {
    pub by: Actor,
    pub filter: DeliveryFilter,
    pub page_size: u32,
    pub after: Option<PageKey>,
    pub note: String,
}

// === impl App ===

impl App {
    /// One delivery with its attempts.
    ///
    /// # Errors
    /// [`AppError::DeliveryNotFound`], or a store failure.
    pub async fn delivery(&self, id: &str) -> Result<DeliveryWithAttempts, AppError> {
        let found = self.0.store.delivery_with_attempts(id).await?;
        let (delivery, attempts) = found.ok_or_else(|| AppError::DeliveryNotFound(id.to_owned()))?;
        Ok(DeliveryWithAttempts { delivery, attempts })
    }

    /// At most `size` deliveries that match `filter`, after `after`.
    ///
    /// # Errors
    /// A store failure.
    pub async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        size: u32,
        after: Option<PageKey>,
        with_attempts: bool,
    ) -> Result<Page, AppError> {
        let filter = self.filter_by_id(filter.clone());
        let page = self.0.store.list(&filter, size, after.as_ref(), with_attempts).await?;
        let DeliveryPage { deliveries, attempts: all, next } = page;
        let with_attempts = |delivery: Delivery| {
            let attempts = all.iter().filter(|attempt| attempt.delivery_id == delivery.id).cloned().collect();
            DeliveryWithAttempts { delivery, attempts }
        };
        Ok(Page { deliveries: deliveries.into_iter().map(with_attempts).collect(), next })
    }

    /// The filter with the IDs of the connections that it names.
    fn filter_by_id(&self, mut filter: DeliveryFilter) -> DeliveryFilter {
        let names = std::mem::take(&mut filter.connections);
        filter.connections = names.iter().flat_map(|name| self.0.connections.ids_ever(name)).collect();
        filter
    }

    /// Retries a delivery now, regardless of any pause of its connection, and waits for the attempt until
    /// `deadline`. With `create_anyway` an unknown outcome is discarded.
    ///
    /// # Errors
    /// [`AppError::DeliveryNotFound`], [`AppError::DeliveryState`], [`AppError::ContentRemoved`], [`AppError::NotConfigured`],
    /// [`AppError::NotEnabled`], or a store failure.
    pub async fn retry(
        &self,
        by: &Actor,
        id: &str,
        create_anyway: bool,
        deadline: Instant,
    ) -> Result<DeliveryWithAttempts, AppError> {
        let delivery = self.delivery(id).await?.delivery;
        self.require_enabled(&delivery.connection)?;
        // Before the retry, or the delivery would be deferred again.
        self.0.dispatcher.end_pauses(&delivery.connection).await?;
        let asked = self.operate(by, id, Operation::Retry { create_anyway }, "").await?;
        self.remember_caller(&asked);
        self.wait_for_attempt(asked, deadline).await?;
        self.delivery(id).await
    }

    /// Makes one page of deliveries due, without waiting for their attempts. Never discards an unknown
    /// outcome.
    ///
    /// # Errors
    /// A store failure.
    pub async fn retry_many(&self, retry: RetryMany) -> Result<RetriedPage, AppError> {
        let RetryMany { by, filter, page_size, after, note } = retry;
        let filter = self.filter_by_id(filter);
        let connections = self.0.connections.ids();
        let enabled: Vec<_> =
            connections.into_iter().filter(|connection| self.0.connections.is_enabled(connection)).collect();
        // Once for all pages: each reset may cost a refused login.
        let concerns =
            |connection: &String| filter.connections.is_empty() || filter.connections.contains(connection);
        for connection in enabled.iter().filter(|connection| after.is_none() && concerns(connection)) {
            self.0.dispatcher.end_pauses(connection).await?;
        }
        let note = clean(&note).text.into_owned();
        let request = RetryRequest { by, filter, page_size, after, enabled, note };
        let page = self.0.store.retry_many(request, self.now()).await?;
        for delivery in &page.retried {
            self.0.dispatcher.waiters().notify(&delivery.id);
            self.0.dispatcher.expedite(delivery);
        }
        Ok(page)
    }

    /// Cancels a delivery.
    ///
    /// # Errors
    /// [`AppError::DeliveryNotFound`], [`AppError::DeliveryState`], or a store failure.
    pub async fn cancel(&self, by: &Actor, id: &str, note: &str) -> Result<Delivery, AppError> {
        self.operate(by, id, Operation::Cancel, note).await
    }

    pub(super) async fn operate(
        &self,
        by: &Actor,
        id: &str,
        operation: Operation,
        note: &str,
    ) -> Result<Delivery, AppError> {
        let policy = self.0.dispatcher.schedule().policy;
        let action = operation.audited_as();
        let named = match &operation {
            Operation::Resolve(named) => named.ticket.key.clone(),
            Operation::Retry { .. } | Operation::Cancel => String::new(),
        };
        let note = &clean(note).text;
        let operated = self.0.store.operate(by, id, operation, note, &policy, self.now()).await;
        self.0.dispatcher.waiters().notify(id);
        if let Ok(delivery) = &operated {
            let action = action.as_str();
            let state = delivery.state.as_str();
            tracing::info!(actor = %by.name, action, subject = id, state, "changed by an operator");
        }
        operated.map_err(|error| match error {
            OperateError::NotFound => AppError::DeliveryNotFound(id.to_owned()),
            OperateError::Refused(OperationError::WrongState(state, operation)) => {
                AppError::DeliveryState { delivery_id: id.to_owned(), state: state.as_str(), operation }
            }
            OperateError::Refused(OperationError::ContentRemoved) => AppError::ContentRemoved(id.to_owned()),
            OperateError::TicketInUse(incident) => AppError::TicketInUse(TicketRefused {
                delivery_id: id.to_owned(),
                why: format!("{named} is the ticket of incident {incident}"),
                ticket_key: named,
                field: "ticket_key",
            }),
            OperateError::Store(error) => AppError::Store(error),
        })
    }
}
