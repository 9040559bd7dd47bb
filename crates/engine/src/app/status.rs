//! GetStatus.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ticketing_core::delivery::State;
use ticketing_core::health::Health;
use ticketing_core::system::System;

use ticketing_store::{ConnectionSummary, FileCheck, LastFailure, LastSuccess};

use super::{App, AppError, ConnectionTest};
use crate::settings::Settings;

/// The status of the service and its systems.
#[derive(Debug, Clone)]
pub struct Status {
    pub started_at: Timestamp,
    pub now: Timestamp,
    pub settings: Settings,
    /// Whether the database file is being checked.
    pub checking_database: bool,
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
    /// The last ticket that was created or found.
    pub last_success: Option<LastSuccess>,
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
        let summaries = self.0.store.summaries().await?;
        let summary = |system: System| summaries.get(system.as_str()).cloned().unwrap_or_default();
        let systems = System::ALL.map(|system| self.system_status(system, summary(system))).into();
        Ok(Status {
            started_at: self.0.started_at,
            now: self.now(),
            settings: self.settings(),
            checking_database: self.0.store.file_check() == FileCheck::Running,
            systems,
        })
    }

    fn system_status(&self, system: System, summary: ConnectionSummary) -> SystemStatus {
        let name = system.as_str();
        let connection = self.0.connections.get(name);
        let ConnectionSummary { counts, needs_attention, last_test, last_success, last_failure } = summary;
        SystemStatus {
            system,
            connection: name.to_owned(),
            configured: connection.as_ref().is_some_and(|connection| connection.current.is_some()),
            enabled: connection.is_some_and(|connection| connection.enabled),
            last_test: last_test.map(|test| ConnectionTest { at: test.at, checks: test.checks }),
            counts: counts.into_iter().map(|count| (count.state, count.count)).collect(),
            needs_attention,
            concurrency_limit: self.0.dispatcher.concurrency_limit(name),
            last_success,
            last_failure,
            health: self.0.dispatcher.health(name),
        }
    }
}
