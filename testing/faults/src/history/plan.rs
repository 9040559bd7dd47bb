//! The plan of a round: the actions of callers, and the faults of the server.
//!
//! The seed determines everything except timing and the order of concurrent actions, because threads
//! interleave.

use std::time::Duration;

use super::seeded_random::SeededRandom;

/// Incident IDs have this prefix and a number.
pub(super) const INCIDENT: &str = "HISTORY-";

/// The incident that is pushed when all others are settled, without faults.
pub(super) const LAST: &str = "LAST";

/// The ticket systems, by target name.
pub(super) const TARGETS: [&str; 2] = ["jira", "servicenow"];

/// Retries of a delivery after its first attempt.
pub(super) const RETRIES: u32 = 5;

/// A round.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) orders: Vec<Order>,
    /// In the order of `after`.
    pub(super) server_faults: Vec<PlannedFault>,
}

/// One incident, and every call about it.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) number: u64,
    pub(super) method: PushMethod,
    pub(super) later: Vec<Later>,
}

/// How an incident is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PushMethod {
    /// SubmitIncident, which pushes it to both ticket systems.
    Submit,
    /// CreateTicket for one of [`TARGETS`], by a caller with this deadline.
    Create { target: usize, deadline: Duration },
}

/// An action on an incident some time after it was accepted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Later {
    pub(super) after: Duration,
    pub(super) action: LaterAction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LaterAction {
    /// The same push, by this many concurrent callers, with this body; 0 is the first.
    Again {
        callers: u64,
        body: u32,
    },
    /// CreateTicket by an analyst, whatever the first method was.
    Push {
        target: usize,
    },
    Retry,
    Cancel,
    /// Names a ticket that no delivery created.
    Resolve,
}

/// An action that follows after this many incidents began.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlannedFault {
    pub(super) after: usize,
    pub(super) how: ServerFaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerFaultKind {
    Killed,
    Terminated,
    Suspended(Duration),
    /// Not to the process: from now on Jira's search has this lag.
    IndexLag(Duration),
}

// === impl Plan ===

impl Plan {
    /// A round with this many deliveries and process faults. `lease` and `index_bound` are those of the
    /// server.
    pub(super) fn of(seed: u64, round: u64, size: Size) -> Self {
        let mut orders = vec![];
        let mut deliveries = 0;
        while deliveries < size.deliveries {
            let number = orders.len() as u64;
            let order = Order::of(
                &mut SeededRandom::of(&[seed, round, 1, number]),
                number,
                size.deliveries - deliveries,
            );
            deliveries += order.deliveries();
            orders.push(order);
        }
        let mut chance = SeededRandom::of(&[seed, round, 2]);
        let most = u64::try_from(size.index_bound.as_millis()).unwrap_or(u64::MAX);
        let mut lag = |after| PlannedFault {
            after,
            how: ServerFaultKind::IndexLag(Duration::from_millis(chance.between(0, most))),
        };
        let mut server_faults = vec![lag(0), lag(orders.len() / 2)];
        server_faults
            .extend((0..size.server_faults).map(|_| PlannedFault::of(&mut chance, orders.len(), size.lease)));
        server_faults.sort_by_key(|fault| fault.after);
        Self { orders, server_faults }
    }
}

/// The size of a round, and its ticket systems.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) deliveries: usize,
    pub(super) server_faults: usize,
    pub(super) lease: Duration,
    pub(super) index_bound: Duration,
}

// === impl Order ===

impl Order {
    fn of(chance: &mut SeededRandom, number: u64, most: usize) -> Self {
        let method = match chance.between(0, 9) {
            0..=5 if most > 1 => PushMethod::Submit,
            _ => PushMethod::create(chance),
        };
        let later = Later::some(chance, method);
        Self { number, method, later }
    }

    /// Number of deliveries that result.
    pub(super) fn deliveries(&self) -> usize {
        if self.method == PushMethod::Submit { TARGETS.len() } else { 1 }
    }

    pub(super) fn incident(&self) -> String {
        format!("{INCIDENT}{}", self.number)
    }

    /// Its targets.
    pub(super) fn targets(&self) -> Vec<usize> {
        match self.method {
            PushMethod::Submit => (0..TARGETS.len()).collect(),
            PushMethod::Create { target, .. } => vec![target],
        }
    }
}

// === impl PushMethod ===

impl PushMethod {
    fn create(chance: &mut SeededRandom) -> Self {
        let target = usize::from(chance.in_a_thousand(500));
        Self::Create {
            target,
            deadline: Duration::from_millis(*chance.weighed(&[(1, 500), (2, 2_000), (2, 8_000)])),
        }
    }
}

// === impl Later ===

impl Later {
    fn some(chance: &mut SeededRandom, method: PushMethod) -> Vec<Self> {
        let mut later = vec![];
        let mut add = |chance: &mut SeededRandom, action| {
            later.push(Self { after: Duration::from_millis(chance.between(0, 3_000)), action });
        };
        if chance.in_a_thousand(100) {
            let (callers, body) =
                (*chance.weighed(&[(6, 1), (2, 2), (1, 8)]), u32::from(chance.in_a_thousand(300)));
            add(chance, LaterAction::Again { callers, body });
        }
        if chance.in_a_thousand(40) {
            let target = match method {
                PushMethod::Submit => usize::from(chance.in_a_thousand(500)),
                PushMethod::Create { target, .. } => target,
            };
            add(chance, LaterAction::Push { target });
        }
        if chance.in_a_thousand(30) {
            let action = *chance.weighed(&[
                (3, LaterAction::Retry),
                (3, LaterAction::Cancel),
                (1, LaterAction::Resolve),
            ]);
            add(chance, action);
            // An operator may revoke a cancellation.
            if action == LaterAction::Cancel && chance.in_a_thousand(500) {
                add(chance, LaterAction::Retry);
            }
        }
        later
    }
}

// === impl PlannedFault ===

impl PlannedFault {
    fn of(chance: &mut SeededRandom, incidents: usize, lease: Duration) -> Self {
        let after = usize::try_from(chance.between(1, incidents.max(2) as u64 - 1)).unwrap_or(usize::MAX);
        let lease = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let suspended = Duration::from_millis(chance.between(50, lease * 3 / 2));
        let how = *chance.weighed(&[
            (5, ServerFaultKind::Killed),
            (2, ServerFaultKind::Terminated),
            (2, ServerFaultKind::Suspended(suspended)),
        ]);
        Self { after, how }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        deliveries: 2_000,
        server_faults: 7,
        lease: Duration::from_secs(3),
        index_bound: Duration::from_millis(300),
    };

    #[test]
    fn plan_depends_on_the_seed_only() {
        let plan = |seed| format!("{:?}", Plan::of(seed, 3, SIZE));
        assert_eq!(plan(42), plan(42));
        assert_ne!(plan(42), plan(43));
    }

    #[test]
    fn plan_has_requested_deliveries_and_faults() {
        let plan = Plan::of(42, 0, SIZE);
        assert_eq!(plan.orders.iter().map(Order::deliveries).sum::<usize>(), 2_000);
        let lags =
            |how: ServerFaultKind| matches!(how, ServerFaultKind::IndexLag(lag) if lag <= SIZE.index_bound);
        assert_eq!(plan.server_faults.iter().filter(|fault| lags(fault.how)).count(), 2);
        assert_eq!(plan.server_faults.len(), 2 + 7);
        assert!(plan.server_faults.iter().all(|fault| fault.after < plan.orders.len()), "all of them happen");
    }
}
