//! One server under constant pushes with repeated power cuts.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rhythmx_ticketing::Client;
use rhythmx_ticketing::v1::stream_ticket_events_response::Message;
use rhythmx_ticketing::v1::{self, TicketSystem};
use ticketing_disk::Random;
use ticketing_harness::{Plan, WAIT_TIMEOUT, World, after, from_oldest, incident, retry};
use ticketing_simulator::{Call, Effect, Rule, When};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::Code;

use super::acknowledged::{AcknowledgedPushes, look_up};
use super::{MountedDisk, Outcome};

/// Number of concurrent callers.
const CALLERS: usize = 8;
/// Percentage of the cuts while the server starts.
const PERCENT_WHILE_STARTING: u8 = 20;
/// Maximum number of changes of the disk before a cut: while the server starts, and while callers push.
const CHANGES: (usize, usize) = (60, 1_500);
/// First value of the setting that is incremented, in ms.
const FIRST_SETTING: i64 = 3_600;
/// Time limit until everything is delivered at the end.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(120);

/// A world on a simulated disk, and the answers of its server.
#[derive(Debug)]
pub(super) struct PowerCycle {
    world: World,
    random: Random,
    observed: Arc<Observed>,
    mounted: MountedDisk,
}

/// State that the callers share.
#[derive(Debug, Default)]
struct Observed {
    acknowledged: Mutex<AcknowledgedPushes>,
    incidents: AtomicUsize,
    /// Whether the power was cut.
    is_stopping: AtomicBool,
}

// === impl PowerCycle ===

impl PowerCycle {
    pub(super) async fn begin(plan: Plan, seed: u64) -> Self {
        let mounted = MountedDisk::mount().expect("a disk can be mounted");
        let plan = plan.in_a_process().with_data(&mounted.path().join("data"));
        let world = plan.with_flag("--concurrency=16").start().await;
        for simulator in [&world.jira, &world.servicenow] {
            let faults = simulator.faults();
            faults.push(Rule::new(Call::Create, When::EveryNth(20), Effect::apply_then_gateway_timeout()));
            faults.push(Rule::new(Call::Create, When::EveryNth(27), Effect::DropBefore));
        }
        let mut cycle = Self { world, random: Random::new(seed), observed: Arc::default(), mounted };
        cycle.configure(FIRST_SETTING).await;
        cycle
    }

    /// Cuts the power this many times, checks after each cut what is missing, and finally checks every
    /// ticket.
    pub(super) async fn run(mut self, cuts: u64, outcome: &mut Outcome) {
        while self.mounted.disk.counts().cuts < cuts {
            // A cut while the server starts is preceded by another one.
            let may_start = self.mounted.disk.counts().cuts + 2 <= cuts;
            self.cut(may_start).await;
            self.check(outcome).await;
            println!(
                "{} cuts, {} acknowledged",
                self.mounted.disk.counts().cuts,
                self.observed.acknowledged().len()
            );
        }
        if outcome.is_intact() {
            println!("waiting until everything is delivered");
            let deliveries = self.settle().await;
            outcome.lost = self.observed.acknowledged().compare_all(&deliveries);
            println!("reading {} events", self.observed.acknowledged().newest_event());
            self.check_events().await;
        }
        outcome.acknowledged += self.observed.acknowledged().len();
        outcome.duplicated = self.duplicated();
        let counts = self.mounted.disk.counts();
        outcome.cuts += counts.cuts;
        outcome.sectors_lost += counts.sectors_lost;
        if outcome.is_intact() {
            println!("checking tickets and secrets");
            self.world.finish().await;
        }
    }

