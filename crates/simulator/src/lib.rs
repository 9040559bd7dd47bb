//! Jira Cloud, Jira Data Center and ServiceNow over real HTTP, from the vendors' documents, with scripted weather.

mod clock;
mod control;
mod jira;
mod message;
mod play;
mod profile;
mod server;
mod servicenow;
mod simulator;
mod site;
mod state;
mod weather;

pub use clock::{Clock, ClockHand};
pub use profile::{Credential, Named, Profile, Project, Vendor};
pub use simulator::Simulator;
pub use state::{RecordedRequest, Ticket};
pub use weather::{Call, Effect, Reply, RetryAfter, Rule, Weather, When};
