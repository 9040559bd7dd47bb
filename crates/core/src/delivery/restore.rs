//! Recovery at start: the store may have been restored from a backup, and the clock may have been set.
//!
//! A restored store lacks what was sent after the backup. So every ticket that it does not know is assumed to
//! have been sent until the moment of the restore, and is searched for before it is created: for deliveries
//! in the copy, and for incidents that are pushed (again) within the [`RESTORE_WINDOW`]. The look-up proves
//! absence by the usual bounds, counted from the restore. A false positive costs one search per ticket and a
//! delay; a false negative costs duplicate tickets.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Absence, Delivery, EventKind, LastError, Send, Settled, State, UnknownOutcome};
use crate::fault::{Fault, FaultKind};
use crate::health::Health;
use crate::policy::{Bounds, Policy};
use crate::system::{Authorship, Destination};

/// How long after a restore a new incident may already have a ticket that the store does not know: 30 days.
pub const RESTORE_WINDOW: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Smaller differences come from reading two clocks one after the other.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(1);

/// The time between the last write of the previous process and this start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downtime {
    /// Time of the last write, by the previous clock.
    pub last: Timestamp,
    /// Time of this start, by the current clock.
    pub now: Timestamp,
    /// The elapsed time; `None` if unknown.
    pub passed: Option<Duration>,
}

/// How a start adjusts the stored state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// The clock step between the runs: positive if the clock was set forward.
    pub step: SignedDuration,
    /// The current time, if the store was or may have been restored from a backup.
    pub restored_at: Option<Timestamp>,
    /// The current time, if the elapsed time or the work done in it is unknown: no proof of absence counts
    /// from earlier.
    pub counts_from: Option<Timestamp>,
}

/// A place to search for a ticket that the store may not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPlace {
    pub destination: Destination,
    /// Index bound of the destination's search.
    pub index_bound: Duration,
    /// Whether descriptions there contain the marker.
    pub marker_in_text: bool,
    /// The account that would have created the ticket, and the issue type.
    pub made_by: Authorship,
}

// === impl Downtime ===

impl Downtime {
    /// The clock step. If the elapsed time is unknown, only a clock that was set back is detected, by at
    /// least the returned step.
    #[must_use]
    pub fn step(&self) -> SignedDuration {
        let seen = self.now.duration_since(self.last);
        let step = match self.passed {
            Some(passed) => {
                seen.saturating_sub(SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX))
            }
            None => seen.min(SignedDuration::ZERO),
        };
        if step.abs() > CLOCK_TOLERANCE { step } else { SignedDuration::ZERO }
    }
}

// === impl Recovery ===

impl Recovery {
    /// Whether any state needs adjustment.
    #[must_use]
    pub fn changes_anything(&self) -> bool {
        !self.step.is_zero() || self.restored_at.is_some() || self.counts_from.is_some()
    }

    /// Shifts a time by the clock step.
    #[must_use]
    pub fn shift(&self, time: Timestamp) -> Timestamp {
        let clamp = if self.step.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
        time.checked_add(self.step).unwrap_or(clamp)
    }

    /// The health of a connection, shifted to the current clock: the step changes no pause.
    #[must_use]
    pub fn recover_health(&self, health: Health) -> Health {
        let shift = |time: Option<Timestamp>| time.map(|time| self.shift(time));
        Health {
            throttled_until: shift(health.throttled_until),
            failing_since: shift(health.failing_since),
            since: shift(health.since),
            probe_after: shift(health.probe_after),
            recovered_at: shift(health.recovered_at),
            ..health
        }
    }
}

// === impl Delivery ===

impl Delivery {
    /// The delivery, shifted to the current clock: remaining times stay the same, and no proof of absence
    /// relies on what a restored store cannot know.
    #[must_use]
    pub fn recover(mut self, recovery: &Recovery) -> Self {
        let shift = |time: Option<Timestamp>| time.map(|time| recovery.shift(time));
        self.due_at = shift(self.due_at);
        self.lease_until = shift(self.lease_until);
        self.failing_since = shift(self.failing_since);
        if let Some(duplicate_scan) = &mut self.duplicate_scan {
            duplicate_scan.due_at = recovery.shift(duplicate_scan.due_at);
            duplicate_scan.from = recovery.shift(duplicate_scan.from);
        }
        if let Some(send) = &mut self.send {
            let from = recovery.shift(send.bounds_from());
            let from = recovery.counts_from.map_or(from, |now| from.max(now));
            if from != send.bounds_from() {
                send.counted_from = Some(from);
            }
        }
        if let Some(unknown_outcome) = &mut self.unknown_outcome {
            unknown_outcome.since = recovery.shift(unknown_outcome.since);
            unknown_outcome.last_empty_at = shift(unknown_outcome.last_empty_at);
            if recovery.counts_from.is_some() {
                (unknown_outcome.empty_answers, unknown_outcome.last_empty_at) = (0, None);
            }
        }
        match recovery.restored_at {
            Some(_) => self.absences.clear(),
            None => {
                self.absences.iter_mut().for_each(|absence| absence.until = recovery.shift(absence.until));
            }
        }
        self
    }

