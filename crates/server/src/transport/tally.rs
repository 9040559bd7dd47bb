//! What peers do too often for a line each in the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::peer::PeerKey;

/// How often the log tells of one peer.
const TELL_INTERVAL: Duration = Duration::from_secs(5);
/// The most peers that are told of at a time; of others nothing is told meanwhile.
const MOST_PEERS: usize = 1_000;

/// Counts what peers do, so that the log tells of the first ones at once, and of those that follow in one line now and then.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// Lines for what one peer does within [`TELL_INTERVAL`].
    lines: u64,
    peers: Arc<Mutex<HashMap<PeerKey, Count>>>,
}

/// What one peer did of late.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    told: u64,
    untold: u64,
}

// === impl Tally ===

impl Tally {
    /// Tells of so many at once.
    pub(crate) fn of(lines: u64) -> Self {
        Self { lines, peers: Arc::default() }
    }

    /// Counts one. `true` if it is for the caller to tell of it now; else `tell` tells of it with others.
    pub(crate) fn is_first(&self, peer: PeerKey, tell: fn(PeerKey, u64)) -> bool {
        {
            let mut peers = self.peers();
            if let Some(count) = peers.get_mut(&peer) {
                let is_first = count.told < self.lines;
                *if is_first { &mut count.told } else { &mut count.untold } += 1;
                return is_first;
            }
            if peers.len() >= MOST_PEERS {
                return false;
            }
            peers.insert(peer, Count { told: 1, untold: 0 });
        }
        let tally = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(TELL_INTERVAL).await;
                match tally.take(peer) {
                    0 => return,
                    number => tell(peer, number),
                }
            }
        });
        true
    }

    /// Those that are to be told of now. A peer without any is forgotten.
    fn take(&self, peer: PeerKey) -> u64 {
        let mut peers = self.peers();
        let number = peers.get_mut(&peer).map_or(0, |count| std::mem::take(&mut count.untold));
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

// === impl Default for Tally ===

impl Default for Tally {
    fn default() -> Self {
        Self::of(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: PeerKey = PeerKey::User(1);

    fn nothing(_: PeerKey, _: u64) {}

    #[tokio::test]
    async fn the_first_of_a_peer_is_told_at_once_and_the_rest_are_counted_until_there_is_none() {
        let tally = Tally::default();
        let told: Vec<_> = (0..4).map(|_| tally.is_first(ONE, nothing)).collect();
        assert_eq!(told, [true, false, false, false]);
        assert!(tally.is_first(PeerKey::User(2), nothing), "another peer has its own");
        assert_eq!((tally.take(ONE), tally.take(ONE)), (3, 0));
        assert!(tally.is_first(ONE, nothing));
    }

    #[tokio::test]
    async fn where_more_lines_are_allowed_so_many_are_told_at_once_and_as_many_again_after_a_pause() {
        let tally = Tally::of(2);
        let told = || (0..4).map(|_| tally.is_first(ONE, nothing)).collect::<Vec<_>>();
        assert_eq!(told(), [true, true, false, false]);
        assert_eq!(tally.take(ONE), 2);
        assert_eq!(told(), [false; 4]);
        assert_eq!((tally.take(ONE), tally.take(ONE)), (4, 0));
        assert_eq!(told(), [true, true, false, false]);
    }

    #[tokio::test]
    async fn of_no_more_peers_is_told_than_can_be_remembered() {
        let tally = Tally::default();
        let told =
            (0..2 * MOST_PEERS).filter(|uid| tally.is_first(PeerKey::User(*uid as u32), nothing)).count();
        assert_eq!(told, MOST_PEERS);
    }
}
