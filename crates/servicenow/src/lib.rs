//! ServiceNow, through its Table API.
//!
//! [`ServiceNow`] is the ticket system; [`SettingsDraft`] its settings as stored, [`Settings`] as validated.
//! A ticket is found again by two fields: the marker in `correlation_id`, and a `sys_id` derived from the
//! marker. Every returned row is verified to have one of them, because an instance ignores invalid query
//! terms and then returns all rows.

mod check;
mod client;
mod columns;
mod contract;
mod create;
mod evidence;
mod faults;
mod group;
mod instance;
mod look_up;
mod mandatory;
mod priority;
mod read;
mod read_back;
mod render;
mod settings;
mod system;
mod ticket;
mod vendor;
mod wire;

pub use priority::{ImpactUrgency, PriorityMatrix};
pub use settings::{AssignmentGroup, ImpactUrgencyDraft, PrioritiesDraft, Settings, SettingsDraft};
pub use system::ServiceNow;
pub use vendor::{Flags, ServiceNowVendor};