    /// Whether its ticket may exist although the store, which was restored at `restored_at`, does not know
    /// it.
    #[must_use]
    pub fn may_have_unrecorded_ticket(&self, restored_at: Timestamp) -> bool {
        let old = restored_at.checked_add(RESTORE_WINDOW).is_ok_and(|end| self.created_at <= end);
        old && self.ticket.is_none()
    }

    /// The first of these places where an unknown ticket may exist and was not searched for yet.
    #[must_use]
    pub fn place_to_search(&self, restored_at: Timestamp, places: Vec<SearchPlace>) -> Option<SearchPlace> {
        if !self.may_have_unrecorded_ticket(restored_at) {
            return None;
        }
        let is_absent = |place: &SearchPlace| {
            let mut absences = self.absences.iter();
            absences.any(|absence| absence.destination == place.destination && absence.until >= restored_at)
        };
        places.into_iter().find(|place| !is_absent(place))
    }

    /// Assumes that its ticket was sent to `place` before the restore: the holder of `epoch` has it searched
    /// for instead of sending it. `None` if the lease was lost.
    #[must_use]
    pub fn assume_sent(
        mut self,
        epoch: u32,
        place: SearchPlace,
        restored_at: Timestamp,
        policy: &Policy,
        now: Timestamp,
    ) -> Option<Settled> {
        if self.state != State::Attempting || !self.is_held(epoch, now) {
            return None;
        }
        let SearchPlace { destination, index_bound, marker_in_text, made_by } = place;
        let send = Send {
            epoch,
            at: Timestamp::UNIX_EPOCH,
            deadline: restored_at,
            destination,
            made_by,
            index_bound,
            marker_in_text,
            counted_from: None,
            is_assumed: true,
        };
        let destination = send.destination.clone();
        self.send = Some(send);
        // A send that is long past needs no duplicate scans: no ticket can appear later.
        if !self.is_long_past(&policy.bounds, now) && !self.uncertain_sends.contains(&destination) {
            self.uncertain_sends.push(destination);
        }
        self.unknown_outcome = Some(UnknownOutcome::new(now));
        self.last_error = Some(LastError { fault: restored_fault(), ambiguous: true, at: now });
        self.due_at = Some(now);
        Some(self.transition(State::Reconciling, now, &[EventKind::Reconciling]))
    }

    /// Whether an assumed send is so long past that one empty result proves as much as two for a recent send.
    /// The second result covers an index that exceeds its bound. Here the lag would have to be twice the
    /// bound at the first one, while the second of two follows one look-up interval after the bound.
    pub(super) fn is_long_past(&self, bounds: &Bounds, asked_at: Timestamp) -> bool {
        let is_assumed = self.send.as_ref().filter(|send| send.is_assumed);
        let provable = self.provable_from(bounds.server_bound);
        is_assumed.zip(provable).is_some_and(|(send, provable)| {
            asked_at >= provable + send.index_bound.max(bounds.look_up_interval)
        })
    }

    /// Nothing sent until `until` to the destination of the last send has created a ticket there.
    pub(super) fn record_absence(&mut self, until: Timestamp) {
        let Some(send) = &self.send else { return };
        self.absences.retain(|absence| absence.destination != send.destination);
        self.absences.push(Absence { destination: send.destination.clone(), until });
    }

    /// The assumed send did not happen: the delivery is due, with its failures unchanged.
    pub(super) fn rearm_unsent(mut self, now: Timestamp) -> Settled {
        self.unknown_outcome = None;
        self.due_at = Some(now);
        self.transition(State::Pending, now, &[EventKind::Rearmed])
    }
}

fn restored_fault() -> Fault {
    Fault::new(
        FaultKind::Restored,
        "the database was, or may have been, restored from a backup: the ticket may have been created after the backup was \
         made, so the server searches for it first",
    )
    .with_hint("wait: the ticket is created once its absence is proven; the server log gives the reason")
}
