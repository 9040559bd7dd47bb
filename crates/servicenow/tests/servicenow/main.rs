//! The adapter against a simulated instance.

mod connection;
mod create;
mod evidence;
mod group;
mod look_up;
mod read;
mod statuses;
mod support;
