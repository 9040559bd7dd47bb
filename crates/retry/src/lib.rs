//! When to try again: backoff, Retry-After and the decision. No I/O, no clock, no domain.
