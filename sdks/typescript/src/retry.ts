import type { TicketingError } from "./errors.js";
import { ErrorReason } from "./v1.js";

/** Of one unary call: with the delays below about 11 s, which is longer than a restart takes. */
export const RETRIES = 6;
/** Before the first retry; each further one waits twice as long. */
const FIRST_DELAY_MS = 200;
/** Between two attempts. */
const LONGEST_DELAY_MS = 5_000;

/**
 * How long to wait before a failed unary call is made again, `retries` having been made and `leftMs` being left. `undefined`: it
 * is not, and the error is the caller's.
 */
export function beforeRetry(error: TicketingError, retries: number, leftMs: number): number | undefined {
  if (retries >= RETRIES || !passes(error)) return undefined;
  const delay = delayMs(error, retries);
  // Rather what is known now than that the deadline passed.
  return delay < leftMs ? delay : undefined;
}

/**
 * How long to wait before a stream that ended is resumed, `failures` attempts in a row having failed before. `undefined`: it is not
 * resumed. A stream that ends without an error was ended by something between, for it has no end of its own.
 */
export function beforeResume(error: TicketingError | undefined, failures: number): number | undefined {
  if (!error) return backoffMs(failures);
  if (error.reason === ErrorReason.SUBSCRIBER_TOO_SLOW) return 0;
  return passes(error) ? delayMs(error, failures) : undefined;
}

function passes(error: TicketingError): boolean {
  return error.code === "UNAVAILABLE" || (error.code === "RESOURCE_EXHAUSTED" && error.retryAfterMs !== undefined);
}

function delayMs(error: TicketingError, failures: number): number {
  return Math.max(error.retryAfterMs ?? 0, backoffMs(failures));
}

function backoffMs(failures: number): number {
  // Spread, so that clients that lost one server do not come back as one.
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures) * (0.8 + 0.4 * Math.random());
}
