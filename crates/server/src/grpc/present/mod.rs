//! From the domain to the contract. Nothing is decided here.

mod field;
mod ticket;

pub(crate) use field::{duration, severity, system, timestamp};
pub(crate) use ticket::{adjustment, check, fault, rendered, ticket};
