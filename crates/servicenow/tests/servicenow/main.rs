//! The adapter against a simulated instance.

mod connection;
mod create;
mod evidence;
mod fields;
mod group;
mod look_up;
mod read;
mod read_back;
mod statuses;
mod support;
