//! Checks after every test.

use std::collections::{HashMap, HashSet};

use rhythmx_ticketing::v1;
use ticketing_simulator::{Simulator, Ticket, Vendor};

use super::secrets::SecretForms;
use super::{SECRETS, World, events};

/// No acknowledged delivery is lost, every delivered ticket exists exactly once, no marker is on two tickets,
/// and the events are complete.
pub(crate) async fn check(world: &mut World) {
    let deliveries = world.deliveries().await;
    world.acknowledged.check(&deliveries);
    check_counts(world, &deliveries).await;
    let mut pairs = HashSet::new();
    for delivery in &deliveries {
        // The marker is that of the incident and the connection, also if another one had its name before.
        let pair = (&delivery.incident_id, &delivery.marker);
        assert!(pairs.insert(pair), "two deliveries for one incident and connection: {delivery:#?}");
    }
    let tickets = by_marker(world);
    for (marker, keys) in &tickets {
        assert_eq!(keys.len(), 1, "marker {marker} stands on {keys:?}");
    }
    let resolved = events::check(world, &deliveries).await;
    // A ticket that an operator named may have no marker.
    let is_ours = |delivery: &&v1::Delivery| {
        delivery.state() == v1::DeliveryState::Delivered && !resolved.contains(&delivery.id)
    };
    let existing = by_id(world);
    deliveries.iter().filter(is_ours).for_each(|delivery| check_ticket(delivery, &tickets, &existing));
}

/// GetStatus counts the deliveries that ListDeliveries returns. A delivery that changed in between may be counted in any
/// state.
async fn check_counts(world: &mut World, deliveries: &[v1::Delivery]) {
    let is_counted = |delivery: &&v1::Delivery| !world.former.contains(&delivery.id);
    let deliveries: Vec<_> = deliveries.iter().filter(is_counted).cloned().collect();
    let counts = world.counts().await;
    let counted = [
        (v1::DeliveryState::Pending, counts.pending),
        (v1::DeliveryState::Attempting, counts.attempting),
        (v1::DeliveryState::Delivered, counts.delivered),
        (v1::DeliveryState::Waiting, counts.waiting),
        (v1::DeliveryState::Reconciling, counts.reconciling),
        (v1::DeliveryState::Failed, counts.failed),
        (v1::DeliveryState::Cancelled, counts.cancelled),
    ];
    let after = world.deliveries().await;
    // One that is in the same state again has changed as well.
    let after = after.iter().filter(|delivery| !world.former.contains(&delivery.id));
    let changed = after.filter(|delivery| !deliveries.contains(delivery)).count() as u64;
    for (state, count) in counted {
        let listed = deliveries.iter().filter(|delivery| delivery.state() == state).count() as u64;
        assert!(
            count.abs_diff(listed) <= changed,
            "GetStatus counts {count} deliveries that are {state:?}, and there are {listed}; {changed} changed meanwhile"
        );
    }
}

/// No secret is in any file of the server.
pub(crate) fn check_secrets(world: &World) {
    let forms = forms(world);
    for (name, bytes) in world.server.written() {
        if let Some((secret, form)) = forms.find(&bytes) {
            panic!("the secret {secret:?} is in {name}, as {form:?}");
        }
    }
}

/// No panic is in its log.
pub(crate) fn check_panics(world: &World) {
    for (name, bytes) in world.server.written() {
        let text = String::from_utf8_lossy(&bytes);
        let panicked =
            text.split_once("panicked at").map(|(_, what)| what.lines().take(3).collect::<Vec<_>>());
        assert_eq!(panicked, None, "{name} has a panic");
    }
}

/// No response contained a secret.
pub(crate) fn check_no_secret_in(world: &World, text: &str) {
    if let Some((secret, form)) = forms(world).find(text.as_bytes()) {
        panic!("the secret {secret:?} is in a response, as {form:?}: {text}");
    }
}

fn forms(world: &World) -> SecretForms {
    SecretForms::of(SECRETS.into_iter().chain(world.secrets.iter().map(String::as_str)))
}

/// The keys of all tickets that the server created.
fn by_marker(world: &World) -> HashMap<String, Vec<String>> {
    let mut tickets: HashMap<String, Vec<String>> = HashMap::new();
    for simulator in simulators(world) {
        for ticket in simulator.tickets().into_iter().filter(|ticket| !ticket.foreign) {
            let markers = ticket.marker_candidates().into_iter().filter(|text| text.starts_with("rhythmx-"));
            markers.for_each(|marker| tickets.entry(marker).or_default().push(ticket.key.clone()));
        }
    }
    tickets
}

/// All tickets, by system and ID: several sites may use the same ID.
fn by_id(world: &World) -> HashMap<(v1::TicketSystem, String), Vec<Ticket>> {
    let mut tickets: HashMap<_, Vec<Ticket>> = HashMap::new();
    for simulator in simulators(world) {
        for ticket in simulator.tickets() {
            let id = (system_of(simulator.vendor()), ticket.id.clone());
            tickets.entry(id).or_default().push(ticket);
        }
    }
    tickets
}

/// The reference names an existing ticket, and the one that the server created is it or a duplicate of it.
fn check_ticket(
    delivery: &v1::Delivery,
    tickets: &HashMap<String, Vec<String>>,
    existing: &HashMap<(v1::TicketSystem, String), Vec<Ticket>>,
) {
    let ours = tickets.get(&delivery.marker).map(|keys| keys[0].as_str());
    let reference = delivery.ticket.as_ref().expect("a delivered one has its ticket");
    // A ticket that a user gave our marker may be the older one.
    let known: Vec<_> = [reference].into_iter().chain(&delivery.duplicates).map(|t| t.key.as_str()).collect();
    assert!(ours.is_some_and(|ours| known.contains(&ours)), "{ours:?}: {delivery:#?}");
    let system = delivery.system();
    let of_that_id = existing.get(&(system, reference.id.clone())).map_or(&[][..], Vec::as_slice);
    let exists = of_that_id.iter().any(|ticket| is_named_by(ticket, reference, system));
    assert!(exists, "its reference leads to no ticket: {delivery:#?}");
}

/// Whether a reference names this ticket, by its current or a former key. The settings determine the URL for
/// people.
fn is_named_by(ticket: &Ticket, reference: &v1::TicketReference, system: v1::TicketSystem) -> bool {
    let page = match system {
        v1::TicketSystem::Servicenow => format!("/nav_to.do?uri=incident.do%3Fsys_id%3D{}", ticket.id),
        _ => format!("/browse/{}", reference.key),
    };
    let is_key = reference.key == ticket.key || ticket.previous_keys.contains(&reference.key);
    is_key && reference.url.ends_with(&page)
}

fn simulators(world: &World) -> impl Iterator<Item = &Simulator> {
    [&world.jira, &world.servicenow].into_iter().chain(&world.other_sites)
}

fn system_of(vendor: Vendor) -> v1::TicketSystem {
    match vendor {
        Vendor::JiraCloud | Vendor::JiraDataCenter => v1::TicketSystem::Jira,
        Vendor::ServiceNow => v1::TicketSystem::Servicenow,
    }
}
