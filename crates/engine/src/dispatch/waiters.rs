//! Callers that wait for the outcome of an attempt. They are only woken here; the response is read from the
//! store.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// Maximum number of deliveries that one claim prefers.
const MAX_WAITED_FOR: usize = 256;

/// The waiters of each delivery.
#[derive(Debug, Default)]
pub struct Waiters {
    /// By ID, so the oldest first.
    by_delivery: Mutex<BTreeMap<String, Waited>>,
}

/// A delivery that callers wait for.
#[derive(Debug)]
struct Waited {
    connection: String,
    changes: watch::Sender<u64>,
}

/// Wakes when a change of one delivery was recorded.
#[derive(Debug)]
pub struct Waiter<'a> {
    waiters: &'a Waiters,
    delivery_id: String,
    changes: watch::Receiver<u64>,
}

// === impl Waiters ===

impl Waiters {
    /// Waits for changes of a delivery of a connection from now on.
    pub fn wait_for(&self, delivery_id: &str, connection: &str) -> Waiter<'_> {
        let mut map = self.by_delivery.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Waited { connection: connection.to_owned(), changes: watch::channel(0).0 };
        let waited = map.entry(delivery_id.to_owned()).or_insert_with(new);
        Waiter { waiters: self, delivery_id: delivery_id.to_owned(), changes: waited.changes.subscribe() }
    }

    /// The deliveries of a connection that a caller waits for, the oldest first: at most a page of them.
    pub fn waited_for(&self, connection: &str) -> Vec<String> {
        let map = self.by_delivery.lock().unwrap_or_else(PoisonError::into_inner);
        let of_connection = map.iter().filter(|(_, waited)| waited.connection == connection);
        of_connection.take(MAX_WAITED_FOR).map(|(id, _)| id.clone()).collect()
    }

    /// Changes of many deliveries were recorded.
    pub fn notify_all(&self) {
        let map = self.by_delivery.lock().unwrap_or_else(PoisonError::into_inner);
        map.values().for_each(|waited| waited.changes.send_modify(|changes| *changes += 1));
    }

    /// A change of a delivery was recorded.
    pub fn notify(&self, delivery_id: &str) {
        let map = self.by_delivery.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waited) = map.get(delivery_id) {
            waited.changes.send_modify(|changes| *changes += 1);
        }
    }
}

// === impl Waiter ===

impl Waiter<'_> {
    /// Returns at the next change since the last call.
    pub async fn changed(&mut self) {
        // The map holds the sender while this waiter exists.
        let _ = self.changes.changed().await;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut map = self.waiters.by_delivery.lock().unwrap_or_else(PoisonError::into_inner);
        if map.get(&self.delivery_id).is_some_and(|waited| waited.changes.receiver_count() <= 1) {
            map.remove(&self.delivery_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefers_the_oldest_deliveries_of_the_connection() {
        let waiters = Waiters::default();
        let ids: Vec<_> = (0..=MAX_WAITED_FOR).map(|n| format!("{n:03}")).collect();
        let _of_jira: Vec<_> = ids.iter().rev().map(|id| waiters.wait_for(id, "jira")).collect();
        let _of_other = waiters.wait_for("999", "servicenow");
        assert_eq!(waiters.waited_for("jira"), ids[..MAX_WAITED_FOR]);
        assert_eq!(waiters.waited_for("servicenow"), ["999"]);
    }
}
