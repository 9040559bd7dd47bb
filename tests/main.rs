//! End to end: the real server, through the Rust client, against the simulated ticket systems.
//!
//! Every test ends with [`World::finish`](ticketing_harness::World::finish), which checks what must hold after each of them: every
//! delivered ticket exists exactly once, no marker stands on two, the events have no gap, and no secret is in the
//! database or in the log.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
#![allow(unreachable_pub, reason = "a test binary has no outside")]

mod access;
mod audit;
mod bulk_faults;
mod changing_settings;
mod connection_health;
mod contract_configure;
mod contract_content;
mod contract_incident;
mod contract_lifecycle;
mod contract_listing;
mod contract_preview;
mod contract_refusals;
mod contract_resolve;
mod contract_retry_many;
mod contract_secret_leaks;
mod contract_secrets;
mod contract_serving;
mod contract_startup;
mod contract_status;
mod contract_streams;
mod contract_submit;
mod contract_subscribers;
mod contract_test_connection;
mod crash_recovery;
mod create_ticket;
mod duplicate_scan;
mod edited_database;
mod egress_policy;
mod floods;
mod former_version;
mod http2_limits;
mod idempotency;
mod key_rotation;
mod listeners;
mod logs;
mod mapped_fields;
mod named_connections;
mod namespaces;
mod open_streams;
mod packaging;
mod peer_limits;
mod power_cut;
mod process_limits;
mod proxies;
mod restore;
mod retention;
mod retries;
mod sdk_rust;
mod sdk_rust_failures;
mod secret_leaks;
mod shutdown;
mod ticket_system_tls;
mod unauthenticated;
mod unknown_outcome;
