//! A secret of a connection: in memory a [`Secret`], at rest encrypted by the store.

use std::fmt;

use jiff::Timestamp;
use secrecy::SecretString;

/// A secret, and where it may be sent. `Debug` does not show the value.
#[derive(Debug, Clone)]
pub struct Secret {
    pub kind: SecretKind,
    pub value: SecretString,
    /// The scheme, host and port that may receive it, for example `https://example.atlassian.net`, and the route
    /// there. `None` until the address is set.
    pub origin: Option<String>,
    pub set_at: Timestamp,
}

/// A change to a secret.
#[derive(Debug, Clone)]
pub enum SecretChange {
    Remove,
    Set { kind: SecretKind, value: SecretString },
}

/// How a secret is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretKind {
    /// With the email of the account, as basic authentication.
    ApiToken,
    /// As bearer token.
    PersonalAccessToken,
    /// With the name of the user, as basic authentication.
    Password,
    /// With the name of the user, for the proxy.
    ProxyPassword,
}

/// The receiver of a secret: a connection has at most one secret for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretUse {
    /// Authenticates to the ticket system.
    TicketSystem,
    /// Authenticates to the proxy.
    Proxy,
}

// === impl Secret ===

impl Secret {
    /// A secret that is not bound to an origin yet, without a time.
    #[must_use]
    pub fn new(kind: SecretKind, value: impl Into<SecretString>) -> Self {
        Self { kind, value: value.into(), origin: None, set_at: Timestamp::UNIX_EPOCH }
    }
}

// === impl SecretKind ===

impl SecretKind {
    pub const ALL: [Self; 4] =
        [Self::ApiToken, Self::PersonalAccessToken, Self::Password, Self::ProxyPassword];

    /// The field of the contract that sets it; also the stored form.
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
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    #[must_use]
    pub fn used_for(self) -> SecretUse {
        match self {
            Self::ApiToken | Self::PersonalAccessToken | Self::Password => SecretUse::TicketSystem,
            Self::ProxyPassword => SecretUse::Proxy,
        }
    }
}

impl fmt::Display for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
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
