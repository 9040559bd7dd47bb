//! The destination of a request: a connection by its name, or by the ticket system that it is named after.

use crate::v1::{self, TicketSystem};

macro_rules! destinations {
    ($($request:ident),*) => {$(
        impl From<TicketSystem> for v1::$request::Destination {
            fn from(system: TicketSystem) -> Self {
                Self::System(system.into())
            }
        }

        impl From<&str> for v1::$request::Destination {
            fn from(connection: &str) -> Self {
                Self::Connection(connection.to_owned())
            }
        }
    )*};
}

destinations!(create_ticket_request, preview_ticket_request, test_connection_request);
