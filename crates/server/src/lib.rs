//! The server: gRPC, authentication, configuration and the commands of the binary. [`server::serve`] starts it.

pub mod access;
pub mod commands;
pub mod config;
pub mod grpc;
pub mod health;
mod offline_changes;
pub mod renamed_flags;
pub mod server;
pub mod telemetry;
pub mod tls_command;
pub mod vendors;
