//! The part of a world that determines its future, as bytes: worlds with equal keys have equal futures.
//!
//! - Times count from now, and times further in the past than any bound count as that bound.
//! - Of an epoch only matters whether it is the delivery's.
//! - Workers are alike, so their order does not matter.
//! - What no decision reads any more, in this state or later, is left out.

use jiff::Timestamp;
use ticketing_core::delivery::{Delivery, State};

use crate::guard::Guard;
use crate::setup::{Setup, ticks_from};
use crate::world::{CanaryView, End, WorkerState, World, number_of};

/// Encodes an absent value.
const NONE: u8 = u8::MAX;
/// Bytes of one worker.
const WIDTH: usize = 5;

/// Maximum relevant count of empty results.
const MAX_EMPTY_ANSWERS: u32 = 10;

pub(crate) type Key = Box<[u8]>;

struct Writer<'a> {
    setup: &'a Setup,
    world: &'a World,
    bytes: Vec<u8>,
}

/// The key of a world.
pub(crate) fn key(setup: &Setup, world: &World) -> Key {
    let mut writer = Writer { setup, world, bytes: Vec::with_capacity(48) };
    writer.write_delivery(&world.delivery);
    writer.write_vendor();
    writer.write_workers();
    writer.bytes.into_boxed_slice()
}

// === impl Writer ===

