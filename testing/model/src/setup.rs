//! The setup of an exploration: number of servers, bounds, faults, and the missing guard.

use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::policy::{Bounds, Policy};
use ticketing_retry::Backoff;

use crate::guard::Guard;

/// A world to explore. Times are in ticks; a tick is one second of the policy, but only the order of times
/// matters.
#[derive(Debug, Clone)]
pub struct Setup {
    /// A one-line description.
    pub name: &'static str,
    pub fleet: Fleet,
    pub bounds: TickBounds,
    /// The behavior of the ticket system. If it stays within the bounds, there must be no violation.
    pub vendor: Vendor,
    /// Retries after the first attempt.
    pub retries: u32,
    pub canaries: Canaries,
    pub tickets: Tickets,
    /// Maximum number of failed searches.
    pub failed_searches: u8,
    /// Maximum number of interferences by an operator, a caller or a recovered target.
    pub interferences: u8,
    /// Whether there are duplicate scans.
    pub duplicate_scans: bool,
    /// Whether a worker that is paused between its deadline check and its first byte sends anyway. The
    /// protocol assumes that the transport aborts the request at the deadline.
    pub paused_writer: bool,
    /// The missing guards.
    pub removed: Vec<Guard>,
    pub promise: Promise,
}

/// The servers of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fleet {
    /// One server that owns the store, with this many workers on the delivery: a slow one, and its successor.
    /// A crash ends them all; the next start expires all leases.
    Alone { workers: u8 },
    /// Servers that share a store and coordinate by leases only, each with one worker on the delivery.
    Shared { servers: u8 },
}

/// The bounds of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TickBounds {
    pub attempt_deadline: u32,
    pub lease: u32,
    pub server: u32,
    /// 0 for a search that shows a ticket at once.
    pub index: u32,
    pub look_up_interval: u32,
    pub backoff: u32,
    pub duplicate_scans: [u32; 3],
}

/// Worst-case behavior of the ticket system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vendor {
    /// How long after the send deadline it may still apply a request.
    pub server_lag: u32,
    /// How long its search may hide a ticket.
    pub index_lag: u32,
}

/// Whether a look-up has canaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canaries {
    Never,
    /// Sometimes.
    Perhaps,
    /// As soon as one can exist.
    Always,
}

/// Whether searches find our tickets, and whether that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tickets {
    /// Known from the start.
    Shown,
    /// Known once another ticket was read back, at some time or never.
    ShownLater,
    /// No search ever finds one: the account lacks the permission, or the marker is dropped.
    Hidden,
}

/// The promises checked in every state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// All three: at most one ticket, nothing lost, nothing stuck.
    All,
    /// At most one ticket with the marker.
    OneTicket,
    /// There may be more than one, but the duplicate scans report each, also if the delivery has failed or
    /// was cancelled; nothing is stuck.
    EveryTicketIsKnown,
}

// === impl Setup ===

impl Setup {
    /// A ticket system whose search lags, like Jira's.
    #[must_use]
    pub fn indexed(name: &'static str, fleet: Fleet) -> Self {
        let bounds = TickBounds {
            attempt_deadline: 2,
            lease: 4,
            server: 2,
            index: 2,
            look_up_interval: 1,
            backoff: 1,
            duplicate_scans: [2, 4, 6],
        };
        Self {
            name,
            fleet,
            bounds,
            vendor: Vendor { server_lag: bounds.server, index_lag: bounds.index },
            retries: 1,
            canaries: Canaries::Never,
            tickets: Tickets::Shown,
            failed_searches: 0,
            interferences: 0,
            duplicate_scans: false,
            paused_writer: false,
            removed: vec![],
            promise: Promise::All,
        }
    }

    /// A ticket system whose search reads the primary database, like ServiceNow's.
    #[must_use]
    pub fn immediate(name: &'static str, fleet: Fleet) -> Self {
        let mut setup = Self::indexed(name, fleet);
        (setup.bounds.index, setup.vendor.index_lag) = (0, 0);
        setup
    }

    /// The same without a guard; then only duplicates are checked.
    #[must_use]
    pub fn without(&self, guard: Guard) -> Self {
        let mut without = Self { promise: Promise::OneTicket, ..self.clone() };
        without.removed.push(guard);
        without
    }

    /// Maximum number of ticks of a run without faults: the lease of a dead worker must expire, the last send
    /// must become provable, two results can be ten look-up intervals apart after failed searches, and the
    /// retry may be a backoff away.
    #[must_use]
    pub fn max_ticks(&self) -> u32 {
        let TickBounds { attempt_deadline, lease, server, index, look_up_interval, backoff, duplicate_scans } =
            self.bounds;
        let look_ups = if self.failed_searches > 0 || self.canaries != Canaries::Never { 11 } else { 2 }
            * look_up_interval;
        let duplicate_scans = if self.duplicate_scans { duplicate_scans[2] } else { 0 };
        lease + attempt_deadline + server + index + look_ups + backoff + duplicate_scans
    }

    pub(crate) fn lacks(&self, guard: Guard) -> bool {
        self.removed.contains(&guard)
    }

    pub(crate) fn workers(&self) -> u8 {
        match self.fleet {
            Fleet::Alone { workers } => workers,
            Fleet::Shared { servers } => servers,
        }
    }

    /// The policy for the decisions.
    pub(crate) fn policy(&self) -> Policy {
        let bounds = &self.bounds;
        let backoff = duration(bounds.backoff);
        Policy {
            retry: Backoff::try_new(self.retries, backoff, backoff, 0.0)
                .expect("a setup has few retries and a short backoff"),
            bounds: Bounds {
                attempt_deadline: duration(bounds.attempt_deadline),
                lease: duration(bounds.lease),
                server_bound: self.server_bound(),
                look_up_interval: duration(bounds.look_up_interval),
                duplicate_scan_delays: bounds.duplicate_scans.map(duration),
                circuit_threshold: 1,
                ..Bounds::default()
            },
        }
    }

    pub(crate) fn server_bound(&self) -> Duration {
        duration(if self.lacks(Guard::ServerBound) { 0 } else { self.bounds.server })
    }

    /// The intent's visibility of its destination.
    pub(crate) fn index_bound(&self) -> Duration {
        duration(if self.lacks(Guard::IndexBound) { 0 } else { self.bounds.index })
    }
}

pub(crate) fn duration(ticks: u32) -> Duration {
    Duration::from_secs(u64::from(ticks))
}

/// The time at a tick.
pub(crate) fn time(tick: u32) -> Timestamp {
    Timestamp::from_second(i64::from(tick)).expect("a trace has few ticks")
}

/// Number of ticks from `now` to `time`; negative before it.
pub(crate) fn ticks_from(now: u32, time: Timestamp) -> i64 {
    time.as_second() - i64::from(now)
}
