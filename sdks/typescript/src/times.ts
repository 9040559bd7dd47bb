/** Milliseconds that are settings for the tests alone. */
export const TIMES = {
  /** Without any message, after which a stream is lost: the server sends a bookmark every 10 s. */
  silence: 35_000,
  /** Between two questions whether the connection still lives, while there is a call. */
  keepalive: 20_000,
  /** That the answer may take. A connection that dies without a word is thus replaced within 30 s. */
  keepaliveTimeout: 10_000,
  /** Before the second attempt; before each further one twice as long. */
  firstDelay: 200,
  /** Between two attempts. */
  longestDelay: 5_000,
};

/** From here on, in milliseconds (24 days), a deadline is none: no timer takes more. */
const MAX_DEADLINE = 2 ** 31 - 1;

/** The moment at which so many milliseconds are over, by the clock of `left`. */
export function untilThen(milliseconds: number): number {
  return milliseconds < MAX_DEADLINE ? performance.now() + milliseconds : Infinity;
}

/** Milliseconds until then; none when it is over, Infinity when it never comes. */
export function left(moment: number): number {
  return Math.max(0, moment - performance.now());
}
