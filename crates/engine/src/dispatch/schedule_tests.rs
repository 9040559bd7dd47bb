//! The schedule over days of simulated time: the real dispatcher and store, a clock that the test sets, and a ticket system
//! without a network.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tempfile::TempDir;
use ticketing_core::clock::Clock;
use ticketing_core::delivery::{Delivery, State};
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::health::{Admission, Condition, Health};
use ticketing_core::policy::{Bounds, Policy};
use ticketing_core::system::{
    Authorship, Check, Created, Destination, Dialing, Login, ReadTicket, Rendered, Search, SearchResult,
    System, TicketDraft, TicketRef, TicketSystem, Visibility,
};
use ticketing_egress::{EgressPolicy, HttpClient};
use ticketing_host::clock::ThisMachine;
use ticketing_host::manual::{ManualClock, SeededEntropy};
use ticketing_jira::JiraVendor;
use ticketing_servicenow::ServiceNowVendor;
use ticketing_store::conformance::{connection, incident};
use ticketing_store::{AcceptRequest, Actor, KeySource, Operation, Requester, Store, StoreOptions};

use super::{Concurrency, DispatchSettings, Dispatcher, Schedule};
use ticketing_vendor::Vendors;

use crate::connections::{Connection, Connections};

const TICK: Duration = Duration::from_secs(120);
/// Delay of a tick, and duration of an attempt.
const SKEW: Duration = Duration::from_millis(7);
const JIRA: &str = "jira";

/// A ticket system with scripted failures.
#[derive(Debug)]
struct Fake {
    clock: Arc<ManualClock>,
    is_lockable: bool,
    /// The failure of an incident's calls; of all calls, under the empty name.
    faults: Mutex<Vec<(String, Fault)>>,
    /// When each create began, and its incident.
    begun: Mutex<Vec<(Timestamp, String)>>,
    in_flight: AtomicU32,
    most_in_flight: AtomicU32,
}

/// A server without gRPC and HTTP.
struct Bench {
    clock: Arc<ManualClock>,
    store: Store,
    dispatcher: Dispatcher,
    system: Arc<Fake>,
    name: &'static str,
    last_tick: Timestamp,
    _folder: TempDir,
}

// === impl Fake ===

impl Fake {
    fn fault_of(&self, incident: &str) -> Option<Fault> {
        let faults = self.faults.lock().unwrap();
        let found = faults.iter().find(|(name, _)| name.is_empty() || name == incident);
        found.map(|(_, fault)| fault.clone())
    }

    fn fail(&self, incident: &str, fault: Fault) {
        self.faults.lock().unwrap().push((incident.to_owned(), fault));
    }

    fn heal(&self) {
        self.faults.lock().unwrap().clear();
    }

    fn creates(&self) -> usize {
        self.begun.lock().unwrap().len()
    }

    /// How many creates began before the `number`th one of an incident.
    fn place_of(&self, incident: &str, number: usize) -> usize {
        let begun = self.begun.lock().unwrap();
        let places = begun.iter().enumerate().filter(|(_, (_, name))| name == incident);
        places.map(|(place, _)| place).nth(number).expect("there was such a create")
    }

    fn creates_of(&self, incident: &str) -> Vec<Timestamp> {
        let begun = self.begun.lock().unwrap();
        begun.iter().filter(|(_, name)| name == incident).map(|(at, _)| *at).collect()
    }
}

#[async_trait]
impl TicketSystem for Fake {
    fn destination(&self) -> Destination {
        Destination { base_url: "https://jira.example".to_owned(), place: "SEC".to_owned() }
    }

    fn login(&self) -> Login {
        Login { name: "https://jira.example analyst".to_owned(), is_lockable: self.is_lockable }
    }

    fn made_by(&self) -> Authorship {
        Authorship::default()
    }

    fn ticket_url(&self, _key: &str) -> Option<String> {
        None
    }

    fn visibility(&self) -> Visibility {
        Visibility::Indexed(Duration::from_secs(180))
    }

    async fn prepare(&self, ticket_draft: &TicketDraft) -> Result<Rendered, Fault> {
        Ok(self.render_offline(ticket_draft))
    }

    fn render_offline(&self, _order: &TicketDraft) -> Rendered {
        Rendered::default()
    }

