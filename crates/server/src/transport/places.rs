//! How many connections there are, in all and from one peer.
//!
//! What a connection may waste (see `frames.rs`) belongs to its place: closing it and beginning anew makes it no more. A
//! peer that spent it has so many places less, until they have come back one after the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::flags::Limits;
use super::frames::REFILL;
use super::peer::{PeerAddress, Whose};

/// Peers that are gone and have spent nothing that has not come back are forgotten this often.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The count of connections.
#[derive(Debug)]
pub(super) struct Places {
    all: u32,
    per_peer: u32,
    taken: Mutex<Taken>,
}

/// A connection that is counted for as long as this is there.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    whose: Whose,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPlace {
    InAll,
    ForThisPeer,
}

#[derive(Debug)]
struct Taken {
    all: u32,
    by_peer: HashMap<Whose, OfPeer>,
    swept: Instant,
}

#[derive(Debug)]
struct OfPeer {
    open: u32,
    /// Places, and when there were so many; all that a peer can have come back within [`REFILL`].
    spent: f64,
    since: Instant,
}

// === impl Places ===

impl Places {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        let (all, per_peer) = (limits.connections, limits.connections_per_peer);
        Self::of(all, per_peer)
    }

    fn of(all: u32, per_peer: u32) -> Arc<Self> {
        Arc::new(Self { all, per_peer, taken: Mutex::new(Taken::none(Instant::now())) })
    }

    pub(super) fn take(self: &Arc<Self>, peer: &PeerAddress, now: Instant) -> Result<Place, NoPlace> {
        let whose = Whose::of(peer);
        let mut taken = self.taken();
        taken.sweep(now, self.per_peer);
        let used = taken.by_peer.get_mut(&whose).map_or(0, |of_peer| of_peer.used(now, self.per_peer));
        if used >= self.per_peer {
            return Err(NoPlace::ForThisPeer);
        }
        if taken.all >= self.all {
            return Err(NoPlace::InAll);
        }
        taken.all += 1;
        taken.by_peer.entry(whose).or_insert_with(|| OfPeer::none(now)).open += 1;
        Ok(Place { places: self.clone(), whose })
    }

    // A count is whole after each of its steps.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Place {
    /// Notes that this share of what may be wasted in it was, from 0 to 1.
    pub(super) fn spend(&self, share: f64, now: Instant) {
        if let Some(of_peer) = self.places.taken().by_peer.get_mut(&self.whose) {
            of_peer.come_back(now, self.places.per_peer);
            of_peer.spent += share;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(of_peer) = taken.by_peer.get_mut(&self.whose) {
            of_peer.open -= 1;
        }
    }
}

// === impl Taken ===

impl Taken {
    fn none(now: Instant) -> Self {
        Self { all: 0, by_peer: HashMap::new(), swept: now }
    }

    fn sweep(&mut self, now: Instant, per_peer: u32) {
        if now.duration_since(self.swept) < SWEEP_INTERVAL {
            return;
        }
        self.swept = now;
        self.by_peer.retain(|_, of_peer| {
            of_peer.come_back(now, per_peer);
            of_peer.open > 0 || of_peer.spent > 0.0
        });
    }
}

// === impl OfPeer ===

impl OfPeer {
    fn none(now: Instant) -> Self {
        Self { open: 0, spent: 0.0, since: now }
    }

    /// The places that it has, or has spent; half of one counts as one.
    fn used(&mut self, now: Instant, per_peer: u32) -> u32 {
        self.come_back(now, per_peer);
        self.open + self.spent.round() as u32
    }

    fn come_back(&mut self, now: Instant, per_peer: u32) {
        let share = now.duration_since(self.since).as_secs_f64() / REFILL.as_secs_f64();
        self.spent = (self.spent - share * f64::from(per_peer)).max(0.0);
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn tcp(ip: &str) -> PeerAddress {
        PeerAddress::Tcp((ip.parse::<IpAddr>().unwrap(), 1).into())
    }

    #[test]
    fn a_peer_has_its_number_and_all_of_them_have_theirs() {
        let places = Places::of(3, 2);
        let first = places.take(&tcp("10.0.0.1"), Instant::now()).unwrap();
        let _second = places.take(&tcp("::ffff:10.0.0.1"), Instant::now()).unwrap();
        assert_eq!(places.take(&tcp("10.0.0.1"), Instant::now()).unwrap_err(), NoPlace::ForThisPeer);
        let _third = places.take(&tcp("10.0.0.2"), Instant::now()).unwrap();
        assert_eq!(places.take(&tcp("10.0.0.3"), Instant::now()).unwrap_err(), NoPlace::InAll);
        drop(first);
        let _again = places.take(&tcp("10.0.0.1"), Instant::now()).unwrap();
    }

    #[test]
    fn a_network_counts_as_one_and_so_does_a_user() {
        let places = Places::of(10, 1);
        let _one = places.take(&tcp("2001:db8:0:1::1"), Instant::now()).unwrap();
        assert!(places.take(&tcp("2001:db8:0:1:ffff::2"), Instant::now()).is_err());
        let _other = places.take(&tcp("2001:db8:0:2::1"), Instant::now()).unwrap();
        let _user = places.take(&PeerAddress::Unix { uid: 1, pid: Some(1) }, Instant::now()).unwrap();
        assert!(places.take(&PeerAddress::Unix { uid: 1, pid: Some(2) }, Instant::now()).is_err());
    }

    #[test]
    fn places_that_were_spent_come_back_one_after_the_other_all_of_them_in_a_minute() {
        let (places, peer, begun) = (Places::of(10, 4), tcp("10.0.0.1"), Instant::now());
        for share in [1.0, 1.0, 0.9, 0.9] {
            places.take(&peer, begun).unwrap().spend(share, begun);
        }
        assert_eq!(places.take(&peer, begun).unwrap_err(), NoPlace::ForThisPeer);
        let _another = places.take(&tcp("10.0.0.2"), begun).unwrap();
        let mut open = vec![];
        for quarter in 1..=4 {
            let now = begun + quarter * REFILL / 4;
            open.push(places.take(&peer, now).unwrap());
            let further = places.take(&peer, now);
            assert!(further.is_err(), "two after {quarter} quarters");
        }
    }

    #[test]
    fn what_is_little_by_itself_adds_up_and_takes_nothing_from_others() {
        let (places, peer, now) = (Places::of(10, 4), tcp("10.0.0.1"), Instant::now());
        for _ in 0..35 {
            places.take(&peer, now).unwrap().spend(0.1, now);
        }
        assert!(places.take(&peer, now).is_err());
        let others = (2..12).map(|last| places.take(&tcp(&format!("10.0.0.{last}")), now).unwrap());
        assert_eq!(others.collect::<Vec<_>>().len(), 10);
    }

    #[test]
    fn peers_that_are_gone_are_forgotten_when_what_they_spent_has_come_back() {
        let (places, begun) = (Places::of(10, 1), Instant::now());
        let known_after = |share: f64| {
            drop(places.take(&tcp("10.0.0.2"), begun + REFILL.mul_f64(share)).unwrap());
            places.taken().by_peer.contains_key(&Whose::of(&tcp("10.0.0.1")))
        };
        places.take(&tcp("10.0.0.1"), begun).unwrap().spend(1.0, begun);
        assert!(known_after(0.9));
        assert!(!known_after(1.0));
    }
}
