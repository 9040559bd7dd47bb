//! From the domain to the contract. Nothing is decided here.

mod delivery;
mod field;
mod settings;
mod target;
mod ticket;

pub(crate) use delivery::{delivery, event_kind};
pub(crate) use field::{duration, severity, system, timestamp};
pub(crate) use settings::{View, auto_push, retry, system_settings};
pub(crate) use target::{condition, decision};
pub(crate) use ticket::{adjustment, check, last_error, rendered, ticket};
