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
    /// By ID.
    pub connections: Vec<ConnectionStatus>,
}

/// The status of one connection.
#[derive(Debug, Clone)]
pub struct ConnectionStatus {
    /// The ID of the connection.
    pub id: String,
    pub system: System,
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
        let summary = |id: &str| summaries.get(id).cloned().unwrap_or_default();
        let all = self.0.connections.systems().into_iter();
        let connections = all.map(|(id, system)| {
            let summary = summary(&id);
            self.connection_status(id, system, summary)
        });
        Ok(Status {
            started_at: self.0.started_at,
            now: self.now(),
            settings: self.settings(),
            checking_database: self.0.store.file_check() == FileCheck::Running,
            connections: connections.collect(),
        })
    }

    fn connection_status(&self, id: String, system: System, summary: ConnectionSummary) -> ConnectionStatus {
        let connection = self.0.connections.get(&id);
        let ConnectionSummary { counts, needs_attention, last_test, last_success, last_failure } = summary;
        ConnectionStatus {
            system,
            configured: connection.as_ref().is_some_and(|connection| connection.current.is_some()),
            enabled: connection.is_some_and(|connection| connection.enabled),
            last_test: last_test.map(|test| ConnectionTest { at: test.at, checks: test.checks }),
            counts: counts.into_iter().map(|count| (count.state, count.count)).collect(),
            needs_attention,
            concurrency_limit: self.0.dispatcher.concurrency_limit(&id),
            last_success,
            last_failure,
            health: self.0.dispatcher.health(&id),
            id,
        }
    }
}
