//! Fair access to list queries.
//!
//! List queries are the most expensive reads, so few run at a time, and one per caller. A caller with a hundred
//! concurrent lists waits for itself; another caller waits for one of them at most.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

/// A queue for each caller with a list query in progress.
#[derive(Debug, Default)]
pub(crate) struct CallerQueues(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl CallerQueues {
    /// Waits for the caller's earlier list queries. The returned guard ends the turn.
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
    fn queues_lists_per_caller() {
        let turns = CallerQueues::default();
        let first = turns.take("token:soar").now_or_never().unwrap();
        assert!(turns.take("token:soar").now_or_never().is_none());
        assert!(turns.take("token:siem").now_or_never().is_some());
        drop(first);
        assert!(turns.take("token:soar").now_or_never().is_some());
        assert!(turns.0.lock().unwrap().len() <= 1);
    }
}
