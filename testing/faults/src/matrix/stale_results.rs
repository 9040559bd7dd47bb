//! Results of an attempt, a look-up or a canary that are recorded late.
//!
//! Two guards protect against each of them; only one remains where the ticket system exceeds all its bounds.

use std::time::Duration;

use rhythmx_ticketing::v1;
use ticketing_failpoints::Point;
use ticketing_harness::retry;
use ticketing_simulator::{Call, Effect, When};
use tokio::time::Instant;

use super::cell::{Cell, CellContext};
use super::site_fixture::{Bounds, Site, SiteFixture, status};

const FAMILY: &str = "stale result";

/// Time from a server log message to the next request, with a margin.
const NEXT_REQUEST: Duration = Duration::from_millis(500);
/// Long enough for a create on a busy machine.
const ATTEMPT_DEADLINE: u64 = 700;

/// Duration for which a refused attempt is held: long enough for a server that wrongly takes over the lease to
/// prove absence and to send again.
const HELD: Duration = Duration::from_secs(6);
/// Processor tick in ms while the attempt is held: a worker that claims on every tick still leaves the next
/// one this long.
const TICK: i32 = 250;

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    // First the sites where only the protocol prevents a second ticket.
    for site in [Site::ServiceNowOwnIds, Site::JiraCloud, Site::JiraDataCenter, Site::ServiceNow] {
        let name = site.name();
        cells.push(Cell::new(FAMILY, "refusal, recorded within the lease", name, move |context| {
            refusal_recorded_within_lease(context, site)
        }));
        cells.push(Cell::new(FAMILY, "empty answer, recorded after the bound", name, move |context| {
            search_recorded_after_bound(context, site)
        }));
        cells.push(Cell::new(
            FAMILY,
            "empty answer, recorded in the next reconciliation",
            name,
            move |context| search_recorded_in_next_reconciliation(context, site),
        ));
        let fault = "canary, created before the send was over";
        if !site.is_jira() {
            let why = "ServiceNow shows at once what was made, and needs no canary";
            cells.push(Cell::does_not_apply(FAMILY, fault, name, why));
            continue;
        }
        cells.push(Cell::new(FAMILY, fault, name, move |context| canary_before_send_was_over(context, site)));
    }
    cells
}

/// A refusal is recorded late but within its lease, so no other attempt is in flight.
async fn refusal_recorded_within_lease(context: CellContext, site: Site) {
    let bounds = Bounds { interval: Duration::from_secs(1), ..Bounds::default() };
    let bounds = bounds.with_attempt_deadline(ATTEMPT_DEADLINE).with_longer_lease(HELD * 2);
    let mut fixture = SiteFixture::start_in_a_process(&context, site, bounds).await;
    let request = v1::ConfigureRequest { retry: Some(retry(60, 3_600, TICK)), ..Default::default() };
    fixture.world.configure(request).await;
    fixture.inject(Call::Create, When::Nth(1), status(400));
    // In flight long enough for a second create to overlap.
    let slow = Duration::from_millis(ATTEMPT_DEADLINE - 150);
    fixture.inject(Call::Create, When::Nth(2), Effect::Delay(slow));
    fixture.world.server.arm(Point::ReplyRead);
    let _push = fixture.begin_push("INC-1");
    fixture.world.server.until_held(Point::ReplyRead).await;
    let id = fixture.the_delivery().await;
    let _ = tokio::time::timeout(HELD, fixture.until_creates(2)).await;
    fixture.world.server.release();
    fixture.until_creates(2).await;
    fixture.world.wait(slow + NEXT_REQUEST).await;
    fixture.until_delivered_once(&id).await;
    fixture.world.finish().await;
}

/// A search is empty, is held until the ticket exists and "not found" would be a proof, and is recorded then:
/// it is evidence of the time of the search only.
async fn search_recorded_after_bound(context: CellContext, site: Site) {
    let bounds = Bounds { server: Duration::from_millis(1_500), ..Bounds::default() };
    let bounds = bounds.with_longer_lease(HELD);
    let mut fixture = SiteFixture::start_in_a_process(&context, site, bounds).await;
    fixture.inject(Call::Create, When::Nth(1), Effect::ApplyLate(Duration::from_millis(1_200)));
    fixture.world.server.arm(Point::LookedUp);
    let _push = fixture.begin_push("INC-1");
    fixture.world.server.until_held(Point::LookedUp).await;
    let id = fixture.the_delivery().await;
    fixture.world.wait(bounds.proof()).await;
    fixture.world.server.release();
    fixture.until_delivered_once(&id).await;
    assert_eq!(fixture.creates(), 1, "it was sent again");
    fixture.world.finish().await;
}

/// A search about the first create is empty, and is held until the next create has an unknown outcome and
/// "not found" would prove its absence too.
async fn search_recorded_in_next_reconciliation(context: CellContext, site: Site) {
    let bounds = Bounds { server: Duration::from_secs(1), ..Bounds::default() };
    let bounds = bounds.with_attempt_deadline(ATTEMPT_DEADLINE);
    let mut fixture = SiteFixture::start_in_a_process(&context, site, bounds).await;
    fixture.inject(Call::Create, When::Nth(1), Effect::gateway_timeout());
    fixture.inject(Call::Create, When::Nth(2), Effect::ApplyLate(Duration::from_millis(600)));
    fixture.world.server.arm(Point::LookedUp);
    let _push = fixture.begin_push("INC-1");
    fixture.world.server.until_held(Point::LookedUp).await;
    let id = fixture.the_delivery().await;
    fixture.until_creates(2).await;
    // Look-ups fail even when the ticket exists, so that the outcome stays unknown.
    fixture.refuse_look_ups();
    fixture.world.wait(bounds.proof()).await;
    fixture.world.server.release();
    fixture.world.wait(NEXT_REQUEST).await;
    fixture.simulator().faults().clear();
    fixture.until_delivered_once(&id).await;
    assert_eq!(fixture.creates(), 2, "it was sent again");
    fixture.world.finish().await;
}

/// The index lags beyond its bound and shows tickets in order of creation: first one of ours that was created
/// while the send could still be applied, and much later the ticket of that send.
async fn canary_before_send_was_over(context: CellContext, site: Site) {
    let bounds = Bounds { server: Duration::from_secs(2), ..Bounds::default() };
    let bounds = bounds.with_attempt_deadline(ATTEMPT_DEADLINE).with_index(Duration::from_secs(2));
    let mut fixture = SiteFixture::start(&context, site, bounds).await;
    fixture.simulator().set_index_lag(Duration::from_millis(3_300));
    fixture.inject(Call::Create, When::Nth(1), Effect::ApplyLate(Duration::from_millis(2_400)));
    let id = fixture.push("INC-1").await.delivery.unwrap().id;
    let sent = Instant::now();
    let attempt_over = bounds.attempt_deadline + Duration::from_millis(50);
    fixture.world.wait(attempt_over).await;
    fixture.push_through("INC-8").await;
    // A valid canary: created when the send could no longer be applied.
    let all_over = attempt_over + bounds.server;
    fixture.world.wait(all_over.saturating_sub(sent.elapsed())).await;
    fixture.push_through("INC-9").await;
    let delivery = fixture.until_delivered_once(&id).await;
    assert_eq!(fixture.sent(&delivery), 1, "it was sent again");
    fixture.world.finish().await;
}
