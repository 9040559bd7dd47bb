//! How many connections there are, in all and from one peer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::flags::Limits;
use super::peer::{PeerAddress, Whose};

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

#[derive(Debug, Default)]
struct Taken {
    all: u32,
    by_peer: HashMap<Whose, u32>,
}

// === impl Places ===

impl Places {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        let (all, per_peer) = (limits.connections, limits.connections_per_peer);
        Arc::new(Self { all, per_peer, taken: Mutex::default() })
    }

    pub(super) fn take(self: &Arc<Self>, peer: &PeerAddress) -> Result<Place, NoPlace> {
        let whose = Whose::of(peer);
        let mut taken = self.taken();
        let of_peer = taken.by_peer.get(&whose).copied().unwrap_or_default();
        if of_peer >= self.per_peer {
            return Err(NoPlace::ForThisPeer);
        }
        if taken.all >= self.all {
            return Err(NoPlace::InAll);
        }
        taken.all += 1;
        taken.by_peer.insert(whose, of_peer + 1);
        Ok(Place { places: self.clone(), whose })
    }

    // A count is whole after each of its steps.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(of_peer) = taken.by_peer.get_mut(&self.whose) {
            *of_peer -= 1;
            if *of_peer == 0 {
                taken.by_peer.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn places(all: u32, per_peer: u32) -> Arc<Places> {
        Arc::new(Places { all, per_peer, taken: Mutex::default() })
    }

    fn tcp(ip: &str) -> PeerAddress {
        PeerAddress::Tcp((ip.parse::<IpAddr>().unwrap(), 1).into())
    }

    #[test]
    fn a_peer_has_its_number_and_all_of_them_have_theirs() {
        let places = places(3, 2);
        let first = places.take(&tcp("10.0.0.1")).unwrap();
        let _second = places.take(&tcp("::ffff:10.0.0.1")).unwrap();
        assert_eq!(places.take(&tcp("10.0.0.1")).unwrap_err(), NoPlace::ForThisPeer);
        let _third = places.take(&tcp("10.0.0.2")).unwrap();
        assert_eq!(places.take(&tcp("10.0.0.3")).unwrap_err(), NoPlace::InAll);
        drop(first);
        let _again = places.take(&tcp("10.0.0.1")).unwrap();
    }

    #[test]
    fn a_network_counts_as_one_and_so_does_a_user() {
        let places = places(10, 1);
        let _one = places.take(&tcp("2001:db8:0:1::1")).unwrap();
        assert!(places.take(&tcp("2001:db8:0:1:ffff::2")).is_err());
        let _other = places.take(&tcp("2001:db8:0:2::1")).unwrap();
        let _user = places.take(&PeerAddress::Unix { uid: 1, pid: Some(1) }).unwrap();
        assert!(places.take(&PeerAddress::Unix { uid: 1, pid: Some(2) }).is_err());
    }

    #[test]
    fn peers_that_are_gone_are_forgotten() {
        let places = places(10, 1);
        drop(places.take(&tcp("10.0.0.1")).unwrap());
        assert!(places.taken().by_peer.is_empty());
    }
}
