//! Limits connections, in total and per peer, and selects which one to close at a limit.
//!
//! A connection is *new* until its first authenticated call, and *established* from then on. At a limit, a newcomer
//! displaces the oldest new connection, so silent connections only displace each other. Established connections are
//! never displaced and take at most seven eighths of the limit: the rest is reserved for newcomers, so that clients
//! who share an address with an attacker can still connect.
//!
//! Waste on a connection (see `frames.rs`) is charged to the abuse budget of its peer, a token bucket that refills
//! within a minute. While the budget is overdrawn, further connections of that peer are *restricted*: served after a
//! short delay and with a small initial frame budget. They are not refused, so reconnecting gains nothing, and honest
//! clients behind the same address barely notice.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::flags::Limits;
use crate::frames::REFILL;
use crate::peer::{PeerAddress, PeerKey};

/// Abuse budget of a peer, in whole frame budgets of a connection. Refills within [`REFILL`].
const ABUSE_BUDGET: f64 = 16.0;
/// One in so many connections is reserved for newcomers.
const RESERVE_SHARE: u32 = 8;
/// Interval at which idle peers with a full budget are forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Counts connections and displaces some at a limit.
#[derive(Debug)]
pub(super) struct ConnectionLimiter {
    max: u32,
    max_per_peer: u32,
    state: Mutex<State>,
}

/// An open connection; released when dropped.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    handle: ConnectionHandle,
    displaced: CancellationToken,
    is_restricted: bool,
}

/// Request extension: the connection's state in the limiter.
#[derive(Debug, Clone)]
pub struct ConnectionHandle {
    limiter: Arc<ConnectionLimiter>,
    peer: PeerKey,
    number: u64,
    has_authenticated: Arc<AtomicBool>,
}

/// A permit, and the connection displaced for it.
#[derive(Debug)]
pub(super) struct Acquired {
    pub(super) permit: ConnectionPermit,
    /// The reached limit, and the peer whose oldest new connection was closed.
    pub(super) displaced: Option<(LimitExceeded, PeerKey)>,
}

/// The exhausted limit, named by its flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LimitExceeded {
    Total,
    Peer,
}

#[derive(Debug)]
struct State {
    accepted: u64,
    open: u32,
    established: u32,
    peers: HashMap<PeerKey, PeerUsage>,
    swept: Instant,
}

/// Connections and budget of one peer.
#[derive(Debug)]
struct PeerUsage {
    /// New connections by number, oldest first, each with the token that closes it.
    new: BTreeMap<u64, CancellationToken>,
    established: u32,
    budget: AbuseBudget,
}

/// A token bucket, counted from its full state.
#[derive(Debug)]
struct AbuseBudget {
    wasted: f64,
    since: Instant,
}

/// Maximum number of established connections of `max` in total.
fn max_established(max: u32) -> u32 {
    if max > 1 { max - max.div_ceil(RESERVE_SHARE) } else { max }
}

// === impl ConnectionLimiter ===

impl ConnectionLimiter {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Self::with(limits.max_connections, limits.max_connections_per_peer)
    }

    fn with(max: u32, max_per_peer: u32) -> Arc<Self> {
        let state =
            State { accepted: 0, open: 0, established: 0, peers: HashMap::new(), swept: Instant::now() };
        Arc::new(Self { max, max_per_peer, state: Mutex::new(state) })
    }

    /// Registers a connection. At a limit, displaces the oldest new connection.
    ///
    /// # Errors
    /// The limit, if all connections under it are established.
    pub(super) fn acquire(
        self: &Arc<Self>,
        address: &PeerAddress,
        now: Instant,
    ) -> Result<Acquired, LimitExceeded> {
        let peer = PeerKey::of(address);
        let mut state = self.state();
        state.sweep(now);
        let displaced = self.make_room(&mut state, peer)?;
        state.accepted += 1;
        state.open += 1;
        let number = state.accepted;
        let usage = state.peers.entry(peer).or_insert_with(|| PeerUsage::none(now));
        let closed = CancellationToken::new();
        usage.new.insert(number, closed.clone());
        let is_restricted = usage.budget.is_overdrawn(now);
        drop(state);
        let has_authenticated = Arc::default();
        let handle = ConnectionHandle { limiter: self.clone(), peer, number, has_authenticated };
        Ok(Acquired { permit: ConnectionPermit { handle, displaced: closed, is_restricted }, displaced })
    }

    fn make_room(
        &self,
        state: &mut State,
        peer: PeerKey,
    ) -> Result<Option<(LimitExceeded, PeerKey)>, LimitExceeded> {
        let open = state.peers.get(&peer).map_or(0, PeerUsage::open);
        let (reached, crowded) = if open >= self.max_per_peer {
            (LimitExceeded::Peer, peer)
        } else if state.open >= self.max {
            let crowded = state.peers.iter().max_by_key(|(_, usage)| usage.new.len());
            (LimitExceeded::Total, crowded.map_or(peer, |(peer, _)| *peer))
        } else {
            return Ok(None);
        };
        if state.displace_oldest_of(crowded) { Ok(Some((reached, crowded))) } else { Err(reached) }
    }

    // The state is consistent after each step, so a poisoned lock is usable.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl ConnectionPermit ===

