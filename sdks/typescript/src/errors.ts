import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack, durationMs } from "@bufbuild/protobuf/wkt";
import { status, type ServiceError } from "@grpc/grpc-js";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema, StatusSchema } from "./gen/google/rpc/error_details_pb.js";
import { ErrorReason } from "./v1.js";

const DOMAIN = "ticketing.rhythmx";

/** The canonical codes, by name. */
export type Code = keyof typeof status;

/** A rule that a field of the request breaks. */
export interface FieldViolation {
  /** Path of the field. Example: "incident.firing_rules[3].name". */
  readonly field: string;
  /** What is wrong with it, for people. Example: "is required". */
  readonly description: string;
}

/** A call failed. */
export class TicketingError extends Error {
  override readonly name: string = "TicketingError";
  /** The canonical code. Example: "NOT_FOUND". */
  readonly code: Code;
  /** Where the server is. */
  readonly address: string;
  /**
   * The contract's reason. UNSPECIFIED when the server gave none (it was not reached, say), or one that is newer than this
   * package: then `reasonName` has it.
   */
  readonly reason: ErrorReason;
  /** The contract's reason by its name, without the prefix. Example: "CONNECTION_NOT_ENABLED". Empty when there is none. */
  readonly reasonName: string;
  /** What the error is about. Example: `{ connection: "jira" }`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Every rule that the request breaks. */
  readonly violations: readonly FieldViolation[];
  /** When to try again, in milliseconds, if the server says so. */
  readonly retryAfterMs: number | undefined;

  constructor(code: Code, text: string, address: string, details: Details = NO_DETAILS, cause?: unknown) {
    super(told(code, text, address, details), { cause });
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
 * Events after the resume token were dropped already, or were lost when the database was put back from a copy. Begin again from
 * `oldestToken`, and read with `listDeliveries` what may have been missed.
 */
export class ResumeTokenExpired extends TicketingError {
  override readonly name = "ResumeTokenExpired";

  /** Resumes with the oldest event that is kept. */
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

/** The typed error of what grpc-js failed with. */
export function fromGrpc(error: ServiceError, address: string): TicketingError {
  const details = read(error);
  const expired = error.code === status.OUT_OF_RANGE && details.reasonName === "RESUME_TOKEN_EXPIRED";
  const Kind = expired ? ResumeTokenExpired : TicketingError;
  // grpc-js knows no more of a connection that was made and closed at once.
  const closedAtOnce = error.code === status.UNAVAILABLE && /Last error: Failed to connect/.test(error.details);
  const text = closedAtOnce ? `the connection was closed at once: does only one side speak TLS? ${error.details}` : error.details;
  return new Kind(status[error.code] as Code, text, address, details, error);
}

/** What calls of a closed client fail with. */
export function closed(address: string): TicketingError {
  return new TicketingError("CANCELLED", "the client is closed", address);
}

/** Why a stream is resumed that ended without an error: something between ended it, for it has no end of its own. */
export function ended(address: string): TicketingError {
  return new TicketingError("UNAVAILABLE", "the stream was ended", address);
}

/** Why a stream is resumed that nothing came from for too long. */
export function silent(address: string): TicketingError {
  return new TicketingError("UNAVAILABLE", "the stream fell silent", address);
}

/** Why a subscription is given up. */
export function notBegun(address: string): TicketingError {
  return new TicketingError("DEADLINE_EXCEEDED", "the subscription did not begin in time", address);
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
    // Not what the service sends: something between answered, and its code and text have to do.
  }
  return found;
}

function told(code: Code, text: string, address: string, details: Details): string {
  // The server's message names the first violation alone.
  const violations = details.violations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  const reason = details.reasonName && ` (${details.reasonName})`;
  // Of the service's own refusals the address is no news.
  const isFar = !reason || code === "UNAVAILABLE" || code === "DEADLINE_EXCEEDED";
  const where = isFar ? ` [ticketing service at ${address}]` : "";
  return `${code}${reason}: ${violations || text}${where}`;
}
