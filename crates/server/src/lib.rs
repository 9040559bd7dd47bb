//! Store, dispatcher, gRPC, configuration, telemetry and the ticketing binary.
