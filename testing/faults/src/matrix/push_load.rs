//! Load generator: continuous pushes while a fault is injected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rhythmx_ticketing::{Client, v1};
use ticketing_harness::{Acknowledged, WAIT_TIMEOUT, World, incident};
use tokio::task::JoinSet;

/// Deadline of a call.
const CALL_DEADLINE: Duration = Duration::from_secs(5);
/// Delay before a refused call is repeated.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// Callers that push one incident after another to Jira. A caller without an answer repeats its call.
pub(crate) struct PushLoad {
    counters: Arc<Counters>,
    callers: JoinSet<()>,
}

/// Counters that the callers share.
#[derive(Debug, Default)]
struct Counters {
    started: AtomicUsize,
    /// Calls in flight.
    in_flight: AtomicUsize,
    /// Calls that failed.
    refused: AtomicUsize,
    is_stopping: AtomicBool,
}

// === impl PushLoad ===

impl PushLoad {
    pub(crate) fn begin(world: &World, callers: usize) -> Self {
        let counters = Arc::<Counters>::default();
        let client = world.client.clone().with_deadline(CALL_DEADLINE);
        let calls = (0..callers)
            .map(|_| push_repeatedly(client.clone(), world.acknowledged.clone(), counters.clone()));
        Self { callers: calls.collect(), counters }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.counters.in_flight.load(Ordering::SeqCst)
    }

    /// Returns how many incidents were begun.
    pub(crate) fn started(&self) -> usize {
        self.counters.started.load(Ordering::SeqCst)
    }

    /// Waits until this many more calls were refused.
    pub(crate) async fn until_refused(&self, times: usize) {
        let before = self.counters.refused.load(Ordering::SeqCst);
        self.until(&self.counters.refused, before + times, "is refused").await;
    }

    /// Waits until this many more incidents were begun.
    pub(crate) async fn until_started(&self, incidents: usize) {
        self.until(&self.counters.started, self.started() + incidents, "is pushed").await;
    }

    /// Begins no further incidents, waits until all are acknowledged, and returns their number.
    pub(crate) async fn finish(mut self) -> usize {
        self.counters.is_stopping.store(true, Ordering::SeqCst);
        let ended = tokio::time::timeout(WAIT_TIMEOUT, async {
            while let Some(ended) = self.callers.join_next().await {
                ended.unwrap();
            }
        });
        assert!(ended.await.is_ok(), "{} incidents are not acknowledged in time", self.in_flight());
        self.started()
    }

    async fn until(&self, count: &AtomicUsize, wanted: usize, what: &str) {
        let wait = async {
            while count.load(Ordering::SeqCst) < wanted {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(tokio::time::timeout(WAIT_TIMEOUT, wait).await.is_ok(), "nothing {what} in time");
    }
}

async fn push_repeatedly(mut client: Client, acknowledged: Acknowledged, counters: Arc<Counters>) {
    while !counters.is_stopping.load(Ordering::SeqCst) {
        let id = format!("INC-{}", counters.started.fetch_add(1, Ordering::SeqCst));
        counters.in_flight.fetch_add(1, Ordering::SeqCst);
        loop {
            let incident = Some(incident(&id));
            let request =
                v1::CreateTicketRequest { incident, destination: Some(v1::TicketSystem::Jira.into()) };
            match client.create_ticket(request).await {
                Ok(answer) => break acknowledged.note_push(&answer),
                Err(_) => counters.refused.fetch_add(1, Ordering::SeqCst),
            };
            tokio::time::sleep(RETRY_DELAY).await;
        }
        counters.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}
