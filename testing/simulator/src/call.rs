//! The kinds of calls that a fault can select.

use serde::{Deserialize, Serialize};

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Every call.
    Any,
    /// A connection that was just accepted. Not included in [`Call::Any`].
    Connection,
    /// Creating a ticket.
    Create,
    /// Searching tickets: JQL, or a table query.
    Search,
    /// Reading one ticket.
    Read,
    /// Changing a ticket: fields, properties, comments, work notes.
    Update,
    /// Reading metadata of the site: server info, project, issue types, fields, priorities, groups.
    Meta,
    /// Reading the account and its permissions: `myself`, `mypermissions`, an incident list without a query.
    Auth,
    /// Anything else.
    Other,
}
