//! Jira's search index shows a ticket late: within the index bound, beyond it, or never.

use std::time::Duration;

use rhythmx_ticketing::v1::{AttemptKind, AttemptOutcome, DeliveryState, TicketEventKind};
use tokio::time::Instant;

use super::cell::{Cell, CellContext};
use super::site_fixture::{Bounds, FOREVER, GRACE, Site, SiteFixture, attempts, key};

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
            cells.push(cell(fault, site, move |context| within_the_bound(context, site, lag)));
        }
        cells.push(cell("index lag: shrinks during reconciliation", site, move |context| {
            shrinks(context, site)
        }));
        cells.push(cell("index lag: grows during reconciliation", site, move |context| grows(context, site)));
        cells.push(cell("index lag: canary not visible yet", site, move |context| {
            invisible_canary(context, site)
        }));
        cells.push(cell("index lag: no canary, one answer too early", site, move |context| {
            first_search_too_early(context, site)
        }));
        cells.push(cell("index lag: visible canary proves absence", site, move |context| {
            visible_canary(context, site)
        }));
        // Beyond the bound and without a canary, a second ticket cannot be prevented. The promise is that
        // there is no third, and that a duplicate scan finds and reports the second.
        cells.push(cell("index lag: beyond the bound, two tickets, reported", site, move |context| {
            beyond_the_bound(context, site)
        }));
        cells.push(cell("index lag: beyond the bound, the older shows first", site, move |context| {
            older_shows_first(context, site)
        }));
        cells.push(cell("index lag: permanent, two tickets and no more", site, move |context| {
            permanent(context, site)
        }));
        cells.push(cell("index lag: permanent, another ticket hidden too", site, move |context| {
            permanent_with_hidden_canary(context, site)
        }));
    }
    for site in [Site::ServiceNow, Site::ServiceNowOwnIds] {
        let why = "ServiceNow answers a query of a table from its primary database";
        cells.push(Cell::does_not_apply(FAMILY, "index lag", site.name(), why));
    }
    cells
}

fn cell<F>(fault: &'static str, site: Site, run: impl Fn(CellContext) -> F + Send + Sync + 'static) -> Cell
where
    F: Future<Output = ()> + Send + 'static,
{
    Cell::new(FAMILY, fault, site.name(), run)
}

/// One ticket, whether the first create was applied or not.
async fn within_the_bound(context: CellContext, site: Site, lag: Duration) {
    let bounds = Bounds::default().with_index(INDEX_BOUND);
    let mut fixture = SiteFixture::start(&context, site, bounds).await;
    fixture.simulator().set_index_lag(lag);
    let began = Instant::now();
    let hidden = fixture.make_outcome_unknown("INC-1", true).await;
    let absent = fixture.make_outcome_unknown("INC-2", false).await;
    fixture.until_delivered_once(&hidden).await;
    context.recovered(began.elapsed(), lag + GRACE);
    fixture.until_delivered_once(&absent).await;
    context.recovered(began.elapsed(), bounds.proof() + bounds.interval * 2 + GRACE);
    fixture.world.finish().await;
}

async fn shrinks(context: CellContext, site: Site) {
    let bounds = Bounds::default().with_index(FOREVER);
    let mut fixture = SiteFixture::start(&context, site, bounds).await;
    fixture.simulator().set_index_lag(FOREVER);
    let id = fixture.make_outcome_unknown("INC-1", true).await;
    let unproven = |delivery: &_| attempts(delivery, AttemptKind::LookUp, AttemptOutcome::Unproven) >= 3;
    fixture.until(&id, "a third empty answer", unproven).await;
    fixture.simulator().set_index_lag(Duration::ZERO);
    let shown = Instant::now();
    fixture.until_delivered_once(&id).await;
    context.recovered(shown.elapsed(), bounds.interval * 2 + GRACE);
    assert_eq!(fixture.creates(), 1);
    fixture.world.finish().await;
}

/// While the index is rebuilt, searches show nothing: neither the ticket nor a canary.
async fn grows(context: CellContext, site: Site) {
    let mut fixture = SiteFixture::start(&context, site, Bounds::default().with_index(INDEX_BOUND)).await;
    fixture.simulator().set_index_lag(INDEX_BOUND);
    let id = fixture.make_outcome_unknown("INC-1", true).await;
    fixture.simulator().set_index_lag(FOREVER);
    create_canary(&mut fixture).await;
    fixture.until_looked_up(&id, 3).await;
    assert_eq!(
        (fixture.world.delivery(&id).await.state(), fixture.creates()),
        (DeliveryState::Reconciling, 2)
    );
    fixture.simulator().set_index_lag(Duration::ZERO);
    fixture.until_delivered_once(&id).await;
    assert_eq!(fixture.creates(), 2);
    fixture.world.finish().await;
}

/// A later ticket of ours (the canary) is hidden too: the index has not caught up, so the elapsed bound
/// proves nothing.
async fn invisible_canary(context: CellContext, site: Site) {
    let mut fixture = SiteFixture::start(&context, site, Bounds::default().with_index(INDEX_BOUND)).await;
    fixture.simulator().set_index_lag(FOREVER);
    let id = fixture.make_outcome_unknown("INC-1", true).await;
    create_canary(&mut fixture).await;
    fixture.until_looked_up(&id, 4).await;
    fixture.simulator().set_index_lag(Duration::ZERO);
    fixture.until_delivered_once(&id).await;
    assert_eq!(fixture.creates(), 2);
    fixture.world.finish().await;
}

