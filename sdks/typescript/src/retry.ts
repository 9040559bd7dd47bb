import type { Code, TicketingError } from "./errors.js";
import { TIMES } from "./times.js";
import { ErrorReason } from "./v1.js";

/** Attempts of a unary call, and of starting a subscription: with the delays about 6 s, longer than a restart takes. */
export const ATTEMPTS = 6;

// Permanent errors, which end a subscription. Others may be from a proxy.
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
 * The delay before a failed unary call is retried, after `failures` earlier failures and with `leftMs` until the deadline.
 * `undefined`: it is not retried.
 */
export function delayBeforeRetry(error: TicketingError, failures: number, leftMs: number): number | undefined {
  if (failures + 1 >= ATTEMPTS || !isTransient(error)) return undefined;
  const delay = delayMs(error, failures);
  // Return this error rather than DEADLINE_EXCEEDED later.
  return delay < leftMs ? delay : undefined;
}

/**
 * The delay before a stream is resumed, after `failures` earlier consecutive failures. `undefined`: it is not resumed.
 */
export function delayBeforeResume(error: TicketingError, failures: number): number | undefined {
  if (FINAL.has(error.code)) return undefined;
  if (error.reason === ErrorReason.SUBSCRIBER_TOO_SLOW && failures === 0) return 0;
  return delayMs(error, failures);
}

function isTransient(error: TicketingError): boolean {
  return error.code === "UNAVAILABLE" || (error.code === "RESOURCE_EXHAUSTED" && error.retryAfterMs !== undefined);
}

function delayMs(error: TicketingError, failures: number): number {
  return Math.max(error.retryAfterMs ?? 0, backoffMs(failures));
}

function backoffMs(failures: number): number {
  // Jitter keeps clients from reconnecting simultaneously.
  return Math.min(TIMES.maxDelay, TIMES.firstDelay * 2 ** failures) * (0.8 + 0.4 * Math.random());
}
