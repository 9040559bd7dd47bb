//! Test harness: the real server between callers and simulated ticket systems, with checks after every test.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

mod acknowledged;
mod binary;
mod bulk_push;
mod client_transports;
mod database;
mod database_copy;
mod events;
mod evidence;
mod hostile;
mod incidents;
mod invariants;
mod log_capture;
mod proxy;
mod refusals;
mod relay;
mod secrets;
mod server;
mod settings;
mod simulator_observer;
mod subscriber;

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use rhythmx_ticketing::{Client, v1};
use ticketing_core::role::Role;
pub use ticketing_failpoints::Point;
use ticketing_simulator::{Identity, Profile, RecordedRequest, Simulator, Vendor};
use tonic::Status;

pub use acknowledged::Acknowledged;
pub use binary::{ProgramOutput, binary, run_program};
pub use bulk_push::push_all;
pub use client_transports::{TlsFiles, over_socket};
pub use database::{Edit, create_database, make_older};
pub use database_copy::{DatabaseCopy, RestoreMethod};
pub use hostile::{Answer, Flood, Flooded, HostilePeer, call_head, flood, frame, head_of};
pub use incidents::incident;
pub use proxy::Proxy;
pub use refusals::{Refused, refusal};
pub use relay::Relay;
pub use secrets::SECRETS;
pub use server::{Server, Start, free_address};
pub use settings::{retry, text};
pub use subscriber::{Subscriber, after, from_oldest};

use self::simulator_observer::SimulatorObserver;

/// Timeout of anything asynchronous.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

/// Validity of tokens in tests.
const DAY: Duration = Duration::from_secs(86_400);

/// Time bounds for tests: a thousandth of the real ones.
const FAST: [&str; 6] = [
    "--attempt-deadline=1s",
    "--lease=3s",
    "--server-bound=60ms",
    "--jira-cloud-index-bound=180ms",
    "--jira-data-center-index-bound=180ms",
    "--look-up-interval=30ms",
];

/// A server, its ticket systems, and a client.
#[derive(Debug)]
pub struct World {
    pub jira: Simulator,
    pub servicenow: Simulator,
    pub server: Server,
    pub client: Client,
    /// Acknowledged deliveries; the push functions of this world record them.
    pub acknowledged: Acknowledged,
    /// Further ticket systems that the settings use or used.
    pub other_sites: Vec<Simulator>,
    /// The IDs of deliveries whose connection was removed: no status counts them.
    pub former: HashSet<String>,
    /// Further secrets that must not be found in what the server writes.
    pub secrets: Vec<String>,
}

/// How a world is set up.
#[derive(Debug)]
pub struct Plan {
    jira: (Vendor, Profile),
    servicenow: Profile,
    identity: Option<Identity>,
    server: Start,
    /// Whether callers need a token.
    token_auth: bool,
    /// Whether both searches have evidence.
    evidence: bool,
    watch: SimulatorObserver,
}

// === impl Plan ===

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

impl Plan {
    /// Jira Cloud and ServiceNow, both configured and enabled, and a server in this process.
    pub fn new() -> Self {
        Self {
            jira: (Vendor::JiraCloud, Profile::of(Vendor::JiraCloud)),
            servicenow: Profile::of(Vendor::ServiceNow),
            identity: None,
            server: Start { flags: FAST.map(str::to_owned).to_vec(), ..Start::default() },
            token_auth: false,
            evidence: true,
            watch: SimulatorObserver::default(),
        }
    }

    /// The real binary, as a process that can be killed.
    pub fn in_a_process(mut self) -> Self {
        self.server.process = true;
        self
    }

    /// Another Jira.
    pub fn with_jira(mut self, vendor: Vendor, profile: Profile) -> Self {
        self.jira = (vendor, profile);
        self
    }

    /// Another ServiceNow.
    pub fn with_servicenow(mut self, profile: Profile) -> Self {
        self.servicenow = profile;
        self
    }

