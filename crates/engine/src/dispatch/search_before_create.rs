//! Before a create: whether a restored store may lack an existing ticket, so that it is searched for first.

use std::sync::Arc;

use ticketing_core::delivery::Delivery;
use ticketing_core::delivery::restore::SearchPlace;
use ticketing_core::system::{Rendered, TicketSystem};
use ticketing_store::{AssumedSend, StoreError};

use super::Dispatcher;

impl Dispatcher {
    /// Searches for the ticket instead of creating it, if it may exist without the store knowing it. The
    /// look-up is due at once.
    pub(super) async fn should_search_first(
        &self,
        delivery: &Delivery,
        api: &Arc<dyn TicketSystem>,
        rendered: &Rendered,
    ) -> Result<bool, StoreError> {
        let Some(restored_at) = self.0.store.installation().restored_at else { return Ok(false) };
        let places = self.places(delivery, api, rendered).await?;
        let Some(place) = delivery.place_to_search(restored_at, places) else { return Ok(false) };
        let policy = self.schedule().policy;
        let now = self.0.clock.now();
        tracing::info!(place = %place.destination.base_url, "searching for the ticket before creating it");
        let assumed = AssumedSend { delivery_id: delivery.id.clone(), epoch: delivery.epoch, place };
        self.0.store.assume_sent(assumed, &policy, now).await?;
        self.allow_look_ups(&delivery.connection);
        Ok(true)
    }

    /// Places where the ticket may exist: the destination of its last send, the settings at the time of the
    /// restore, and the current settings. The first two only if there is still a connection to them.
    async fn places(
        &self,
        delivery: &Delivery,
        api: &Arc<dyn TicketSystem>,
        rendered: &Rendered,
    ) -> Result<Vec<SearchPlace>, StoreError> {
        let mut places = vec![];
        let send = delivery.send.as_ref().filter(|send| !send.is_assumed);
        if let Some(send) = send.filter(|send| self.reaches(&delivery.connection, &send.destination)) {
            let destination = send.destination.clone();
            let index_bound = send.index_bound;
            let marker_in_text = send.marker_in_text;
            let made_by = send.made_by.clone();
            places.push(SearchPlace { destination, index_bound, marker_in_text, made_by });
        }
        for retired in self.connections_at_restore(&delivery.connection).await? {
            let index_bound = retired.visibility().index_bound();
            let destination = retired.destination();
            let made_by = retired.made_by();
            places.push(SearchPlace { destination, index_bound, marker_in_text: false, made_by });
        }
        let destination = api.destination();
        let index_bound = api.visibility().index_bound();
        let marker_in_text = rendered.marker_in_text;
        let made_by = api.made_by();
        places.push(SearchPlace { destination, index_bound, marker_in_text, made_by });
        Ok(places)
    }

    /// Connections that were active at the restore, and were replaced since.
    async fn connections_at_restore(
        &self,
        connection: &str,
    ) -> Result<Vec<Arc<dyn TicketSystem>>, StoreError> {
        let Some(restored_at) = self.0.store.installation().restored_at else { return Ok(vec![]) };
        let retired = self.0.store.retired_connections(connection).await?;
        let since = retired.into_iter().filter(|retired| retired.retired_at >= restored_at);
        Ok(since.filter_map(|retired| self.0.connections.retired(retired)).collect())
    }

    fn reaches(&self, connection: &str, destination: &ticketing_core::system::Destination) -> bool {
        self.0.connections.for_destination(connection, destination).is_some()
    }
}
