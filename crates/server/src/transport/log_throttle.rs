//! What peers do too often for a line each in the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::peer::PeerKey;

/// How often the log tells of one peer.
const LOG_INTERVAL: Duration = Duration::from_secs(5);
/// The most peers that are logged of at a time; of others nothing is logged meanwhile.
const MAX_PEERS: usize = 1_000;

/// Counts what peers do, so that the log tells of the first ones at once, and of those that follow in one line now and then.
#[derive(Debug, Clone)]
pub(crate) struct LogThrottle {
    /// Lines for what one peer does within [`LOG_INTERVAL`].
    lines: u64,
    peers: Arc<Mutex<HashMap<PeerKey, Count>>>,
}

/// What one peer did of late.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    logged: u64,
    suppressed: u64,
}

// === impl LogThrottle ===

impl LogThrottle {
    /// Tells of so many at once.
    pub(crate) fn new(lines: u64) -> Self {
        Self { lines, peers: Arc::default() }
    }

    /// Counts one. `true` if it is for the caller to log_suppressed of it now; else `log_suppressed` tells of it with others.
    pub(crate) fn should_log(&self, peer: PeerKey, log_suppressed: fn(PeerKey, u64)) -> bool {
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

    /// Those that are to be logged of now. A peer without any is forgotten.
    fn take_suppressed(&self, peer: PeerKey) -> u64 {
        let mut peers = self.peers();
        let number = peers.get_mut(&peer).map_or(0, |count| std::mem::take(&mut count.suppressed));
        if number == 0 {
            peers.remove(&peer);
        }
        number
    }

    // A number is whole after each of its steps.
    fn peers(&self) -> MutexGuard<'_, HashMap<PeerKey, Count>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Default for LogThrottle ===

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
    async fn the_first_of_a_peer_is_told_at_once_and_the_rest_are_counted_until_there_is_none() {
        let throttle = LogThrottle::default();
        let logged: Vec<_> = (0..4).map(|_| throttle.should_log(ONE, nothing)).collect();
        assert_eq!(logged, [true, false, false, false]);
        assert!(throttle.should_log(PeerKey::User(2), nothing), "another peer has its own");
        assert_eq!((throttle.take_suppressed(ONE), throttle.take_suppressed(ONE)), (3, 0));
        assert!(throttle.should_log(ONE, nothing));
    }

    #[tokio::test]
    async fn where_more_lines_are_allowed_so_many_are_told_at_once_and_as_many_again_after_a_pause() {
        let throttle = LogThrottle::new(2);
        let logged = || (0..4).map(|_| throttle.should_log(ONE, nothing)).collect::<Vec<_>>();
        assert_eq!(logged(), [true, true, false, false]);
        assert_eq!(throttle.take_suppressed(ONE), 2);
        assert_eq!(logged(), [false; 4]);
        assert_eq!((throttle.take_suppressed(ONE), throttle.take_suppressed(ONE)), (4, 0));
        assert_eq!(logged(), [true, true, false, false]);
    }

    #[tokio::test]
    async fn of_no_more_peers_is_told_than_can_be_remembered() {
        let throttle = LogThrottle::default();
        let logged =
            (0..2 * MAX_PEERS).filter(|uid| throttle.should_log(PeerKey::User(*uid as u32), nothing)).count();
        assert_eq!(logged, MAX_PEERS);
    }
}
