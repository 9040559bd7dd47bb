//! The operations of the service on domain types: one function per RPC. The gRPC layer uses only this module.

mod configure;
mod deliveries;
mod push;
mod rate;
mod resolve;
mod status;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use ticketing_core::clock::Clock;
use ticketing_core::connection::name_of;
use ticketing_core::policy::Bounds;
use ticketing_core::violation::Violations;

pub use configure::SETTINGS;
pub use configure::{Change, ConnectionTest};
pub use deliveries::{DeliveryWithAttempts, Page, RetryMany};
pub use push::{Decision, Preview, Pushed, Submission};
pub use resolve::{Resolve, TicketRefused};
pub use status::{ConnectionStatus, Status};

use rate::RateLimit;

use crate::connections::{Connection, Connections};
use crate::dispatch::Dispatcher;
use crate::settings::{Rules, Settings};
use ticketing_store::{Store, StoreError};
use ticketing_vendor::Vendors;

/// The service; cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    dispatcher: Dispatcher,
    connections: Connections,
    clock: Arc<dyn Clock>,
    bounds: Bounds,
    started_at: Timestamp,
    settings: RwLock<Settings>,
    /// Serializes changes of settings.
    configuring: Arc<tokio::sync::Mutex<()>>,
    /// Rate limit of connection tests, which call addresses chosen by callers.
    tests: RateLimit,
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("the settings are not valid")]
    SettingsInvalid(#[source] Violations),
    #[error("the secret of {0} must be set again, because its address was changed")]
    SecretRequired(String, #[source] Violations),
    #[error("no connection is named {name}")]
    ConnectionNotFound { name: String, known: Vec<String> },
    #[error("the connection {0} is not configured")]
    NotConfigured(String),
    #[error("the connection {0} is not enabled")]
    NotEnabled(String),
    #[error("{deliveries} deliveries of the connection {connection} have not ended")]
    ConnectionInUse { connection: String, deliveries: u64 },
    #[error("the settings were changed since they were read; their etag is {etag}")]
    SettingsChanged { etag: String },
    #[error("incident {0} belongs to another namespace")]
    OwnedByOther(String),
    #[error("there is no delivery with this ID")]
    DeliveryNotFound(String),
    #[error("delivery {delivery_id} is {state} and cannot be {operation}")]
    DeliveryState { delivery_id: String, state: &'static str, operation: &'static str },
    #[error("the content of the incident of delivery {0} was removed by retention")]
    ContentRemoved(String),
    #[error("there is no such ticket: {}", .0.why)]
    TicketNotFound(TicketRefused),
    #[error("the ticket is another incident's: {}", .0.why)]
    TicketInUse(TicketRefused),
    #[error("the ticket could not be read: {}", .0.why)]
    TicketUnverified(TicketRefused),
    #[error("too many calls of this kind")]
    TooManyCalls { retry_after: Duration },
    #[error("the change was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
    #[error("the store failed")]
    Store(#[from] StoreError),
}

// === impl App ===

impl App {
    /// The service over a store with loaded settings, with a rate limit of connection tests per minute.
    #[must_use]
    pub fn new(
        store: Store,
        dispatcher: Dispatcher,
        connections: Connections,
        clock: Arc<dyn Clock>,
        bounds: Bounds,
        settings: Settings,
        tests_per_minute: u32,
    ) -> Self {
        let started_at = clock.now();
        Self(Arc::new(Inner {
            store,
            dispatcher,
            connections,
            clock,
            bounds,
            started_at,
            settings: RwLock::new(settings),
            configuring: Arc::default(),
            tests: RateLimit::new(tests_per_minute, started_at),
        }))
    }

    /// The current settings.
    #[must_use]
    pub fn vendors(&self) -> &Vendors {
        self.0.connections.vendors()
    }

    #[must_use]
    pub fn settings(&self) -> Settings {
        self.0.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The store of the events.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The current time, by the server's clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    fn edit_settings<T>(&self, edit: impl FnOnce(&mut Settings) -> T) -> T {
        edit(&mut self.0.settings.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn rules(&self) -> Rules {
        self.0.settings.read().unwrap_or_else(PoisonError::into_inner).rules.clone()
    }

    /// The names of all connections.
    #[must_use]
    pub fn connection_names(&self) -> Vec<String> {
        self.0.connections.ids().iter().map(|id| name_of(id).to_owned()).collect()
    }

    /// The ID of the connection `name`.
    fn connection_id(&self, name: &str) -> Result<String, AppError> {
        let not_found =
            || AppError::ConnectionNotFound { name: name.to_owned(), known: self.connection_names() };
        self.0.connections.id_of(name).ok_or_else(not_found)
    }

    /// The connection with an ID, if tickets can be pushed to it.
    fn require_enabled(&self, id: &str) -> Result<Connection, AppError> {
        let name = name_of(id).to_owned();
        match self.0.connections.get(id) {
            None => Err(AppError::ConnectionNotFound { name, known: self.connection_names() }),
            Some(connection) if connection.current.is_none() => Err(AppError::NotConfigured(name)),
            Some(connection) if !connection.enabled => Err(AppError::NotEnabled(name)),
            Some(connection) => Ok(connection),
        }
    }
}
