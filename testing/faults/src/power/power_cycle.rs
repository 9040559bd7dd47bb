//! One server under constant pushes with repeated power cuts.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rhythmx_ticketing::Client;
use rhythmx_ticketing::v1::stream_ticket_events_response::Message;
use rhythmx_ticketing::v1::{self, TicketSystem};
use ticketing_disk::Random;
use ticketing_harness::{PATIENCE, Plan, World, after, from_oldest, incident, retry};
use ticketing_simulator::{Call, Effect, Rule, When};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tonic::Code;

use super::acknowledged::{AcknowledgedPushes, look_up};
use super::{Mounted, Outcome};

/// Number of concurrent callers.
const CALLERS: usize = 8;
/// Percentage of the cuts that strike a server while it starts.
const WHILE_STARTING: u8 = 20;
/// Maximum number of changes of the disk before a cut: while the server starts, and while callers push.
const CHANGES: (usize, usize) = (60, 1_500);
/// First value of the setting that is incremented, in ms.
const FIRST_SETTING: i64 = 3_600;
/// Time limit until everything is delivered at the end.
const SETTLED: Duration = Duration::from_secs(120);

/// A world on a simulated disk, and the answers of its server.
#[derive(Debug)]
pub(super) struct PowerCycle {
    world: World,
    random: Random,
    told: Arc<Observed>,
    mounted: Mounted,
}

/// State that the callers share.
#[derive(Debug, Default)]
struct Observed {
    acknowledged: Mutex<AcknowledgedPushes>,
    incidents: AtomicUsize,
    /// Whether the power was cut.
    over: AtomicBool,
}

// === impl PowerCycle ===

impl PowerCycle {
    pub(super) async fn begin(plan: Plan, seed: u64) -> Self {
        let mounted = Mounted::mount().expect("a disk can be mounted");
        let plan = plan.in_a_process().with_data(&mounted.path().join("data"));
        let world = plan.with_flag("--concurrency=16").start().await;
        for simulator in [&world.jira, &world.servicenow] {
            let faults = simulator.faults();
            faults.push(Rule::new(Call::Create, When::EveryNth(20), Effect::apply_then_gateway_timeout()));
            faults.push(Rule::new(Call::Create, When::EveryNth(27), Effect::DropBefore));
        }
        let mut life = Self { world, random: Random::new(seed), told: Arc::default(), mounted };
        life.configure(FIRST_SETTING).await;
        life
    }

    /// Cuts the power this many times, checks after each cut what is missing, and finally checks every
    /// ticket.
    pub(super) async fn play(mut self, cuts: u64, outcome: &mut Outcome) {
        while self.mounted.disk.counts().cuts < cuts {
            // A cut while the server starts is preceded by another one.
            let may_start = self.mounted.disk.counts().cuts + 2 <= cuts;
            self.cut(may_start).await;
            self.check(outcome).await;
            println!(
                "{} cuts, {} acknowledged",
                self.mounted.disk.counts().cuts,
                self.told.acknowledged().len()
            );
        }
        if outcome.is_good() {
            println!("waiting until everything is delivered");
            let deliveries = self.settle().await;
            outcome.gone = self.told.acknowledged().compare_all(&deliveries);
            println!("reading {} events", self.told.acknowledged().newest_event());
            self.check_events().await;
        }
        outcome.acknowledged += self.told.acknowledged().len();
        outcome.twice = self.twice();
        let counts = self.mounted.disk.counts();
        outcome.cuts += counts.cuts;
        outcome.forgotten += counts.sectors_forgotten;
        if outcome.is_good() {
            println!("looking for anything twice or secret");
            self.world.finish().await;
        }
    }

    /// Cuts the power at some write while all callers push, and starts the server again.
    async fn cut(&mut self, may_start: bool) {
        let changes = if may_start && self.random.percent(WHILE_STARTING) {
            self.mounted.cut(&mut self.world.server, &mut self.random).await;
            self.mounted.disk.stand_still_after(self.random.below(CHANGES.0) as u64);
            self.world.server.start_again().await;
            None
        } else {
            Some(self.random.below(CHANGES.1) as u64)
        };
        self.told.over.store(false, Ordering::SeqCst);
        let mut crowd = JoinSet::new();
        for caller in 0..CALLERS {
            crowd.spawn(call(self.world.server.address.clone(), self.told.clone(), caller));
        }
        crowd.spawn(change_settings(self.world.server.address.clone(), self.told.clone()));
        crowd.spawn(follow(self.world.server.address.clone(), self.told.clone()));
        if let Some(changes) = changes {
            self.mounted.disk.stand_still_after(changes);
        }
        self.mounted.until_still().await;
        self.told.over.store(true, Ordering::SeqCst);
        self.mounted.cut(&mut self.world.server, &mut self.random).await;
        crowd.join_all().await;
        self.world.server.start_again().await;
        self.world.client = self.world.server.client().await;
    }

