//! Memory budget of requests.
//!
//! Each request reserves memory while its bytes arrive, then for their decoded size, until its response begins. One
//! caller holds at most half of the budget, so that slow requests of one caller do not block the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The budget shared by all requests.
#[derive(Debug, Clone)]
pub struct MemoryBudget {
    whole: Arc<Semaphore>,
    shares: Arc<Shares>,
}

/// The reservation of one request; released when dropped.
#[derive(Debug)]
pub struct MemoryReservation {
    budget: MemoryBudget,
    share: Arc<Semaphore>,
    held: Option<Held>,
}

/// The budget is exhausted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfMemory;

/// Bytes held per caller, by name.
#[derive(Debug)]
struct Shares {
    each: usize,
    callers: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// Permits from the total budget and from the caller's share.
#[derive(Debug)]
struct Held {
    whole: OwnedSemaphorePermit,
    share: OwnedSemaphorePermit,
}

// === impl MemoryBudget ===

impl MemoryBudget {
    /// A budget of `bytes`, of which one caller holds at most half.
    pub fn new(bytes: usize) -> Self {
        Self::with_shares(bytes, bytes / 2)
    }

    /// No limit: for listeners with anonymous callers and tiny requests.
    pub fn unlimited() -> Self {
        Self::with_shares(Semaphore::MAX_PERMITS, Semaphore::MAX_PERMITS)
    }

    fn with_shares(bytes: usize, each: usize) -> Self {
        let whole = Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)));
        Self { whole, shares: Arc::new(Shares { each, callers: Mutex::default() }) }
    }

    /// Maximum size of one reservation.
    pub fn max_reservation(&self) -> usize {
        self.shares.each
    }

    /// An empty reservation for a caller.
    pub fn reserve_for(&self, caller: &str) -> MemoryReservation {
        MemoryReservation { budget: self.clone(), share: self.shares.of(caller), held: None }
    }
}

// === impl MemoryReservation ===

impl MemoryReservation {
    /// Resizes the reservation to so many bytes.
    ///
    /// # Errors
    /// If the budget is exhausted; the reservation stays as it was.
    pub fn resize(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        let before = self.held.as_ref().map_or(0, |held| held.whole.num_permits());
        if bytes <= before {
            if let Some(held) = &mut self.held {
                drop(held.whole.split(before - bytes));
                drop(held.share.split(before - bytes));
            }
            return Ok(());
        }
        let more = u32::try_from(bytes - before).map_err(|_| OutOfMemory)?;
        let share = self.share.clone().try_acquire_many_owned(more).map_err(|_| OutOfMemory)?;
        let whole = self.budget.whole.clone().try_acquire_many_owned(more).map_err(|_| OutOfMemory)?;
        match &mut self.held {
            Some(held) => {
                held.whole.merge(whole);
                held.share.merge(share);
            }
            None => self.held = Some(Held { whole, share }),
        }
        Ok(())
    }
}

// === impl Shares ===

impl Shares {
    fn of(&self, name: &str) -> Arc<Semaphore> {
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = callers.get(name).and_then(Weak::upgrade) {
            return share;
        }
        callers.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(self.each.min(Semaphore::MAX_PERMITS)));
        callers.insert(name.to_owned(), Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resizes_and_releases_reservation() {
        let budget = MemoryBudget::new(100);
        let mut one = budget.reserve_for("one");
        assert_eq!((one.resize(40), one.resize(50), one.resize(51)), (Ok(()), Ok(()), Err(OutOfMemory)));
        assert_eq!(budget.whole.available_permits(), 50);
        assert_eq!(one.resize(10), Ok(()));
        assert_eq!(budget.reserve_for("one").resize(40), Ok(()));
        drop(one);
        assert_eq!(budget.whole.available_permits(), 100);
    }

    #[test]
    fn limits_caller_to_half() {
        let budget = MemoryBudget::new(100);
        let mut one = budget.reserve_for("one");
        let mut other = budget.reserve_for("other");
        one.resize(50).unwrap();
        assert_eq!(budget.reserve_for("one").resize(1), Err(OutOfMemory));
        other.resize(50).unwrap();
        assert_eq!(budget.reserve_for("third").resize(1), Err(OutOfMemory), "the whole is held");
        drop((one, other));
        drop(budget.reserve_for("third"));
        assert_eq!(budget.shares.callers.lock().unwrap().len(), 1, "idle callers are forgotten");
    }
}
