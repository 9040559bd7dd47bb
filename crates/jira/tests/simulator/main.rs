//! The adapter against a simulated Jira, over real HTTP.

#![allow(clippy::unwrap_used, reason = "a test that can not go on should stop there")]

mod connection;
mod creating;
mod evidence;
mod faults;
mod login;
mod looking_up;
mod reading;
mod support;

#[path = "../support/incidents.rs"]
mod incidents;