impl Writer<'_> {
    fn write_delivery(&mut self, delivery: &Delivery) {
        let open = !matches!(delivery.state, State::Delivered);
        self.push(delivery.state as u8);
        self.push(if open { delivery.failures.min(u32::from(NONE)) as u8 } else { 0 });
        // A pending delivery is due at once.
        self.push_ahead(delivery.due_at.filter(|_| delivery.state != State::Pending));
        self.push_ahead(delivery.lease_until);
        self.write_send(delivery);
        self.write_unknown_outcome(delivery);
        self.push(delivery.ticket.as_ref().map_or(NONE, |ticket| number_of(ticket).map_or(NONE, as_byte)));
        // A ticket named by an operator can be corrected.
        self.push(u8::from(self.world.interferences > 0 && delivery.resolution.is_some()));
        let failed_on_target =
            delivery.last_error.as_ref().is_some_and(|error| is_of_connection(error.fault.kind.scope()));
        self.push(u8::from(self.world.interferences > 0 && failed_on_target));
        self.write_duplicate_scan(delivery);
    }

    /// An intent is only used by the expiry of its own epoch, and by an unknown outcome.
    fn write_send(&mut self, delivery: &Delivery) {
        let asked_for = |send: &&ticketing_core::delivery::Send| {
            delivery.unknown_outcome.is_some()
                || delivery.state == State::Attempting && send.epoch == delivery.epoch
        };
        let send = delivery.send.as_ref().filter(asked_for);
        self.push_within(send.map(|send| send.deadline), self.proof_takes());
    }

    /// How long after a send deadline its time still affects a search.
    fn proof_takes(&self) -> i64 {
        let bounds = &self.setup.bounds;
        let vendor = &self.setup.vendor;
        i64::from(bounds.server + bounds.index + vendor.index_lag + 1)
    }

    fn write_unknown_outcome(&mut self, delivery: &Delivery) {
        let bounds = &self.setup.bounds;
        let Some(unknown_outcome) = &delivery.unknown_outcome else { return self.push(NONE) };
        self.push_within(Some(unknown_outcome.since), bounds.backoff.into());
        self.push(unknown_outcome.empty_answers.min(MAX_EMPTY_ANSWERS) as u8);
        self.push_within(unknown_outcome.last_empty_at, bounds.look_up_interval.into());
        // Used if a search has failed.
        let has_failed = |stage: &WorkerState| matches!(stage, WorkerState::Searched { view: None, .. });
        let may_fail = self.world.failed_searches > 0 || self.world.workers.iter().any(has_failed);
        let counted = if may_fail { unknown_outcome.look_ups.min(MAX_EMPTY_ANSWERS) } else { 0 };
        self.push(counted as u8);
        // Evidence makes a waiting delivery due.
        let waits = self.setup.tickets == crate::setup::Tickets::ShownLater && !self.world.has_evidence;
        self.push(u8::from(waits && unknown_outcome.is_unproven));
    }

    fn write_duplicate_scan(&mut self, delivery: &Delivery) {
        if !self.setup.duplicate_scans {
            return;
        }
        self.push(u8::from(!delivery.uncertain_sends.is_empty()));
        self.push(
            delivery.duplicates.iter().filter_map(number_of).fold(0, |bits, number| bits | 1 << number),
        );
        self.push(u8::from(self.world.is_scan_over));
        let scan = delivery.duplicate_scan.as_ref();
        self.push(scan.map_or(NONE, |scan| as_byte(scan.step)));
        self.push_ahead(scan.map(|scan| scan.due_at));
        self.push_within(scan.map(|scan| scan.from), i64::from(self.setup.bounds.duplicate_scans[2]) * 2);
    }

    fn write_vendor(&mut self) {
        let World { now, tickets, in_transit, interferences, failed_searches, is_down, .. } = self.world;
        self.bytes.extend([*interferences, *failed_searches, u8::from(*is_down), as_byte(tickets.len())]);
        self.push(u8::from(self.world.has_evidence));
        let hidden_for = self.setup.vendor.index_lag + 1;
        for ticket in tickets {
            self.push((now - ticket.created).min(hidden_for) as u8);
        }
        let mut left: Vec<u8> = in_transit.iter().map(|latest| latest.saturating_sub(*now) as u8).collect();
        left.sort_unstable();
        self.push(as_byte(left.len()));
        self.bytes.extend(left);
    }

    fn write_workers(&mut self) {
        let mut workers: Vec<_> = self.world.workers.iter().map(|stage| self.worker(*stage)).collect();
        workers.sort_unstable();
        workers.iter().for_each(|worker| self.bytes.extend(worker));
    }

    fn worker(&self, stage: WorkerState) -> [u8; WIDTH] {
        let holds = u8::from(stage.epoch() == self.world.delivery.epoch);
        let left = |tick: u32| tick.saturating_sub(self.world.now) as u8;
        match stage {
            WorkerState::Idle => [0; WIDTH],
            WorkerState::Claimed { searching, .. } => [1, holds, searching.into(), 0, 0],
            WorkerState::Intended { deadline, .. } => [2, holds, left(deadline), 0, 0],
            WorkerState::Checked { deadline, .. } => [3, holds, left(deadline), 0, 0],
            WorkerState::Sent { latest, ticket, .. } => {
                let left = if ticket.is_some() { 0 } else { left(latest) };
                [4, holds, left, ticket.unwrap_or(NONE), 0]
            }
            WorkerState::Ended { end, .. } => {
                let (end, ticket) = end_as_bytes(end);
                [5, holds, end, ticket, 0]
            }
            WorkerState::Searched { asked, view, .. } => {
                let counts_still = self.may_count(holds == 1);
                let (shown, canary) = view.map_or((0, NONE), |view| (view.shown, view.canary as u8));
                let canary = if counts_still { canary } else { CanaryView::Unknown as u8 };
                [6, holds, shown, canary, if counts_still { self.asked(asked) } else { 0 }]
            }
        }
    }

    /// Whether an empty search may still count. Its claim was for an unknown outcome, which does not recur
    /// under the same epoch.
    fn may_count(&self, holds: bool) -> bool {
        self.world.delivery.unknown_outcome.is_some()
            && (holds || self.setup.lacks(Guard::Epoch) || self.setup.lacks(Guard::LookUpEpoch))
    }

    /// The time of a search only matters for what it proves now, and for the delay of the next one.
    fn asked(&self, asked: u32) -> u8 {
        let delivery = &self.world.delivery;
        let bounds = &self.setup.bounds;
        let is_by = |time: Option<Timestamp>| time.is_some_and(|time| ticks_from(asked, time) <= 0);
        let proves = is_by(delivery.provable_from(self.setup.server_bound()));
        let last =
            delivery.unknown_outcome.as_ref().and_then(|unknown_outcome| unknown_outcome.last_empty_at);
        let counts = is_by(last.map(|last| last + crate::setup::duration(bounds.look_up_interval)));
        let age = (self.world.now - asked).min(bounds.look_up_interval) as u8;
        age << 2 | u8::from(proves) << 1 | u8::from(counts)
    }

    fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// A time that only matters while it is in the future.
    fn push_ahead(&mut self, time: Option<Timestamp>) {
        self.push_within(time, 0);
    }

    /// A time that matters until this many ticks after it.
    fn push_within(&mut self, time: Option<Timestamp>, past: i64) {
        let byte = time.map(|time| (ticks_from(self.world.now, time) + past).max(0));
        self.push(byte.map_or(NONE, |byte| byte.min(i64::from(NONE) - 1) as u8));
    }
}