impl ConnectionPermit {
    pub(super) fn handle(&self) -> ConnectionHandle {
        self.handle.clone()
    }

    /// Cancelled when the connection is displaced.
    pub(super) fn displaced(&self) -> CancellationToken {
        self.displaced.clone()
    }

    /// Whether its peer's abuse budget was overdrawn when it was accepted.
    pub(super) fn is_restricted(&self) -> bool {
        self.is_restricted
    }

    /// Charges the peer with a share, from 0 to 1, of a connection's frame budget.
    pub(super) fn charge(&self, share: f64, now: Instant) {
        if let Some(usage) = self.handle.limiter.state().peers.get_mut(&self.handle.peer) {
            usage.budget.charge(share, now);
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let ConnectionHandle { limiter, peer, number, .. } = &self.handle;
        let mut state = limiter.state();
        if self.displaced.is_cancelled() {
            // A displaced connection is already released.
            return;
        }
        state.open -= 1;
        let Some(usage) = state.peers.get_mut(peer) else { return };
        if usage.new.remove(number).is_none() {
            usage.established -= 1;
            state.established -= 1;
        }
    }
}

// === impl ConnectionHandle ===

impl ConnectionHandle {
    /// Records an authenticated call. The connection becomes established, unless the maximum is reached: then it is
    /// served but can still be displaced.
    pub fn establish(&self) {
        self.has_authenticated.store(true, Ordering::Relaxed);
        let limiter = &self.limiter;
        let mut state = limiter.state();
        if state.established >= max_established(limiter.max) {
            return;
        }
        let Some(usage) = state.peers.get_mut(&self.peer) else { return };
        if usage.established < max_established(limiter.max_per_peer)
            && usage.new.remove(&self.number).is_some()
        {
            usage.established += 1;
            state.established += 1;
        }
    }

    /// Whether it carried an authenticated call.
    pub(super) fn has_authenticated(&self) -> bool {
        self.has_authenticated.load(Ordering::Relaxed)
    }
}

// === impl State ===

impl State {
    fn displace_oldest_of(&mut self, peer: PeerKey) -> bool {
        let oldest = self.peers.get_mut(&peer).and_then(|usage| usage.new.pop_first());
        let Some((_, close)) = oldest else { return false };
        close.cancel();
        self.open -= 1;
        true
    }

    fn sweep(&mut self, now: Instant) {
        if now.duration_since(self.swept) >= SWEEP_INTERVAL {
            self.swept = now;
            self.peers.retain(|_, usage| usage.open() > 0 || usage.budget.wasted(now) > 0.0);
        }
    }
}

// === impl PeerUsage ===

impl PeerUsage {
    fn none(now: Instant) -> Self {
        Self { new: BTreeMap::new(), established: 0, budget: AbuseBudget { wasted: 0.0, since: now } }
    }

    fn open(&self) -> u32 {
        u32::try_from(self.new.len()).unwrap_or(u32::MAX).saturating_add(self.established)
    }
}

// === impl AbuseBudget ===

impl AbuseBudget {
    fn charge(&mut self, share: f64, now: Instant) {
        self.wasted = (self.wasted(now) + share).min(2.0 * ABUSE_BUDGET);
        self.since = now;
    }

    fn is_overdrawn(&self, now: Instant) -> bool {
        self.wasted(now) >= ABUSE_BUDGET
    }

    fn wasted(&self, now: Instant) -> f64 {
        let refilled = now.duration_since(self.since).as_secs_f64() / REFILL.as_secs_f64() * ABUSE_BUDGET;
        (self.wasted - refilled).max(0.0)
    }
}

// === impl LimitExceeded ===

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Total => "--max-connections",
            Self::Peer => "--max-connections-per-peer",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn tcp(ip: &str) -> PeerAddress {
        PeerAddress::Tcp((ip.parse::<IpAddr>().unwrap(), 1).into())
    }

    fn acquire(limiter: &Arc<ConnectionLimiter>, ip: &str) -> ConnectionPermit {
        limiter.acquire(&tcp(ip), Instant::now()).unwrap().permit
    }

    fn established(limiter: &Arc<ConnectionLimiter>, ip: &str) -> ConnectionPermit {
        let permit = acquire(limiter, ip);
        permit.handle().establish();
        permit
    }

    fn displaced(permits: &[ConnectionPermit]) -> Vec<usize> {
        let numbered = permits.iter().enumerate();
        numbered.filter(|(_, permit)| permit.displaced.is_cancelled()).map(|(number, _)| number).collect()
    }

