use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::delivery::{Resolution, State};
use ticketing_core::fault::FaultKind;
use ticketing_core::policy::Policy;
use ticketing_core::system::System;

use super::{Bench, CONNECTION, ClaimKind, Outcome, created, destination, fault, made_by, ticket};
use crate::conformance::noted;
use crate::{CanaryQuery, DeliveryFilter, NamedTicket, Operation, StateCount};

pub async fn pages_are_newest_first_without_repeats(bench: Bench) {
    for n in 0..5 {
        bench.accept(&format!("INC-{n}")).await;
        // Two of one age, so that the age alone cannot be where a page ends.
        bench.clock.advance(Duration::from_secs(u64::from(n % 2 == 0)));
    }
    let mut seen = vec![];
    let mut after = None;
    loop {
        let page = bench.store.list(&DeliveryFilter::default(), 2, after.as_ref(), false).await.unwrap();
        seen.extend(page.deliveries);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|one, next| (one.created_at, &one.id) > (next.created_at, &next.id)));
    let count = async |filter: DeliveryFilter| {
        bench.store.list(&filter, 9, None, false).await.unwrap().deliveries.len()
    };
    let of = DeliveryFilter::default;
    assert_eq!(count(DeliveryFilter { states: vec![State::Pending, State::Failed], ..of() }).await, 5);
    assert_eq!(count(DeliveryFilter { states: vec![State::Failed], ..of() }).await, 0);
    assert_eq!(count(DeliveryFilter { systems: vec![System::ServiceNow], ..of() }).await, 0);
    assert_eq!(count(DeliveryFilter { incident_id: Some("INC-3".to_owned()), ..of() }).await, 1);
}

pub async fn every_combination_of_filters_applies(bench: Bench) {
    let mut all = vec![];
    for n in 0..8 {
        let id = format!("INC-{n}");
        let delivery = bench.intended(&id).await;
        let outcome = match n % 4 {
            0 => created(&id),
            1 => Outcome::Sent(Err(fault(FaultKind::Rejected))),
            2 => Outcome::Sent(Err(fault(FaultKind::TimedOut))),
            _ => Outcome::NotSent(fault(FaultKind::Connect)),
        };
        all.push(bench.settle(&delivery, outcome).await.unwrap());
        bench.clock.advance(Duration::from_secs(1));
    }
    all.reverse();
    let choices = [
        DeliveryFilter { states: vec![State::Waiting, State::Delivered], ..DeliveryFilter::default() },
        DeliveryFilter { systems: vec![System::Jira, System::Jira], ..DeliveryFilter::default() },
        DeliveryFilter { connections: vec![CONNECTION.to_owned()], ..DeliveryFilter::default() },
        DeliveryFilter { ticket_key: Some("SEC-INC-4".to_owned()), ..DeliveryFilter::default() },
        DeliveryFilter {
            fault_kinds: vec![FaultKind::Connect, FaultKind::Rejected],
            ..DeliveryFilter::default()
        },
        DeliveryFilter { created_from: Some(all[5].created_at), ..DeliveryFilter::default() },
        DeliveryFilter { created_until: Some(all[1].created_at), ..DeliveryFilter::default() },
    ];
    for one in &choices {
        for other in &choices {
            let filter = both(one, other);
            let expected: Vec<_> = all.iter().filter(|delivery| filter.admits(delivery)).cloned().collect();
            let mut listed = vec![];
            let mut after = None;
            loop {
                let page = bench.store.list(&filter, 2, after.as_ref(), false).await.unwrap();
                listed.extend(page.deliveries);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(listed, expected, "{filter:?}");
        }
    }
}

fn both(one: &DeliveryFilter, other: &DeliveryFilter) -> DeliveryFilter {
    let mut both = one.clone();
    both.states.extend(&other.states);
    both.systems.extend(&other.systems);
    both.connections.extend(other.connections.clone());
    both.fault_kinds.extend(&other.fault_kinds);
    both.ticket_key = both.ticket_key.or(other.ticket_key.clone());
    both.created_from = both.created_from.or(other.created_from);
    both.created_until = both.created_until.or(other.created_until);
    both
}

pub async fn only_the_newest_attempts_are_listed(bench: Bench) {
    bench.accept("INC-1").await;
    for _ in 0..25 {
        for kind in [ClaimKind::Fresh, ClaimKind::Due] {
            for claimed in bench.claim(kind, 1).await {
                bench.settle(&claimed.delivery, Outcome::NotSent(fault(FaultKind::RateLimited))).await;
            }
        }
        bench.clock.advance(Duration::from_secs(7_200));
    }
    let page = bench.store.list(&DeliveryFilter::default(), 9, None, true).await.unwrap();
    let numbers: Vec<_> = page.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, (6..=25).collect::<Vec<_>>());
    assert_eq!(bench.attempts(&page.deliveries[0].id).await.len(), 25);
}

