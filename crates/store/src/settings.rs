//! Settings and their secrets as the store takes and gives them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;
use ticketing_core::auto_push::AutoPush;
use ticketing_core::system::{Check, System};

use super::StoreError;

/// One thing to save; see [`Store::configure`](super::Store::configure).
#[derive(Debug)]
pub enum SettingsChange {
    Target {
        target: String,
        system: System,
        enabled: bool,
        /// The public part.
        draft: serde_json::Value,
        /// Where tickets go; `None` while settings are missing.
        base_url: Option<String>,
        /// Secrets that are absent stay.
        secrets: BTreeMap<SecretUse, SecretChange>,
    },
    Policy {
        auto_push: AutoPush,
        retry: serde_json::Value,
    },
}

/// What a secret of a target is for: there is at most one for each use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretUse {
    /// Proves who we are to the ticket system.
    TicketSystem,
    /// Proves who we are to the proxy on the way.
    Proxy,
}

/// What to do with a secret of a target.
#[derive(Debug)]
pub enum SecretChange {
    Remove,
    Set(Secret),
}

/// A secret and where it may be sent.
#[derive(Debug, Clone)]
pub struct Secret {
    /// What it is, for example `api_token`.
    pub kind: String,
    pub value: SecretString,
    /// Scheme, host and port, for example `https://example.atlassian.net`.
    pub origin: String,
}

/// A secret that is kept.
#[derive(Debug, Clone)]
pub struct StoredSecret {
    pub secret: Secret,
    pub set_at: Timestamp,
}

/// The secrets of one connection.
pub type StoredSecrets = BTreeMap<SecretUse, StoredSecret>;

/// The settings of a target as they are kept.
#[derive(Debug, Clone)]
pub struct StoredSettings {
    pub target: String,
    pub system: System,
    pub enabled: bool,
    pub draft: serde_json::Value,
    /// Where tickets go; `None` while settings are missing.
    pub base_url: Option<String>,
    pub secrets: StoredSecrets,
    /// What lies there and cannot be used.
    pub lost: Vec<StoreError>,
    /// Raised by every change; 1 is the first.
    pub revision: u32,
    pub updated_at: Timestamp,
}

/// A former connection of a target, kept so that what was sent there can still be looked up.
#[derive(Debug, Clone)]
pub struct RetiredConnection {
    pub target: String,
    pub system: System,
    pub draft: serde_json::Value,
    pub secrets: StoredSecrets,
    pub retired_at: Timestamp,
}

/// The settings that belong to no target.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredPolicy {
    pub auto_push: AutoPush,
    pub retry: serde_json::Value,
    pub updated_at: Timestamp,
}

/// A connection test that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTest {
    pub at: Timestamp,
    pub checks: Vec<Check>,
}

// === impl SecretUse ===

impl SecretUse {
    pub const ALL: [Self; 2] = [Self::TicketSystem, Self::Proxy];

    /// As it is stored.
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
