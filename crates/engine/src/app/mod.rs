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
use ticketing_core::policy::Bounds;
use ticketing_core::system::System;
use ticketing_core::violation::Violations;

pub use configure::SETTINGS;
pub use configure::{Change, ConnectionTest};
pub use deliveries::{DeliveryWithAttempts, Page, RetryMany};
pub use push::{Decision, Preview, Pushed, Submission};
pub use resolve::{Resolve, TicketRefused};
pub use status::{Status, SystemStatus};

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
    SecretRequired(System, #[source] Violations),
    #[error("{0} is not configured")]
    NotConfigured(System),
    #[error("{0} is not enabled")]
    NotEnabled(System),
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

    /// The connection of a system, if tickets can be pushed to it.
    fn require_enabled(&self, system: System) -> Result<Connection, AppError> {
        let connection = self.0.connections.get(system.as_str());
        match connection {
            Some(connection) if connection.current.is_none() => Err(AppError::NotConfigured(system)),
            None => Err(AppError::NotConfigured(system)),
            Some(connection) if !connection.enabled => Err(AppError::NotEnabled(system)),
            Some(connection) => Ok(connection),
        }
    }
}
