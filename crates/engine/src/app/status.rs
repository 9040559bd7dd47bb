//! GetStatus.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ticketing_core::delivery::{Delivery, State};
use ticketing_core::health::Health;
use ticketing_core::system::System;

use ticketing_store::LastFailure;

use super::{App, AppError, ConnectionTest};
use crate::settings::Settings;

/// The status of the service and its systems.
#[derive(Debug, Clone)]
pub struct Status {
    pub started_at: Timestamp,
    pub now: Timestamp,
    pub settings: Settings,
    /// One per supported system.
    pub systems: Vec<SystemStatus>,
}

/// The status of one system.
#[derive(Debug, Clone)]
pub struct SystemStatus {
    pub system: System,
    pub connection: String,
    pub configured: bool,
    pub enabled: bool,
    pub last_test: Option<ConnectionTest>,
    /// States without deliveries are omitted.
    pub counts: BTreeMap<State, u64>,
    /// Number of deliveries that only an operator can settle.
    pub needs_attention: u64,
    /// Creates that may be in progress at present.
    pub concurrency_limit: usize,
    /// When a ticket was last created or found, and its delivery.
    pub last_success: Option<(Timestamp, Delivery)>,
    pub last_failure: Option<LastFailure>,
    pub health: Health,
}

// === impl App ===

impl App {
    /// An overview for operators.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn status(&self) -> Result<Status, AppError> {
        let mut systems = Vec::new();
        for system in System::ALL {
            systems.push(self.system_status(system).await?);
        }
        Ok(Status { started_at: self.0.started_at, now: self.now(), settings: self.settings(), systems })
    }

    async fn system_status(&self, system: System) -> Result<SystemStatus, AppError> {
        let name = system.as_str();
        let store = &self.0.store;
        let connection = self.0.connections.get(name);
        let test = store.last_test(name).await?;
        let counts = store.counts(name).await?;
        let last_success = match store.last_success(name).await? {
            Some(last) => store.delivery(&last.delivery_id).await?.map(|delivery| (last.at, delivery)),
            None => None,
        };
        Ok(SystemStatus {
            system,
            connection: name.to_owned(),
            configured: connection.as_ref().is_some_and(|connection| connection.current.is_some()),
            enabled: connection.is_some_and(|connection| connection.enabled),
            last_test: test.map(|test| ConnectionTest { at: test.at, checks: test.checks }),
            counts: counts.into_iter().map(|count| (count.state, count.count)).collect(),
            needs_attention: store.needs_attention(name).await?,
            concurrency_limit: self.0.dispatcher.concurrency_limit(name),
            last_success,
            last_failure: store.last_failure(name).await?,
            health: self.0.dispatcher.health(name),
        })
    }
}