    /// Both systems use TLS with this certificate. The server is a process that trusts only the authorities
    /// in the file `trusted`.
    pub fn under_tls(mut self, identity: &Identity, trusted: &Path) -> Self {
        self.identity = Some(identity.clone());
        self.in_a_process().with_variable("SSL_CERT_FILE", &trusted.display().to_string())
    }

    /// A further flag of the server; the last of several counts.
    pub fn with_flag(mut self, flag: &str) -> Self {
        let name = flag.split('=').next().unwrap_or_default().to_owned();
        self.server.flags.retain(|other| other.split('=').next() != Some(name.as_str()));
        self.server.flags.push(flag.to_owned());
        self
    }

    /// Callers use TLS, with the files of this trial.
    pub fn callers_under_tls(mut self, tls_files: &TlsFiles) -> Self {
        self.server.callers = Some(tls_files.clone());
        self.in_a_process()
    }

    /// The server listens on this socket.
    pub fn on_socket(mut self, socket: &Path) -> Self {
        self.server.socket = Some(socket.to_owned());
        self
    }

    /// Callers need a bearer token; the client of this world has one of an admin.
    pub fn with_token_auth(mut self) -> Self {
        self.token_auth = true;
        self.with_flag("--auth=token")
    }

    /// Calls `watch` with each simulator after its start.
    pub fn observed_by(mut self, watch: impl Fn(&Simulator) + Send + 'static) -> Self {
        self.watch = SimulatorObserver::new(watch);
        self
    }

    /// As a new installation: no ticket was ever read back, so no search proves absence. By default both
    /// searches have evidence from an earlier time.
    pub fn without_evidence(mut self) -> Self {
        self.evidence = false;
        self
    }

    /// With enough time for every attempt, even on a busy machine: only a test's own actions make one late.
    pub fn with_long_deadlines(self) -> Self {
        self.with_flag("--attempt-deadline=10s").with_flag("--lease=30s")
    }

    /// An environment variable of the process.
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.server.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The database in a folder that outlives the server.
    pub fn with_data(mut self, folder: &Path) -> Self {
        self.server.data = Some(folder.to_owned());
        self
    }

    /// Another build of the binary than [`binary`], as a process.
    pub fn with_program(mut self, program: &Path) -> Self {
        self.server.program = Some(program.to_owned());
        self.in_a_process()
    }

    /// Starts everything, and configures both systems.
    pub async fn start(self) -> World {
        let mut world = self.start_unconfigured().await;
        let request = world.settings();
        world.client.configure(request).await.unwrap();
        world
    }

    /// Starts everything without configuring it.
    pub async fn start_unconfigured(self) -> World {
        let identity = self.identity.as_ref();
        let jira = simulator(self.jira.0, self.jira.1, identity).await;
        let servicenow = simulator(Vendor::ServiceNow, self.servicenow, identity).await;
        self.watch.observe([&jira, &servicenow]);
        let mut server = Server::prepare(self.server);
        if self.token_auth {
            let token = server.make_token("harness", Role::Admin, DAY).await;
            server.next_start().token = Some(token);
        }
        server.start_again().await;
        let client = server.client().await;
        let secrets = server.next_start().token.iter().cloned().collect();
        let acknowledged = Acknowledged::default();
        let other_sites = vec![];
        let former = HashSet::new();
        let mut world =
            World { jira, servicenow, server, client, acknowledged, other_sites, former, secrets };
        if self.evidence {
            evidence::add(&mut world).await;
        }
        world
    }
}

// === impl World ===

impl World {
    /// Settings for the simulators, with fast retries.
    pub fn settings(&self) -> v1::ConfigureRequest {
        v1::ConfigureRequest {
            jira: Some(self.jira_settings()),
            servicenow: Some(self.servicenow_settings()),
            retry: Some(retry(60, 3_600, 60)),
            ..Default::default()
        }
    }

