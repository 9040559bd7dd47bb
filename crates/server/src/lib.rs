//! RhythmX Ticketing, the server: store, dispatcher, use cases, gRPC. [`server::serve`] starts it; everything else is
//! behind that.

pub mod access;
pub mod app;
pub mod clock;
pub mod commands;
pub mod config;
pub mod connections;
pub mod dispatch;
pub mod entropy;
mod error_chain;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod grpc;
pub mod health;
mod offline_changes;
pub mod panics;
pub mod process;
pub mod renamed_flags;
pub mod server;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod transport;
