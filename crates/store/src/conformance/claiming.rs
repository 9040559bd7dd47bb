use std::sync::Arc;
use std::time::Duration;

use ticketing_core::delivery::settle::SendIntent;
use ticketing_core::delivery::{Delivery, State};
use ticketing_core::fault::FaultKind;
use ticketing_core::policy::Policy;
use ticketing_core::system::{Rendered, TicketDraft};

use super::{Bench, CONNECTION, ClaimKind, LEASE, Outcome, claim_request, fault, incident};
use crate::{ClaimRequest, IntendError, Leases, Prepared, Preparer};

pub async fn claims_longest_due_first_exclusively(bench: Bench) {
    for id in ["INC-1", "INC-2", "INC-3"] {
        bench.accept(id).await;
        bench.clock.advance(Duration::from_secs(1));
    }
    let now = bench.now();
    let claims = [2, 2].map(|limit| bench.store.claim(claim_request(ClaimKind::Fresh, limit), now));
    let [first, second] = claims;
    let (first, second) = tokio::join!(first, second);
    let ids = |claimed: Vec<super::Claimed>| -> Vec<String> {
        claimed.into_iter().map(|claimed| claimed.delivery.incident_id).collect()
    };
    let mut all = [ids(first.unwrap()), ids(second.unwrap())];
    all.sort();
    assert_eq!(all, [vec!["INC-1".to_owned(), "INC-2".to_owned()], vec!["INC-3".to_owned()]]);
}

pub async fn claims_first_what_callers_wait_for(bench: Bench) {
    let mut waited_for = vec![];
    for n in 1..=9 {
        let delivery = bench.accept(&format!("INC-{n}")).await;
        if n > 4 {
            waited_for.push(delivery.delivery.id);
        }
        bench.clock.advance(Duration::from_secs(1));
    }
    let claim = async |limit, for_others| {
        let preferred = waited_for.clone();
        let request = ClaimRequest { preferred, for_others, ..claim_request(ClaimKind::Fresh, limit) };
        let claimed = bench.store.claim(request, bench.now()).await;
        claimed.unwrap().into_iter().map(|claimed| claimed.delivery.incident_id).collect::<Vec<_>>()
    };
    assert_eq!(claim(1, 0).await, ["INC-5"]);
    assert_eq!(claim(1, 1).await, ["INC-1"]);
    assert_eq!(claim(4, 1).await, ["INC-6", "INC-7", "INC-8", "INC-2"]);
    assert_eq!(claim(9, 2).await, ["INC-9", "INC-3", "INC-4"]);
}

pub async fn claim_has_the_snapshot_to_send(bench: Bench) {
    bench.accept("INC-1").await;
    bench.accept_as(incident("INC-1", 50.0), false).await;
    let claimed = bench.claim(ClaimKind::Fresh, 1).await.remove(0);
    assert_eq!(claimed.draft.incident, incident("INC-1", 50.0));
    let delivery = claimed.delivery;
    assert_eq!((delivery.state, delivery.epoch), (State::Attempting, 1));
    assert_eq!(delivery.lease_until, Some(bench.now() + LEASE));
    assert_eq!(bench.store.delivery(&delivery.id).await.unwrap(), Some(delivery));
}

/// Prepares the deliveries of `INC-1` alone.
#[derive(Debug)]
struct PreparesFirst(SendIntent);

impl Preparer for PreparesFirst {
    fn prepare(&self, _delivery: &Delivery, draft: &TicketDraft) -> Option<Prepared> {
        assert_ne!(draft.incident.id, "INC-3", "rendering panics");
        let prepared = || Prepared { rendered: Rendered::default(), send: self.0.clone() };
        (draft.incident.id == "INC-1").then(prepared)
    }
}

pub async fn claim_makes_prepared_intents_durable(bench: Bench) {
    for id in ["INC-1", "INC-2"] {
        bench.accept(id).await;
    }
    let send = bench.send_intent();
    let preparer: Option<Arc<dyn Preparer>> = Some(Arc::new(PreparesFirst(send.clone())));
    let request = ClaimRequest { preparer, ..claim_request(ClaimKind::Fresh, 2) };
    let claimed = bench.store.claim(request, bench.now()).await.unwrap();
    let [first, second] = &claimed[..] else { panic!("{claimed:?}") };
    assert_eq!(first.prepared.as_ref().map(|prepared| &prepared.send), Some(&send));
    assert_eq!(second.prepared, None);
    let stored = bench.store.delivery(&first.delivery.id).await.unwrap().unwrap();
    assert_eq!(stored.send.map(|send| (send.epoch, send.deadline)), Some((1, send.deadline)));
    let other = bench.store.delivery(&second.delivery.id).await.unwrap().unwrap();
    assert_eq!((other.state, other.send), (State::Attempting, None));
}

