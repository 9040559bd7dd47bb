//! How often a peer may call without a good credential.
//!
//! Whether a token is good only the store knows, and the limit must spare the store. So each look at a credential is taken
//! from the allowance of the peer that it came from, and given back when the credential is good. A peer that has used up its
//! allowance may be many: behind one address there is a whole company, and a wrong caller there must not lock out the right
//! ones. So then a token is looked for in a list in memory first, which is read anew at most once a second for all peers
//! together, and goes to the store only if it is good by that list. A JSON Web Token or a certificate costs no read of the
//! store, and is looked at as ever. What is refused beyond the allowance is counted, and the log tells of it once in a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::bucket::{Bucket, Rate};
use super::token::Presented;
use crate::store::{Store, StoreError, StoredToken};
use crate::transport::{PeerKey, Tally};

/// The most peers that are remembered. Beyond that those are forgotten who have their whole allowance.
const MOST_PEERS: usize = 10_000;
/// How often the list of tokens is read, while it is asked for.
const READ_INTERVAL: Duration = Duration::from_secs(1);

/// The allowances of peers.
#[derive(Debug)]
pub(super) struct Strangers {
    rate: Rate,
    peers: Mutex<HashMap<PeerKey, Bucket>>,
    refused: Tally,
}

/// The tokens, as they were a second ago at most.
#[derive(Debug, Default)]
pub(super) struct KnownTokens(Arc<tokio::sync::Mutex<List>>);

#[derive(Debug, Default)]
struct List {
    read_at: Option<Instant>,
    tokens: Tokens,
}

/// By their IDs.
type Tokens = Arc<HashMap<String, StoredToken>>;

// === impl Strangers ===

impl Strangers {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, peers: Mutex::default(), refused: Tally::default() }
    }

    /// Takes a look at a credential from the allowance of a peer, or tells when there is one again.
    pub(super) fn take(&self, peer: PeerKey, now: Instant) -> Result<(), Duration> {
        let mut peers = lock(&self.peers);
        if peers.len() >= MOST_PEERS && !peers.contains_key(&peer) {
            peers.retain(|_, bucket| !bucket.is_full(self.rate, now));
        }
        peers.entry(peer).or_insert_with(|| Bucket::full(self.rate, now)).take(self.rate, now)
    }

    /// The credential was good.
    pub(super) fn give_back(&self, peer: PeerKey) {
        if let Some(bucket) = lock(&self.peers).get_mut(&peer) {
            bucket.give_back(self.rate);
        }
    }

    /// Counts a call that is refused beyond the allowance, for the log to tell of it with others.
    pub(super) fn count(&self, peer: PeerKey) {
        let tell = |peer: PeerKey, calls| {
            tracing::warn!(%peer, calls, "calls without a good credential were refused");
        };
        if self.refused.is_first(peer, tell) {
            tell(peer, 1);
        }
    }
}

// A bucket is whole after each of its steps.
fn lock(peers: &Mutex<HashMap<PeerKey, Bucket>>) -> MutexGuard<'_, HashMap<PeerKey, Bucket>> {
    peers.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl KnownTokens ===

impl KnownTokens {
    /// Whether a token is good by the list.
    pub(super) async fn has(
        &self,
        presented: &Presented<'_>,
        store: &Store,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (list, store) = (self.0.clone(), store.clone());
        // By itself: whoever asks may go away at once, and the list would stay as it was for the others.
        let read = tokio::spawn(async move { list.lock().await.tokens(&store).await });
        let tokens = read.await.map_err(|_| StoreError::Closed)??;
        let known = tokens.get(presented.id);
        Ok(known.is_some_and(|token| token.hash.is_of(presented) && token.is_good(now)))
    }
}

// === impl List ===

impl List {
    async fn tokens(&mut self, store: &Store) -> Result<Tokens, StoreError> {
        if self.read_at.is_none_or(|read_at| read_at.elapsed() >= READ_INTERVAL) {
            // First, so that a store that fails is not asked more often than one that does not.
            self.read_at = Some(Instant::now());
            let tokens = store.tokens().await?;
            self.tokens = Arc::new(tokens.into_iter().map(|token| (token.id.clone(), token)).collect());
        }
        Ok(self.tokens.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::clock::{SystemClock, ThisMachine};
    use crate::entropy::SystemEntropy;
    use crate::store::{Administration, KeySource, StoreOptions};

    const RATE: Rate = Rate { rate: 10, burst: 2 };

    #[test]
    fn good_credentials_cost_nothing_and_each_peer_has_an_allowance_of_its_own() {
        let (strangers, now) = (Strangers::new(RATE), Instant::now());
        let (one, other) = (PeerKey::User(1), PeerKey::User(2));
        for _ in 0..100 {
            assert_eq!(strangers.take(one, now), Ok(()));
            strangers.give_back(one);
        }
        assert_eq!((strangers.take(one, now), strangers.take(one, now)), (Ok(()), Ok(())));
        assert!(strangers.take(one, now).is_err());
        assert_eq!(strangers.take(other, now), Ok(()));
    }

    #[tokio::test]
    async fn one_who_goes_away_while_the_list_is_read_does_not_keep_it_from_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticketing.db");
        let (clock, entropy) = (Arc::new(SystemClock::start()), Arc::new(SystemEntropy));
        let options = StoreOptions {
            clock: clock.clone(),
            entropy: entropy.clone(),
            machine: Arc::new(ThisMachine),
            key: KeySource::BesideDatabase,
            restored: false,
            busy_timeout: Duration::from_secs(5),
        };
        let (store, _) = Store::open(&path, options).await.unwrap();
        let source = "test".to_owned();
        let mut administration =
            Administration::open(&path, &KeySource::BesideDatabase, clock, entropy, source).await.unwrap();
        let lifetime = Duration::from_secs(3_600);
        let (token, stored) =
            administration.create_token("wall", Role::Viewer, None, lifetime).await.unwrap();
        administration.close().await;
        let (known, now) = (KnownTokens::default(), stored.expires_at - lifetime);
        let presented = Presented::parse(token.show()).unwrap();
        {
            let mut first = std::pin::pin!(known.has(&presented, &store, now));
            assert!(futures_util::poll!(first.as_mut()).is_pending());
        }
        assert!(known.has(&presented, &store, now).await.unwrap());
        store.close().await;
    }

    #[test]
    fn peers_that_stay_away_are_forgotten_when_there_are_too_many() {
        let (strangers, now) = (Strangers::new(RATE), Instant::now());
        for number in 0..MOST_PEERS {
            strangers.take(PeerKey::User(number as u32), now).unwrap();
        }
        strangers.take(PeerKey::User(u32::MAX), now + RATE.refill()).unwrap();
        assert_eq!(lock(&strangers.peers).len(), 1);
    }
}
