//! What peers do too often for a line each in the log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::peer::Whose;

/// How often the log tells of one peer.
const TELL_INTERVAL: Duration = Duration::from_secs(5);
/// The most peers that are told of at a time; of others nothing is told meanwhile.
const MOST_PEERS: usize = 1_000;

/// Counts what peers do, so that the log tells of the first at once, and of those that follow in one line now and then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// How many the log has yet to tell of, for each peer of whom it told a while ago.
    untold: Arc<Mutex<HashMap<Whose, u64>>>,
}

// === impl Tally ===

impl Tally {
    /// Counts one. `true` if it is for the caller to tell of it now; else `tell` tells of it with others.
    pub(crate) fn is_first(&self, peer: Whose, tell: fn(Whose, u64)) -> bool {
        {
            let mut untold = self.untold();
            if let Some(number) = untold.get_mut(&peer) {
                *number += 1;
                return false;
            }
            if untold.len() >= MOST_PEERS {
                return false;
            }
            untold.insert(peer, 0);
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
    fn take(&self, peer: Whose) -> u64 {
        let mut untold = self.untold();
        let number = untold.get_mut(&peer).map_or(0, std::mem::take);
        if number == 0 {
            untold.remove(&peer);
        }
        number
    }

    // A number is whole after each of its steps.
    fn untold(&self) -> MutexGuard<'_, HashMap<Whose, u64>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Whose = Whose::User(1);

    fn nothing(_: Whose, _: u64) {}

    #[tokio::test]
    async fn the_first_of_a_peer_is_told_at_once_and_the_rest_are_counted_until_there_is_none() {
        let tally = Tally::default();
        let told: Vec<_> = (0..4).map(|_| tally.is_first(ONE, nothing)).collect();
        assert_eq!(told, [true, false, false, false]);
        assert!(tally.is_first(Whose::User(2), nothing), "another peer has its own");
        assert_eq!((tally.take(ONE), tally.take(ONE)), (3, 0));
        assert!(tally.is_first(ONE, nothing));
    }

    #[tokio::test]
    async fn of_no_more_peers_is_told_than_can_be_remembered() {
        let tally = Tally::default();
        let told =
            (0..2 * MOST_PEERS).filter(|uid| tally.is_first(Whose::User(*uid as u32), nothing)).count();
        assert_eq!(told, MOST_PEERS);
    }
}