    /// Checks that everything acknowledged exists.
    async fn check(&mut self, outcome: &mut Outcome) {
        let client = &mut self.world.client;
        let ids = self.told.acknowledged().take_fresh();
        for id in ids {
            let found = look_up(client, &id).await;
            outcome.gone.extend(self.told.acknowledged().compare(&id, found.as_ref()));
        }
        outcome.gone.append(&mut self.told.acknowledged().refused);
        let status = client.get_status().await.unwrap();
        let found = status.retry.and_then(|retry| retry.max_delay).map(|delay| millis(&delay));
        let told = self.told.acknowledged().setting;
        if found.is_none_or(|found| found < told) {
            outcome.gone.push(format!("the setting {told}: it is {found:?}"));
        }
        if !outcome.is_good() {
            // Restores the setting, so that later losses are detected too.
            self.configure(told).await;
        }
    }

    /// Configures the connections, and the setting that is incremented.
    async fn configure(&mut self, setting: i64) {
        let both = self.world.settings();
        self.world.configure(both).await;
        self.world.configure(settings(setting)).await;
        self.told.acknowledged().setting = setting;
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
        assert!(tokio::time::timeout(SETTLED, wait).await.is_ok(), "not everything is delivered in time");
        self.world.deliveries().await
    }

    /// Checks that the events that a subscriber received are unchanged and gap-free.
    async fn check_events(&mut self) {
        let newest = self.told.acknowledged().newest_event();
        let mut stream = self.world.client.stream_ticket_events(from_oldest()).await.unwrap();
        let mut last = 0;
        while last < newest {
            let message = tokio::time::timeout(PATIENCE, stream.message()).await;
            let message = message.unwrap_or_else(|_| panic!("event {} of {newest} does not come", last + 1));
            let message = message.unwrap().expect("a stream does not end by itself").message;
            if let Some(Message::Event(event)) = message {
                assert_eq!(event.sequence, last + 1, "event {} came after {last}", event.sequence);
                last = event.sequence;
                self.told.acknowledged().see(&event);
            }
        }
    }

    /// Returns the markers that more than one ticket has.
    fn twice(&self) -> Vec<String> {
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

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Connects to the server once it accepts connections.
    async fn connect(&self, address: &str) -> Option<Client> {
        while !self.is_over() {
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
async fn call(address: String, told: Arc<Observed>, caller: usize) {
    let Some(mut client) = told.connect(&address).await else { return };
    while !told.is_over() {
        let incident = incident(&format!("INC-{}", told.incidents.fetch_add(1, Ordering::SeqCst)));
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
                return told.acknowledged().refused.push(format!("what a push needs: {}", status.message()));
            }
            Err(_) => return,
        };
        deliveries.iter().for_each(|delivery| told.acknowledged().acknowledge(delivery));
    }
}

/// Increments a setting.
async fn change_settings(address: String, told: Arc<Observed>) {
    let Some(mut client) = told.connect(&address).await else { return };
    while !told.is_over() {
        let next = told.acknowledged().setting + 1;
        let Ok(answer) = client.configure(settings(next)).await else { return };
        drop(answer);
        told.acknowledged().setting = next;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Streams events from the last resume token on.
async fn follow(address: String, told: Arc<Observed>) {
    let Some(mut client) = told.connect(&address).await else { return };
    let token = told.acknowledged().token.clone();
    let request = token.map_or_else(from_oldest, |token| after(&token));
    let Ok(mut stream) = client.stream_ticket_events(request).await else { return };
    while let Ok(Some(message)) = stream.message().await {
        if let Some(Message::Event(event)) = message.message {
            let mut acknowledged = told.acknowledged();
            let last = acknowledged.newest_event();
            assert_eq!(event.sequence, last + 1, "event {} came after {last}", event.sequence);
            acknowledged.see(&event);
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