pub async fn panicking_preparer_prevents_no_claim(bench: Bench) {
    bench.accept("INC-3").await;
    let preparer: Option<Arc<dyn Preparer>> = Some(Arc::new(PreparesFirst(bench.send_intent())));
    let request = ClaimRequest { preparer, ..claim_request(ClaimKind::Fresh, 1) };
    let claimed = bench.store.claim(request, bench.now()).await.unwrap();
    assert_eq!(claimed[0].prepared, None);
}

pub async fn does_not_claim_before_due_time(bench: Bench) {
    let delivery = bench.claimed("INC-1").await;
    bench.settle(&delivery, Outcome::NotSent(fault(FaultKind::Connect))).await.unwrap();
    let due = bench.store.next_due(CONNECTION, ClaimKind::Due).await.unwrap();
    assert_eq!(due, Some(bench.now() + Duration::from_secs(60)));
    assert!(bench.claim(ClaimKind::Due, 9).await.is_empty());
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(bench.claim(ClaimKind::Due, 9).await[0].delivery.epoch, 2);
    assert!(bench.claim(ClaimKind::Due, 9).await.is_empty());
}

pub async fn clock_set_back_delays_no_pending_delivery(bench: Bench) {
    for id in ["INC-1", "INC-2"] {
        bench.accept(id).await;
        bench.clock.advance(Duration::from_secs(1));
    }
    let earlier = bench.now() - Duration::from_secs(3_600);
    let claimed = bench.store.claim(claim_request(ClaimKind::Fresh, 1), earlier).await.unwrap();
    assert_eq!(claimed[0].delivery.incident_id, "INC-1");
    let claimed = bench.store.claim(claim_request(ClaimKind::Fresh, 9), earlier).await.unwrap();
    assert_eq!(claimed[0].delivery.incident_id, "INC-2");
}

pub async fn expired_claim_without_intent_is_pending(bench: Bench) {
    bench.claimed("INC-1").await;
    let expire_lease = |now| bench.store.expire_leases(Leases::Expired, &POLICY, now);
    assert!(expire_lease(bench.now()).await.unwrap().is_empty());
    bench.clock.advance(LEASE);
    let expired = expire_lease(bench.now()).await.unwrap();
    assert_eq!((expired.len(), expired[0].state), (1, State::Pending));
    assert!(expire_lease(bench.now()).await.unwrap().is_empty());
}

pub async fn expired_claim_with_intent_is_unknown_outcome(bench: Bench) {
    bench.intended("INC-1").await;
    bench.clock.advance(LEASE);
    let expired = bench.store.expire_leases(Leases::Expired, &POLICY, bench.now()).await.unwrap();
    assert_eq!((expired[0].state, expired[0].has_unknown_outcome()), (State::Reconciling, true));
    assert!(bench.claim(ClaimKind::Uncertain, 1).await.is_empty());
    bench.clock.advance(Duration::from_secs(30));
    let claimed = bench.claim(ClaimKind::Uncertain, 1).await.remove(0);
    assert_eq!((claimed.delivery.state, claimed.delivery.epoch), (State::Reconciling, 2));
}

pub async fn all_leases_expire_at_start(bench: Bench) {
    bench.claimed("INC-1").await;
    bench.intended("INC-2").await;
    let mut expired = bench.store.expire_leases(Leases::All, &POLICY, bench.now()).await.unwrap();
    expired.sort_by(|one, other| one.incident_id.cmp(&other.incident_id));
    let states: Vec<_> = expired.iter().map(|delivery| delivery.state).collect();
    assert_eq!(states, [State::Pending, State::Reconciling]);
    assert!(expired.iter().all(|delivery| delivery.lease_until.is_none()));
}

pub async fn refuses_intent_after_lost_lease(bench: Bench) {
    let delivery = bench.claimed("INC-1").await;
    let intend = async |epoch| {
        let intent = super::Intent { epoch, ..bench.intent(&delivery).await };
        bench.store.intend(intent, bench.now()).await
    };
    assert!(matches!(intend(delivery.epoch + 1).await, Err(IntendError::LeaseLost)));
    let intended = intend(delivery.epoch).await.unwrap();
    assert_eq!(intended.send.as_ref().map(|send| send.epoch), Some(1));
    assert_eq!(bench.store.delivery(&delivery.id).await.unwrap(), Some(intended));
    bench.clock.advance(LEASE);
    assert!(matches!(intend(delivery.epoch).await, Err(IntendError::LeaseLost)));
    let unknown = super::Intent { delivery_id: "unknown".to_owned(), ..bench.intent(&delivery).await };
    assert!(matches!(bench.store.intend(unknown, bench.now()).await, Err(IntendError::LeaseLost)));
}

static POLICY: std::sync::LazyLock<Policy> = std::sync::LazyLock::new(Policy::default);
