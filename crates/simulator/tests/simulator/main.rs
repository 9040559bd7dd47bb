//! The simulators as a client meets them: over HTTP, by each vendor's own words.

mod jira_cloud;
mod jira_data_center;
mod outages;
mod search;
mod servicenow;
mod support;
mod weather;
