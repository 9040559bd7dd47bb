package com.rhythmx.ticketing;

import com.rhythmx.ticketing.v1.RetryDeliveryRequest;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.Status;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** When a call is made once more. */
final class Repeat {
  /** How often a call is sent at most: with the pauses between, for about 6 s, which is as long as a restart may take. */
  static final int SENDS = 6;

  /** The pause after the first send; it doubles with each. */
  private static final long SHORTEST_MILLIS = 200;

  private static final long MAX_MILLIS = 5_000;

  private Repeat() {}

  /** Whether the same call may succeed a little later, so often sent. */
  static boolean worthwhile(TicketingException failure, int sent) {
    return sent < SENDS && passes(failure);
  }

  static boolean passes(TicketingException failure) {
    return failure.code() == Status.Code.UNAVAILABLE
        || failure.code() == Status.Code.RESOURCE_EXHAUSTED && failure.retryAfter().isPresent();
  }

  /** Whether asking twice is as good as asking once. */
  static boolean safe(Object request) {
    return !(request instanceof RetryDeliveryRequest retry && retry.getCreateAnyway());
  }

  /**
   * How long to wait after so many failures; not less than the server asked for. Spread by a fifth, so that clients that lost one
   * server do not come back as one.
   */
  static Duration pause(TicketingException failure, int failures) {
    long millis = Math.min(MAX_MILLIS, SHORTEST_MILLIS << Math.min(failures - 1, 10));
    Duration spread = Duration.ofMillis((long) (millis * ThreadLocalRandom.current().nextDouble(0.8, 1.2)));
    Duration asked = failure.retryAfter().orElse(Duration.ZERO);
    return spread.compareTo(asked) < 0 ? asked : spread;
  }

  /**
   * Waits. False when the thread is interrupted (and stays so), when it is over or the time ends, or would before the pause does:
   * then there is nothing to wait for.
   *
   * @param end null: there is none
   * @param over counted down when the caller gives up
   */
  static boolean rest(Duration pause, Deadline end, CountDownLatch over) {
    Deadline outer = Context.current().getDeadline();
    if (passedAfter(pause, end) || passedAfter(pause, outer) || Context.current().isCancelled()) {
      return false;
    }
    try {
      return !over.await(nanos(pause), TimeUnit.NANOSECONDS) && !Context.current().isCancelled();
    } catch (InterruptedException ended) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  /** When so much time has passed. What is longer than a century is a century. */
  static Deadline after(Duration time) {
    return Deadline.after(nanos(time), TimeUnit.NANOSECONDS);
  }

  private static boolean passedAfter(Duration pause, Deadline end) {
    return end != null && end.timeRemaining(TimeUnit.NANOSECONDS) <= nanos(pause);
  }

  private static long nanos(Duration time) {
    Duration century = Duration.ofDays(36_500);
    return (time.compareTo(century) > 0 ? century : time.isNegative() ? Duration.ZERO : time).toNanos();
  }
}
