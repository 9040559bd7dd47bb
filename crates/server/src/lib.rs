//! RhythmX Ticketing, the server: store, dispatcher, use cases, gRPC. [`server::serve`] starts it; everything else is
//! behind that.

pub mod access;
pub mod commands;
pub mod config;
#[doc(hidden)]
pub mod fuzzing;
mod grpc;
pub mod health;
mod offline_changes;
pub mod renamed_flags;
pub mod server;
pub mod telemetry;
pub mod tls_command;