/// The index lags by less than a look-up interval: the second search finds the ticket that the first one
/// missed.
async fn first_search_too_early(context: CellContext, site: Site) {
    let bounds = Bounds { interval: Duration::from_millis(900), ..Bounds::default() };
    let mut fixture = SiteFixture::start(&context, site, bounds).await;
    fixture.simulator().set_index_lag(FOREVER);
    let id = fixture.make_outcome_unknown("INC-1", true).await;
    fixture.until_looked_up(&id, 1).await;
    fixture.simulator().set_index_lag(Duration::ZERO);
    fixture.until_delivered_once(&id).await;
    assert_eq!(fixture.creates(), 1);
    fixture.world.finish().await;
}

async fn visible_canary(context: CellContext, site: Site) {
    let mut fixture = SiteFixture::start(&context, site, Bounds::default().with_index(INDEX_BOUND)).await;
    let id = fixture.make_outcome_unknown("INC-1", false).await;
    create_canary(&mut fixture).await;
    let delivery = fixture.until_delivered_once(&id).await;
    assert_eq!(attempts(&delivery, AttemptKind::LookUp, AttemptOutcome::Absent), 1, "{delivery:#?}");
    assert_eq!(fixture.creates(), 3);
    fixture.world.finish().await;
}

async fn beyond_the_bound(context: CellContext, site: Site) {
    let mut fixture =
        SiteFixture::start(&context, site, Bounds::default().with_duplicate_scans([400, 800, 1_200])).await;
    fixture.simulator().set_index_lag(FOREVER);
    let id = fixture.make_outcome_unknown("INC-1", true).await;
    fixture.world.until(&id, DeliveryState::Delivered).await;
    fixture.simulator().set_index_lag(Duration::ZERO);
    reports_duplicate(fixture, &id).await;
}

/// The first duplicate scan sees the older ticket alone, the next one sees both.
async fn older_shows_first(context: CellContext, site: Site) {
    let mut fixture =
        SiteFixture::start(&context, site, Bounds::default().with_duplicate_scans([200, 1_000, 2_000])).await;
    fixture.simulator().set_index_lag(FOREVER);
    let id = fixture.make_outcome_unknown("INC-1", true).await;
    fixture.world.until(&id, DeliveryState::Delivered).await;
    let tickets = fixture.simulator().tickets();
    let apart = tickets[1].created_at.duration_since(tickets[0].created_at).unsigned_abs();
    fixture.simulator().set_index_lag(apart);
    reports_duplicate(fixture, &id).await;
}

/// Of two tickets the delivery ends up with the older one, and the other is reported as a duplicate.
async fn reports_duplicate(mut fixture: SiteFixture, id: &str) {
    fixture.world.until_event("INC-1", TicketEventKind::DuplicateFound).await;
    let scanned = |delivery: &_| attempts(delivery, AttemptKind::DuplicateScan, AttemptOutcome::Found) >= 3;
    let delivery = fixture.until(id, "the last duplicate scan", scanned).await;
    let tickets = fixture.simulator().tickets();
    let keys: Vec<_> = tickets.iter().map(|ticket| ticket.key.as_str()).collect();
    assert_eq!(key(&delivery), keys[0], "the older one is the reference: {delivery:#?}");
    let others: Vec<_> = delivery.duplicates.iter().map(|ticket| ticket.key.as_str()).collect();
    assert_eq!((others.as_slice(), fixture.creates()), (&keys[1..], 2), "{delivery:#?}");
    // The operator resolves the reported duplicate.
    fixture.remove_marker(keys[1], &delivery.marker);
    fixture.world.finish().await;
}

/// The index never shows anything, so no search can detect the second ticket. There is no third.
async fn permanent(context: CellContext, site: Site) {
    let mut fixture =
        SiteFixture::start(&context, site, Bounds::default().with_duplicate_scans([100, 200, 300])).await;
    fixture.simulator().set_index_lag(FOREVER);
    let id = fixture.make_outcome_unknown("INC-1", true).await;
    fixture.world.until(&id, DeliveryState::Delivered).await;
    let scanned =
        |delivery: &_| attempts(delivery, AttemptKind::DuplicateScan, AttemptOutcome::Unproven) >= 3;
    let delivery = fixture.until(&id, "the last duplicate scan", scanned).await;
    let tickets = fixture.simulator().tickets();
    assert_eq!((tickets.len(), fixture.creates()), (2, 2), "{delivery:#?}");
    assert_eq!(key(&delivery), tickets[1].key);
    fixture.remove_marker(&tickets[0].key, &delivery.marker);
    fixture.world.finish().await;
}

/// A canary is hidden too, so the server knows that the index is not up to date: the outcome stays unknown,
/// and needs attention, until an operator decides.
async fn permanent_with_hidden_canary(context: CellContext, site: Site) {
    let mut fixture = SiteFixture::start(&context, site, Bounds::default().with_index(INDEX_BOUND)).await;
    fixture.simulator().set_index_lag(FOREVER);
    let id = fixture.make_outcome_unknown("INC-1", true).await;
    create_canary(&mut fixture).await;
    let delivery = fixture.until_looked_up(&id, 8).await;
    assert_eq!((delivery.state(), fixture.creates()), (DeliveryState::Reconciling, 2), "{delivery:#?}");
    assert_eq!(fixture.world.counts().await.reconciling, 1);
    let made = fixture.with_marker(&delivery.marker).remove(0);
    let resolved = fixture.resolve(&id, &made.key).await.unwrap();
    assert_eq!((resolved.state(), key(&resolved)), (DeliveryState::Delivered, made.key));
    fixture.until_delivered_once(&id).await;
    fixture.world.finish().await;
}

/// Creates a canary: a ticket made after the uncertain send was certainly over.
async fn create_canary(fixture: &mut SiteFixture) {
    let over = fixture.until_canary_counts();
    fixture.world.wait(over).await;
    fixture.push_through("INC-9").await;
}