    pub fn jira_settings(&self) -> v1::JiraSettings {
        let cloud = self.jira.vendor() == Vendor::JiraCloud;
        let (email, api_token, pat) = if cloud {
            (Some("analyst@example.com".to_owned()), Some(SECRETS[0].to_owned()), None)
        } else {
            (None, None, Some(SECRETS[1].to_owned()))
        };
        let flavour = if cloud { v1::JiraFlavour::Cloud } else { v1::JiraFlavour::DataCenter };
        v1::JiraSettings {
            enabled: Some(true),
            url: Some(self.jira.base_url()),
            email,
            api_token,
            personal_access_token: pat,
            project_key: Some("SEC".to_owned()),
            flavour: Some(flavour.into()),
            ..Default::default()
        }
    }

    pub fn servicenow_settings(&self) -> v1::ServiceNowSettings {
        v1::ServiceNowSettings {
            enabled: Some(true),
            instance: Some(self.servicenow.base_url()),
            username: Some("rhythmx.integration".to_owned()),
            password: Some(SECRETS[2].to_owned()),
            assignment_group: Some("Security Operations".to_owned()),
            ..Default::default()
        }
    }

    /// CreateTicket for the example incident with the ID `id`.
    pub async fn push(&mut self, id: &str, system: v1::TicketSystem) -> v1::CreateTicketResponse {
        self.try_push(incident(id), system).await.unwrap()
    }

    /// CreateTicket, with any result.
    pub async fn try_push(
        &mut self,
        incident: v1::Incident,
        destination: impl Into<v1::create_ticket_request::Destination>,
    ) -> Result<v1::CreateTicketResponse, Status> {
        let request =
            v1::CreateTicketRequest { incident: Some(incident), destination: Some(destination.into()) };
        let answer = self.client.create_ticket(request).await;
        answer.iter().for_each(|answer| self.acknowledged.note_push(answer));
        answer
    }

    /// CreateTicket for each incident of `ids`, `callers` at a time; see [`push_all`].
    pub async fn push_all(
        &self,
        ids: Vec<String>,
        system: v1::TicketSystem,
        callers: usize,
    ) -> Vec<(String, Result<v1::CreateTicketResponse, Status>)> {
        let answers = push_all(&self.client, ids, system, callers).await;
        answers
            .iter()
            .filter_map(|(_, answer)| answer.as_ref().ok())
            .for_each(|a| self.acknowledged.note_push(a));
        answers
    }

    /// PreviewTicket of an incident that can be previewed.
    pub async fn preview(
        &mut self,
        incident: v1::Incident,
        system: v1::TicketSystem,
    ) -> v1::PreviewTicketResponse {
        let request = v1::PreviewTicketRequest { incident: Some(incident), destination: Some(system.into()) };
        self.client.preview_ticket(request).await.unwrap()
    }

    /// The simulator behind a system.
    pub fn simulator(&self, system: v1::TicketSystem) -> &Simulator {
        if system == v1::TicketSystem::Jira { &self.jira } else { &self.servicenow }
    }

    /// The exact body of the only create that a system received.
    pub fn created_body(&self, system: v1::TicketSystem) -> Vec<u8> {
        let is_create = |request: &RecordedRequest| {
            let path = request.path.as_str();
            request.method == "POST" && (path.ends_with("/issue") || path.ends_with("/table/incident"))
        };
        let all = self.simulator(system).requests();
        let [only] = all.into_iter().filter(is_create).collect::<Vec<_>>().try_into().expect("one create");
        only.body
    }

    /// Changes settings.
    pub async fn configure(&mut self, request: v1::ConfigureRequest) -> v1::ConfigureResponse {
        self.client.configure(request).await.unwrap()
    }

    /// From now on failed attempts are not retried automatically during a test.
    pub async fn disable_automatic_retries(&mut self) {
        let minutes = 10 * 60 * 1_000;
        let request = v1::ConfigureRequest { retry: Some(retry(minutes, minutes, 60)), ..Default::default() };
        self.configure(request).await;
    }

