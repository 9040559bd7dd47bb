import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack, durationMs } from "@bufbuild/protobuf/wkt";
import { status, type ServiceError } from "@grpc/grpc-js";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema, StatusSchema } from "./gen/google/rpc/error_details_pb.js";
import { ErrorReason } from "./v1.js";

const DOMAIN = "ticketing.rhythmx";

/** The canonical gRPC codes, by name. */
export type Code = keyof typeof status;

/** A rule that a field of the request violates. */
export interface FieldViolation {
  /** Path of the field. Example: "incident.firing_rules[3].name". */
  readonly field: string;
  /** What is wrong with it, for people. Example: "is required". */
  readonly description: string;
}

/** A call failed. */
export class TicketingError extends Error {
  override readonly name: string = "TicketingError";
  /** The canonical gRPC code. Example: "NOT_FOUND". */
  readonly code: Code;
  /** The address of the server. */
  readonly address: string;
  /**
   * The reason in the contract. UNSPECIFIED if there is none (for example, the server was not reached), or if this package does not
   * know it: `reasonName` still has it.
   */
  readonly reason: ErrorReason;
  /** The name of the reason without its prefix. Example: "CONNECTION_NOT_ENABLED". Empty if there is none. */
  readonly reasonName: string;
  /** Details of the error, by name. Example: `{ connection: "jira" }`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Every rule that the request violates. */
  readonly violations: readonly FieldViolation[];
  /** Delay before a retry in milliseconds, if the server sent one. */
  readonly retryAfterMs: number | undefined;

  constructor(code: Code, text: string, address: string, details: Details = NO_DETAILS, cause?: unknown) {
    super(messageOf(code, text, address, details), { cause });
    this.code = code;
    this.address = address;
    this.reasonName = details.reasonName;
    this.reason = ErrorReason[details.reasonName as keyof typeof ErrorReason] ?? ErrorReason.UNSPECIFIED;
    this.metadata = details.metadata;
    this.violations = details.violations;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/**
 * Events after the resume token are no longer stored, or were lost when the database was restored from a backup. Read the missed
 * deliveries with `listDeliveries`, then subscribe again from `oldestToken`.
 */
export class ResumeTokenExpired extends TicketingError {
  override readonly name = "ResumeTokenExpired";

  /** The resume token of the oldest stored event. */
  get oldestToken(): string {
    return this.metadata["oldest_token"] ?? "";
  }
}

interface Details {
  readonly reasonName: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
  readonly retryAfterMs: number | undefined;
}

const NO_DETAILS: Details = { reasonName: "", metadata: {}, violations: [], retryAfterMs: undefined };

/** Converts an error of grpc-js, which becomes the cause. */
export function fromGrpc(error: ServiceError, address: string): TicketingError {
  const details = read(error);
  const expired = error.code === status.OUT_OF_RANGE && details.reasonName === "RESUME_TOKEN_EXPIRED";
  const Kind = expired ? ResumeTokenExpired : TicketingError;
  // grpc-js has no other sign of a connection that was closed immediately.
  const closedAtOnce = error.code === status.UNAVAILABLE && /Last error: Failed to connect/.test(error.details);
  const text = closedAtOnce ? `the connection was closed immediately: does only one side use TLS? ${error.details}` : error.details;
  return new Kind(status[error.code] as Code, text, address, details, error);
}

/** The error of calls of a closed client. */
export function closed(address: string): TicketingError {
  return new TicketingError("CANCELLED", "the client is closed", address);
}

/** The error for a stream that a proxy or the server ended without a status. */
export function ended(address: string): TicketingError {
  return new TicketingError("UNAVAILABLE", "the stream ended without a status", address);
}

/** The error for a stream without a message within the timeout. */
export function silent(address: string): TicketingError {
  return new TicketingError("UNAVAILABLE", "no message arrived in time", address);
}

/** The error for a subscription that does not start within its deadline. */
export function notStarted(address: string): TicketingError {
  return new TicketingError("DEADLINE_EXCEEDED", "the subscription did not start in time", address);
}

function read(error: ServiceError): Details {
  const bytes = error.metadata?.get("grpc-status-details-bin")[0];
  if (!(bytes instanceof Uint8Array)) return NO_DETAILS;
  let found = NO_DETAILS;
  try {
    for (const detail of fromBinary(StatusSchema, bytes).details) {
      const info = anyUnpack(detail, ErrorInfoSchema);
      if (info?.domain === DOMAIN) found = { ...found, reasonName: info.reason, metadata: info.metadata };
      const bad = anyUnpack(detail, BadRequestSchema);
      if (bad) found = { ...found, violations: bad.fieldViolations };
      const delay = anyUnpack(detail, RetryInfoSchema)?.retryDelay;
      if (delay) found = { ...found, retryAfterMs: durationMs(delay) };
    }
  } catch {
    // Not sent by the service but by a proxy: only its code and text are used.
  }
  return found;
}

function messageOf(code: Code, text: string, address: string, details: Details): string {
  // The server's message has only the first violation.
  const violations = details.violations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  const reason = details.reasonName && ` (${details.reasonName})`;
  // For errors from the service itself the address adds nothing.
  const namesAddress = !reason || code === "UNAVAILABLE" || code === "DEADLINE_EXCEEDED";
  const where = namesAddress ? ` [ticketing service at ${address}]` : "";
  return `${code}${reason}: ${violations || text}${where}`;
}
