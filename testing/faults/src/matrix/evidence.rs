//! Accounts that cannot see the tickets they create, and markers that are not stored: every search is then
//! empty, which proves nothing.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, DeliveryState};
use serde_json::json;
use ticketing_simulator::Profile;
use tokio::time::Instant;

use super::cell::{Cell, CellContext};
use super::site_fixture::{Bounds, GRACE, Site, SiteFixture};

const FAMILY: &str = "evidence";

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for site in Site::ALL {
        cells.push(cell("tickets hidden from their creator", site, move |context| hidden(context, site)));
        cells.push(cell("tickets hidden since the last one", site, move |context| {
            hidden_since(context, site)
        }));
        cells
            .push(cell("first create of unknown outcome", site, move |context| first_unknown(context, site)));
        cells.push(match site {
            Site::ServiceNow => Cell::does_not_apply(
                FAMILY,
                "marker not stored",
                site.name(),
                "the sys_id is made from the marker, and stays where correlation_id does not",
            ),
            _ => cell("marker not stored", site, move |context| marker_not_stored(context, site)),
        });
    }
    cells
}

fn cell<F>(fault: &'static str, site: Site, run: impl Fn(CellContext) -> F + Send + Sync + 'static) -> Cell
where
    F: Future<Output = ()> + Send + 'static,
{
    Cell::new(FAMILY, fault, site.name(), run)
}

/// The create is not repeated while its ticket is hidden; the ticket is found once it is visible.
async fn hidden(context: CellContext, site: Site) {
    let mut fixture = SiteFixture::start_on(context.plan().without_evidence(), site, Bounds::default()).await;
    fixture.simulator().edit(|profile| profile.hides_created = true);
    fixture.push_through("INC-0").await;
    stays_until_shown(context, fixture).await;
}

/// The search showed our tickets before, and no longer does.
async fn hidden_since(context: CellContext, site: Site) {
    let mut fixture = SiteFixture::start(&context, site, Bounds::default()).await;
    fixture.push_through("INC-0").await;
    fixture.simulator().edit(|profile| profile.hides_created = true);
    stays_until_shown(context, fixture).await;
}

async fn stays_until_shown(context: CellContext, mut fixture: SiteFixture) {
    let id = fixture.make_outcome_unknown("INC-1", true).await;
    stays_unproven(&mut fixture, &id).await;
    fixture.simulator().edit(|profile| profile.hides_created = false);
    let shown = Instant::now();
    fixture.until_delivered_once(&id).await;
    // Look-ups back off to at most 100 intervals.
    context.recovered(shown.elapsed(), Bounds::default().interval * 100 + GRACE);
    assert_eq!(fixture.needing_attention().await, 0);
    fixture.world.finish().await;
}

/// The first create ever has an unknown outcome: absence is unproven until a search shows another ticket of
/// ours.
async fn first_unknown(context: CellContext, site: Site) {
    let mut fixture = SiteFixture::start_on(context.plan().without_evidence(), site, Bounds::default()).await;
    let id = fixture.make_outcome_unknown("INC-1", false).await;
    stays_unproven(&mut fixture, &id).await;
    fixture.push_through("INC-2").await;
    let shown = Instant::now();
    let delivery = fixture.until_delivered_once(&id).await;
    context.recovered(shown.elapsed(), Duration::from_secs(1) + GRACE);
    assert_eq!((fixture.sent(&delivery), fixture.needing_attention().await), (2, 0), "{delivery:#?}");
    fixture.world.finish().await;
}

/// Later tickets that keep their markers prove nothing about an earlier ticket that lost its marker.
async fn marker_not_stored(context: CellContext, site: Site) {
    let mut fixture = SiteFixture::start_on(context.plan().without_evidence(), site, Bounds::default()).await;
    let drops = |drops: bool| {
        move |profile: &mut Profile| {
            profile.drops_labels = drops;
            profile.ignores_correlation_id = drops;
        }
    };
    fixture.simulator().edit(drops(true));
    let unmarked = fixture.push_through("INC-0").await;
    let id = fixture.make_outcome_unknown("INC-1", true).await;
    stays_unproven(&mut fixture, &id).await;
    fixture.simulator().edit(drops(false));
    fixture.push_through("INC-2").await;
    stays_unproven(&mut fixture, &id).await;
    fixture.cancel(&id).await.unwrap();
    // Restores the marker, which the general check needs.
    let ticket = unmarked.ticket.unwrap().id;
    let (field, marker) = match site.is_jira() {
        true => ("labels", json!([unmarked.marker])),
        false => ("correlation_id", json!(unmarked.marker)),
    };
    fixture.simulator().set_field(&ticket, field, marker);
    fixture.world.finish().await;
}

/// However many look-ups are made, the create is not repeated, the delivery does not fail, and its error
/// states the reason.
async fn stays_unproven(fixture: &mut SiteFixture, id: &str) {
    let is_unproven = |delivery: &v1::Delivery| {
        let error = delivery.last_error.clone().unwrap_or_default();
        delivery.state() == DeliveryState::Reconciling
            && error.message.contains("absence is unproven")
            && error.hint.contains("create_anyway")
    };
    fixture.until(id, "an absence that cannot be proven", is_unproven).await;
    let looked_up = fixture.looked_up(id).await;
    let delivery = fixture.until_looked_up(id, looked_up + 2).await;
    assert!(is_unproven(&delivery) && fixture.sent(&delivery) == 1, "{delivery:#?}");
    assert_eq!(fixture.needing_attention().await, 1, "{delivery:#?}");
}
