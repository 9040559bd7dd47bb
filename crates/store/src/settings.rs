//! Settings and their secrets, as parameters and results of the store.

use std::collections::BTreeMap;

use jiff::Timestamp;
use ticketing_core::auto_push::AutoPush;
use ticketing_core::secret::{Secret, SecretUse};
use ticketing_core::system::{Check, System};

use super::StoreError;

/// A change to be saved; see [`configure`](crate::port::Settings::configure).
#[derive(Debug)]
pub enum SettingsChange {
    Connection {
        connection: String,
        system: System,
        enabled: bool,
        /// The public part.
        draft: serde_json::Value,
        /// The destination of tickets; `None` while settings are missing.
        base_url: Option<String>,
        /// `None` removes a secret; those that are absent stay.
        secrets: BTreeMap<SecretUse, Option<Secret>>,
    },
    /// Removes a connection with its secrets.
    Remove {
        connection: String,
        system: System,
    },
    Policy {
        auto_push: AutoPush,
        retry: serde_json::Value,
    },
}

/// Why changes are not saved.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    #[error("{deliveries} deliveries of the connection {connection} have not ended")]
    ConnectionInUse { connection: String, deliveries: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The revisions after a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revisions {
    /// Of all settings, if the change includes the policy.
    pub all: Option<u64>,
    /// Of the changed connections.
    pub connections: BTreeMap<String, u32>,
}

/// A connection that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedConnection {
    /// Its ID.
    pub connection: String,
    pub system: System,
    pub removed_at: Timestamp,
}

/// The stored settings of a connection.
#[derive(Debug, Clone)]
pub struct StoredSettings {
    pub connection: String,
    pub system: System,
    pub enabled: bool,
    pub draft: serde_json::Value,
    /// The destination of tickets; `None` while settings are missing.
    pub base_url: Option<String>,
    pub secrets: BTreeMap<SecretUse, Secret>,
    /// Secrets that are stored but unusable.
    pub lost: Vec<StoreError>,
    /// Incremented by every change; 1 is the first.
    pub revision: u32,
    pub updated_at: Timestamp,
}

/// Former settings of a connection, kept so that its sends can still be looked up.
#[derive(Debug, Clone)]
pub struct RetiredConnection {
    pub connection: String,
    pub system: System,
    pub draft: serde_json::Value,
    pub secrets: BTreeMap<SecretUse, Secret>,
    pub retired_at: Timestamp,
}

/// The settings without a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPolicy {
    pub auto_push: AutoPush,
    pub retry: serde_json::Value,
    /// Of all settings: incremented by every change.
    pub revision: u64,
    pub updated_at: Timestamp,
}

/// The result of a connection test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTest {
    pub at: Timestamp,
    pub checks: Vec<Check>,
}
