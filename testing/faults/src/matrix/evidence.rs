//! Accounts that do not see what they create, and markers that do not stay: every search is empty then, and proves nothing.

use std::time::Duration;

use rhythmx_ticketing::v1::{self, DeliveryState};
use serde_json::json;
use ticketing_simulator::Profile;
use tokio::time::Instant;

use super::cell::{Cell, Stage};
use super::scene::{Bounds, GRACE, Scene, Site};

const FAMILY: &str = "evidence";

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = vec![];
    for site in Site::ALL {
        cells.push(cell("tickets hidden from their creator", site, move |stage| hidden(stage, site)));
        cells.push(cell("tickets hidden since the last one", site, move |stage| hidden_since(stage, site)));
        cells.push(cell("first create of unknown outcome", site, move |stage| first_unknown(stage, site)));
        cells.push(match site {
            Site::ServiceNow => Cell::does_not_apply(
                FAMILY,
                "marker that does not stay",
                site.name(),
                "the sys_id is made from the marker, and stays where correlation_id does not",
            ),
            _ => cell("marker that does not stay", site, move |stage| no_marker(stage, site)),
        });
    }
    cells
}

fn cell<F>(fault: &'static str, site: Site, play: impl Fn(Stage) -> F + Send + Sync + 'static) -> Cell
where
    F: Future<Output = ()> + Send + 'static,
{
    Cell::new(FAMILY, fault, site.name(), play)
}

/// It is not sent again while its ticket is hidden, and found once it is not.
async fn hidden(stage: Stage, site: Site) {
    let mut scene = Scene::start_on(stage.plan().without_evidence(), site, Bounds::default()).await;
    scene.simulator().edit(|profile| profile.hides_created = true);
    scene.push_through("INC-0").await;
    stays_until_shown(stage, scene).await;
}

/// A search that was shown to work before works no more.
async fn hidden_since(stage: Stage, site: Site) {
    let mut scene = Scene::start(&stage, site, Bounds::default()).await;
    scene.push_through("INC-0").await;
    scene.simulator().edit(|profile| profile.hides_created = true);
    stays_until_shown(stage, scene).await;
}

async fn stays_until_shown(stage: Stage, mut scene: Scene) {
    let id = scene.make_outcome_unknown("INC-1", true).await;
    stays_unproven(&mut scene, &id).await;
    scene.simulator().edit(|profile| profile.hides_created = false);
    let shown = Instant::now();
    scene.until_delivered_once(&id).await;
    // Look-ups have got rarer: at most 100 intervals lie between two.
    stage.recovered(shown.elapsed(), Bounds::default().interval * 100 + GRACE);
    assert_eq!(scene.needing_attention().await, 0);
    scene.world.finish().await;
}

/// Nothing can tell whether it made a ticket, until another ticket of ours is seen.
async fn first_unknown(stage: Stage, site: Site) {
    let mut scene = Scene::start_on(stage.plan().without_evidence(), site, Bounds::default()).await;
    let id = scene.make_outcome_unknown("INC-1", false).await;
    stays_unproven(&mut scene, &id).await;
    scene.push_through("INC-2").await;
    let shown = Instant::now();
    let delivery = scene.until_delivered_once(&id).await;
    stage.recovered(shown.elapsed(), Duration::from_secs(1) + GRACE);
    assert_eq!((scene.sent(&delivery), scene.needing_attention().await), (2, 0), "{delivery:#?}");
    scene.world.finish().await;
}

/// Later tickets that keep their markers say nothing about the earlier one.
async fn no_marker(stage: Stage, site: Site) {
    let mut scene = Scene::start_on(stage.plan().without_evidence(), site, Bounds::default()).await;
    let drops = |drops: bool| {
        move |profile: &mut Profile| {
            profile.drops_labels = drops;
            profile.ignores_correlation_id = drops;
        }
    };
    scene.simulator().edit(drops(true));
    let unmarked = scene.push_through("INC-0").await;
    let id = scene.make_outcome_unknown("INC-1", true).await;
    stays_unproven(&mut scene, &id).await;
    scene.simulator().edit(drops(false));
    scene.push_through("INC-2").await;
    stays_unproven(&mut scene, &id).await;
    scene.cancel(&id).await.unwrap();
    // The general check looks for the marker.
    let ticket = unmarked.ticket.unwrap().id;
    let (field, marker) = match site.is_jira() {
        true => ("labels", json!([unmarked.marker])),
        false => ("correlation_id", json!(unmarked.marker)),
    };
    scene.simulator().set_field(&ticket, field, marker);
    scene.world.finish().await;
}

/// However often it is looked for, it is neither sent again nor given up, and says why.
async fn stays_unproven(scene: &mut Scene, id: &str) {
    let is_unproven = |delivery: &v1::Delivery| {
        let error = delivery.last_error.clone().unwrap_or_default();
        delivery.state() == DeliveryState::Reconciling
            && error.message.contains("absence is unproven")
            && error.hint.contains("create_anyway")
    };
    scene.until(id, "an absence that cannot be proven", is_unproven).await;
    let looked_up = scene.looked_up(id).await;
    let delivery = scene.until_looked_up(id, looked_up + 2).await;
    assert!(is_unproven(&delivery) && scene.sent(&delivery) == 1, "{delivery:#?}");
    assert_eq!(scene.needing_attention().await, 1, "{delivery:#?}");
}
