//! What each role may call: a table by method, and nothing that is not in it.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use rhythmx_ticketing::Method;

use crate::store::AuditAction;

/// What a caller is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Role {
    /// Sets the service up.
    Admin,
    /// Pushes tickets and looks after deliveries.
    Analyst,
    /// Hands incidents over, and hears what becomes of them.
    Producer,
    /// Looks.
    Viewer,
}

/// Something that a caller may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rpc {
    Contract(Method),
    Health,
    /// Health that stays open.
    Watch,
    Reflection,
}

use Role::{Admin, Analyst, Producer, Viewer};

/// Who may call a method. A method of the contract without a row does not compile.
fn allowed_roles(method: Method) -> &'static [Role] {
    match method {
        Method::Configure | Method::ListAuditEntries => &[Admin],
        // With settings that are not saved only an admin: the request says where to connect to. See `UNSAVED_SETTINGS`.
        Method::TestConnection => &[Admin, Analyst],
        Method::PreviewTicket => &[Admin, Analyst, Viewer],
        Method::CreateTicket
        | Method::RetryDelivery
        | Method::RetryDeliveries
        | Method::CancelDelivery
        | Method::ResolveDelivery => &[Admin, Analyst],
        Method::SubmitIncident => &[Admin, Producer],
        // A producer hears of what it has handed over, and of nothing else.
        Method::StreamTicketEvents => &[Admin, Analyst, Producer, Viewer],
        Method::GetStatus | Method::GetDelivery | Method::ListDeliveries => &[Admin, Analyst, Viewer],
    }
}

/// As what the audit knows a method that changes something, or sends a credential somewhere; `None` for a question. A method of the
/// contract without a row does not compile.
fn audit_action(method: Method) -> Option<AuditAction> {
    match method {
        Method::Configure => Some(AuditAction::Configure),
        Method::TestConnection => Some(AuditAction::TestConnection),
        Method::CreateTicket => Some(AuditAction::CreateTicket),
        Method::SubmitIncident => Some(AuditAction::SubmitIncident),
        Method::RetryDelivery => Some(AuditAction::RetryDelivery),
        Method::RetryDeliveries => Some(AuditAction::RetryDeliveries),
        Method::CancelDelivery => Some(AuditAction::CancelDelivery),
        Method::ResolveDelivery => Some(AuditAction::ResolveDelivery),
        Method::PreviewTicket
        | Method::StreamTicketEvents
        | Method::GetStatus
        | Method::GetDelivery
        | Method::ListDeliveries
        | Method::ListAuditEntries => None,
    }
}

/// Who may test a connection with settings that are not saved.
pub(crate) const UNSAVED_SETTINGS: &[Role] = &[Admin];

// === impl Role ===

impl Role {
    pub const ALL: [Self; 4] = [Admin, Analyst, Producer, Viewer];

    /// Whether its bearers act on incidents of their own namespace alone.
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

// === impl Rpc ===

impl Rpc {
    /// What the path of a call leads to; `None` for what is not served.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        if let Some(method) = Method::ALL.into_iter().find(|method| method.path() == path) {
            return Some(Self::Contract(method));
        }
        match path.trim_start_matches('/').split_once('/')? {
            ("grpc.health.v1.Health", "Watch") => Some(Self::Watch),
            ("grpc.health.v1.Health", _) => Some(Self::Health),
            ("grpc.reflection.v1.ServerReflection" | "grpc.reflection.v1alpha.ServerReflection", _) => {
                Some(Self::Reflection)
            }
            _ => None,
        }
    }

    /// Who may go through.
    pub(crate) fn roles(self) -> &'static [Role] {
        match self {
            Self::Contract(method) => allowed_roles(method),
            Self::Health | Self::Watch | Self::Reflection => &Role::ALL,
        }
    }

    /// As what the audit knows that which is done behind it; `None` where nothing is changed.
    pub(crate) fn action(self) -> Option<AuditAction> {
        match self {
            Self::Contract(method) => audit_action(method),
            Self::Health | Self::Watch | Self::Reflection => None,
        }
    }

    /// Whether what is behind it stays open.
    pub(crate) fn is_stream(self) -> bool {
        match self {
            Self::Contract(method) => method.is_stream(),
            Self::Health => false,
            Self::Watch | Self::Reflection => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_contract_is_found_by_its_path_and_is_open_to_an_admin() {
        for method in Method::ALL {
            assert_eq!(Rpc::of_path(method.path()), Some(Rpc::Contract(method)));
            assert!(allowed_roles(method).contains(&Admin), "{method:?}");
        }
    }

    #[test]
    fn a_path_that_nothing_is_served_at_leads_nowhere() {
        for path in [
            "",
            "/",
            "/rhythmx.ticketing.v1.TicketingService/",
            "/x.Y/Configure",
            "/grpc.health.v1.Healthy/Check",
        ] {
            assert_eq!(Rpc::of_path(path), None, "{path}");
        }
    }
}
