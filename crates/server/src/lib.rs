//! Store, dispatcher, gRPC, configuration, telemetry and the ticketing binary.

pub mod clock;
pub mod entropy;
pub mod store;