    /// Changes Jira's settings, with any result.
    pub async fn try_jira(&mut self, jira: v1::JiraSettings) -> Result<v1::ConfigureResponse, Status> {
        self.client.configure(v1::ConfigureRequest { jira: Some(jira), ..Default::default() }).await
    }

    /// Changes ServiceNow's settings, with any result.
    pub async fn try_servicenow(
        &mut self,
        servicenow: v1::ServiceNowSettings,
    ) -> Result<v1::ConfigureResponse, Status> {
        self.client
            .configure(v1::ConfigureRequest { servicenow: Some(servicenow), ..Default::default() })
            .await
    }

    /// The delivery, with its attempts.
    pub async fn delivery(&mut self, id: &str) -> v1::Delivery {
        self.client.get_delivery(id).await.unwrap().delivery.unwrap()
    }

    /// The delivery once it is in `state`.
    pub async fn until(&mut self, id: &str, state: v1::DeliveryState) -> v1::Delivery {
        let mut last = self.delivery(id).await;
        let wait = async {
            while last.state() != state {
                tokio::time::sleep(Duration::from_millis(25)).await;
                last = self.delivery(id).await;
            }
        };
        let in_time = tokio::time::timeout(WAIT_TIMEOUT, wait).await;
        assert!(in_time.is_ok(), "not {state:?} in time: {last:#?}");
        last
    }

