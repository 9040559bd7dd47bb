//! One round: new ticket systems, its callers, its subscribers, and the faults of its server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rhythmx_ticketing::v1::{self, TicketSystem};
use tempfile::TempDir;
use ticketing_harness::{Plan as WorldPlan, World};
use ticketing_simulator::{Call, Keep, Point, Simulator};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::callers::{self, system};
use super::plan::{LAST, Plan, RETRIES, ServerFaultKind, Size, TARGETS};
use super::progress::Progress;
use super::random_faults::{FaultRates, MARKER, RandomFaults};
use super::record::{Create, DeliverySnapshot, Entry, Observation, Recorder, Setting, Ticket};
use super::seeded_random::SeededRandom;
use super::subscribers::{FILTERED, RECONNECTING, STEADY, Subscriber};

/// Time scale: a second represents half a minute of the real bounds.
pub(super) const ATTEMPT_DEADLINE: Duration = Duration::from_secs(1);
pub(super) const LEASE: Duration = Duration::from_secs(3);
pub(super) const SERVER_BOUND: Duration = Duration::from_secs(2);
pub(super) const INDEX_BOUND: Duration = Duration::from_millis(300);
const LOOK_UP_INTERVAL: Duration = Duration::from_millis(1_500);
/// A create is applied no later than this after its arrival. It may arrive late within the attempt's second,
/// and the machine may be slow.
pub(super) const MAX_DELAY: Duration = Duration::from_millis(900);

/// Something must change within this time while not everything is settled.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The parameters of a round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round<'a> {
    /// Folder of the database.
    pub(super) data: Option<&'a Path>,
    pub(super) seed: u64,
    pub(super) number: u64,
    pub(super) deliveries: usize,
    /// Number of process faults; a server without any runs in this process.
    pub(super) server_faults: usize,
    /// Faults per thousand first creates.
    pub(super) fault_rate: u64,
    pub(super) callers: usize,
    pub(super) window: usize,
    pub(super) concurrency: u16,
    /// Another build of the server, without a guard, to see whether the checker sees that.
    pub(super) program: Option<&'a Path>,
}

// === impl Round ===

impl Round<'_> {
    pub(super) fn plan(&self) -> Plan {
        let size = Size {
            deliveries: self.deliveries,
            server_faults: self.server_faults,
            lease: LEASE,
            index_bound: INDEX_BOUND,
        };
        Plan::of(self.seed, self.number, size)
    }

    pub(super) fn random_faults(&self, target: usize) -> RandomFaults {
        let rates = FaultRates {
            seed: self.seed,
            round: self.number,
            fault_rate: self.fault_rate,
            max_delay: MAX_DELAY,
        };
        RandomFaults::new(rates, target)
    }

    /// Runs it. Returns the record.
    pub(super) async fn run(&self) -> Result<Vec<Entry>> {
        let recorder = Arc::new(Recorder::new());
        recorder.note(Observation::Began(Setting {
            seed: self.seed,
            round: self.number,
            attempt_deadline_ms: millis(ATTEMPT_DEADLINE),
            server_bound_ms: millis(SERVER_BOUND),
            index_bound_ms: millis(INDEX_BOUND),
            retries: RETRIES,
        }));
        let data = folder(self.data).context("no folder for the database")?;
        let mut world = self.start(data.path()).await;
        let mut plan = self.plan();
        let progress = Arc::new(Progress::default());
        let (settled, last) = watch::channel(None);
        let mut subscribers = JoinSet::new();
        for who in [STEADY, RECONNECTING, FILTERED] {
            let subscriber = Subscriber {
                who,
                client: world.client.clone(),
                chance: SeededRandom::of(&[self.seed, self.number, 5, who.into()]),
                recorder: recorder.clone(),
                progress: progress.clone(),
                last: last.clone(),
            };
            subscribers.spawn(subscriber.read());
        }
        let orders = std::mem::take(&mut plan.orders);
        let client = world.client.clone();
        let callers = callers::run_callers(&client, orders, self.callers, self.window, &recorder, &progress);
        tokio::join!(callers, inject_server_faults(&mut world, &plan, &recorder, &progress));
        until_settled(&mut world).await;
        let last = last_event(&mut world).await;
        recorder.note(Observation::Settled { last });
        settled.send_replace(Some(last));
        let readers = async { while subscribers.join_next().await.is_some() {} };
        // The checker reports a subscriber that has not seen all events by then.
        let _ = tokio::time::timeout(SETTLE_TIMEOUT, readers).await;
        subscribers.shutdown().await;
        record_final_states(&mut world, &recorder).await;
        world.server.stop().await;
        Ok(recorder.take())
    }

    async fn start(&self, data: &Path) -> World {
        let mut plan = WorldPlan::new()
            .with_data(data)
            .with_flag(&format!("--attempt-deadline={}ms", ATTEMPT_DEADLINE.as_millis()))
            .with_flag(&format!("--lease={}ms", LEASE.as_millis()))
            .with_flag(&format!("--server-bound={}ms", SERVER_BOUND.as_millis()))
            .with_flag(&format!("--jira-cloud-index-bound={}ms", INDEX_BOUND.as_millis()))
            .with_flag(&format!("--look-up-interval={}ms", LOOK_UP_INTERVAL.as_millis()))
            .with_flag(&format!("--concurrency={}", self.concurrency))
            // Most requests meet faults: that must not open the circuit here.
            .with_flag("--circuit-threshold=1000")
            .with_flag("--log=error");
        if self.server_faults > 0 {
            plan = plan.in_a_process();
        }
        if let Some(program) = self.program {
            plan = plan.with_program(program);
        }
        let mut world = plan.start_unconfigured().await;
        let mut request = world.settings();
        if let Some(retry) = &mut request.retry {
            retry.max_retry_attempts = Some(RETRIES);
        }
        request.auto_push = Some(v1::AutoPushSettings {
            enabled: Some(true),
            minimum_severity: Some(v1::Severity::Low.into()),
            systems: Some(v1::TicketSystemList {
                values: vec![TicketSystem::Jira.into(), TicketSystem::Servicenow.into()],
            }),
            ..Default::default()
        });
        world.configure(request).await;
        for target in 0..TARGETS.len() {
            let faults = self.random_faults(target);
            let simulator = world.simulator(system(target));
            simulator.keep_requests(Keep::Nothing);
            simulator.faults().set_generator(move |call, query, body| faults.effect(call, query, body));
        }
        world
    }
}

