//! Jira's search index shows a ticket late: within the index bound, beyond it, or never.

use std::time::Duration;

use rhythmx_ticketing::v1::{AttemptKind, AttemptOutcome, DeliveryState, TicketEventKind};
use tokio::time::Instant;

use super::cell::{Cell, Stage};
use super::scene::{Bounds, FOREVER, GRACE, Scene, Site, attempts, key};

const FAMILY: &str = "index";

const INDEX_BOUND: Duration = Duration::from_millis(900);

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for site in Site::JIRAS {
        for (fault, lag) in [
            ("index lag: none", 0),
            ("index lag: short", 100),
            ("index lag: long", 500),
            ("index lag: within the bound", 850),
        ] {
            let lag = Duration::from_millis(lag);
            cells.push(cell(fault, site, move |stage| within_the_bound(stage, site, lag)));
        }
        cells.push(cell("index lag: shrinks during reconciliation", site, move |stage| shrinks(stage, site)));
        cells.push(cell("index lag: grows during reconciliation", site, move |stage| grows(stage, site)));
        cells.push(cell("index lag: canary not visible yet", site, move |stage| {
            canary_not_seen_yet(stage, site)
        }));
        cells.push(cell("index lag: no canary, one answer too early", site, move |stage| {
            one_answer_too_early(stage, site)
        }));
        cells.push(cell("index lag: visible canary proves absence", site, move |stage| {
            witness_seen(stage, site)
        }));
        // Beyond the bound and without a canary, a second ticket cannot be prevented. The promise is that
        // there is no third, and that a duplicate scan finds and reports the second.
        cells.push(cell("index lag: beyond the bound, two tickets, reported", site, move |stage| {
            beyond_the_bound(stage, site)
        }));
        cells.push(cell("index lag: beyond the bound, the older shows first", site, move |stage| {
            older_shows_first(stage, site)
        }));
        cells.push(cell("index lag: permanent, two tickets and no more", site, move |stage| {
            permanent(stage, site)
        }));
        cells.push(cell("index lag: permanent, another ticket hidden too", site, move |stage| {
            permanent_with_a_hidden_canary(stage, site)
        }));
    }
    for site in [Site::ServiceNow, Site::ServiceNowOwnIds] {
        let why = "ServiceNow answers a query of a table from its primary database";
        cells.push(Cell::does_not_apply(FAMILY, "index lag", site.name(), why));
    }
    cells
}

fn cell<F>(fault: &'static str, site: Site, play: impl Fn(Stage) -> F + Send + Sync + 'static) -> Cell
where
    F: Future<Output = ()> + Send + 'static,
{
    Cell::new(FAMILY, fault, site.name(), play)
}

/// One ticket, whether the first create was applied or not.
async fn within_the_bound(stage: Stage, site: Site, lag: Duration) {
    let bounds = Bounds::default().with_index(INDEX_BOUND);
    let mut scene = Scene::start(&stage, site, bounds).await;
    scene.simulator().set_index_lag(lag);
    let began = Instant::now();
    let hidden = scene.make_outcome_unknown("INC-1", true).await;
    let absent = scene.make_outcome_unknown("INC-2", false).await;
    scene.until_delivered_once(&hidden).await;
    stage.recovered(began.elapsed(), lag + GRACE);
    scene.until_delivered_once(&absent).await;
    stage.recovered(began.elapsed(), bounds.proof() + bounds.interval * 2 + GRACE);
    scene.world.finish().await;
}

async fn shrinks(stage: Stage, site: Site) {
    let bounds = Bounds::default().with_index(FOREVER);
    let mut scene = Scene::start(&stage, site, bounds).await;
    scene.simulator().set_index_lag(FOREVER);
    let id = scene.make_outcome_unknown("INC-1", true).await;
    let unproven = |delivery: &_| attempts(delivery, AttemptKind::LookUp, AttemptOutcome::Unproven) >= 3;
    scene.until(&id, "a third empty answer", unproven).await;
    scene.simulator().set_index_lag(Duration::ZERO);
    let shown = Instant::now();
    scene.until_delivered_once(&id).await;
    stage.recovered(shown.elapsed(), bounds.interval * 2 + GRACE);
    assert_eq!(scene.creates(), 1);
    scene.world.finish().await;
}

/// While the index is rebuilt, searches show nothing: neither the ticket nor a canary.
async fn grows(stage: Stage, site: Site) {
    let mut scene = Scene::start(&stage, site, Bounds::default().with_index(INDEX_BOUND)).await;
    scene.simulator().set_index_lag(INDEX_BOUND);
    let id = scene.make_outcome_unknown("INC-1", true).await;
    scene.simulator().set_index_lag(FOREVER);
    create_canary(&mut scene).await;
    scene.until_looked_up(&id, 3).await;
    assert_eq!((scene.world.delivery(&id).await.state(), scene.creates()), (DeliveryState::Reconciling, 2));
    scene.simulator().set_index_lag(Duration::ZERO);
    scene.until_delivered_once(&id).await;
    assert_eq!(scene.creates(), 2);
    scene.world.finish().await;
}

/// A later ticket of ours (the canary) is hidden too: the index has not caught up, so the elapsed bound
/// proves nothing.
async fn canary_not_seen_yet(stage: Stage, site: Site) {
    let mut scene = Scene::start(&stage, site, Bounds::default().with_index(INDEX_BOUND)).await;
    scene.simulator().set_index_lag(FOREVER);
    let id = scene.make_outcome_unknown("INC-1", true).await;
    create_canary(&mut scene).await;
    scene.until_looked_up(&id, 4).await;
    scene.simulator().set_index_lag(Duration::ZERO);
    scene.until_delivered_once(&id).await;
    assert_eq!(scene.creates(), 2);
    scene.world.finish().await;
}

