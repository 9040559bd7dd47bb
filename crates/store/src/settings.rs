//! Settings and their secrets, as parameters and results of the store.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;
use ticketing_core::auto_push::AutoPush;
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
        /// Secrets that are absent stay.
        secrets: BTreeMap<SecretUse, SecretChange>,
    },
    Policy {
        auto_push: AutoPush,
        retry: serde_json::Value,
    },
}

/// The use of a connection's secret: at most one secret per use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretUse {
    /// Authenticates to the ticket system.
    TicketSystem,
    /// Authenticates to the proxy.
    Proxy,
}

/// A change to a secret of a connection.
#[derive(Debug)]
pub enum SecretChange {
    Remove,
    Set(Secret),
}

/// A secret and where it may be sent.
#[derive(Debug, Clone)]
pub struct Secret {
    /// Its kind, for example `api_token`.
    pub kind: String,
    pub value: SecretString,
    /// Scheme, host and port, for example `https://example.atlassian.net`.
    pub origin: String,
}

/// A stored secret.
#[derive(Debug, Clone)]
pub struct StoredSecret {
    pub secret: Secret,
    pub set_at: Timestamp,
}

/// The secrets of one connection.
pub type StoredSecrets = BTreeMap<SecretUse, StoredSecret>;

/// The stored settings of a connection.
#[derive(Debug, Clone)]
pub struct StoredSettings {
    pub connection: String,
    pub system: System,
    pub enabled: bool,
    pub draft: serde_json::Value,
    /// The destination of tickets; `None` while settings are missing.
    pub base_url: Option<String>,
    pub secrets: StoredSecrets,
    /// Secrets that are stored but unusable.
    pub lost: Vec<StoreError>,
    /// Incremented by every change; 1 is the first.
    pub revision: u32,
    pub updated_at: Timestamp,
}

/// A retired connection of a connection, kept so that its sends can still be looked up.
#[derive(Debug, Clone)]
pub struct RetiredConnection {
    pub connection: String,
    pub system: System,
    pub draft: serde_json::Value,
    pub secrets: StoredSecrets,
    pub retired_at: Timestamp,
}

/// The settings without a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPolicy {
    pub auto_push: AutoPush,
    pub retry: serde_json::Value,
    pub updated_at: Timestamp,
}

/// The result of a connection test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTest {
    pub at: Timestamp,
    pub checks: Vec<Check>,
}

// === impl SecretUse ===

impl SecretUse {
    pub const ALL: [Self; 2] = [Self::TicketSystem, Self::Proxy];

    /// The stored form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TicketSystem => "ticket_system",
            Self::Proxy => "proxy",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|used_for| used_for.as_str() == text)
    }
}
