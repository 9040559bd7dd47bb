package com.rhythmx.ticketing;

import com.rhythmx.ticketing.v1.RetryDeliveryRequest;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Status;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** Decides which calls are retried, and when. */
final class Retry {
  /** Maximum number of attempts: with the delays about 6 s, as long as a restart of the server may take. */
  static final int MAX_ATTEMPTS = 6;

  /** The delay after the first attempt; it doubles with each further one. */
  private static final long MIN_MILLIS = 200;

  private static final long MAX_MILLIS = 5_000;

  private Retry() {}

  /** Whether to retry a call after this number of attempts. */
  static boolean shouldRetry(TicketingException failure, int attempts) {
    return attempts < MAX_ATTEMPTS && isTransient(failure);
  }

  static boolean isTransient(TicketingException failure) {
    return failure.code() == Status.Code.UNAVAILABLE
        || failure.code() == Status.Code.RESOURCE_EXHAUSTED && failure.retryAfter().isPresent();
  }

  /** Whether the request is idempotent. */
  static boolean isIdempotent(Object request) {
    return !(request instanceof RetryDeliveryRequest retry && retry.getCreateAnyway());
  }

  /**
   * Exponential backoff, at least the delay that the server requested. Its jitter of 20 % keeps clients from reconnecting
   * simultaneously.
   */
  static Duration delay(TicketingException failure, int failures) {
    long millis = Math.min(MAX_MILLIS, MIN_MILLIS << Math.min(failures - 1, 10));
    Duration backoff = Duration.ofMillis((long) (millis * ThreadLocalRandom.current().nextDouble(0.8, 1.2)));
    Duration requested = failure.retryAfter().orElse(Duration.ZERO);
    return backoff.compareTo(requested) < 0 ? requested : backoff;
  }

  /**
   * Waits. False if the thread is interrupted (and remains so), if {@code over} is counted down, or if the deadline would expire
   * before the delay is over.
   *
   * @param end the deadline; null: none
   * @param over counted down when the caller is closed
   */
  static boolean await(Duration delay, Deadline end, CountDownLatch over) {
    Deadline outer = Context.current().getDeadline();
    if (expiresWithin(delay, end) || expiresWithin(delay, outer) || Context.current().isCancelled()) {
      return false;
    }
    try {
      return !over.await(nanos(delay), TimeUnit.NANOSECONDS) && !Context.current().isCancelled();
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** A deadline after this time, at most a century. */
  static Deadline after(Duration time) {
    return Deadline.after(nanos(time), TimeUnit.NANOSECONDS);
  }

  private static boolean expiresWithin(Duration delay, Deadline end) {
    return end != null && end.timeRemaining(TimeUnit.NANOSECONDS) <= nanos(delay);
  }

  private static long nanos(Duration time) {
    Duration century = Duration.ofDays(36_500);
    return (time.compareTo(century) > 0 ? century : time.isNegative() ? Duration.ZERO : time).toNanos();
  }
}
