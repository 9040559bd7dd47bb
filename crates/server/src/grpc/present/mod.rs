//! From the domain to the contract. Nothing is decided here.

mod delivery;
mod field;
mod target;
mod ticket;

pub(crate) use delivery::{delivery, event_kind};
pub(crate) use field::{duration, severity, system, timestamp};
pub(crate) use target::{auto_push, condition, decision};
pub(crate) use ticket::{adjustment, check, last_error, rendered, ticket};