    #[test]
    fn newcomer_displaces_oldest_new_connection() {
        let limiter = ConnectionLimiter::with(100, 3);
        let mut permits = vec![established(&limiter, "10.0.0.1")];
        permits.extend((0..4).map(|_| acquire(&limiter, "10.0.0.1")));
        assert_eq!(displaced(&permits), [1, 2]);
        // A closed connection frees its slot.
        drop(permits.pop());
        permits.push(acquire(&limiter, "10.0.0.1"));
        assert_eq!(displaced(&permits), [1, 2]);
    }

    #[test]
    fn silent_connections_do_not_block_newcomers() {
        let limiter = ConnectionLimiter::with(512, 128);
        let silent: Vec<_> = (0..1_000).map(|_| acquire(&limiter, "10.0.0.1")).collect();
        for _ in 0..142 {
            let honest = established(&limiter, "10.0.0.1");
            assert!(!honest.displaced.is_cancelled());
        }
        assert_eq!(silent.iter().filter(|permit| !permit.displaced.is_cancelled()).count(), 127);
    }

    #[test]
    fn keeps_an_eighth_for_newcomers() {
        let limiter = ConnectionLimiter::with(512, 128);
        let permits: Vec<_> = (0..128).map(|_| established(&limiter, "10.0.0.1")).collect();
        let newcomer = acquire(&limiter, "10.0.0.1");
        assert_eq!(displaced(&permits), [112], "the first one that could not be established gives way");
        newcomer.handle().establish();
        assert!(newcomer.handle().has_authenticated());
        // When an established one ends, a later call takes over its slot.
        drop(permits);
        newcomer.handle().establish();
        assert_eq!(limiter.state().established, 1);
    }

    #[test]
    fn at_total_limit_displaces_from_largest_peer() {
        let limiter = ConnectionLimiter::with(4, 3);
        let crowd: Vec<_> = (0..3).map(|_| acquire(&limiter, "10.0.0.1")).collect();
        let single = [acquire(&limiter, "10.0.0.2")];
        let newcomer = limiter.acquire(&tcp("10.0.0.3"), Instant::now()).unwrap();
        let crowded = PeerKey::of(&tcp("10.0.0.1"));
        assert_eq!(newcomer.displaced, Some((LimitExceeded::Total, crowded)));
        assert_eq!((displaced(&crowd), displaced(&single)), (vec![0], vec![]));
    }

    #[test]
    fn refuses_only_if_all_are_established() {
        let limiter = ConnectionLimiter::with(10, 1);
        let only = established(&limiter, "10.0.0.1");
        let refused = limiter.acquire(&tcp("10.0.0.1"), Instant::now());
        assert_eq!(refused.unwrap_err(), LimitExceeded::Peer);
        drop(only);
        acquire(&limiter, "10.0.0.1");
    }

    #[test]
    fn counts_by_network_and_by_user() {
        let limiter = ConnectionLimiter::with(10, 1);
        let permits = [
            acquire(&limiter, "2001:db8:0:1::1"),
            acquire(&limiter, "2001:db8:0:1:ffff::2"),
            acquire(&limiter, "2001:db8:0:2::1"),
            acquire(&limiter, "10.0.0.1"),
            acquire(&limiter, "::ffff:10.0.0.1"),
        ];
        assert_eq!(displaced(&permits), [0, 3]);
        let user = |pid| PeerAddress::Unix { uid: 1, pid: Some(pid) };
        let first = limiter.acquire(&user(1), Instant::now()).unwrap().permit;
        let _second = limiter.acquire(&user(2), Instant::now()).unwrap();
        assert!(first.displaced.is_cancelled());
    }

    #[test]
    fn restricts_peer_until_budget_refills() {
        let limiter = ConnectionLimiter::with(100, 100);
        let begun = Instant::now();
        let comes = |ip: &str, now| limiter.acquire(&tcp(ip), now).unwrap().permit;
        for _ in 0..20 {
            let permit = comes("10.0.0.1", begun);
            permit.charge(0.9, begun);
        }
        assert!(comes("10.0.0.1", begun).is_restricted());
        assert!(!comes("10.0.0.2", begun).is_restricted(), "others have their own budget");
        assert!(!comes("10.0.0.1", begun + REFILL / 4).is_restricted());
    }

    #[test]
    fn forgets_peers_without_connections_and_debt() {
        let limiter = ConnectionLimiter::with(10, 10);
        let begun = Instant::now();
        let knows_after = |time: Duration| {
            drop(limiter.acquire(&tcp("10.0.0.2"), begun + time).unwrap());
            limiter.state().peers.contains_key(&PeerKey::of(&tcp("10.0.0.1")))
        };
        let permit = limiter.acquire(&tcp("10.0.0.1"), begun).unwrap().permit;
        permit.charge(ABUSE_BUDGET, begun);
        drop(permit);
        assert!(knows_after(REFILL.mul_f64(0.9)));
        assert!(!knows_after(REFILL.mul_f64(1.1)));
    }
}