    /// Cuts the power at some write while all callers push, and starts the server again.
    async fn cut(&mut self, may_start: bool) {
        let changes = if may_start && self.random.percent(PERCENT_WHILE_STARTING) {
            self.mounted.cut(&mut self.world.server, &mut self.random).await;
            self.mounted.disk.freeze_after(self.random.below(CHANGES.0) as u64);
            self.world.server.start_again().await;
            None
        } else {
            Some(self.random.below(CHANGES.1) as u64)
        };
        self.observed.is_stopping.store(false, Ordering::SeqCst);
        let mut tasks = JoinSet::new();
        for caller in 0..CALLERS {
            tasks.spawn(call(self.world.server.address.clone(), self.observed.clone(), caller));
        }
        tasks.spawn(change_settings(self.world.server.address.clone(), self.observed.clone()));
        tasks.spawn(stream_events(self.world.server.address.clone(), self.observed.clone()));
        if let Some(changes) = changes {
            self.mounted.disk.freeze_after(changes);
        }
        self.mounted.until_frozen().await;
        self.observed.is_stopping.store(true, Ordering::SeqCst);
        self.mounted.cut(&mut self.world.server, &mut self.random).await;
        tasks.join_all().await;
        self.world.server.start_again().await;
        self.world.client = self.world.server.client().await;
    }

    /// Checks that everything acknowledged exists.
    async fn check(&mut self, outcome: &mut Outcome) {
        let client = &mut self.world.client;
        let ids = self.observed.acknowledged().take_unchecked();
        for id in ids {
            let found = look_up(client, &id).await;
            outcome.lost.extend(self.observed.acknowledged().compare(&id, found.as_ref()));
        }
        outcome.lost.append(&mut self.observed.acknowledged().refused);
        let status = client.get_status().await.unwrap();
        let found = status.retry.and_then(|retry| retry.max_delay).map(|delay| millis(&delay));
        let expected = self.observed.acknowledged().setting;
        if found.is_none_or(|found| found < expected) {
            outcome.lost.push(format!("the setting {expected}: it is {found:?}"));
        }
        if !outcome.is_intact() {
            // Restores the setting, so that later losses are detected too.
            self.configure(expected).await;
        }
    }

    /// Configures the connections, and the setting that is incremented.
    async fn configure(&mut self, setting: i64) {
        let both = self.world.settings();
        self.world.configure(both).await;
        self.world.configure(settings(setting)).await;
        self.observed.acknowledged().setting = setting;
    }

