//! The simulators as a client meets them: over HTTP, by each vendor's own words.

// The helpers of a test fail it as the test itself does, and take JSON literals by value to read well.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

mod connections;
mod fault_script;
mod jira_cloud;
mod jira_data_center;
mod manual_edits;
mod outages;
mod records;
mod search;
mod servicenow;
mod support;
#[cfg(feature = "tls")]
mod tls;
