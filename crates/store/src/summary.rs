//! What the store shows of a connection.

use jiff::Timestamp;
use ticketing_core::delivery::{LastError, State};
use ticketing_core::system::TicketRef;

use super::settings::StoredTest;

/// A ticket that was created or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastSuccess {
    pub at: Timestamp,
    pub delivery_id: String,
    pub ticket: Option<TicketRef>,
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFailure {
    pub delivery_id: String,
    pub error: LastError,
}

/// Number of deliveries of a connection in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateCount {
    pub state: State,
    pub count: u64,
    /// When the oldest of them was accepted, to the millisecond; `None` if it is not known.
    pub oldest: Option<Timestamp>,
}

/// What is shown of a connection, all as of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionSummary {
    /// The number of deliveries by state; states without any are left out.
    pub counts: Vec<StateCount>,
    /// The number of deliveries that neither time nor a look-up can settle.
    pub needs_attention: u64,
    /// The last connection test.
    pub last_test: Option<StoredTest>,
    /// The last ticket that was created or found.
    pub last_success: Option<LastSuccess>,
    /// The last attempt or look-up that failed.
    pub last_failure: Option<LastFailure>,
}
