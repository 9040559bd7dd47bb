//! Recovery when the store is opened: the database may be an older copy, and the clock may have been set. Decides what
//! follows, without SQL.

mod restore_mark;

use jiff::{SignedDuration, Timestamp};
use ticketing_core::clock::to_stored_resolution;
use ticketing_core::delivery::restore::{Downtime, Recovery};

use crate::types::{StreamName, Suspicion};

pub(crate) use self::restore_mark::Mark;

/// The state recorded in the database.
pub(crate) struct Kept {
    pub(crate) newest: u64,
    /// When the newest event was written.
    pub(crate) newest_at: Option<Timestamp>,
    pub(crate) stream: StreamName,
    pub(crate) restored_at: Option<Timestamp>,
    pub(crate) copied_at: Option<Timestamp>,
    /// Whether the intent named by the mark exists; true if it names none.
    pub(crate) has_marked_intent: bool,
}

/// What the start of a store must do.
pub(crate) struct Plan {
    pub(crate) recovery: Recovery,
    /// Why the database may be an older copy.
    pub(crate) suspicion: Option<Suspicion>,
    /// The step of the clock since the last run.
    pub(crate) step: SignedDuration,
    /// When it was last found to be restored.
    pub(crate) restored_at: Option<Timestamp>,
}

// === impl Plan ===

impl Plan {
    /// `is_stated`: the operator says that the database was restored.
    pub(crate) fn of(kept: &Kept, mark: &Mark, is_new: bool, is_stated: bool, now: Timestamp) -> Self {
        let suspicion = if is_new { None } else { suspicion(kept, mark, is_stated) };
        let last = mark.found().map(|found| found.clock).or(kept.newest_at).filter(|_| !is_new);
        let passed = mark.passed();
        let step = last.map_or(SignedDuration::ZERO, |last| Downtime { last, now, passed }.step());
        let restored_at = suspicion.as_ref().map(|_| now);
        let counts_from = restored_at.or((passed.is_none() && !is_new).then_some(now));
        let recovery = Recovery { step, restored_at, counts_from };
        let shifted = |at| to_stored_resolution(recovery.shift(at));
        let restored_at = recovery.restored_at.or(kept.restored_at.map(shifted));
        Self { recovery, suspicion, step, restored_at }
    }
}

/// Why the database may be an older copy; the most certain reason first.
fn suspicion(kept: &Kept, mark: &Mark, is_stated: bool) -> Option<Suspicion> {
    if is_stated {
        return Some(Suspicion::StatedByOperator);
    }
    if let Some(copied_at) = kept.copied_at {
        return Some(Suspicion::Copied(copied_at));
    }
    match mark.found() {
        Some(found) if found.event > kept.newest => {
            Some(Suspicion::EventsLost { marked: found.event, kept: kept.newest })
        }
        Some(_) if !kept.has_marked_intent => Some(Suspicion::IntentLost),
        _ => mark.suspicion(kept.newest),
    }
}
