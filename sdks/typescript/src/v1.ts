/** The contract: every message, enum and schema of `rhythmx.ticketing.v1`. */
export * from "./gen/rhythmx/ticketing/v1/audit_pb.js";
export * from "./gen/rhythmx/ticketing/v1/connection_pb.js";
export * from "./gen/rhythmx/ticketing/v1/delivery_pb.js";
export * from "./gen/rhythmx/ticketing/v1/error_reason_pb.js";
export * from "./gen/rhythmx/ticketing/v1/event_pb.js";
export * from "./gen/rhythmx/ticketing/v1/incident_pb.js";
export * from "./gen/rhythmx/ticketing/v1/preview_pb.js";
export * from "./gen/rhythmx/ticketing/v1/push_pb.js";
export * from "./gen/rhythmx/ticketing/v1/service_pb.js";
export * from "./gen/rhythmx/ticketing/v1/settings_pb.js";
export * from "./gen/rhythmx/ticketing/v1/ticket_pb.js";
