//! A firewall or proxy in front of the ticket system rejects the text of one incident while other incidents
//! pass: only that delivery fails.

use std::time::Duration;

use rhythmx_ticketing::v1::{ConnectionConditionKind, DeliveryState, FaultKind, RetryDeliveryRequest};
use ticketing_harness::WAIT_TIMEOUT;
use ticketing_simulator::{Call, Effect, Reply, Vendor};

use super::calls::{VENDORS, deliver, name, plan, simulator, start, system};
use super::cell::{Cell, CellContext};

const FAMILY: &str = "blocked";
const BLOCKED: &str = "INC-BLOCKED";
const OTHERS: usize = 5;

pub(super) fn cells() -> Vec<Cell> {
    let cell = |vendor| {
        Cell::new(FAMILY, "403 page for one incident", name(vendor), move |context| {
            delays_only_blocked_delivery(context, vendor)
        })
    };
    VENDORS.into_iter().map(cell).collect()
}

async fn delays_only_blocked_delivery(context: CellContext, vendor: Vendor) {
    let mut world = start(plan(&context, vendor)).await;
    let page = Reply::html(403, "<html><head><title>Blocked</title></head></html>");
    let firewall = move |call: Call, _: &str, body: &[u8]| {
        let is_blocked = call == Call::Create && String::from_utf8_lossy(body).contains(BLOCKED);
        is_blocked.then(|| Effect::Answer(page.clone()))
    };
    simulator(&world, vendor).faults().set_generator(firewall);
    let blocked = world.push(BLOCKED, system(vendor)).await.delivery.unwrap();
    assert_eq!(blocked.last_error.unwrap().kind(), FaultKind::Rejected);
    for number in 0..OTHERS {
        let delivery = deliver(&mut world, &format!("INC-{number}"), vendor).await;
        assert_eq!(delivery.attempts.len(), 1, "it waited: {delivery:#?}");
    }
    let condition = world.status(system(vendor)).await.condition.unwrap();
    assert_eq!(condition.kind(), ConnectionConditionKind::Ok, "{condition:?}");
    assert!(simulator(&world, vendor).faults().triggered() > 0, "nothing was blocked");
    simulator(&world, vendor).faults().remove_generator();
    // RetryDelivery if its retries are exhausted by now; a rejected attempt may still be in flight.
    let wait = async {
        loop {
            match world.delivery(&blocked.id).await.state() {
                DeliveryState::Delivered => return,
                DeliveryState::Failed => {
                    let request =
                        RetryDeliveryRequest { delivery_id: blocked.id.clone(), ..Default::default() };
                    world.client.retry_delivery(request).await.unwrap();
                }
                _ => tokio::time::sleep(Duration::from_millis(25)).await,
            }
        }
    };
    tokio::time::timeout(WAIT_TIMEOUT, wait).await.expect("the blocked incident is not delivered");
    world.until_all_delivered(OTHERS + 1).await;
    world.finish().await;
}