    /// All deliveries, with their attempts.
    pub async fn deliveries(&mut self) -> Vec<v1::Delivery> {
        let mut all = vec![];
        let mut request =
            v1::ListDeliveriesRequest { page_size: 500, include_attempts: true, ..Default::default() };
        loop {
            let page = self.client.list_deliveries(request.clone()).await.unwrap();
            all.extend(page.deliveries);
            if page.next_page_token.is_empty() {
                return all;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// All deliveries, once every one is delivered.
    pub async fn until_all_delivered(&mut self, count: usize) -> Vec<v1::Delivery> {
        let wait = async {
            while self.counts().await.delivered < count as u64 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(WAIT_TIMEOUT * 2, wait).await;
        assert!(in_time.is_ok(), "not all of {count} are delivered in time: {:#?}", self.counts().await);
        self.deliveries().await
    }

    /// Waits until a system has this many tickets.
    pub async fn until_tickets(&self, system: v1::TicketSystem, count: usize) {
        let wait = async {
            while self.simulator(system).tickets().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(WAIT_TIMEOUT, wait).await;
        assert!(in_time.is_ok(), "{system:?} has not {count} tickets in time: {}", self.server.log());
    }

    /// Waits until some delivery is in `state`.
    pub async fn until_some(&mut self, state: v1::DeliveryState) {
        let wait = async {
            while !self.deliveries().await.iter().any(|delivery| delivery.state() == state) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let in_time = tokio::time::timeout(WAIT_TIMEOUT, wait).await;
        assert!(in_time.is_ok(), "nothing is {state:?} in time");
    }

    /// TestConnection of the saved settings, which must pass.
    pub async fn test_passes(&mut self, system: v1::TicketSystem) {
        let request = v1::TestConnectionRequest { destination: Some(system.into()), ..Default::default() };
        let tested = self.client.test_connection(request).await.unwrap();
        assert!(tested.test.as_ref().is_some_and(|test| test.passed), "{tested:#?}");
    }

    /// Number of deliveries of both systems by state.
    pub async fn counts(&mut self) -> v1::DeliveryCounts {
        let mut sum = v1::DeliveryCounts::default();
        for counts in
            self.client.get_status().await.unwrap().connections.into_iter().filter_map(|s| s.deliveries)
        {
            sum.pending += counts.pending;
            sum.attempting += counts.attempting;
            sum.delivered += counts.delivered;
            sum.waiting += counts.waiting;
            sum.reconciling += counts.reconciling;
            sum.failed += counts.failed;
            sum.cancelled += counts.cancelled;
        }
        sum
    }

    /// Waits until the condition of the connection of `system` is `kind`.
    pub async fn until_condition(&mut self, system: v1::TicketSystem, kind: v1::ConnectionConditionKind) {
        let wait = async {
            while self.status(system).await.condition.unwrap().kind() != kind {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let in_time = tokio::time::timeout(WAIT_TIMEOUT, wait).await;
        assert!(in_time.is_ok(), "{system:?} is not {kind:?} in time");
    }

    /// Waits for a time in which something must not happen.
    pub async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// The first event of that kind about an incident.
    pub async fn until_event(&mut self, incident: &str, kind: v1::TicketEventKind) -> v1::TicketEvent {
        let start = Some(v1::stream_ticket_events_request::Start::Oldest(()));
        let request =
            v1::StreamTicketEventsRequest { start, incident_id: incident.to_owned(), ..Default::default() };
        let mut stream = self.client.stream_ticket_events(request).await.unwrap();
        let wait = async {
            loop {
                let message = stream.message().await.unwrap().expect("the stream goes on").message;
                if let Some(v1::stream_ticket_events_response::Message::Event(event)) = message
                    && event.kind() == kind
                {
                    return event;
                }
            }
        };
        let in_time = tokio::time::timeout(WAIT_TIMEOUT, wait).await;
        in_time.unwrap_or_else(|_| panic!("no {kind:?} of {incident} in time"))
    }

    /// The status of one system.
    pub async fn status(&mut self, system: v1::TicketSystem) -> v1::ConnectionStatus {
        let status = self.client.get_status().await.unwrap();
        status.connections.into_iter().find(|status| status.system() == system).unwrap()
    }

    /// Kills the server, like a power failure, and restarts it with the same data.
    pub async fn crash(&mut self) {
        self.server.kill().await;
        self.server.start_again().await;
        self.client = self.server.client().await;
    }

    /// Stops the server gracefully, and restarts it with the same data.
    pub async fn restart(&mut self) {
        self.server.stop().await;
        self.server.start_again().await;
        self.client = self.server.client().await;
    }

    /// No response of the server may contain a secret, in any form.
    pub fn check_no_secret_in(&self, text: &str) {
        invariants::check_no_secret_in(self, text);
    }

    /// Ends a world whose events were trimmed or whose database was damaged, so that not everything can be
    /// checked.
    pub async fn close(mut self) {
        self.server.stop().await;
        invariants::check_secrets(&self);
        invariants::check_panics(&self);
    }

    /// No file of the running server contains a secret, including the WAL.
    ///
    /// # Panics
    /// If one is.
    pub fn check_no_secret_in_files(&self) {
        invariants::check_secrets(self);
    }

    /// Runs the checks after a test.
    pub async fn finish(mut self) {
        self.end().await;
        invariants::check_panics(&self);
    }

    /// The same after panics that the test has caused.
    ///
    /// # Panics
    /// As [`finish`](Self::finish).
    pub async fn finish_after_panics(mut self) {
        self.end().await;
    }

    async fn end(&mut self) {
        invariants::check(self).await;
        self.server.stop().await;
        invariants::check_secrets(self);
    }
}

async fn simulator(vendor: Vendor, profile: Profile, identity: Option<&Identity>) -> Simulator {
    let started = match identity {
        Some(identity) => Simulator::start_tls(vendor, profile, identity).await,
        None => Simulator::start(vendor, profile).await,
    };
    started.unwrap()
}

/// The state of a push.
pub fn state(answer: &v1::CreateTicketResponse) -> v1::DeliveryState {
    answer.delivery.as_ref().unwrap().state()
}

/// Number of creates that a simulator received.
pub fn creates(simulator: &Simulator) -> usize {
    let is_create = |path: &str| path.ends_with("/issue") || path.ends_with("/table/incident");
    simulator.requests().iter().filter(|request| request.method == "POST" && is_create(&request.path)).count()
}

/// RetryDelivery for one delivery.
pub fn retrying(id: impl Into<String>) -> v1::RetryDeliveryRequest {
    v1::RetryDeliveryRequest { delivery_id: id.into(), create_anyway: false }
}
