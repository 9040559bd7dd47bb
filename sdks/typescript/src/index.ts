/**
 * Client of RhythmX Ticketing, which turns incidents into tickets in Jira and ServiceNow, effectively once.
 *
 *     import { connect } from "@rhythmx/ticketing";
 *
 *     const client = connect("127.0.0.1:50051");
 *     const status = await client.getStatus();
 *
 * `v1` is the contract: its messages are what the methods of `Client` take and resolve to.
 *
 * @packageDocumentation
 */
// For messages that are made before they are sent, and for times: who uses this package needs no other one.
export { create } from "@bufbuild/protobuf";
export { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
export type { Tls } from "./channel.js";
export { connect, connectFromEnv, Client, type CallOptions, type ConnectOptions } from "./client.js";
export { ResumeTokenExpired, TicketingError, type Code, type FieldViolation } from "./errors.js";
export { Events } from "./events.js";
export * as v1 from "./v1.js";
