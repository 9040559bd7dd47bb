use ticketing_core::delivery::State;
use ticketing_core::fault::FaultKind;
use ticketing_core::system::System;

use super::{Bench, CONNECTION, ClaimKind, Outcome, connection, fault, incident};
use crate::{AcceptError, AcceptRequest, Requester};

pub async fn incident_becomes_one_delivery_for_each_connection(bench: Bench) {
    let connections = vec![connection(System::ServiceNow), connection(System::Jira)];
    let request = AcceptRequest {
        incident: incident("INC-1", 90.0),
        connections,
        expedite: false,
        by: Requester::default(),
    };
    let accepted = bench.store.accept(&request).await.unwrap();
    let connections: Vec<_> = accepted.iter().map(|accepted| accepted.delivery.connection.as_str()).collect();
    assert_eq!(connections, ["servicenow", "jira"]);
    for accepted in accepted {
        assert!(!accepted.existed && !accepted.snapshot_updated);
        let delivery = accepted.delivery;
        assert_eq!((delivery.state, delivery.incident_revision), (State::Pending, 1));
        assert_eq!(delivery.marker, bench.store.marker("INC-1", &delivery.connection));
        assert_eq!(bench.store.delivery(&delivery.id).await.unwrap(), Some(delivery));
    }
    let kept = bench.store.incident("INC-1", 1).await.unwrap();
    assert_eq!(kept, Some(incident("INC-1", 90.0)));
}

pub async fn accepting_again_creates_no_second_delivery(bench: Bench) {
    let first = bench.accept("INC-1").await;
    let again = bench.accept("INC-1").await;
    assert!(!first.existed && again.existed && !again.snapshot_updated);
    assert_eq!(first.delivery, again.delivery);
}

pub async fn thousand_concurrent_pushes_make_one_delivery(bench: Bench) {
    let callers = (0..1_000).map(|_| {
        let store = bench.store.clone();
        tokio::spawn(async move {
            let connections = vec![connection(System::Jira)];
            store
                .accept(&AcceptRequest {
                    incident: incident("INC-1", 90.0),
                    connections,
                    expedite: false,
                    by: Requester::default(),
                })
                .await
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut ids = std::collections::HashSet::new();
    let mut made = 0;
    for caller in callers {
        let accepted = caller.await.unwrap().unwrap().remove(0);
        made += usize::from(!accepted.existed);
        ids.insert(accepted.delivery.id);
    }
    assert_eq!((ids.len(), made), (1, 1));
    // Far fewer than one each: those that come together are committed together.
    assert!(bench.store.commits() < 500, "{} transactions", bench.store.commits());
}

pub async fn changed_incident_updates_unsent_deliveries(bench: Bench) {
    bench.accept("INC-1").await;
    let request = AcceptRequest {
        incident: incident("INC-1", 50.0),
        connections: vec![connection(System::ServiceNow), connection(System::Jira)],
        expedite: false,
        by: Requester::default(),
    };
    let accepted = bench.store.accept(&request).await.unwrap();
    assert!(!accepted[0].existed && !accepted[0].snapshot_updated);
    assert!(accepted[1].existed && accepted[1].snapshot_updated);
    assert_eq!((accepted[0].delivery.incident_revision, accepted[1].delivery.incident_revision), (2, 2));
    assert_eq!(bench.store.incident("INC-1", 2).await.unwrap(), Some(incident("INC-1", 50.0)));
    assert_eq!(bench.store.incident("INC-1", 1).await.unwrap(), Some(incident("INC-1", 90.0)));
}

pub async fn unused_snapshot_is_not_stored(bench: Bench) {
    let delivery = bench.intended("INC-1").await;
    let changed = bench.accept_as(incident("INC-1", 50.0), true).await;
    assert!(changed.existed && !changed.snapshot_updated);
    assert_eq!(changed.delivery, delivery);
    assert_eq!(bench.store.incident("INC-1", 2).await.unwrap(), None);
}

pub async fn accepting_again_expedites_waiting_delivery(bench: Bench) {
    let delivery = bench.claimed("INC-1").await;
    bench.settle(&delivery, Outcome::NotSent(fault(FaultKind::Connect))).await.unwrap();
    assert_eq!(bench.accept("INC-1").await.delivery.state, State::Waiting);
    assert!(bench.claim(ClaimKind::Fresh, 1).await.is_empty());
    let expedited = bench.accept_as(incident("INC-1", 90.0), true).await.delivery;
    assert_eq!((expedited.state, expedited.due_at), (State::Pending, Some(bench.now())));
    assert_eq!(bench.store.delivery_for("INC-1", CONNECTION).await.unwrap(), Some(expedited));
    assert_eq!(bench.claim(ClaimKind::Fresh, 1).await.len(), 1);
}

fn confined(name: &str, namespace: &str) -> Requester {
    Requester { name: name.to_owned(), namespace: namespace.parse().unwrap(), is_confined: true }
}

pub async fn refuses_incident_of_other_namespace(bench: Bench) {
    let accept = async |score, expedite, by| {
        let connections = vec![connection(System::Jira)];
        let request = AcceptRequest { incident: incident("INC-1", score), connections, expedite, by };
        bench.store.accept(&request).await.map(|mut accepted| accepted.remove(0).delivery)
    };
    let first = accept(90.0, false, confined("token:one", "a")).await.unwrap();
    assert_eq!(first.namespace.as_str(), "a");
    let events = bench.store.event_bounds().await.unwrap().last;
    let refused = accept(95.0, true, confined("token:two", "b")).await;
    assert!(matches!(refused, Err(AcceptError::OwnedByOther)), "{refused:?}");
    assert_eq!(bench.store.delivery(&first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(bench.store.event_bounds().await.unwrap().last, events);
    // Another credential of the same namespace, and one that is not confined.
    let again = accept(90.0, false, confined("token:three", "a")).await.unwrap();
    let by = Requester { is_confined: false, ..confined("token:ana", "b") };
    let analyst = accept(95.0, false, by).await.unwrap();
    assert_eq!((again.id, &analyst.id, analyst.namespace.as_str()), (first.id, &analyst.id, "a"));
    assert_eq!(analyst.incident_revision, 2);
    assert_eq!(bench.store.owner("INC-1").await.unwrap().unwrap().as_str(), "a");
    assert_eq!(bench.store.owner("INC-2").await.unwrap(), None);
}

pub async fn concurrent_pushes_of_an_incident_have_one_owner(bench: Bench) {
    for number in 0..20 {
        let accept = async |namespace: &str| {
            let by = confined("token:any", namespace);
            let connections = vec![connection(System::Jira)];
            let incident = incident(&format!("INC-{number}"), 90.0);
            bench.store.accept(&AcceptRequest { incident, connections, expedite: false, by }).await
        };
        let (one, other) = tokio::join!(accept("a"), accept("b"));
        assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1);
    }
}