    async fn create(
        &self,
        ticket_draft: &TicketDraft,
        _: &Rendered,
        _: Dialing,
        _: Duration,
    ) -> Result<Created, Fault> {
        let id = &ticket_draft.incident.id;
        let number = {
            let mut begun = self.begun.lock().unwrap();
            begun.push((self.clock.now(), id.clone()));
            begun.len()
        };
        let in_flight = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_in_flight.fetch_max(in_flight, Ordering::SeqCst);
        // Lets other work begin in the meantime.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        match self.fault_of(id) {
            Some(fault) => Err(fault),
            None => {
                let id = number.to_string();
                let key = format!("SEC-{number}");
                Ok(Created { ticket: TicketRef { id, key, url: String::new() }, adjustments: vec![] })
            }
        }
    }

    async fn look_up(&self, _search: &Search) -> Result<SearchResult, Fault> {
        unreachable!("no failure here leaves the outcome unknown")
    }

    /// As if no account could see the tickets that it creates.
    async fn read(&self, _: &Destination, _: &str) -> Result<Option<ReadTicket>, Fault> {
        Ok(None)
    }

    async fn test(&self) -> Vec<Check> {
        unreachable!("nothing is tested here")
    }
}

// === impl Bench ===

impl Bench {
    async fn start(name: &'static str, is_lockable: bool) -> Self {
        Self::with_slots(name, is_lockable, 8).await
    }

    async fn with_slots(name: &'static str, is_lockable: bool, slots: u32) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()));
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            clock: clock.clone(),
            entropy: Arc::new(SeededEntropy::new(1)),
            machine: Arc::new(ThisMachine),
            key: KeySource::BesideDatabase,
            restored: false,
            busy_timeout: Duration::from_secs(10),
        };
        let (store, _) = Store::open(&folder.path().join("ticketing.db"), options).await.unwrap();
        let bounds = Bounds::default();
        let client =
            HttpClient::new(clock.clone(), bounds.attempt_deadline, EgressPolicy::default()).unwrap();
        let vendors =
            Vendors::new(vec![Arc::new(JiraVendor::default()), Arc::new(ServiceNowVendor::default())]);
        let connections = Connections::new(client, vendors, &[]);
        let system = Arc::new(Fake {
            clock: clock.clone(),
            is_lockable,
            faults: Mutex::default(),
            begun: Mutex::default(),
            in_flight: AtomicU32::default(),
            most_in_flight: AtomicU32::default(),
        });
        let kind = System::parse(name).unwrap();
        let current = Some(connections.gated(kind, system.clone()));
        connections.set(
            name,
            Connection { system: kind, enabled: true, settings_revision: 0, current, retired: vec![] },
        );
        let settings = DispatchSettings {
            concurrency: Concurrency { start: slots, max: slots },
            event_retention: Duration::from_secs(720 * 3_600),
            incident_retention: Duration::from_secs(2_160 * 3_600),
        };
        let policy = Arc::new(Policy { bounds, ..Policy::default() });
        let schedule = Schedule { policy, processor_interval: TICK };
        let entropy = Arc::new(SeededEntropy::new(2));
        let dispatcher =
            Dispatcher::new(store.clone(), connections, clock.clone(), entropy, settings, schedule);
        let last_tick = clock.now();
        Self { clock, store, dispatcher, system, name, last_tick, _folder: folder }
    }

    async fn accept(&self, id: &str) {
        let connections = vec![connection(System::parse(self.name).unwrap())];
        let incident = incident(id, 90.0);
        let request = AcceptRequest { incident, connections, expedite: false, by: Requester::default() };
        self.store.accept(&request).await.unwrap();
        self.dispatcher.wake();
    }

    async fn push(&self, id: &str) {
        self.accept(id).await;
        self.dispatch().await;
    }

    async fn dispatch(&self) {
        self.dispatcher.dispatch().await;
        self.rest().await;
    }

    /// The next tick, an interval after the last.
    async fn tick(&mut self) {
        self.last_tick += TICK + SKEW;
        self.clock.set(self.last_tick);
        self.dispatcher.tick().await;
        self.rest().await;
    }

    /// Until nothing is in progress; attempts take a moment.
    async fn rest(&self) {
        loop {
            while !self.dispatcher.0.tasks.is_empty() {
                tokio::task::yield_now().await;
            }
            self.clock.advance(SKEW);
            self.dispatcher.dispatch().await;
            if self.dispatcher.0.tasks.is_empty() {
                return;
            }
        }
    }

    async fn delivery(&self, id: &str) -> Delivery {
        self.store.delivery_for(id, self.name).await.unwrap().unwrap()
    }

    fn health(&self) -> Health {
        self.dispatcher.health(self.name)
    }
}

