//! Whose list is read next.
//!
//! Lists are the dearest reads, and few are read at a time. Each caller has one of them read at a time: a caller that asks for a
//! hundred lists at once waits for itself, and another caller's list waits for one of them at most.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

/// A queue for each caller that has a list read or waits for one.
#[derive(Debug, Default)]
pub(crate) struct CallerQueues(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl CallerQueues {
    /// Waits until the caller's earlier lists were read. The turn ends with what is returned.
    pub(crate) async fn take(&self, caller: &str) -> OwnedMutexGuard<()> {
        let queue = self.queue(caller);
        queue.lock_owned().await
    }

    fn queue(&self, caller: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|_, queue| queue.strong_count() > 0);
        let known = queues.get(caller).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let queue = Arc::default();
            queues.insert(caller.to_owned(), Arc::downgrade(&queue));
            queue
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn callers_wait_for_themselves_and_not_for_each_other() {
        let turns = CallerQueues::default();
        let first = turns.take("token:soar").now_or_never().unwrap();
        assert!(turns.take("token:soar").now_or_never().is_none());
        assert!(turns.take("token:siem").now_or_never().is_some());
        drop(first);
        assert!(turns.take("token:soar").now_or_never().is_some());
        assert!(turns.0.lock().unwrap().len() <= 1);
    }
}
