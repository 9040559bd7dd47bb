//! The destination of a request: a connection by its name, or by the ticket system that it is named after.

use ticketing_contract::v1;
use ticketing_core::connection::MAX_NAME;
use ticketing_core::violation::Violations;

use super::field;
use crate::grpc::errors::{Refusal, no_connection};

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
    /// No connection has this name; those that exist.
    Unknown(String, Vec<String>),
}

/// Why a request with a destination is refused.
#[derive(Debug)]
pub enum Rejection {
    Invalid(Violations),
    ConnectionNotFound { name: String, known: Vec<String> },
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

/// The name of the connection, one of `known`.
pub(super) fn connection(
    given: Option<Destination>,
    known: &[String],
    violations: &mut Violations,
) -> Result<String, NoDestination> {
    match name(given, violations) {
        Some(name) if known.contains(&name) => Ok(name),
        Some(name) => Err(NoDestination::Unknown(name, known.to_vec())),
        None => Err(NoDestination::Invalid),
    }
}

/// The name of a connection that may not exist yet.
pub(super) fn name(given: Option<Destination>, violations: &mut Violations) -> Option<String> {
    match given {
        None => {
            let description = "is required: set connection, for example to jira, or set system";
            violations.add("destination", description);
            None
        }
        Some(Destination::System(value)) => {
            field::system("system", value, violations).map(|system| system.to_string())
        }
        Some(Destination::Connection(name)) => {
            let before = violations.iter().count();
            violations.require_text("connection", &name, MAX_NAME);
            (violations.iter().count() == before).then_some(name)
        }
    }
}

// === impl Rejection ===

impl Rejection {
    /// The refusal of the request; `invalid` is that of its violations.
    pub(crate) fn into_refusal(self, invalid: fn(Violations) -> Refusal) -> Refusal {
        match self {
            Self::Invalid(violations) => invalid(violations),
            Self::ConnectionNotFound { name, known } => Refusal::ConnectionNotFound { name, known },
        }
    }

    /// An unknown connection alone is not found; beside violations it is one of them.
    pub(super) fn of(no_destination: Option<NoDestination>, mut violations: Violations) -> Self {
        match no_destination {
            Some(NoDestination::Unknown(name, known)) if violations.is_empty() => {
                Self::ConnectionNotFound { name, known }
            }
            Some(NoDestination::Unknown(name, known)) => {
                violations.add("connection", no_connection(&name, &known));
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
    fn system_is_short_for_the_connection_named_after_it() {
        let mut violations = Violations::default();
        let known = ["jira".to_owned(), "jira-eu".to_owned()];
        for (given, name) in [
            (Destination::System(v1::TicketSystem::Jira.into()), "jira"),
            (Destination::Connection("jira".to_owned()), "jira"),
            (Destination::Connection("jira-eu".to_owned()), "jira-eu"),
        ] {
            assert_eq!(connection(Some(given), &known, &mut violations).unwrap(), name);
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
            assert!(matches!(connection(given, &[], &mut violations), Err(NoDestination::Invalid)));
            assert_eq!(violations.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), [field]);
        }
    }

    #[test]
    fn unknown_connection_is_listed_beside_other_violations() {
        let unknown = || Some(NoDestination::Unknown("jira-eu".to_owned(), vec!["jira".to_owned()]));
        let alone = Rejection::of(unknown(), Violations::default());
        assert!(matches!(alone, Rejection::ConnectionNotFound { name, .. } if name == "jira-eu"));
        let mut violations = Violations::default();
        violations.add("incident", "is required");
        let Rejection::Invalid(all) = Rejection::of(unknown(), violations) else { panic!("not invalid") };
        assert_eq!(all.iter().map(|it| it.field.as_str()).collect::<Vec<_>>(), ["incident", "connection"]);
    }
}