/// The index lags by less than a look-up interval: the second search finds the ticket that the first one
/// missed.
async fn one_answer_too_early(stage: Stage, site: Site) {
    let bounds = Bounds { interval: Duration::from_millis(900), ..Bounds::default() };
    let mut scene = Scene::start(&stage, site, bounds).await;
    scene.simulator().set_index_lag(FOREVER);
    let id = scene.make_outcome_unknown("INC-1", true).await;
    scene.until_looked_up(&id, 1).await;
    scene.simulator().set_index_lag(Duration::ZERO);
    scene.until_delivered_once(&id).await;
    assert_eq!(scene.creates(), 1);
    scene.world.finish().await;
}

async fn witness_seen(stage: Stage, site: Site) {
    let mut scene = Scene::start(&stage, site, Bounds::default().with_index(INDEX_BOUND)).await;
    let id = scene.make_outcome_unknown("INC-1", false).await;
    create_canary(&mut scene).await;
    let delivery = scene.until_delivered_once(&id).await;
    assert_eq!(attempts(&delivery, AttemptKind::LookUp, AttemptOutcome::Absent), 1, "{delivery:#?}");
    assert_eq!(scene.creates(), 3);
    scene.world.finish().await;
}

async fn beyond_the_bound(stage: Stage, site: Site) {
    let mut scene =
        Scene::start(&stage, site, Bounds::default().with_duplicate_scans([400, 800, 1_200])).await;
    scene.simulator().set_index_lag(FOREVER);
    let id = scene.make_outcome_unknown("INC-1", true).await;
    scene.world.until(&id, DeliveryState::Delivered).await;
    scene.simulator().set_index_lag(Duration::ZERO);
    two_are_reported(scene, &id).await;
}

/// The first duplicate scan sees the older ticket alone, the next one sees both.
async fn older_shows_first(stage: Stage, site: Site) {
    let mut scene =
        Scene::start(&stage, site, Bounds::default().with_duplicate_scans([200, 1_000, 2_000])).await;
    scene.simulator().set_index_lag(FOREVER);
    let id = scene.make_outcome_unknown("INC-1", true).await;
    scene.world.until(&id, DeliveryState::Delivered).await;
    let tickets = scene.simulator().tickets();
    let apart = tickets[1].created_at.duration_since(tickets[0].created_at).unsigned_abs();
    scene.simulator().set_index_lag(apart);
    two_are_reported(scene, &id).await;
}

/// Of two tickets the delivery ends up with the older one, and the other is reported as a duplicate.
async fn two_are_reported(mut scene: Scene, id: &str) {
    scene.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    let swept = |delivery: &_| attempts(delivery, AttemptKind::DuplicateScan, AttemptOutcome::Found) >= 3;
    let delivery = scene.until(id, "the last sweep", swept).await;
    let tickets = scene.simulator().tickets();
    let keys: Vec<_> = tickets.iter().map(|ticket| ticket.key.as_str()).collect();
    assert_eq!(key(&delivery), keys[0], "the older one is the reference: {delivery:#?}");
    let others: Vec<_> = delivery.duplicates.iter().map(|ticket| ticket.key.as_str()).collect();
    assert_eq!((others.as_slice(), scene.creates()), (&keys[1..], 2), "{delivery:#?}");
    // The operator resolves the reported duplicate.
    scene.remove_marker(keys[1], &delivery.marker);
    scene.world.finish().await;
}

/// The index never shows anything, so no search can detect the second ticket. There is no third.
async fn permanent(stage: Stage, site: Site) {
    let mut scene = Scene::start(&stage, site, Bounds::default().with_duplicate_scans([100, 200, 300])).await;
    scene.simulator().set_index_lag(FOREVER);
    let id = scene.make_outcome_unknown("INC-1", true).await;
    scene.world.until(&id, DeliveryState::Delivered).await;
    let swept = |delivery: &_| attempts(delivery, AttemptKind::DuplicateScan, AttemptOutcome::Unproven) >= 3;
    let delivery = scene.until(&id, "the last sweep", swept).await;
    let tickets = scene.simulator().tickets();
    assert_eq!((tickets.len(), scene.creates()), (2, 2), "{delivery:#?}");
    assert_eq!(key(&delivery), tickets[1].key);
    scene.remove_marker(&tickets[0].key, &delivery.marker);
    scene.world.finish().await;
}

/// A canary is hidden too, so the server knows that the index is not up to date: the outcome stays unknown,
/// and needs attention, until an operator decides.
async fn permanent_with_a_hidden_canary(stage: Stage, site: Site) {
    let mut scene = Scene::start(&stage, site, Bounds::default().with_index(INDEX_BOUND)).await;
    scene.simulator().set_index_lag(FOREVER);
    let id = scene.make_outcome_unknown("INC-1", true).await;
    create_canary(&mut scene).await;
    let delivery = scene.until_looked_up(&id, 8).await;
    assert_eq!((delivery.state(), scene.creates()), (DeliveryState::Reconciling, 2), "{delivery:#?}");
    assert_eq!(scene.world.counts().await.reconciling, 1);
    let made = scene.bearing(&delivery.marker).remove(0);
    let resolved = scene.resolve(&id, &made.key).await.unwrap();
    assert_eq!((resolved.state(), key(&resolved)), (DeliveryState::Delivered, made.key));
    scene.until_delivered_once(&id).await;
    scene.world.finish().await;
}

/// Creates a canary: a ticket made after the uncertain send was certainly over.
async fn create_canary(scene: &mut Scene) {
    let over = scene.until_canary_counts();
    scene.world.wait(over).await;
    scene.push_through("INC-9").await;
}
