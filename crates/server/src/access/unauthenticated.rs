//! Rate limit for unauthenticated calls per peer.
//!
//! Verifying a token reads the store, and the limit must protect the store. So each verification takes a token from
//! the peer's bucket, and returns it if the credential is valid. A peer over its limit may be a company behind one
//! address, whose valid callers must not be locked out by an invalid one. So over the limit, a bearer token is first
//! looked up in a cached list, which is refreshed at most once a second for all peers, and read from the store only
//! if that list has it. JSON Web Tokens and certificates need no store access and are always verified. Calls refused
//! over the limit are counted and logged in summary.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ticketing_ingress::{LogThrottle, PeerKey};
use ticketing_secrets::PresentedToken;
use ticketing_store::{Store, StoreError, StoredToken};
use tokio::time::Instant;

use super::token_bucket::{Rate, TokenBucket};

/// Maximum number of tracked peers. Above it, peers with a full bucket are forgotten.
const MAX_PEERS: usize = 10_000;
/// Minimum interval between refreshes of the token cache.
const READ_INTERVAL: Duration = Duration::from_secs(1);

/// Token buckets of peers.
#[derive(Debug)]
pub(super) struct UnauthenticatedLimiter {
    rate: Rate,
    peers: Mutex<HashMap<PeerKey, TokenBucket>>,
    refused: LogThrottle,
}

/// All bearer tokens, at most a second old.
#[derive(Debug, Default)]
pub(super) struct TokenCache(Arc<tokio::sync::Mutex<List>>);

#[derive(Debug, Default)]
struct List {
    read_at: Option<Instant>,
    tokens: Tokens,
}

/// By ID.
type Tokens = Arc<HashMap<String, StoredToken>>;

// === impl UnauthenticatedLimiter ===

impl UnauthenticatedLimiter {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, peers: Mutex::default(), refused: LogThrottle::default() }
    }

    /// Takes a token from the peer's bucket, or returns the time until one is available.
    pub(super) fn take(&self, peer: PeerKey, now: Instant) -> Result<(), Duration> {
        let mut peers = lock(&self.peers);
        if peers.len() >= MAX_PEERS && !peers.contains_key(&peer) {
            peers.retain(|_, bucket| !bucket.is_full(self.rate, now));
        }
        peers.entry(peer).or_insert_with(|| TokenBucket::full(self.rate, now)).take(self.rate, now)
    }

    /// The credential was valid.
    pub(super) fn give_back(&self, peer: PeerKey) {
        if let Some(bucket) = lock(&self.peers).get_mut(&peer) {
            bucket.give_back(self.rate);
        }
    }

    /// Counts a refused call over the limit, for the log.
    pub(super) fn count_refusal(&self, peer: PeerKey) {
        let log = |peer: PeerKey, calls| {
            tracing::warn!(%peer, calls, "refused calls without a valid credential");
        };
        if self.refused.should_log(peer, log) {
            log(peer, 1);
        }
    }
}

// A bucket is consistent after each step, so a poisoned lock is usable.
fn lock(peers: &Mutex<HashMap<PeerKey, TokenBucket>>) -> MutexGuard<'_, HashMap<PeerKey, TokenBucket>> {
    peers.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl TokenCache ===

impl TokenCache {
    /// Whether the cache has this token as valid.
    pub(super) async fn contains(
        &self,
        presented: &PresentedToken<'_>,
        store: &Store,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let list = self.0.clone();
        let store = store.clone();
        // In its own task, so that the refresh completes even if the caller goes away.
        let read = tokio::spawn(async move { list.lock().await.tokens(&store).await });
        let tokens = read.await.map_err(|_| StoreError::Closed)??;
        let known = tokens.get(presented.id);
        Ok(known.is_some_and(|token| token.hash.is_of(presented) && token.is_valid_at(now)))
    }
}

// === impl List ===

impl List {
    async fn tokens(&mut self, store: &Store) -> Result<Tokens, StoreError> {
        if self.read_at.is_none_or(|read_at| read_at.elapsed() >= READ_INTERVAL) {
            // Set first, so that a failing store is not read more often.
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
    use ticketing_core::role::Role;
    use ticketing_host::clock::{SystemClock, ThisMachine};
    use ticketing_host::entropy::SystemEntropy;
    use ticketing_store::{Administration, KeySource, StoreOptions};

    const RATE: Rate = Rate { rate: 10, burst: 2 };

    #[test]
    fn valid_credentials_return_token_to_bucket() {
        let unauthenticated = UnauthenticatedLimiter::new(RATE);
        let now = Instant::now();
        let one = PeerKey::User(1);
        let other = PeerKey::User(2);
        for _ in 0..100 {
            assert_eq!(unauthenticated.take(one, now), Ok(()));
            unauthenticated.give_back(one);
        }
        assert_eq!((unauthenticated.take(one, now), unauthenticated.take(one, now)), (Ok(()), Ok(())));
        assert!(unauthenticated.take(one, now).is_err());
        assert_eq!(unauthenticated.take(other, now), Ok(()));
    }

    #[tokio::test]
    async fn token_cache_refresh_survives_cancelled_caller() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ticketing.db");
        let clock = Arc::new(SystemClock::start());
        let entropy = Arc::new(SystemEntropy);
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
        let token_cache = TokenCache::default();
        let now = stored.expires_at - lifetime;
        let presented = PresentedToken::parse(token.show()).unwrap();
        {
            let mut first = std::pin::pin!(token_cache.contains(&presented, &store, now));
            assert!(futures_util::poll!(first.as_mut()).is_pending());
        }
        assert!(token_cache.contains(&presented, &store, now).await.unwrap());
        store.close().await;
    }

    #[test]
    fn forgets_idle_peers_at_limit() {
        let unauthenticated = UnauthenticatedLimiter::new(RATE);
        let now = Instant::now();
        for number in 0..MAX_PEERS {
            unauthenticated.take(PeerKey::User(number as u32), now).unwrap();
        }
        unauthenticated.take(PeerKey::User(u32::MAX), now + RATE.refill()).unwrap();
        assert_eq!(lock(&unauthenticated.peers).len(), 1);
    }
}
