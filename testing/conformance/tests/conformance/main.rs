//! The adapters against simulated ticket systems, and a toy adapter that shows what the suite finds.

mod defects;
mod jira;
mod servicenow;
mod simulated;
mod toy;
