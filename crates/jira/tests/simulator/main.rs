//! The adapter against a simulated Jira, over real HTTP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

mod connection;
mod create;
mod evidence;
mod faults;
mod fields;
mod login;
mod look_up;
mod read;
mod support;

#[path = "../support/incidents.rs"]
mod incidents;
