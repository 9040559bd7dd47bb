//! Jira Cloud (REST v3, ADF) and Jira Data Center (REST v2, wiki markup) behind the port
//! [`TicketSystem`](ticketing_core::system::TicketSystem).
//!
//! Start at [`Settings::parse`], which turns what people save into a connection that can work; [`Jira`] is the
//! connection. What a project offers is asked in `meta`, what goes on the ticket is written in `ticket` and `render`,
//! and what a refusal means is judged in `faults` and `evidence`.

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
