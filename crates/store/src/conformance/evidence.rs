use std::time::Duration;

use ticketing_core::delivery::look_up::LookUp;
use ticketing_core::evidence::{Evidence, SearchScope};
use ticketing_core::fault::FaultKind;
use ticketing_core::policy::Policy;
use ticketing_core::system::{Authorship, SearchResult};

use super::{Bench, CONNECTION, ClaimKind, Delivery, Outcome, created, destination, fault, made_by};
use crate::{LookUpRecord, SearchEvidence};

pub async fn evidence_is_kept_per_scope(bench: Bench) {
    let seen = |is_shown| SearchEvidence { delivery_id: "d".to_owned(), is_shown };
    bench.store.save_evidence(scope("a"), seen(false), bench.now()).await.unwrap();
    bench.store.save_evidence(scope("a"), seen(true), bench.now()).await.unwrap();
    assert_eq!(bench.store.evidence(&scope("a")).await.unwrap(), Some(seen(true)));
    assert_eq!(bench.store.evidence(&scope("b")).await.unwrap(), None);
}

pub async fn evidence_survives_a_restart(bench: Bench) {
    let seen = SearchEvidence { delivery_id: "d".to_owned(), is_shown: true };
    bench.store.save_evidence(scope("a"), seen.clone(), bench.now()).await.unwrap();
    let bench = bench.reopen_restored().await;
    assert_eq!(bench.store.evidence(&scope("a")).await.unwrap(), Some(seen));
}

pub async fn neighbors_were_sent_just_before_and_after(bench: Bench) {
    let mut sent_at = vec![];
    for id in ["INC-1", "INC-2", "INC-3", "INC-4"] {
        sent_at.push(bench.now());
        let delivery = bench.intended(id).await;
        bench.settle(&delivery, created(id)).await.unwrap();
        bench.clock.advance(Duration::from_secs(2));
    }
    let around = async |scope: SearchScope, at| {
        let found = bench.store.neighbors(&scope, at).await.unwrap();
        found.into_iter().map(|delivery| delivery.incident_id).collect::<Vec<_>>()
    };
    let second = Duration::from_secs(1);
    assert_eq!(around(scope("a"), sent_at[1] + second).await, ["INC-2", "INC-3"]);
    assert_eq!(around(scope("a"), sent_at[0] - second).await, ["INC-1"]);
    assert_eq!(around(scope("a"), sent_at[3] + second).await, ["INC-4"]);
    let other = Authorship { issue_type: "Bug".to_owned(), ..made_by() };
    let of_another_type = SearchScope { made_by: other, ..scope("a") };
    assert!(around(of_another_type, sent_at[1]).await.is_empty());
}

pub async fn unproven_absence_needs_attention_until_evidence(bench: Bench) {
    let delivery = bench.intended("INC-1").await;
    bench.settle(&delivery, Outcome::Sent(Err(fault(FaultKind::TimedOut)))).await.unwrap();
    look_up(&bench, Evidence::NotShown).await;
    let unproven = look_up(&bench, Evidence::NotShown).await;
    assert_eq!(bench.summary().await.needs_attention, 1);
    assert!(unproven.due_at.unwrap() > bench.now());
    assert_eq!(bench.store.search_proven(CONNECTION, bench.now()).await.unwrap(), 1);
    bench.claim(ClaimKind::Uncertain, 1).await.remove(0);
    assert_eq!(bench.store.search_proven(CONNECTION, bench.now()).await.unwrap(), 0, "it is being looked up");
    assert!(!bench.store.summaries().await.unwrap().contains_key("servicenow"));
}

/// A look-up long after the send, which finds nothing.
async fn look_up(bench: &Bench, evidence: Evidence) -> Delivery {
    bench.clock.advance(Duration::from_secs(3_600));
    let delivery = bench.claim(ClaimKind::Uncertain, 1).await.remove(0).delivery;
    let look_up =
        LookUp { answer: Ok(SearchResult::default()), had_canaries: false, evidence, asked_at: bench.now() };
    let delivery_id = delivery.id;
    let epoch = delivery.epoch;
    let record = LookUpRecord { delivery_id, epoch, look_up, times: bench.times() };
    bench.store.record_look_up(record, &Policy::default(), bench.now()).await.unwrap().unwrap()
}

fn scope(reader: &str) -> SearchScope {
    SearchScope { destination: destination(), made_by: made_by(), reader: reader.to_owned() }
}
