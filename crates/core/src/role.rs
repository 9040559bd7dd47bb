//! The roles of callers.

use std::fmt;
use std::str::FromStr;

/// The role of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Configures the service.
    Admin,
    /// Pushes tickets and manages deliveries.
    Analyst,
    /// Submits incidents and follows their events.
    Producer,
    /// Reads only.
    Viewer,
}

use Role::{Admin, Analyst, Producer, Viewer};

// === impl Role ===

impl Role {
    pub const ALL: [Self; 4] = [Admin, Analyst, Producer, Viewer];

    /// Whether callers with this role are confined to incidents of their own namespace.
    #[must_use]
    pub fn is_confined(self) -> bool {
        self == Producer
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Admin => "admin",
            Analyst => "analyst",
            Producer => "producer",
            Viewer => "viewer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| "must be admin, analyst, producer or viewer".to_owned())
    }
}
