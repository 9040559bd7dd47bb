//! ServiceNow, through its Table API.
//!
//! [`ServiceNow`] is the ticket system; [`SettingsDraft`] its settings as they are saved, [`Settings`] as they can be
//! used. A ticket is found again by two things written on it: the marker in `correlation_id`, and a `sys_id` made from
//! the marker. Every row that comes back is checked to bear one of them, because an instance that dislikes a query
//! answers it with all rows.

mod check;
mod client;
mod create;
mod evidence;
mod faults;
#[doc(hidden)]
pub mod fuzzing;
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
mod wire;

pub use priority::{ImpactUrgency, PriorityMatrix};
pub use settings::{AssignmentGroup, ImpactUrgencyDraft, PrioritiesDraft, Settings, SettingsDraft};
pub use system::ServiceNow;
