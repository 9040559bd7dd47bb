//! Progress of calls, for tests that act at a certain point.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::call::Call;

/// A point in the processing of a call, or of a connection before its first call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// A connection was accepted, and nothing was read from it. [`Call::Connection`] only.
    Accepted,
    /// The request line and the headers were read.
    HeadRead,
    /// Half of the body was read, and no more will be read.
    HalfRead,
    /// The whole request was read.
    Read,
    /// The ticket system was changed.
    Applied,
    /// Part of the reply was sent, and no more will be sent.
    HalfSent,
    /// The whole reply was passed on for sending.
    Answered,
    /// An effect is holding the connection.
    Held,
}

/// Number of times that calls of one kind reached one point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// The kind of call.
    pub call: Call,
    /// The point.
    pub point: Point,
    /// The number since the start.
    pub times: u64,
}

/// The counters of all points.
#[derive(Debug, Default)]
pub(crate) struct Points(watch::Sender<BTreeMap<(Call, Point), u64>>);

// === impl Points ===

impl Points {
    pub(crate) fn reach(&self, call: Call, point: Point) {
        self.0.send_modify(|reached| *reached.entry((call, point)).or_default() += 1);
    }

    pub(crate) fn times(&self, call: Call, point: Point) -> u64 {
        count(&self.0.borrow(), call, point)
    }

    pub(crate) async fn until(&self, call: Call, point: Point, times: u64) {
        // Fails only if the sender was dropped, which `self` owns.
        let _ = self.0.subscribe().wait_for(|reached| count(reached, call, point) >= times).await;
    }

    pub(crate) fn all(&self) -> Vec<Reached> {
        let reached = self.0.borrow();
        reached.iter().map(|(&(call, point), &times)| Reached { call, point, times }).collect()
    }
}

fn count(reached: &BTreeMap<(Call, Point), u64>, call: Call, point: Point) -> u64 {
    let concerned = |of: Call| of == call || call == Call::Any && of != Call::Connection;
    reached.iter().filter(|((of, at), _)| *at == point && concerned(*of)).map(|(_, times)| times).sum()
}
