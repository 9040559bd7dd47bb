//! Every subscriber sees every event once and in order, from any start, across reconnects and restarts.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Broken, History, Promise};
use crate::history::record::{Event, Kind, Observation};

/// The position of a subscriber.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    filtered: bool,
    /// The number of the previous event.
    after: u64,
    /// The highest number that it ever reached.
    farthest: u64,
}

pub(super) fn check(history: &History<'_>) -> Vec<Broken> {
    let mut all = vec![];
    let mut places: BTreeMap<u32, Position> = BTreeMap::new();
    let mut last = None;
    for entry in history.entries {
        match &entry.what {
            Observation::Subscribed { subscriber, filtered, after } => {
                let position = places.entry(*subscriber).or_default();
                (position.filtered, position.after) = (*filtered, *after);
            }
            Observation::Seen { subscriber, event } => {
                let position = places.entry(*subscriber).or_default();
                if let Some(why) = order_violation(history, position, event) {
                    let why = format!("subscriber {subscriber}: {why}");
                    all.push(Broken { promise: Promise::Explained, delivery: event.delivery.clone(), why });
                }
                position.after = event.sequence;
                position.farthest = position.farthest.max(event.sequence);
            }
            Observation::Settled { last: sequence } => last = Some(*sequence),
            _ => {}
        }
    }
    for (subscriber, position) in places {
        if last.is_some_and(|last| position.farthest < last) {
            let why =
                format!("subscriber {subscriber} came no farther than {} of {last:?}", position.farthest);
            all.push(Broken::of_all(Promise::Explained, why));
        }
    }
    all
}

/// Why this event is invalid here.
fn order_violation(history: &History<'_>, position: &Position, event: &Event) -> Option<String> {
    let sequence = event.sequence;
    let after = position.after;
    if history.events.get(&sequence).is_some_and(|known| *known != event) {
        return Some(format!("event {sequence} differs from what another subscriber saw"));
    }
    let expected = if position.filtered { next_of_filter(history, after)? } else { after + 1 };
    (sequence != expected).then(|| format!("event {sequence} came after {after}, and {expected} was to come"))
}

/// The next event that a filtered stream must contain.
fn next_of_filter(history: &History<'_>, after: u64) -> Option<u64> {
    let mut later = history.events.range((Bound::Excluded(after), Bound::Unbounded));
    let wanted = |event: &Event| {
        matches!(event.kind, Kind::Delivered | Kind::Resolved | Kind::Failed | Kind::Cancelled)
    };
    later.find(|(_, event)| wanted(event)).map(|(sequence, _)| *sequence)
}
