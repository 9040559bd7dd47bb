//! Writes that the server acknowledged, and checks that they still exist.

use std::collections::BTreeMap;

use rhythmx_ticketing::{Client, v1};
use tonic::Code;

/// Answers that callers and subscribers received.
#[derive(Debug, Default)]
pub(super) struct AcknowledgedPushes {
    /// Deliveries by ID.
    deliveries: BTreeMap<String, Acknowledged>,
    /// IDs acknowledged since the last check.
    unchecked: Vec<String>,
    /// The last acknowledged setting: the longest delay between two attempts, in ms.
    pub(super) setting: i64,
    events: BTreeMap<u64, String>,
    /// Pushes that were refused because something acknowledged was missing.
    pub(super) refused: Vec<String>,
    /// The resume token of the subscriber.
    pub(super) token: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Acknowledged {
    incident: String,
    /// The key of the ticket, if the answer contained one.
    ticket: Option<String>,
}

// === impl AcknowledgedPushes ===

impl AcknowledgedPushes {
    pub(super) fn len(&self) -> usize {
        self.deliveries.len()
    }

    /// Records a delivery that a caller received.
    pub(super) fn acknowledge(&mut self, delivery: &v1::Delivery) {
        let acknowledged = Acknowledged::of(delivery);
        self.unchecked.push(delivery.id.clone());
        self.deliveries.insert(delivery.id.clone(), acknowledged);
    }

    /// Records an event that a subscriber received.
    ///
    /// # Panics
    /// If another event had the same sequence number.
    pub(super) fn record_event(&mut self, event: &v1::TicketEvent) {
        let description = describe(event);
        let before = self.events.entry(event.sequence).or_insert_with(|| description.clone());
        assert_eq!(*before, description, "event {} was another one before", event.sequence);
        self.token = Some(event.resume_token.clone());
    }

    /// Sequence number of the newest event that a subscriber received.
    pub(super) fn newest_event(&self) -> u64 {
        self.events.last_key_value().map_or(0, |(sequence, _)| *sequence)
    }

    /// Returns the IDs acknowledged since the last check.
    pub(super) fn take_unchecked(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unchecked)
    }

    /// Describes everything acknowledged that is missing.
    pub(super) fn compare_all(&self, found: &[v1::Delivery]) -> Vec<String> {
        let found: BTreeMap<_, _> = found.iter().map(|delivery| (delivery.id.as_str(), delivery)).collect();
        let lost = |id: &String| self.compare(id, found.get(id.as_str()).copied());
        self.deliveries.keys().filter_map(lost).collect()
    }

    /// Describes the acknowledged data of a delivery that is missing, if any.
    pub(super) fn compare(&self, id: &str, found: Option<&v1::Delivery>) -> Option<String> {
        let expected = self.deliveries.get(id)?;
        let Some(found) = found else { return Some(format!("{id} of {}", expected.incident)) };
        let found = Acknowledged::of(found);
        let differs = expected.incident != found.incident
            || expected.ticket.is_some() && expected.ticket != found.ticket;
        differs.then(|| format!("{id}: {expected:?} became {found:?}"))
    }
}

/// Reads a delivery; `None` if it does not exist.
pub(super) async fn look_up(client: &mut Client, id: &str) -> Option<v1::Delivery> {
    match client.get_delivery(id).await {
        Ok(found) => found.delivery,
        Err(status) if status.code() == Code::NotFound => None,
        Err(status) => panic!("{id} cannot be looked up: {status:?}"),
    }
}

fn describe(event: &v1::TicketEvent) -> String {
    let delivery = event.delivery.as_ref().map(|delivery| (&delivery.id, delivery.state()));
    format!("{:?} {} {} {delivery:?} {:?}", event.kind(), event.incident_id, event.connection, event.time)
}

// === impl Acknowledged ===

impl Acknowledged {
    fn of(delivery: &v1::Delivery) -> Self {
        let ticket = delivery.ticket.as_ref().map(|ticket| ticket.key.clone());
        Self { incident: delivery.incident_id.clone(), ticket }
    }
}