fn operator() -> Actor {
    Actor {
        name: "token:ops".to_owned(),
        role: "OPERATOR".to_owned(),
        credential: String::new(),
        source: String::new(),
    }
}

fn fault(kind: FaultKind) -> Fault {
    Fault::new(kind, "no")
}

#[tokio::test(flavor = "multi_thread")]
async fn fifth_retry_runs_within_31_minutes_and_a_tick() {
    for accepted_after in [1, 30, 59, 61, 90, 119] {
        let mut bench = Bench::start(JIRA, false).await;
        bench.system.fail("", fault(FaultKind::Connect));
        bench.clock.advance(Duration::from_secs(accepted_after));
        bench.push("INC-1").await;
        while bench.delivery("INC-1").await.state != State::Failed {
            bench.tick().await;
        }
        let begun = bench.system.creates_of("INC-1");
        let waits: Vec<_> = begun.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs()).collect();
        assert_eq!(waits.len(), 5, "{waits:?}");
        assert!((60..=180).contains(&waits[0]), "{waits:?}");
        assert_eq!(waits[1..], [120, 240, 480, 960], "accepted {accepted_after} s after a tick");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_is_not_starved_by_pending_deliveries_at_one_slot() {
    let mut bench = Bench::with_slots(JIRA, false, 1).await;
    bench.system.fail("INC-late", fault(FaultKind::Rejected));
    bench.push("INC-late").await;
    bench.system.heal();
    for n in 1..=12 {
        bench.accept(&format!("INC-{n}")).await;
    }
    bench.tick().await;
    let place = bench.system.place_of("INC-late", 1);
    assert!(place <= 4, "it was create {place}");
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_without_a_caller_is_not_starved_at_one_slot() {
    let bench = Bench::with_slots(JIRA, false, 1).await;
    bench.accept("INC-late").await;
    let mut ids = vec![];
    for n in 1..=12 {
        let id = format!("INC-{n}");
        bench.accept(&id).await;
        ids.push(bench.delivery(&id).await.id);
    }
    let waiters = bench.dispatcher.waiters();
    let _callers: Vec<_> = ids.iter().map(|id| waiters.wait_for(id, JIRA)).collect();
    bench.dispatch().await;
    let place = bench.system.place_of("INC-late", 0);
    assert!((1..4).contains(&place), "it was create {place}");
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_outage_is_probed_once_a_tick_until_it_ends() {
    let mut bench = Bench::start(JIRA, false).await;
    bench.system.fail("", fault(FaultKind::Connect));
    bench.push("INC-1").await;
    while bench.delivery("INC-1").await.state != State::Failed {
        bench.tick().await;
    }
    assert_eq!(bench.health().condition, Condition::CircuitOpen);
    let before = bench.system.creates();
    for _ in 0..10 {
        bench.tick().await;
    }
    assert_eq!(bench.system.creates() - before, 10);
    assert_eq!(bench.delivery("INC-1").await.state, State::Failed);
    bench.system.heal();
    bench.tick().await;
    assert_eq!(bench.delivery("INC-1").await.state, State::Delivered);
    assert_eq!(bench.health().condition, Condition::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn outage_failures_probe_in_turn_and_recover_together() {
    let mut bench = Bench::start(JIRA, false).await;
    bench.system.fail("", fault(FaultKind::Connect));
    for n in 1..=3 {
        bench.push(&format!("INC-{n}")).await;
    }
    for _ in 0..60 {
        bench.tick().await;
    }
    for n in 1..=3 {
        assert_eq!(bench.delivery(&format!("INC-{n}")).await.state, State::Failed);
    }
    let before: Vec<_> = (1..=3).map(|n| bench.system.creates_of(&format!("INC-{n}")).len()).collect();
    for _ in 0..3 {
        bench.tick().await;
    }
    let after: Vec<_> = (1..=3).map(|n| bench.system.creates_of(&format!("INC-{n}")).len()).collect();
    assert_eq!(after, before.iter().map(|count| count + 1).collect::<Vec<_>>());
    bench.system.heal();
    bench.tick().await;
    for n in 1..=3 {
        assert_eq!(bench.delivery(&format!("INC-{n}")).await.state, State::Delivered);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_once_at_the_end_of_a_pause() {
    let bench = Bench::start(JIRA, false).await;
    let second = Duration::from_secs(1);
    bench.system.fail("", fault(FaultKind::RateLimited).with_retry_after(Some(second)));
    for n in 1..=3 {
        bench.push(&format!("INC-{n}")).await;
    }
    let before = bench.system.creates();
    bench.dispatcher.probe_after_pause().await;
    bench.rest().await;
    assert_eq!(bench.system.creates(), before, "the pause is not over");
    for _ in 0..5 {
        bench.clock.advance(second);
        bench.dispatcher.probe_after_pause().await;
        bench.rest().await;
        bench.dispatcher.probe_after_pause().await;
        bench.rest().await;
    }
    assert_eq!(bench.system.creates() - before, 5);
    bench.system.heal();
    for _ in 1..=3 {
        bench.clock.advance(second);
        bench.dispatcher.probe_after_pause().await;
        bench.dispatcher.dispatch().await;
        bench.rest().await;
    }
    for n in 1..=3 {
        assert_eq!(bench.delivery(&format!("INC-{n}")).await.state, State::Delivered);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn first_push_after_an_idle_pause_is_its_probe() {
    let bench = Bench::start(JIRA, false).await;
    let second = Duration::from_secs(1);
    bench.system.fail("", fault(FaultKind::RateLimited).with_retry_after(Some(second)));
    bench.push("INC-1").await;
    bench.system.heal();
    let id = bench.delivery("INC-1").await.id;
    let by = operator();
    let now = bench.clock.now();
    bench.store.operate(&by, &id, Operation::Cancel, "", &Policy::default(), now).await.unwrap();
    bench.clock.advance(second);
    bench.dispatcher.probe_after_pause().await;
    bench.push("INC-2").await;
    assert_eq!(bench.delivery("INC-2").await.state, State::Delivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_the_rate_is_not_dispatched_again_and_again_in_a_pause() {
    let bench = Bench::start(JIRA, false).await;
    let second = Duration::from_secs(1);
    let throttled = |pause| fault(FaultKind::RateLimited).with_retry_after(Some(pause));
    bench.system.fail("", throttled(second));
    bench.push("INC-1").await;
    bench.system.heal();
    bench.clock.advance(second);
    bench.dispatcher.probe_after_pause().await;
    bench.rest().await;
    let state = bench.dispatcher.state(JIRA);
    for n in 2..=9 {
        bench.accept(&format!("INC-{n}")).await;
    }
    bench.system.fail("", throttled(TICK));
    while bench.dispatcher.admission(JIRA) == Admission::Open {
        bench.dispatch().await;
    }
    bench.clock.set(state.next_send(bench.clock.now()).expect("most of them wait for the rate"));
    bench.dispatcher.dispatch_paced().await;
    assert_eq!(state.next_send(bench.clock.now()), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failing_delivery_never_delays_others() {
    let mut bench = Bench::start(JIRA, false).await;
    bench.system.fail("INC-0", fault(FaultKind::TooLarge));
    bench.system.fail("INC-1", fault(FaultKind::Connect));
    bench.push("INC-0").await;
    bench.push("INC-1").await;
    for n in 2..=40 {
        let id = format!("INC-{n}");
        bench.push(&id).await;
        assert_eq!(bench.delivery(&id).await.state, State::Delivered, "at once");
        bench.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_password_stays_below_lockout_limit() {
    for (name, limit) in [(JIRA, 3), ("servicenow", 5)] {
        let mut bench = Bench::start(name, true).await;
        bench.system.fail("", fault(FaultKind::Unauthorized));
        for n in 1..=20 {
            bench.accept(&format!("INC-{n}")).await;
        }
        bench.dispatch().await;
        for n in 0..16 {
            bench.push(&format!("INC-later-{n}")).await;
            bench.tick().await;
        }
        let refusals = bench.system.creates();
        assert!((1..limit).contains(&refusals), "{name}: {refusals} refusals");
        assert!(bench.system.most_in_flight.load(Ordering::SeqCst) < limit as u32);
        assert_eq!(bench.health().condition, Condition::Suspended);
        for n in 1..=20 {
            assert_eq!(bench.delivery(&format!("INC-{n}")).await.state, State::Waiting);
        }
        bench.system.heal();
        bench.dispatcher.reset_health(name).await.unwrap();
        bench.dispatch().await;
        for n in 1..=20 {
            assert_eq!(bench.delivery(&format!("INC-{n}")).await.state, State::Delivered);
        }
        assert!(bench.system.most_in_flight.load(Ordering::SeqCst) < limit as u32);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn single_wrong_login_gets_one_further_probe() {
    let mut bench = Bench::start("servicenow", true).await;
    bench.system.fail("", fault(FaultKind::Unauthorized));
    bench.push("INC-1").await;
    assert_eq!(bench.health().condition, Condition::LoginRefused);
    for _ in 0..16 {
        bench.tick().await;
    }
    assert_eq!((bench.system.creates(), bench.health().condition), (2, Condition::Suspended));
}

#[tokio::test(flavor = "multi_thread")]
async fn token_that_is_refused_is_probed_at_least_hourly() {
    let mut bench = Bench::start(JIRA, false).await;
    bench.system.fail("", fault(FaultKind::Unauthorized));
    bench.push("INC-1").await;
    for _ in 0..(6 * 30) {
        bench.tick().await;
    }
    let begun = bench.system.creates_of("INC-1");
    let longest = begun.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs()).max().unwrap();
    assert!((3_600..=3_840).contains(&longest), "{longest} s between two probes");
    assert!((10..=14).contains(&begun.len()), "{} probes in six hours", begun.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_pause_ends_after_an_hour_with_one_probe_a_tick() {
    let mut bench = Bench::start(JIRA, false).await;
    let day = fault(FaultKind::RateLimited).with_retry_after(Some(Duration::from_secs(86_400)));
    bench.system.fail("", day);
    bench.push("INC-1").await;
    for n in 2..=5 {
        bench.push(&format!("INC-{n}")).await;
    }
    for _ in 0..29 {
        bench.tick().await;
    }
    assert_eq!(bench.system.creates(), 1);
    bench.tick().await;
    bench.tick().await;
    assert_eq!(bench.system.creates(), 2, "one probe, and the pause begins again");
    bench.system.heal();
    for _ in 0..31 {
        bench.tick().await;
    }
    for n in 1..=5 {
        let delivery = bench.delivery(&format!("INC-{n}")).await;
        assert_eq!((delivery.state, delivery.failures), (State::Delivered, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_retry_goes_out_at_once_whatever_the_pause() {
    let pauses = [
        (true, fault(FaultKind::LockedOut)),
        (true, fault(FaultKind::Unauthorized)),
        (false, fault(FaultKind::Unauthorized)),
        (false, fault(FaultKind::RateLimited).with_retry_after(Some(Duration::from_secs(3_000)))),
    ];
    for (is_lockable, fault) in pauses {
        let mut bench = Bench::start(JIRA, is_lockable).await;
        bench.system.fail("", fault.clone());
        for n in 1..=3 {
            bench.push(&format!("INC-{n}")).await;
        }
        bench.tick().await;
        bench.system.heal();
        let id = bench.delivery("INC-2").await.id;
        bench.dispatcher.end_pauses(JIRA).await.unwrap();
        let by = operator();
        let retry = Operation::Retry { create_anyway: false };
        let policy = Policy::default();
        bench.store.operate(&by, &id, retry, "", &policy, bench.clock.now()).await.unwrap();
        bench.dispatch().await;
        for n in 1..=3 {
            let delivery = bench.delivery(&format!("INC-{n}")).await;
            assert_eq!(delivery.state, State::Delivered, "{fault:?}: {delivery:#?}");
        }
        assert_eq!(bench.health().condition, Condition::Ok);
    }
}

#[tokio::test]
async fn housekeeping_removes_all_that_is_old_in_one_run() {
    let bench = Bench::start(JIRA, false).await;
    // More than a batch of events, and of incidents.
    for n in 0..260 {
        bench.accept(&format!("INC-{n}")).await;
    }
    bench.dispatch().await;
    bench.clock.advance(Duration::from_secs(91 * 24 * 3_600));
    bench.dispatcher.tidy().await;
    assert_eq!(bench.store.event_bounds().await.unwrap().first, None);
    let expired = bench.store.expired_content(bench.clock.now(), None, 1).await.unwrap();
    assert_eq!((expired.incident_ids.len(), expired.next), (0, None));
    assert!(bench.delivery("INC-0").await.content_removed_at.is_some());
}
