//! Store, dispatcher, gRPC, configuration, telemetry and the ticketing binary.

mod grpc;
