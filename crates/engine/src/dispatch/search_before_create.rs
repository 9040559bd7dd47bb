//! Before a create: whether a restored store may lack an existing ticket, so that it is searched for first.

use std::sync::Arc;

use ticketing_core::delivery::Delivery;
use ticketing_core::delivery::restore::SearchPlace;
use ticketing_core::system::{Rendered, TicketSystem};

use super::Dispatcher;
use ticketing_store::{AssumedSend, StoreError};

impl Dispatcher {
    /// Has the ticket looked for in place of creating it, if it may exist without our knowing. The look-up is due at once.
    pub(super) async fn should_search_first(
        &self,
        delivery: &Delivery,
        api: &Arc<dyn TicketSystem>,
        rendered: &Rendered,
    ) -> Result<bool, StoreError> {
        let Some(restored_at) = self.0.store.installation().restored_at else { return Ok(false) };
        let places = self.places(delivery, api, rendered).await?;
        let Some(place) = delivery.place_to_search(restored_at, places) else { return Ok(false) };
        let (policy, now) = (self.schedule().policy, self.0.clock.now());
        tracing::info!(place = %place.destination.base_url, "searching for the ticket before creating it");
        let supposition = AssumedSend { delivery_id: delivery.id.clone(), epoch: delivery.epoch, place };
        self.0.store.assume_sent(supposition, &policy, now).await?;
        self.allow_look_ups(&delivery.target);
        Ok(true)
    }

    /// Wherever the ticket may be: where its last send went, where the settings pointed when the store was restored, and
    /// where they point now. The first two only as far as there is a way to them.
    async fn places(
        &self,
        delivery: &Delivery,
        api: &Arc<dyn TicketSystem>,
        rendered: &Rendered,
    ) -> Result<Vec<SearchPlace>, StoreError> {
        let bounds = &self.schedule().policy.bounds;
        let mut places = vec![];
        let send = delivery.send.as_ref().filter(|send| !send.is_assumed);
        if let Some(send) = send.filter(|send| self.reaches(&delivery.target, &send.destination)) {
            let (destination, index_bound) = (send.destination.clone(), send.index_bound);
            let (marker_in_text, made_by) = (send.marker_in_text, send.made_by.clone());
            places.push(SearchPlace { destination, index_bound, marker_in_text, made_by });
        }
        for retired in self.connections_at_restore(&delivery.target).await? {
            let index_bound = bounds.index_bound(retired.visibility());
            let (destination, made_by) = (retired.destination(), retired.made_by());
            places.push(SearchPlace { destination, index_bound, marker_in_text: false, made_by });
        }
        let (destination, index_bound) = (api.destination(), bounds.index_bound(api.visibility()));
        let (marker_in_text, made_by) = (rendered.marker_in_text, api.made_by());
        places.push(SearchPlace { destination, index_bound, marker_in_text, made_by });
        Ok(places)
    }

    /// Connections that were current at the restore, and were replaced since.
    async fn connections_at_restore(&self, target: &str) -> Result<Vec<Arc<dyn TicketSystem>>, StoreError> {
        let Some(restored_at) = self.0.store.installation().restored_at else { return Ok(vec![]) };
        let retired = self.0.store.retired_connections(target).await?;
        let since = retired.into_iter().filter(|retired| retired.retired_at >= restored_at);
        Ok(since.filter_map(|retired| self.0.connections.retired(retired)).collect())
    }

    fn reaches(&self, target: &str, destination: &ticketing_core::system::Destination) -> bool {
        self.0.connections.for_destination(target, destination).is_some()
    }
}