/// In memory if possible: nothing here cuts the power, so a disk would only add time.
fn folder(wanted: Option<&Path>) -> std::io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    match wanted.or_else(|| memory.is_dir().then_some(memory)) {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    }
}

/// Faults of the server and of the index while callers call.
async fn inject_server_faults(world: &mut World, plan: &Plan, recorder: &Recorder, progress: &Progress) {
    for fault in &plan.server_faults {
        progress.until_started(fault.after).await;
        if !matches!(fault.how, ServerFaultKind::IndexLag(_)) {
            recorder.note(Observation::ServerFault { how: fault.how.describe() });
        }
        match fault.how {
            ServerFaultKind::Killed => {
                world.server.kill().await;
                world.server.start_again().await;
            }
            ServerFaultKind::Terminated => {
                world.server.stop().await;
                world.server.start_again().await;
            }
            ServerFaultKind::Suspended(time) => {
                world.server.pause().await;
                tokio::time::sleep(time).await;
                world.server.resume().await;
            }
            ServerFaultKind::IndexLag(lag) => {
                world.jira.set_index_lag(lag);
                recorder.note(Observation::IndexLag { ms: millis(lag) });
            }
        }
        // A fault follows once the server is up.
        world.client = world.server.client().await;
    }
}

/// Waits until every delivery is settled, or nothing changes any more. The checker reports those that never
/// are.
async fn until_settled(world: &mut World) {
    let mut last = v1::DeliveryCounts::default();
    let mut changed = Instant::now();
    while changed.elapsed() < SETTLE_TIMEOUT {
        let counts = world.counts().await;
        if counts.pending + counts.attempting + counts.waiting + counts.reconciling == 0 {
            return;
        }
        if counts != last {
            (last, changed) = (counts, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The number of the last event: that of a delivery without faults, pushed when all others are settled.
async fn last_event(world: &mut World) -> u64 {
    world.push(LAST, TicketSystem::Jira).await;
    world.until_event(LAST, v1::TicketEventKind::Delivered).await.sequence
}

async fn record_final_states(world: &mut World, recorder: &Recorder) {
    for delivery in deliveries(world).await {
        recorder.note(Observation::FinalState(DeliverySnapshot::from(&delivery)));
    }
    for (target, name) in TARGETS.into_iter().enumerate() {
        note_simulator(world.simulator(system(target)), name, recorder);
    }
}

fn note_simulator(simulator: &Simulator, target: &str, recorder: &Recorder) {
    let count = simulator.reached(Call::Search, Point::Read);
    recorder.note(Observation::Searches { target: target.to_owned(), count });
    for create in simulator.creates() {
        let marker = create.markers.into_iter().find(|marker| is_marker(marker)).unwrap_or_default();
        recorder.note_at(
            create.arrived_at,
            Observation::Create(Create {
                target: target.to_owned(),
                marker,
                applied_at: create.applied_at,
                key: create.ticket_key,
                answered: create.answered,
                faults: create.faults.map(|effect| format!("{effect:?}")),
            }),
        );
    }
    simulator.with_tickets(|tickets| {
        for ticket in tickets {
            let marker = ticket.marker_candidates().into_iter().find(|marker| is_marker(marker));
            let target = target.to_owned();
            let key = ticket.key.clone();
            let created_at = ticket.created_at;
            let ticket = Ticket { target, key, marker: marker.unwrap_or_default() };
            recorder.note_at(created_at, Observation::Ticket(ticket));
        }
    });
}

fn is_marker(text: &str) -> bool {
    text.strip_prefix(MARKER).is_some_and(|digits| digits.len() == 32)
}

/// All deliveries, without their attempts.
async fn deliveries(world: &mut World) -> Vec<v1::Delivery> {
    let mut all = vec![];
    let mut request = v1::ListDeliveriesRequest { page_size: 500, ..Default::default() };
    loop {
        let page = world.client.list_deliveries(request.clone()).await.unwrap();
        all.extend(page.deliveries);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

// === impl ServerFaultKind ===

impl ServerFaultKind {
    fn describe(self) -> String {
        match self {
            Self::Killed => "kill -9, and started again".to_owned(),
            Self::Terminated => "SIGTERM, and started again".to_owned(),
            Self::Suspended(time) => format!("SIGSTOP for {time:?}"),
            Self::IndexLag(lag) => format!("the index lags {lag:?}"),
        }
    }
}