fn is_of_connection(scope: ticketing_core::fault::Scope) -> bool {
    scope == ticketing_core::fault::Scope::Connection
}

fn end_as_bytes(end: End) -> (u8, u8) {
    match end {
        End::NotPrepared => (0, NONE),
        End::TooLate => (1, NONE),
        End::NoConnection => (2, NONE),
        End::Refused => (3, NONE),
        End::UnknownOutcome => (4, NONE),
        End::Created(ticket) => (5, ticket),
    }
}

fn as_byte(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(NONE)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use super::*;
    use crate::apply_step::StepRunner;
    use crate::promise::{Violation, broken};
    use crate::setup::{Canaries, Fleet, Promise};
    use crate::step::Step;

    /// What a world breaks, and the keys of all its successors.
    type Future = (Option<Violation>, BTreeSet<Key>);

    fn future(runner: &StepRunner<'_>, world: &World) -> Future {
        let steps = Step::all(runner.setup, world);
        let next = steps.into_iter().filter_map(|step| runner.take(world, step));
        (broken(runner.setup, world), next.map(|next| key(runner.setup, &next)).collect())
    }

    /// Explores up to `most` states, and compares every world with the first one of its key.
    fn compare(setup: &Setup, most: usize) {
        let runner = StepRunner::new(setup);
        let mut futures: HashMap<Key, Future> = HashMap::new();
        let mut level = vec![World::new(setup)];
        while !level.is_empty() && futures.len() < most {
            let mut next_level = vec![];
            for world in level {
                let key = key(setup, &world);
                let future = future(&runner, &world);
                if let Some(known) = futures.get(&key) {
                    assert_eq!(*known, future, "{}: {world:?}", setup.name);
                    continue;
                }
                futures.insert(key, future);
                let steps = Step::all(setup, &world);
                next_level.extend(steps.into_iter().filter_map(|step| runner.take(&world, step)));
            }
            level = next_level;
        }
        assert!(futures.len() > 1_000, "{}: {} states", setup.name, futures.len());
    }

    #[test]
    fn states_with_equal_keys_have_equal_successors() {
        const MAX_STATES: usize = 8_000;
        let alone = Fleet::Alone { workers: 1 };
        let two = Fleet::Shared { servers: 2 };
        compare(&Setup::indexed("two servers", two), MAX_STATES);
        compare(&Setup { interferences: 2, ..Setup::indexed("operators", alone) }, MAX_STATES);
        let canaries = Canaries::Perhaps;
        compare(&Setup { canaries, failed_searches: 2, ..Setup::indexed("searches", alone) }, MAX_STATES);
        let paused = Setup {
            duplicate_scans: true,
            paused_writer: true,
            promise: Promise::EveryTicketIsKnown,
            ..Setup::immediate("duplicate scans", alone)
        };
        compare(&paused, MAX_STATES);
    }
}
