//! Jira Cloud (REST v3, ADF) and Jira Data Center (REST v2, wiki markup) behind the port
//! [`TicketSystem`](ticketing_core::system::TicketSystem).
//!
//! Start at [`JiraVendor`], which reads settings and connects; [`Jira`] is the connection. `meta` reads
//! what a project offers, `fields` converts what an operator maps to its fields, `ticket` and `render` write the ticket, and `faults` and `evidence` classify
//! refusals.

mod checks;
mod choice;
mod client;
mod contract;
mod create;
mod evidence;
mod faults;
mod fields;
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
mod vendor;
mod wire;

pub use settings::{Flavour, Settings, SettingsDraft};
pub use system::Jira;
pub use vendor::{Flags, JiraVendor};
