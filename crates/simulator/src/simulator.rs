//! A running simulator, as tests hold it.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::profile::{Profile, Vendor};
use crate::server;
use crate::site::{self, Bend, Turn};
use crate::state::{RecordedRequest, State, Ticket};
use crate::weather::Weather;

/// One simulated ticket system. Dropping it closes its port.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    running: Mutex<Option<Running>>,
}

/// What every connection of a simulator shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) vendor: Vendor,
    pub(crate) address: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) weather: Weather,
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets the ticket system carry out a request.
    pub(crate) fn apply(&self, request: &crate::message::Request, bend: Bend) -> crate::message::Answer {
        let origin = self.origin();
        let now = self.clock.now();
        let mut state = self.state();
        site::respond(self.vendor, &mut Turn { state: &mut state, request, now, origin: &origin, bend })
    }
}

#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Simulator {
    /// Starts a simulator on a free port of 127.0.0.1 with the machine's clock.
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
        let listener = TcpListener::bind(address).await?;
        let shared = Arc::new(Shared {
            vendor,
            address: listener.local_addr()?,
            clock,
            weather: Weather::default(),
            state: Mutex::new(State::new(profile)),
        });
        let running = Mutex::new(Some(Running::start(&shared, listener)));
        Ok(Self { shared, running })
    }

    /// Plays an outage: closes the port and cuts every connection. Tickets, requests and weather are kept.
    pub async fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            running.stop.cancel();
            running.tasks.wait().await;
        }
    }

    /// Ends an outage: listens again on the same port. Does nothing while it is running.
    pub async fn restart(&self) -> io::Result<()> {
        if self.is_running() {
            return Ok(());
        }
        let listener = TcpListener::bind(self.shared.address).await?;
        let running = Running::start(&self.shared, listener);
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        Ok(())
    }

    /// Which ticket system it plays.
    pub fn vendor(&self) -> Vendor {
        self.shared.vendor
    }

    /// The base URL to configure in a client: the site, on Data Center with its context path.
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

    /// Where the script is reached over HTTP.
    pub fn control_url(&self) -> String {
        format!("{}/_simulator", self.shared.origin())
    }

    /// Every ticket that was really created, in order, deleted ones included.
    pub fn tickets(&self) -> Vec<Ticket> {
        self.shared.state().tickets.clone()
    }

    /// Every request since the start or the last [`clear_requests`](Self::clear_requests), in order of arrival.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.state().requests.clone()
    }

    /// Forgets the recorded requests.
    pub fn clear_requests(&self) {
        self.shared.state().clear_requests();
    }

    /// The weather, empty at first.
    pub fn weather(&self) -> &Weather {
        &self.shared.weather
    }

    /// Changes the profile from the next request on: withdraw a permission, rotate a token.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Profile) -> T) -> T {
        let mut state = self.shared.state();
        state.failed_logins = 0;
        change(&mut state.profile)
    }

    /// Sets how long after its creation a Jira search first shows a ticket.
    pub fn set_index_lag(&self, lag: Duration) {
        self.shared.state().profile.index_lag = lag;
    }

    /// Plays a person who takes a label off a ticket. True if the ticket exists and had it.
    pub fn remove_label(&self, ticket: &str, label: &str) -> bool {
        let mut state = self.shared.state();
        let labels = state.find_mut(ticket).and_then(|found| found.fields.get_mut("labels"));
        let Some(labels) = labels.and_then(Value::as_array_mut) else { return false };
        let before = labels.len();
        labels.retain(|known| known != label);
        labels.len() < before
    }

    /// Plays a person who moves an issue to another key; the old one still leads to it. True if it exists.
    pub fn move_ticket(&self, ticket: &str, new_key: &str) -> bool {
        let mut state = self.shared.state();
        let Some(found) = state.find_mut(ticket) else { return false };
        let old_key = std::mem::replace(&mut found.key, new_key.to_owned());
        found.previous_keys.push(old_key);
        if let Some((project, _)) = new_key.rsplit_once('-') {
            project.clone_into(&mut found.container);
        }
        true
    }

    /// Plays a person who deletes a ticket. True if it exists.
    pub fn delete_ticket(&self, ticket: &str) -> bool {
        self.shared.state().find_mut(ticket).map(|found| found.deleted = true).is_some()
    }

    /// Plays a person who overwrites one field of a ticket. True if it exists.
    pub fn set_field(&self, ticket: &str, field: &str, value: Value) -> bool {
        let mut state = self.shared.state();
        state.find_mut(ticket).map(|found| found.fields.insert(field.to_owned(), value)).is_some()
    }

    /// Plays somebody else who creates a ticket, in the first project or the incident table, with these fields
    /// beside the usual ones and without validation. Returns its key or number.
    pub fn add_foreign_ticket(&self, fields: Map<String, Value>) -> String {
        let now = self.shared.clock.now();
        site::add_foreign_ticket(self.shared.vendor, &mut self.shared.state(), fields, now)
    }

    fn is_running(&self) -> bool {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
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
