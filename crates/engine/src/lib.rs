//! What the service does: use cases, delivery of due changes, connections and their logins, settings.
//!
//! It knows neither gRPC nor SQL: callers reach it through [`app::App`], and it keeps everything in
//! [`ticketing_store::Store`].

pub mod app;
pub mod connections;
pub mod dispatch;
pub mod settings;
