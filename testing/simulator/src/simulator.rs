//! A running simulator, as tests use it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::call::Call;
use crate::clock::Clock;
use crate::fault_script::FaultScript;
use crate::points::{Point, Points};
use crate::profile::{Profile, Vendor};
use crate::record::{Keep, RecordedCreate, RecordedRequest};
use crate::server;
use crate::shared::Shared;
use crate::state::State;
use crate::ticket::Ticket;
use crate::transport::Security;

/// A simulated ticket system. Dropping it closes its port.
#[derive(Debug)]
pub struct Simulator {
    pub(crate) shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

/// A handle on the fault script of a simulator.
#[derive(Debug, Clone)]
pub struct FaultScriptRecord(Arc<Shared>);

#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Simulator {
    /// Starts a simulator on a free port of 127.0.0.1 with the system clock.
    pub async fn start(vendor: Vendor, profile: Profile) -> io::Result<Self> {
        Self::start_at(vendor, profile, SocketAddr::from(([127, 0, 0, 1], 0)), Clock::real()).await
    }

    /// Starts a simulator on this address with this clock.
    pub async fn start_at(
        vendor: Vendor,
        profile: Profile,
        address: SocketAddr,
        clock: Clock,
    ) -> io::Result<Self> {
        Self::start_with(vendor, profile, address, clock, Security::none()).await
    }

    pub(crate) async fn start_with(
        vendor: Vendor,
        profile: Profile,
        address: SocketAddr,
        clock: Clock,
        security: Security,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let shared = Arc::new(Shared {
            vendor,
            address: listener.local_addr()?,
            clock,
            faults: FaultScript::default(),
            points: Points::default(),
            security,
            is_dropped: CancellationToken::new(),
            state: Mutex::new(State::new(profile)),
        });
        let running = Mutex::new(Some(Running::start(&shared, listener)));
        Ok(Self { shared, running })
    }

    /// Starts an outage: closes the port and aborts every connection. Keeps tickets, requests and faults.
    pub async fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            running.stop.cancel();
            running.tasks.wait().await;
        }
    }

    /// Ends an outage: listens on the same port again. Does nothing if it is running.
    pub async fn restart(&self) -> io::Result<()> {
        if self.is_running() {
            return Ok(());
        }
        let listener = TcpListener::bind(self.shared.address).await?;
        let running = Running::start(&self.shared, listener);
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        Ok(())
    }

    /// The simulated vendor.
    pub fn vendor(&self) -> Vendor {
        self.shared.vendor
    }

    /// The base URL for clients: the site, on Data Center with its context path.
    pub fn base_url(&self) -> String {
        let context = match self.shared.vendor {
            Vendor::JiraDataCenter => self.shared.state().profile.context_path.clone(),
            Vendor::JiraCloud | Vendor::ServiceNow => String::new(),
        };
        format!("{}{context}", self.shared.origin())
    }

    /// Jira Cloud: the base URL of the gateway, where scoped tokens are accepted.
    pub fn gateway_url(&self) -> String {
        format!("{}/ex/jira/{}", self.shared.origin(), self.shared.state().profile.cloud_id)
    }

    /// The base URL of the control API.
    pub fn control_url(&self) -> String {
        format!("{}/_simulator", self.shared.origin())
    }

    /// Every ticket that was created, in order, including deleted ones.
    pub fn tickets(&self) -> Vec<Ticket> {
        self.shared.state().tickets.all().to_vec()
    }

    /// Passes every ticket to `look` in order of creation, including deleted ones, without copying them.
    /// Blocks all calls meanwhile.
    pub fn with_tickets<T>(&self, look: impl FnOnce(&[Ticket]) -> T) -> T {
        look(self.shared.state().tickets.all())
    }

    /// Every recorded request since the start or the last [`clear_requests`](Self::clear_requests), in order
    /// of arrival.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.state().record.requests.clone()
    }

    /// Clears the recorded requests, but not the creates.
    pub fn clear_requests(&self) {
        self.shared.state().record.clear_requests();
    }

    /// Sets the data of requests that is recorded, and removes the rest from existing records.
    pub fn keep_requests(&self, keep: Keep) {
        self.shared.state().record.keep(keep);
    }

    /// Every create since the start, in order of arrival.
    pub fn creates(&self) -> Vec<RecordedCreate> {
        self.shared.state().record.creates.clone()
    }

    /// Passes every create to `look` in order of arrival, without copying them. Blocks all calls meanwhile.
    pub fn with_creates<T>(&self, look: impl FnOnce(&[RecordedCreate]) -> T) -> T {
        look(&self.shared.state().record.creates)
    }

    /// Number of times that calls of this kind reached a point since the start; [`Call::Any`] sums all but
    /// connections.
    pub fn reached(&self, call: Call, point: Point) -> u64 {
        self.shared.points.times(call, point)
    }

    /// Waits until calls of this kind have reached a point this many times since the start.
    pub async fn until(&self, call: Call, point: Point, times: u64) {
        self.shared.points.until(call, point, times).await;
    }

    /// A handle on the fault script, which outlives the simulator.
    pub fn fault_script_record(&self) -> FaultScriptRecord {
        FaultScriptRecord(self.shared.clone())
    }

    /// The fault script, empty at first.
    pub fn faults(&self) -> &FaultScript {
        &self.shared.faults
    }

    /// Changes the profile for later requests, for example its permissions or tokens.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Profile) -> T) -> T {
        let mut state = self.shared.state();
        state.failed_logins = 0;
        change(&mut state.profile)
    }

    /// Sets the index lag of Jira, also for existing tickets: the time from their creation until searches
    /// show them; [`Profile::NEVER`] for never.
    pub fn set_index_lag(&self, lag: Duration) {
        self.shared.state().profile.index_lag = lag;
    }

    fn is_running(&self) -> bool {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

impl FaultScriptRecord {
    /// See [`FaultScript::never_triggered`].
    pub fn never_triggered(&self) -> Vec<String> {
        self.0.faults.never_triggered()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.is_dropped.cancel();
        if let Some(running) = self.running.lock().unwrap_or_else(PoisonError::into_inner).take() {
            running.stop.cancel();
        }
    }
}

impl Running {
    fn start(shared: &Arc<Shared>, listener: TcpListener) -> Self {
        let running = Self { stop: CancellationToken::new(), tasks: TaskTracker::new() };
        let serving = server::serve(shared.clone(), listener, running.stop.clone(), running.tasks.clone());
        running.tasks.spawn(serving);
        running.tasks.close();
        running
    }
}
