//! Authorization: the roles that may call each method.

use ticketing_contract::Method;
use ticketing_core::role::Role;

use ticketing_store::AuditAction;

/// A callable RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rpc {
    Contract(Method),
    Health,
    /// Streaming health checks.
    Watch,
    Reflection,
}

use ticketing_core::role::Role::{Admin, Analyst, Producer, Viewer};

/// The roles that may call a method. Exhaustive: a method of the contract without a row does not compile.
fn allowed_roles(method: Method) -> &'static [Role] {
    match method {
        Method::Configure | Method::ListAuditEntries => &[Admin],
        // With unsaved settings only for admins, because the request contains the address to connect to. See
        // `UNSAVED_SETTINGS`.
        Method::TestConnection => &[Admin, Analyst],
        Method::PreviewTicket => &[Admin, Analyst, Viewer],
        Method::CreateTicket
        | Method::RetryDelivery
        | Method::RetryDeliveries
        | Method::CancelDelivery
        | Method::ResolveDelivery => &[Admin, Analyst],
        Method::SubmitIncident => &[Admin, Producer],
        // A producer receives events of its own deliveries only.
        Method::StreamTicketEvents => &[Admin, Analyst, Producer, Viewer],
        Method::GetStatus | Method::GetDelivery | Method::ListDeliveries => &[Admin, Analyst, Viewer],
    }
}

/// The audit action of a method that changes something or sends a credential; `None` for a query. Exhaustive, as
/// above.
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

/// The roles that may test a connection with unsaved settings.
pub(crate) const UNSAVED_SETTINGS: &[Role] = &[Admin];

// === impl Rpc ===

impl Rpc {
    /// The RPC at a path; `None` if there is none.
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

    /// The roles that may call it.
    pub(crate) fn roles(self) -> &'static [Role] {
        match self {
            Self::Contract(method) => allowed_roles(method),
            Self::Health | Self::Watch | Self::Reflection => &Role::ALL,
        }
    }

    /// Its audit action; `None` if it changes nothing.
    pub(crate) fn action(self) -> Option<AuditAction> {
        match self {
            Self::Contract(method) => audit_action(method),
            Self::Health | Self::Watch | Self::Reflection => None,
        }
    }

    /// Whether it is a stream.
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
    fn admin_may_call_every_method() {
        for method in Method::ALL {
            assert_eq!(Rpc::of_path(method.path()), Some(Rpc::Contract(method)));
            assert!(allowed_roles(method).contains(&Admin), "{method:?}");
        }
    }

    #[test]
    fn unknown_path_has_no_rpc() {
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