pub async fn canaries_are_our_tickets_sent_there_later(bench: Bench) {
    let mut sent_at = vec![];
    for id in ["INC-1", "INC-2", "INC-3"] {
        let delivery = bench.intended(id).await;
        sent_at.push(bench.now());
        bench.settle(&delivery, created(id)).await.unwrap();
        bench.clock.advance(Duration::from_secs(1));
    }
    let resolved = bench.intended("INC-4").await;
    bench.settle(&resolved, Outcome::Sent(Err(fault(FaultKind::TimedOut)))).await.unwrap();
    let resolution = Resolution::Verified;
    let operation = Operation::Resolve(NamedTicket { ticket: ticket("4"), resolution, markers: vec![] });
    bench
        .store
        .operate(&noted().actor, &resolved.id, operation, "", &Policy::default(), bench.now())
        .await
        .unwrap();
    let query = CanaryQuery {
        destination: destination(),
        made_by: made_by(),
        after: sent_at[1],
        until: Timestamp::MAX,
        limit: 9,
    };
    let expected = ["INC-2", "INC-3"].map(|id| bench.store.marker(id, CONNECTION));
    assert_eq!(bench.store.canaries(&query).await.unwrap(), expected);
    let early = CanaryQuery { until: sent_at[1], ..query.clone() };
    assert_eq!(bench.store.canaries(&early).await.unwrap(), expected[..1]);
    let elsewhere = CanaryQuery {
        destination: super::Destination { place: "OTHER".to_owned(), ..destination() },
        ..query
    };
    assert!(bench.store.canaries(&elsewhere).await.unwrap().is_empty());
}

pub async fn canaries_are_the_earliest_and_the_latest(bench: Bench) {
    let ids = ["INC-1", "INC-2", "INC-3", "INC-4", "INC-5", "INC-6"];
    let after = bench.now();
    for (n, id) in ids.into_iter().enumerate() {
        let delivery = bench.intended(id).await;
        bench.settle(&delivery, created(id)).await.unwrap();
        // The last three are of one age.
        bench.clock.advance(Duration::from_secs(u64::from(n < 3)));
    }
    let found = async |limit| {
        let query = CanaryQuery {
            destination: destination(),
            made_by: made_by(),
            after,
            until: Timestamp::MAX,
            limit,
        };
        bench.store.canaries(&query).await.unwrap()
    };
    let markers = |ids: &[&str]| ids.iter().map(|id| bench.store.marker(id, CONNECTION)).collect::<Vec<_>>();
    assert_eq!(found(0).await, []);
    assert_eq!(found(1).await, markers(&["INC-1"]));
    assert_eq!(found(3).await, markers(&["INC-1", "INC-2", "INC-6"]));
    assert_eq!(found(4).await, markers(&["INC-1", "INC-2", "INC-5", "INC-6"]));
    for limit in [6, 7, 20] {
        assert_eq!(found(limit).await, markers(&ids), "each once, up to {limit}");
    }
}

pub async fn deliveries_are_counted_by_state(bench: Bench) {
    let first = bench.now();
    let delivery = bench.intended("INC-1").await;
    bench.settle(&delivery, created("1")).await.unwrap();
    bench.clock.advance(Duration::from_secs(1));
    let second = bench.now();
    bench.accept("INC-2").await;
    bench.clock.advance(Duration::from_secs(1));
    bench.accept("INC-3").await;
    let expected = [
        StateCount { state: State::Delivered, count: 1, oldest: Some(first) },
        StateCount { state: State::Pending, count: 2, oldest: Some(second) },
    ];
    assert_eq!(bench.summary().await.counts, expected);
    assert!(!bench.store.summaries().await.unwrap().contains_key("servicenow"));
}

pub async fn summary_includes_what_was_answered_before(bench: Bench) {
    for accepted in 1..=20 {
        let id = bench.accept(&format!("INC-{accepted}")).await.delivery.id;
        let counts = bench.summary().await.counts;
        assert_eq!(counts.iter().map(|count| count.count).sum::<u64>(), accepted);
        if accepted % 2 == 0 {
            let by = noted().actor;
            let policy = Policy::default();
            bench.store.operate(&by, &id, Operation::Cancel, "", &policy, bench.now()).await.unwrap();
            let cancelled = bench.summary().await.counts;
            let cancelled = cancelled.iter().find(|count| count.state == State::Cancelled);
            assert_eq!(cancelled.map(|count| count.count), Some(accepted / 2));
        }
    }
}
