/** Times in milliseconds, which tests shorten. */
export const TIMES = {
  /** Time without a message after which a stream is considered dead: the server sends a bookmark every 10 s. */
  silence: 35_000,
  /** Interval of keep-alive pings of a connection with a call. */
  keepalive: 20_000,
  /** Timeout of their acknowledgement. A silently failed connection is replaced within 30 s. */
  keepaliveTimeout: 10_000,
  /** Delay before the second attempt; it doubles with each further one. */
  firstDelay: 200,
  /** Maximum delay between two attempts. */
  maxDelay: 5_000,
};

/** Deadlines of this many milliseconds (24 days, the maximum of a timer) or more mean no deadline. */
const MAX_DEADLINE = 2 ** 31 - 1;

/** The end of a deadline in milliseconds from now, for `left`; Infinity if there is none. */
export function untilThen(milliseconds: number): number {
  return milliseconds < MAX_DEADLINE ? performance.now() + milliseconds : Infinity;
}

/** Milliseconds left until the moment, at least 0; Infinity if there is no deadline. */
export function left(moment: number): number {
  return Math.max(0, moment - performance.now());
}
