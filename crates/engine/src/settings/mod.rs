//! Settings, and changes to them. A change is merged by presence: fields that are set replace, absent ones
//! stay.

pub mod stored;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use ticketing_core::auto_push::AutoPush;
use ticketing_core::policy::{Bounds, Policy};
use ticketing_core::system::System;
use ticketing_egress::RouteDraft;
use ticketing_retry::{Backoff, InvalidBackoff};

pub use ticketing_store::SecretUse;

/// The settings of one ticket system, without its secrets.
#[derive(Debug, Clone, PartialEq)]
pub enum Draft {
    Jira(ticketing_jira::SettingsDraft),
    ServiceNow(ticketing_servicenow::SettingsDraft),
}

/// A secret and how it is used.
#[derive(Debug, Clone)]
pub struct Secret {
    pub kind: SecretKind,
    pub value: SecretString,
}

/// How a secret is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretKind {
    /// Jira: with the email, as basic authentication.
    ApiToken,
    /// Jira Data Center: as Bearer.
    PersonalAccessToken,
    /// ServiceNow: with the user name.
    Password,
    /// Any system: with the user name for the proxy.
    ProxyPassword,
}

/// A stored secret, and where it may be sent.
#[derive(Debug, Clone)]
pub struct BoundSecret {
    pub secret: Secret,
    /// What it is bound to: it is sent nowhere else. `None` until the address is set.
    pub origin: Option<String>,
    pub set_at: Timestamp,
}

/// The secrets of one system: at most one per use.
pub type Secrets = BTreeMap<SecretUse, BoundSecret>;

/// The settings of one system.
#[derive(Debug, Clone)]
pub struct SystemSettings {
    pub draft: Draft,
    pub enabled: bool,
    pub secrets: Secrets,
}

/// A change to the settings of one system.
#[derive(Debug, Clone)]
pub struct SystemChange {
    /// Fields that are set replace.
    pub draft: Draft,
    pub enabled: Option<bool>,
    /// Secrets that are absent stay.
    pub secrets: BTreeMap<SecretUse, SecretChange>,
}

/// A change to a secret.
#[derive(Debug, Clone)]
pub enum SecretChange {
    Remove,
    Set(Secret),
}

/// All current settings.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// By connection.
    pub systems: BTreeMap<String, SystemSettings>,
    pub rules: Rules,
}

/// The rules for every system.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules {
    pub auto_push: AutoPush,
    pub retry: RetrySchedule,
}

/// When failed attempts are retried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "StoredRetrySchedule", try_from = "StoredRetrySchedule")]
pub struct RetrySchedule {
    pub backoff: Backoff,
    /// Interval between ticks, which send due retries. 10 ms to 1 h.
    pub processor_interval: Duration,
}

/// A retry schedule as stored: all durations in milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredRetrySchedule {
    max_attempts: u32,
    base_delay_ms: u64,
    max_delay_ms: u64,
    processor_interval_ms: u64,
    jitter: f64,
}

// === impl Draft ===

impl Draft {
    /// Empty settings.
    #[must_use]
    pub fn empty(system: System) -> Self {
        match system {
            System::Jira => Self::Jira(ticketing_jira::SettingsDraft::default()),
            System::ServiceNow => Self::ServiceNow(ticketing_servicenow::SettingsDraft::default()),
        }
    }

    #[must_use]
    pub fn system(&self) -> System {
        match self {
            Self::Jira(_) => System::Jira,
            Self::ServiceNow(_) => System::ServiceNow,
        }
    }

    /// Applies the fields that `patch` sets. A patch of another system changes nothing.
    pub fn merge(&mut self, patch: Self) {
        match (self, patch) {
            (Self::Jira(draft), Self::Jira(patch)) => draft.merge(patch),
            (Self::ServiceNow(draft), Self::ServiceNow(patch)) => draft.merge(patch),
            (Self::Jira(_), Self::ServiceNow(_)) | (Self::ServiceNow(_), Self::Jira(_)) => {}
        }
    }

    /// The binding of a secret by its use: its destination and the route. `None` while that is absent or
    /// invalid.
    #[must_use]
    pub fn binding(&self, used_for: SecretUse) -> Option<String> {
        match used_for {
            SecretUse::TicketSystem => self.origin(),
            SecretUse::Proxy => self.route().proxy_binding(),
        }
    }

