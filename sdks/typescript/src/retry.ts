import type { Code, TicketingError } from "./errors.js";
import { TIMES } from "./times.js";
import { ErrorReason } from "./v1.js";

/** Of one unary call, and of beginning a subscription: with their delays about 6 s, which is longer than a restart takes. */
export const ATTEMPTS = 6;

// What ends a subscription, since waiting would not mend it. Everything else does, and is often of something between.
const FINAL: ReadonlySet<Code> = new Set([
  "INVALID_ARGUMENT",
  "UNAUTHENTICATED",
  "PERMISSION_DENIED",
  "NOT_FOUND",
  "FAILED_PRECONDITION",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "DATA_LOSS",
]);

/**
 * How long to wait before a failed unary call is made again, `failures` attempts having failed before and `leftMs` being left.
 * `undefined`: it is not, and the error is the caller's.
 */
export function beforeRetry(error: TicketingError, failures: number, leftMs: number): number | undefined {
  if (failures + 1 >= ATTEMPTS || !passes(error)) return undefined;
  const delay = delayMs(error, failures);
  // Rather what is known now than that the deadline passed.
  return delay < leftMs ? delay : undefined;
}

/**
 * How long to wait before a stream that ended is resumed, `failures` attempts in a row having failed before. `undefined`: it is not
 * resumed.
 */
export function beforeResume(error: TicketingError, failures: number): number | undefined {
  if (FINAL.has(error.code)) return undefined;
  if (error.reason === ErrorReason.SUBSCRIBER_TOO_SLOW && failures === 0) return 0;
  return delayMs(error, failures);
}

function passes(error: TicketingError): boolean {
  return error.code === "UNAVAILABLE" || (error.code === "RESOURCE_EXHAUSTED" && error.retryAfterMs !== undefined);
}

function delayMs(error: TicketingError, failures: number): number {
  return Math.max(error.retryAfterMs ?? 0, backoffMs(failures));
}

function backoffMs(failures: number): number {
  // Spread, so that clients that lost one server do not come back as one.
  return Math.min(TIMES.longestDelay, TIMES.firstDelay * 2 ** failures) * (0.8 + 0.4 * Math.random());
}