    /// Waits until every delivery is in a final state, and returns all of them.
    async fn settle(&mut self) -> Vec<v1::Delivery> {
        let wait = async {
            loop {
                let counts = self.world.counts().await;
                assert_eq!(counts.failed, 0, "{counts:?}");
                if counts.pending + counts.attempting + counts.waiting + counts.reconciling == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(
            tokio::time::timeout(SETTLE_TIMEOUT, wait).await.is_ok(),
            "not everything is delivered in time"
        );
        self.world.deliveries().await
    }

    /// Checks that the events that a subscriber received are unchanged and gap-free.
    async fn check_events(&mut self) {
        let newest = self.observed.acknowledged().newest_event();
        let mut stream = self.world.client.stream_ticket_events(from_oldest()).await.unwrap();
        let mut last = 0;
        while last < newest {
            let message = tokio::time::timeout(WAIT_TIMEOUT, stream.message()).await;
            let message = message.unwrap_or_else(|_| panic!("event {} of {newest} does not come", last + 1));
            let message = message.unwrap().expect("a stream does not end by itself").message;
            if let Some(Message::Event(event)) = message {
                assert_eq!(event.sequence, last + 1, "event {} came after {last}", event.sequence);
                last = event.sequence;
                self.observed.acknowledged().record_event(&event);
            }
        }
    }

    /// Returns the markers that more than one ticket has.
    fn duplicated(&self) -> Vec<String> {
        let mut tickets: HashMap<String, Vec<String>> = HashMap::new();
        for simulator in [&self.world.jira, &self.world.servicenow] {
            for ticket in simulator.tickets() {
                let ours =
                    ticket.marker_candidates().into_iter().filter(|marker| marker.starts_with("rhythmx-"));
                ours.for_each(|marker| tickets.entry(marker).or_default().push(ticket.key.clone()));
            }
        }
        let sorted: BTreeMap<_, _> = tickets.into_iter().filter(|(_, keys)| keys.len() > 1).collect();
        sorted.into_iter().map(|(marker, keys)| format!("{marker}: {keys:?}")).collect()
    }
}

// === impl Observed ===

impl Observed {
    fn acknowledged(&self) -> MutexGuard<'_, AcknowledgedPushes> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.is_stopping.load(Ordering::SeqCst)
    }

    /// Connects to the server once it accepts connections.
    async fn connect(&self, address: &str) -> Option<Client> {
        while !self.is_stopped() {
            // A gRPC client connects lazily, so it does not show whether the server is up.
            if TcpStream::connect(address).await.is_ok() {
                let client = Client::connect(format!("http://{address}")).await.ok()?;
                return Some(client.with_retries(0));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }
}

/// Pushes one incident after another, alternating between CreateTicket and SubmitIncident.
async fn call(address: String, observed: Arc<Observed>, caller: usize) {
    let Some(mut client) = observed.connect(&address).await else { return };
    while !observed.is_stopped() {
        let incident = incident(&format!("INC-{}", observed.incidents.fetch_add(1, Ordering::SeqCst)));
        let answer = if caller.is_multiple_of(2) {
            client.submit_incident(incident).await.map(|answer| {
                answer.results.into_iter().filter_map(|result| result.delivery).collect::<Vec<_>>()
            })
        } else {
            let system = if caller % 4 == 1 { TicketSystem::Jira } else { TicketSystem::Servicenow };
            let request =
                v1::CreateTicketRequest { incident: Some(incident), destination: Some(system.into()) };
            client.create_ticket(request).await.map(|answer| answer.delivery.into_iter().collect())
        };
        let deliveries = match answer {
            Ok(deliveries) => deliveries,
            // Nothing was acknowledged. FAILED_PRECONDITION means that the settings are missing.
            Err(status) if status.code() == Code::FailedPrecondition => {
                return observed
                    .acknowledged()
                    .refused
                    .push(format!("what a push needs: {}", status.message()));
            }
            Err(_) => return,
        };
        deliveries.iter().for_each(|delivery| observed.acknowledged().acknowledge(delivery));
    }
}

/// Increments a setting.
async fn change_settings(address: String, observed: Arc<Observed>) {
    let Some(mut client) = observed.connect(&address).await else { return };
    while !observed.is_stopped() {
        let next = observed.acknowledged().setting + 1;
        let Ok(answer) = client.configure(settings(next)).await else { return };
        drop(answer);
        observed.acknowledged().setting = next;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Streams events from the last resume token on.
async fn stream_events(address: String, observed: Arc<Observed>) {
    let Some(mut client) = observed.connect(&address).await else { return };
    let token = observed.acknowledged().token.clone();
    let request = token.map_or_else(from_oldest, |token| after(&token));
    let Ok(mut stream) = client.stream_ticket_events(request).await else { return };
    while let Ok(Some(message)) = stream.message().await {
        if let Some(Message::Event(event)) = message.message {
            let mut acknowledged = observed.acknowledged();
            let last = acknowledged.newest_event();
            assert_eq!(event.sequence, last + 1, "event {} came after {last}", event.sequence);
            acknowledged.record_event(&event);
        }
    }
}

/// Settings that push everything to both systems with frequent retries; the longest delay, in ms, is the
/// setting that is incremented.
fn settings(longest_delay: i64) -> v1::ConfigureRequest {
    let longest_delay = i32::try_from(longest_delay).expect("it is counted up from a small number");
    let both = [TicketSystem::Jira, TicketSystem::Servicenow].map(Into::into).to_vec();
    let auto_push = v1::AutoPushSettings {
        enabled: Some(true),
        systems: Some(v1::TicketSystemList { values: both }),
        ..Default::default()
    };
    let retry = v1::RetrySettings { max_retry_attempts: Some(20), ..retry(60, longest_delay, 60) };
    v1::ConfigureRequest { auto_push: Some(auto_push), retry: Some(retry), ..Default::default() }
}

fn millis(duration: &prost_types::Duration) -> i64 {
    duration.seconds * 1_000 + i64::from(duration.nanos) / 1_000_000
}
