//! Jira Cloud (REST v3, ADF) and Jira Data Center (REST v2, wiki markup) behind the port
//! [`TicketSystem`](ticketing_core::system::TicketSystem).
//!
//! Start at [`Settings::parse`], which validates stored settings; [`Jira`] is the connection. `meta` reads
//! what a project offers, `ticket` and `render` write the ticket, and `faults` and `evidence` classify
//! refusals.

mod checks;
mod choice;
mod client;
mod create;
mod evidence;
mod faults;
#[doc(hidden)]
pub mod fuzzing;
mod issue_type;
mod look_up;
mod meta;
mod priority;
mod read;
mod render;
mod settings;
mod site;
mod system;
mod ticket;
mod wire;

pub use settings::{Flavour, Secret, SecretKind, Settings, SettingsDraft};
pub use system::Jira;
