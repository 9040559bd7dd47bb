/**
 * Client of RhythmX Ticketing, which turns incidents into tickets in Jira and ServiceNow, effectively once.
 *
 *     import { connect } from "@rhythmx/ticketing";
 *
 *     const client = connect("127.0.0.1:50051");
 *     const status = await client.getStatus();
 *
 * `v1` has the messages of the contract, which the methods of `Client` take and resolve to.
 *
 * @packageDocumentation
 */
// Re-exported, so that users need no other package to create messages and timestamps.
export { create } from "@bufbuild/protobuf";
export { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
export type { Tls } from "./channel.js";
export { connect, connectFromEnv, Client, type CallOptions, type ConnectOptions } from "./client.js";
export { ResumeTokenExpired, TicketingError, type Code, type FieldViolation } from "./errors.js";
export { Events } from "./events.js";
export * as v1 from "./v1.js";
