//! Continuous pushes while a fault strikes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rhythmx_ticketing::{Client, v1};
use ticketing_harness::{Acknowledged, PATIENCE, World, incident};
use tokio::task::JoinSet;

/// Deadline of a call.
const CALL: Duration = Duration::from_secs(5);
/// Delay before a refused call is repeated.
const PAUSE: Duration = Duration::from_millis(10);

/// Callers that push one incident after another to Jira. A caller without an answer repeats its call.
pub(crate) struct Flow {
    told: Arc<Observed>,
    callers: JoinSet<()>,
}

/// Counters that the callers share.
#[derive(Debug, Default)]
struct Observed {
    begun: AtomicUsize,
    /// Calls in flight.
    under_way: AtomicUsize,
    /// Calls that failed.
    refused: AtomicUsize,
    over: AtomicBool,
}

// === impl Flow ===

impl Flow {
    pub(crate) fn begin(world: &World, callers: usize) -> Self {
        let told = Arc::<Observed>::default();
        let client = world.client.clone().with_deadline(CALL);
        let calls = (0..callers).map(|_| call(client.clone(), world.acknowledged.clone(), told.clone()));
        Self { callers: calls.collect(), told }
    }

    pub(crate) fn under_way(&self) -> usize {
        self.told.under_way.load(Ordering::SeqCst)
    }

    /// Returns how many incidents were begun.
    pub(crate) fn begun(&self) -> usize {
        self.told.begun.load(Ordering::SeqCst)
    }

    /// Waits until this many more calls were refused.
    pub(crate) async fn until_refused(&self, times: usize) {
        let before = self.told.refused.load(Ordering::SeqCst);
        self.until(&self.told.refused, before + times, "is refused").await;
    }

    /// Waits until this many more incidents were begun.
    pub(crate) async fn until_more(&self, incidents: usize) {
        self.until(&self.told.begun, self.begun() + incidents, "is pushed").await;
    }

    /// Begins no further incidents, waits until all are acknowledged, and returns their number.
    pub(crate) async fn end(mut self) -> usize {
        self.told.over.store(true, Ordering::SeqCst);
        let ended = tokio::time::timeout(PATIENCE, async {
            while let Some(call) = self.callers.join_next().await {
                call.unwrap();
            }
        });
        assert!(ended.await.is_ok(), "{} incidents are not acknowledged in time", self.under_way());
        self.begun()
    }

    async fn until(&self, count: &AtomicUsize, wanted: usize, what: &str) {
        let wait = async {
            while count.load(Ordering::SeqCst) < wanted {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "nothing {what} in time");
    }
}

async fn call(mut client: Client, acknowledged: Acknowledged, told: Arc<Observed>) {
    while !told.over.load(Ordering::SeqCst) {
        let id = format!("INC-{}", told.begun.fetch_add(1, Ordering::SeqCst));
        told.under_way.fetch_add(1, Ordering::SeqCst);
        loop {
            let incident = Some(incident(&id));
            let request =
                v1::CreateTicketRequest { incident, destination: Some(v1::TicketSystem::Jira.into()) };
            match client.create_ticket(request).await {
                Ok(answer) => break acknowledged.note_push(&answer),
                Err(_) => told.refused.fetch_add(1, Ordering::SeqCst),
            };
            tokio::time::sleep(PAUSE).await;
        }
        told.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}