    /// The binding of the secret for the ticket system.
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        let origin = match self {
            Self::Jira(draft) => draft.origin(),
            Self::ServiceNow(draft) => draft.origin(),
        };
        let origin = origin?;
        let way = self.route().binding();
        Some(way.map_or_else(|| origin.clone(), |way| format!("{origin} {way}")))
    }

    /// The route to the system.
    #[must_use]
    pub fn route(&self) -> &RouteDraft {
        match self {
            Self::Jira(draft) => &draft.route,
            Self::ServiceNow(draft) => &draft.route,
        }
    }

    /// Every called address, by the name of its field, as entered.
    #[must_use]
    pub fn addresses(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Jira(draft) => draft.addresses(),
            Self::ServiceNow(draft) => draft.addresses(),
        }
    }

    /// The stored form.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let json = match self {
            Self::Jira(draft) => serde_json::to_value(draft),
            Self::ServiceNow(draft) => serde_json::to_value(draft),
        };
        json.expect("settings are made of texts, numbers and lists")
    }

    /// Parses the stored form.
    ///
    /// # Errors
    /// If it was not written by [`to_json`](Self::to_json).
    pub fn from_json(system: System, json: serde_json::Value) -> Result<Self, serde_json::Error> {
        match system {
            System::Jira => serde_json::from_value(json).map(Self::Jira),
            System::ServiceNow => serde_json::from_value(json).map(Self::ServiceNow),
        }
    }
}

// === impl SystemSettings ===

impl SystemSettings {
    /// Empty settings.
    #[must_use]
    pub fn empty(system: System) -> Self {
        Self { draft: Draft::empty(system), enabled: false, secrets: Secrets::new() }
    }

    /// The settings after a change. A newly set secret is not bound yet.
    #[must_use]
    pub fn changed(&self, change: &SystemChange, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.draft.merge(change.draft.clone());
        next.enabled = change.enabled.unwrap_or(self.enabled);
        for (used_for, change) in &change.secrets {
            match change {
                SecretChange::Remove => next.secrets.remove(used_for),
                SecretChange::Set(secret) => {
                    let held = BoundSecret { secret: secret.clone(), origin: None, set_at: now };
                    next.secrets.insert(*used_for, held)
                }
            };
        }
        next
    }

    /// Binds each secret to its destination, as soon as that is known. Returns the kinds of the secrets that
    /// are bound elsewhere.
    pub fn bind(&mut self) -> Vec<SecretKind> {
        let mut given_for_elsewhere = vec![];
        for (used_for, held) in &mut self.secrets {
            let Some(goes_to) = self.draft.binding(*used_for) else { continue };
            let bound = held.origin.get_or_insert_with(|| goes_to.clone());
            if *bound != goes_to {
                given_for_elsewhere.push(held.secret.kind);
            }
        }
        given_for_elsewhere
    }

    #[must_use]
    pub fn secret(&self, used_for: SecretUse) -> Option<&Secret> {
        self.secrets.get(&used_for).map(|held| &held.secret)
    }
}

// === impl SecretKind ===

impl SecretKind {
    /// The field of the contract that sets it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApiToken => "api_token",
            Self::PersonalAccessToken => "personal_access_token",
            Self::Password => "password",
            Self::ProxyPassword => "proxy_password",
        }
    }

    #[must_use]
    pub fn used_for(self) -> SecretUse {
        match self {
            Self::ApiToken | Self::PersonalAccessToken | Self::Password => SecretUse::TicketSystem,
            Self::ProxyPassword => SecretUse::Proxy,
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::ApiToken, Self::PersonalAccessToken, Self::Password, Self::ProxyPassword]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

// === impl RetrySchedule ===

impl RetrySchedule {
    /// The inputs of decisions about deliveries, within the bounds of this server.
    #[must_use]
    pub fn policy(&self, bounds: &Bounds) -> Policy {
        Policy { retry: self.backoff.clone(), bounds: bounds.clone() }
    }
}

impl Default for RetrySchedule {
    fn default() -> Self {
        Self { backoff: Backoff::default(), processor_interval: Duration::from_secs(120) }
    }
}

impl From<RetrySchedule> for StoredRetrySchedule {
    fn from(schedule: RetrySchedule) -> Self {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            max_attempts: schedule.backoff.max_retry_attempts(),
            base_delay_ms: millis(schedule.backoff.base()),
            max_delay_ms: millis(schedule.backoff.max()),
            processor_interval_ms: millis(schedule.processor_interval),
            jitter: schedule.backoff.jitter(),
        }
    }
}

impl TryFrom<StoredRetrySchedule> for RetrySchedule {
    type Error = InvalidBackoff;

    fn try_from(stored: StoredRetrySchedule) -> Result<Self, InvalidBackoff> {
        let (base, max) =
            (Duration::from_millis(stored.base_delay_ms), Duration::from_millis(stored.max_delay_ms));
        let backoff = Backoff::try_new(stored.max_attempts, base, max, stored.jitter)
            .map_err(|wrong| wrong.first().copied().unwrap_or(InvalidBackoff::Jitter))?;
        Ok(Self { backoff, processor_interval: Duration::from_millis(stored.processor_interval_ms) })
    }
}
