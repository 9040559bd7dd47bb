//! From the domain to the contract. No business logic.

mod audit;
mod connection;
mod delivery;
mod event;
mod field;
mod message;
mod push;
mod rules;
mod status;
mod ticket;

pub(crate) use audit::audit_entry;
pub(crate) use delivery::{delivery, listed, with_attempts};
pub(crate) use event::event;
#[cfg(test)]
pub(crate) use event::event_kind;
pub(crate) use field::timestamp;
pub(crate) use push::{preview, pushed, submission};
pub(crate) use status::{configured, connection_test, status};
