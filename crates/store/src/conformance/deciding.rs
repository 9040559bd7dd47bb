//! Decisions by the stored settings and health of a connection, whatever the server knows of them.

use std::time::Duration;

use ticketing_core::fault::FaultKind;
use ticketing_core::health::{Condition, Failure, Observation, Purpose};
use ticketing_core::policy::Bounds;

use super::configuring::change;
use super::{Bench, CONNECTION, claim_request, created, fault, incident, noted};
use crate::{
    AcceptConnection, AcceptError, AcceptRequest, ClaimError, ClaimKind, ClaimRequest, IntendError, Intent,
    Requester,
};

pub async fn push_by_other_settings_is_refused(bench: Bench) {
    let revision = configure(&bench).await;
    let push = async |settings_revision| {
        let connection =
            AcceptConnection { settings_revision, ..super::connection(ticketing_core::system::System::Jira) };
        let incident = incident("INC-1", 90.0);
        let by = Requester::default();
        let request = AcceptRequest { incident, connections: vec![connection], expedite: false, by };
        bench.store.accept(&request).await
    };
    assert!(matches!(push(revision - 1).await, Err(AcceptError::SettingsChanged)));
    assert_eq!(bench.store.delivery_for("INC-1", CONNECTION).await.unwrap(), None);
    assert!(!push(revision).await.unwrap()[0].existed);
}

pub async fn claim_by_other_settings_is_refused(bench: Bench) {
    bench.accept("INC-1").await;
    let settings_revision = configure(&bench).await;
    let former = claim_request(ClaimKind::Fresh, 1);
    let refused = bench.store.claim(former.clone(), bench.now()).await;
    assert!(matches!(refused, Err(ClaimError::SettingsChanged)), "{refused:?}");
    let current = ClaimRequest { settings_revision, ..former };
    assert_eq!(bench.store.claim(current, bench.now()).await.unwrap().len(), 1);
}

pub async fn intent_by_other_settings_is_refused(bench: Bench) {
    let delivery = bench.claimed("INC-1").await;
    let intent = bench.intent(&delivery).await;
    let settings_revision = configure(&bench).await;
    let refused = bench.store.intend(intent.clone(), bench.now()).await;
    assert!(matches!(refused, Err(IntendError::SettingsChanged)), "{refused:?}");
    assert_eq!(bench.store.delivery(&delivery.id).await.unwrap().unwrap().send, None);
    bench.store.intend(Intent { settings_revision, ..intent }, bench.now()).await.unwrap();
}

pub async fn claim_needs_the_stored_health_to_admit_it(bench: Bench) {
    for id in ["INC-1", "INC-2"] {
        bench.accept(id).await;
    }
    observe(&bench, FaultKind::Unauthorized).await;
    let claim = async |purpose| {
        bench.store.claim(ClaimRequest { purpose, ..claim_request(ClaimKind::Fresh, 1) }, bench.now()).await
    };
    // Before the time of its next probe.
    assert!(matches!(claim(Purpose::Regular).await, Err(ClaimError::NotAdmitted)));
    assert!(matches!(claim(Purpose::Probe).await, Err(ClaimError::NotAdmitted)));
    assert_eq!(claim(Purpose::OperatorRetry).await.unwrap().len(), 1);
    bench.clock.advance(Duration::from_secs(3_600));
    assert!(matches!(claim(Purpose::Regular).await, Err(ClaimError::NotAdmitted)));
    assert_eq!(claim(Purpose::Probe).await.unwrap().len(), 1);
}

pub async fn created_ticket_ends_trouble_that_is_only_stored(bench: Bench) {
    let delivery = bench.intended("INC-1").await;
    observe(&bench, FaultKind::Forbidden).await;
    assert_eq!(condition(&bench).await, Condition::LoginRefused);
    bench.settle(&delivery, created("1")).await.unwrap();
    assert_eq!(condition(&bench).await, Condition::Ok);
}

pub async fn stored_pause_is_capped_by_current_bounds(bench: Bench) {
    let mut throttled = fault(FaultKind::RateLimited);
    throttled.retry_after = Some(Duration::from_secs(600));
    observe_failure(&bench, throttled).await;
    let bounds = Bounds { max_retry_after: Duration::from_secs(60), ..Bounds::default() };
    let health = bench.store.bound_pauses(CONNECTION, &bounds, bench.now()).await.unwrap();
    assert_eq!(health.throttled_until, Some(bench.now() + Duration::from_secs(60)));
    assert_eq!(bench.store.health(CONNECTION).await.unwrap(), health);
}

/// Changes the settings of the connection. Returns their revision.
async fn configure(bench: &Bench) -> u32 {
    bench.store.configure(vec![change(true, None)], noted(), bench.now()).await.unwrap().connections
        [CONNECTION]
}

async fn observe(bench: &Bench, kind: FaultKind) {
    observe_failure(bench, fault(kind)).await;
}

async fn observe_failure(bench: &Bench, fault: ticketing_core::fault::Fault) {
    let began = bench.now();
    let delivery_id = "another".to_owned();
    let failure = Failure { fault, began, delivery_id, lockout_limit: None, login_refusals: 0 };
    let observation = Observation::Failure(failure);
    bench.store.observe(CONNECTION, observation, &Bounds::default(), bench.now()).await.unwrap();
}

async fn condition(bench: &Bench) -> Condition {
    bench.store.health(CONNECTION).await.unwrap().condition
}
