//! The destination of a request: a connection by its name, or by the ticket system that it is named after.

use ticketing_contract::v1;
use ticketing_core::system::System;
use ticketing_core::violation::Violations;

use super::field;
use crate::grpc::errors::{Refusal, no_connection};

const MAX_CONNECTION_NAME: usize = 63;

/// The destination of any request.
#[derive(Debug)]
pub enum Destination {
    System(i32),
    Connection(String),
}

/// A destination that no request can be sent to.
#[derive(Debug)]
pub(super) enum NoDestination {
    /// Its violations are reported.
    Invalid,
    /// No connection has this name.
    Unknown(String),
}

/// Why a request with a destination is refused.
#[derive(Debug)]
pub enum Rejection {
    Invalid(Violations),
    ConnectionNotFound(String),
}

// === impl Destination ===

impl From<v1::create_ticket_request::Destination> for Destination {
    fn from(given: v1::create_ticket_request::Destination) -> Self {
        match given {
            v1::create_ticket_request::Destination::System(system) => Self::System(system),
            v1::create_ticket_request::Destination::Connection(name) => Self::Connection(name),
        }
    }
}

impl From<v1::preview_ticket_request::Destination> for Destination {
    fn from(given: v1::preview_ticket_request::Destination) -> Self {
        match given {
            v1::preview_ticket_request::Destination::System(system) => Self::System(system),
            v1::preview_ticket_request::Destination::Connection(name) => Self::Connection(name),
        }
    }
}

impl From<v1::test_connection_request::Destination> for Destination {
    fn from(given: v1::test_connection_request::Destination) -> Self {
        match given {
            v1::test_connection_request::Destination::System(system) => Self::System(system),
            v1::test_connection_request::Destination::Connection(name) => Self::Connection(name),
        }
    }
}

/// The ticket system of the connection.
pub(super) fn system(
    given: Option<Destination>,
    violations: &mut Violations,
) -> Result<System, NoDestination> {
    match given {
        None => {
            let description = "is required: set connection, for example to jira, or set system";
            violations.add("destination", description);
            Err(NoDestination::Invalid)
        }
        Some(Destination::System(value)) => {
            field::system("system", value, violations).ok_or(NoDestination::Invalid)
        }
        Some(Destination::Connection(name)) => {
            let before = violations.iter().count();
            violations.require_text("connection", &name, MAX_CONNECTION_NAME);
            if violations.iter().count() > before {
                return Err(NoDestination::Invalid);
            }
            System::parse(&name).ok_or(NoDestination::Unknown(name))
        }
    }
}

// === impl Rejection ===

impl Rejection {
    /// The refusal of the request; `invalid` is that of its violations.
    pub(crate) fn into_refusal(self, invalid: fn(Violations) -> Refusal) -> Refusal {
        match self {
            Self::Invalid(violations) => invalid(violations),
            Self::ConnectionNotFound(name) => Refusal::ConnectionNotFound(name),
        }
    }

    /// An unknown connection alone is not found; beside violations it is one of them.
    pub(super) fn of(no_destination: Option<NoDestination>, mut violations: Violations) -> Self {
        match no_destination {
            Some(NoDestination::Unknown(name)) if violations.is_empty() => Self::ConnectionNotFound(name),
            Some(NoDestination::Unknown(name)) => {
                violations.add("connection", no_connection(&name));
                Self::Invalid(violations)
            }
            Some(NoDestination::Invalid) | None => Self::Invalid(violations),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_is_named_after_its_system() {
        let mut violations = Violations::default();
        for each in System::ALL {
            let named = Destination::Connection(each.to_string());
            assert_eq!(system(Some(named), &mut violations).unwrap(), each);
        }
        assert!(violations.is_empty());
    }

    #[test]
    fn reports_missing_and_invalid_destinations_by_field() {
        let invalid = [
            (None, "destination"),
            (Some(Destination::System(0)), "system"),
            (Some(Destination::Connection(String::new())), "connection"),
            (Some(Destination::Connection("x".repeat(64))), "connection"),
        ];
        for (given, field) in invalid {
            let mut violations = Violations::default();
            assert!(matches!(system(given, &mut violations), Err(NoDestination::Invalid)));
            assert_eq!(violations.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), [field]);
        }
    }

    #[test]
    fn unknown_connection_is_listed_beside_other_violations() {
        let unknown = || Some(NoDestination::Unknown("jira-eu".to_owned()));
        let alone = Rejection::of(unknown(), Violations::default());
        assert!(matches!(alone, Rejection::ConnectionNotFound(name) if name == "jira-eu"));
        let mut violations = Violations::default();
        violations.add("incident", "is required");
        let Rejection::Invalid(all) = Rejection::of(unknown(), violations) else { panic!("not invalid") };
        assert_eq!(all.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), ["incident", "connection"]);
    }
}
