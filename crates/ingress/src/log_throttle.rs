//! Throttles log messages about peers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::peer::PeerKey;

/// Interval between summary lines about one peer.
const LOG_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum number of peers tracked at a time; nothing is logged about further ones.
const MAX_PEERS: usize = 1_000;

/// Logs the first events of each peer at once, and counts the rest for a summary line per interval.
#[derive(Debug, Clone)]
pub struct LogThrottle {
    /// Lines that one peer may cause within [`LOG_INTERVAL`].
    lines: u64,
    peers: Arc<Mutex<HashMap<PeerKey, Count>>>,
}

/// Recent events of one peer.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    logged: u64,
    suppressed: u64,
}

// === impl LogThrottle ===

impl LogThrottle {
    /// Allows `lines` lines per peer and interval.
    pub fn new(lines: u64) -> Self {
        Self { lines, peers: Arc::default() }
    }

    /// Counts an event. Returns `true` if the caller should log it now; otherwise `log_suppressed` will be called
    /// with the number of suppressed events.
    pub fn should_log(&self, peer: PeerKey, log_suppressed: fn(PeerKey, u64)) -> bool {
        {
            let mut peers = self.peers();
            if let Some(count) = peers.get_mut(&peer) {
                let should_log = count.logged < self.lines;
                *if should_log { &mut count.logged } else { &mut count.suppressed } += 1;
                return should_log;
            }
            if peers.len() >= MAX_PEERS {
                return false;
            }
            peers.insert(peer, Count { logged: 1, suppressed: 0 });
        }
        let throttle = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOG_INTERVAL).await;
                match throttle.take_suppressed(peer) {
                    0 => return,
                    number => log_suppressed(peer, number),
                }
            }
        });
        true
    }

    /// Takes the number of suppressed events; forgets a peer without any.
    fn take_suppressed(&self, peer: PeerKey) -> u64 {
        let mut peers = self.peers();
        let number = peers.get_mut(&peer).map_or(0, |count| std::mem::take(&mut count.suppressed));
        if number == 0 {
            peers.remove(&peer);
        }
        number
    }

    // The counters are consistent after each step, so a poisoned lock is usable.
    fn peers(&self) -> MutexGuard<'_, HashMap<PeerKey, Count>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl LogThrottle ===

impl Default for LogThrottle {
    fn default() -> Self {
        Self::new(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: PeerKey = PeerKey::User(1);

    fn nothing(_: PeerKey, _: u64) {}

    #[tokio::test]
    async fn logs_first_event_and_counts_rest() {
        let throttle = LogThrottle::default();
        let logged: Vec<_> = (0..4).map(|_| throttle.should_log(ONE, nothing)).collect();
        assert_eq!(logged, [true, false, false, false]);
        assert!(throttle.should_log(PeerKey::User(2), nothing), "another peer has its own");
        assert_eq!((throttle.take_suppressed(ONE), throttle.take_suppressed(ONE)), (3, 0));
        assert!(throttle.should_log(ONE, nothing));
    }

    #[tokio::test]
    async fn logs_configured_number_of_lines() {
        let throttle = LogThrottle::new(2);
        let logged = || (0..4).map(|_| throttle.should_log(ONE, nothing)).collect::<Vec<_>>();
        assert_eq!(logged(), [true, true, false, false]);
        assert_eq!(throttle.take_suppressed(ONE), 2);
        assert_eq!(logged(), [false; 4]);
        assert_eq!((throttle.take_suppressed(ONE), throttle.take_suppressed(ONE)), (4, 0));
        assert_eq!(logged(), [true, true, false, false]);
    }

    #[tokio::test]
    async fn limits_number_of_tracked_peers() {
        let throttle = LogThrottle::default();
        let logged =
            (0..2 * MAX_PEERS).filter(|uid| throttle.should_log(PeerKey::User(*uid as u32), nothing)).count();
        assert_eq!(logged, MAX_PEERS);
    }
}
