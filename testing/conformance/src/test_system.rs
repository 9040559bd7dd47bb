//! The ticket system behind an adapter, as the suite controls it.

use std::sync::Arc;
use std::time::Duration;

use ticketing_core::system::TicketSystem;

/// The only secret that a [`TestSystem`] accepts.
pub const SECRET: &str = "Zq7x-conformance-secret-9Lm";

/// A ticket system, empty at first, with one account and one place for tickets.
///
/// Its place offers everything that an adapter assumes without asking, and a search shows a ticket at once. Time
/// passes only as [`add_ticket`](Self::add_ticket) says.
pub trait TestSystem: Send + Sync {
    /// A new connection with this secret, which is not necessarily [`SECRET`].
    fn connect(&self, secret: &str) -> Arc<dyn TicketSystem>;

    /// Lets these calls fail in this way from now on, in place of an earlier failure.
    fn fail(&self, calls: Calls, failure: Failure);

    /// Ends the failure.
    fn recover(&self);

    /// The account may no longer see the place and its tickets.
    fn withdraw_access(&self);

    /// The project or table no longer exists.
    fn remove_place(&self);

    /// All tickets that exist, in order of creation.
    fn tickets(&self) -> Vec<Ticket>;

    /// All requests since the start, in order of arrival.
    fn requests(&self) -> Vec<Request>;

    /// Creates a ticket as another user would, a second after the last one. It has `marker` where the adapter writes
    /// markers; an empty one is none. Returns its key.
    fn add_ticket(&self, marker: &str) -> String;

    /// Moves or renumbers a ticket as a user would. Returns its new key; its ID stays the same.
    fn move_ticket(&self, key: &str) -> String;

    /// Deletes a ticket as a user would.
    fn delete_ticket(&self, key: &str);
}

/// The calls that fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// Every call.
    Any,
    /// Creating a ticket.
    Create,
    /// Searching tickets by marker.
    Search,
}

/// How a call fails. "Applied" means that the system executes the request before that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// An error of the server, such as 502 or 504.
    ServerError { applied: bool },
    /// The connection ends without a reply.
    Disconnect { applied: bool },
    /// A reply that reports success, but is malformed.
    Unreadable { applied: bool },
    /// No reply.
    Silence,
    /// The request itself is refused, with this text. Not applied.
    Refused(String),
    /// The login is refused. Not applied.
    LoginRefused,
    /// The login is ignored: the call is answered like that of an anonymous caller, whose searches may be empty.
    LoginIgnored,
    /// Too many requests: come again after this delay. Not applied.
    Throttled(Duration),
    /// A search returns every ticket, whatever it asked for.
    QueryIgnored,
    /// A search returns every row twice.
    RowsRepeated,
}

/// A ticket as the system stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub id: String,
    pub key: String,
}

/// A request that the system received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub kind: RequestKind,
    /// The body as received; empty if there was none.
    pub body: String,
}

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// Changes nothing.
    Read,
    /// Creates a ticket.
    Create,
    /// Changes a ticket that exists.
    Change,
}
