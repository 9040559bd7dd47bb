use std::time::Duration;

use ticketing_core::delivery::State;
use ticketing_core::delivery::look_up::LookUp;
use ticketing_core::delivery::restore::SearchPlace;
use ticketing_core::evidence::Evidence;
use ticketing_core::fault::FaultKind;
use ticketing_core::policy::{Bounds, Policy};
use ticketing_core::system::SearchResult;

use super::{Bench, ClaimKind, Delivery, LEASE, Outcome, destination, fault, made_by};
use crate::{AssumedSend, LookUpRecord};

const INDEX_BOUND: Duration = Duration::from_secs(180);

pub async fn new_store_is_not_restored(bench: Bench) {
    assert_eq!(
        (bench.store.installation().restored_at, bench.store.installation().stream.former.len()),
        (None, 0)
    );
    let delivery = bench.claimed("INC-1").await;
    assert_eq!(assume_sent(&bench, &delivery, delivery.epoch).await, None);
}

pub async fn restored_store_remembers_restore_time(bench: Bench) {
    let bench = bench.reopen_restored().await;
    let first = bench.store.installation().restored_at;
    assert_eq!(first, Some(bench.now()));
    bench.clock.advance(Duration::from_secs(3_600));
    let bench = bench.reopen_restored().await;
    assert_eq!(bench.store.installation().restored_at, Some(bench.now()));
}

pub async fn only_lease_holder_records_assumed_send(bench: Bench) {
    let bench = bench.reopen_restored().await;
    let delivery = bench.claimed("INC-1").await;
    assert_eq!(assume_sent(&bench, &delivery, delivery.epoch + 1).await, None);
    let is_assumed = assume_sent(&bench, &delivery, delivery.epoch).await.unwrap();
    assert_eq!(
        (is_assumed.state, is_assumed.has_unknown_outcome(), is_assumed.failures),
        (State::Reconciling, true, 0)
    );
    assert_eq!(bench.store.delivery(&delivery.id).await.unwrap(), Some(is_assumed.clone()));
    assert_eq!(assume_sent(&bench, &delivery, delivery.epoch).await, None);
    let claimed = bench.claim(ClaimKind::Uncertain, 1).await.remove(0).delivery;
    assert_eq!((claimed.id, claimed.epoch), (is_assumed.id, delivery.epoch + 1));
}

pub async fn proven_absence_is_stored(bench: Bench) {
    let bench = bench.reopen_restored().await;
    let restored_at = bench.now();
    bench.clock.advance(Duration::from_secs(24 * 3_600));
    let delivery = bench.claimed("INC-1").await;
    assume_sent(&bench, &delivery, delivery.epoch).await.unwrap();
    let claimed = bench.claim(ClaimKind::Uncertain, 1).await.remove(0).delivery;
    let answer = Ok(SearchResult { tickets: vec![], canary_seen: false });
    let record = LookUpRecord {
        delivery_id: claimed.id,
        epoch: claimed.epoch,
        look_up: LookUp { answer, had_canaries: false, evidence: Evidence::Shown, asked_at: bench.now() },
        times: bench.times(),
    };
    let absent = bench.store.record_look_up(record, &Policy::default(), bench.now()).await.unwrap().unwrap();
    assert_eq!((absent.state, absent.due_at), (State::Pending, Some(bench.now())));
    let read = bench.claim(ClaimKind::Fresh, 1).await.remove(0).delivery;
    assert_eq!(read.absences, absent.absences);
    assert_eq!(read.place_to_search(restored_at, vec![place()]), None);
}

pub async fn unknown_outcome_counts_from_restore(bench: Bench) {
    let uncertain = bench.intended("INC-1").await;
    bench.settle(&uncertain, Outcome::Sent(Err(fault(FaultKind::TimedOut)))).await.unwrap();
    bench.clock.advance(LEASE * 100);
    let bench = bench.reopen_restored().await;
    let recovered = bench.store.delivery(&uncertain.id).await.unwrap().unwrap();
    let bounds = Bounds::default();
    let expected = bench.now() + bounds.server_bound + INDEX_BOUND;
    assert_eq!(
        (recovered.state, recovered.provable_from(bounds.server_bound)),
        (State::Reconciling, Some(expected))
    );
}

pub async fn restored_store_renames_event_stream(bench: Bench) {
    bench.accept("INC-1").await;
    let former = bench.store.installation().stream.current.clone();
    let bench = bench.reopen_restored().await;
    assert_ne!(bench.store.installation().stream.current, former);
    assert_eq!(bench.store.installation().stream.former, [(former, 1)]);
    assert_eq!(bench.store.event_bounds().await.unwrap().last, 1);
}

async fn assume_sent(bench: &Bench, delivery: &Delivery, epoch: u32) -> Option<Delivery> {
    let supposition = AssumedSend { delivery_id: delivery.id.clone(), epoch, place: place() };
    bench.store.assume_sent(supposition, &Policy::default(), bench.now()).await.unwrap()
}

fn place() -> SearchPlace {
    SearchPlace {
        destination: destination(),
        index_bound: INDEX_BOUND,
        marker_in_text: false,
        made_by: made_by(),
    }
}
