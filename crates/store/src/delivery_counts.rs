//! The numbers of deliveries by connection and state, which the store keeps so that no read counts them.
//!
//! A unit of work knows as what each delivery was counted when it was loaded. The difference to what it is now is written
//! in the same transaction: one row for each pair of connection and state that changes, however many deliveries do.

use std::collections::BTreeMap;

use ticketing_core::delivery::{Delivery, State};

/// As what a delivery is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    connection: String,
    state: State,
    needs_attention: bool,
}

/// The changes of the numbers, without those that stay.
#[derive(Debug, Default)]
pub(crate) struct CountChanges(BTreeMap<(String, State), CountChange>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CountChange {
    pub(crate) count: i64,
    /// How many of them only an operator can settle.
    pub(crate) needs_attention: i64,
}

// === impl Counted ===

impl Counted {
    pub(crate) fn of(delivery: &Delivery) -> Self {
        Self {
            connection: delivery.connection.clone(),
            state: delivery.state,
            needs_attention: delivery.needs_attention(),
        }
    }
}

// === impl CountChanges ===

impl CountChanges {
    /// A delivery that was counted as `before`, if it existed, is counted as `now`.
    pub(crate) fn replace(&mut self, before: Option<&Counted>, now: Counted) {
        if before == Some(&now) {
            return;
        }
        if let Some(before) = before {
            self.add(before.clone(), -1);
        }
        self.add(now, 1);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, State, CountChange)> {
        let all = self.0.iter().map(|((connection, state), change)| (connection.as_str(), *state, *change));
        all.filter(|(_, _, change)| *change != CountChange::default())
    }

    fn add(&mut self, counted: Counted, number: i64) {
        let change = self.0.entry((counted.connection, counted.state)).or_default();
        change.count += number;
        change.needs_attention += if counted.needs_attention { number } else { 0 };
    }
}
