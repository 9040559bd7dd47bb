package com.rhythmx.ticketing;

import com.rhythmx.ticketing.v1.StreamTicketEventsRequest;
import com.rhythmx.ticketing.v1.StreamTicketEventsResponse;
import com.rhythmx.ticketing.v1.TicketEvent;
import io.grpc.Deadline;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import java.time.Duration;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * A subscription to events.
 *
 * <pre>{@code
 * try (Events events = client.subscribe()) {
 *   for (TicketEvent event : events) {
 *     System.out.println(event.getKind() + " " + event.getIncidentId());
 *   }
 * }
 * }</pre>
 *
 * <p>After a lost connection, a restart of the server, or a stream that the server ended because the subscriber was too slow, it
 * reopens the stream after the last event that it returned, so that the loop sees each event once and in order. The loop ends after
 * {@link #close}, which any thread may call, or with a permanent {@link TicketingException}: a refused credential, an invalid
 * request, or a resume token whose events are no longer stored. In this last case, RESUME_TOKEN_EXPIRED, read the missed deliveries
 * with ListDeliveries, then subscribe again from {@code metadata().get("oldest_token")}. An interrupted thread gets CANCELLED.
 *
 * <p>Only {@link #close} and {@link #resumeToken} may be called concurrently. After a break, another loop continues with the next
 * event.
 */
public final class Events implements Iterable<TicketEvent>, AutoCloseable {
  private static final String METHOD = "StreamTicketEvents";

  /** A stream without a message for this long is considered dead: bookmarks arrive every 10 s by default, at least every 30 s. */
  static final Duration STREAM_TIMEOUT = Duration.ofSeconds(35);

  private final Connection connection;
  private final Duration silence;
  private volatile StreamTicketEventsRequest request;
  private volatile boolean closed;

  /** Counted down when the subscription ends. */
  private final CountDownLatch over = new CountDownLatch(1);

  /** The open stream; guarded by this. */
  private EventStream stream;

  /** A channel of its own, after a stream on the shared one was silent; guarded by this. */
  private ManagedChannel own;

  /** Failures since the last message. */
  private int failures;

  /** Received and not yet returned. */
  private TicketEvent next;

  Events(Connection connection, StreamTicketEventsRequest request, Duration deadline, Duration silence) {
    this.silence = silence;
    this.connection = connection;
    this.request = request;
    connection.add(this);
    Deadline end = Retry.after(deadline);
    while (true) {
      try {
        Duration left = Duration.ofNanos(Math.max(0, end.timeRemaining(TimeUnit.NANOSECONDS)));
        next = receive(left, Status.DEADLINE_EXCEEDED);
        return;
      } catch (TicketingException failure) {
        failures++;
        if (!Retry.shouldRetry(failure, failures) || !Retry.await(Retry.delay(failure, failures), end, over)) {
          wake();
          throw ended(failure);
        }
        reconnect();
      }
    }
  }

  /** Iterates over the events as they arrive. */
  @Override
  public Iterator<TicketEvent> iterator() {
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return awaitNext();
      }

      @Override
      public TicketEvent next() {
        if (!awaitNext()) {
          throw new NoSuchElementException("the subscription was closed");
        }
        TicketEvent event = next;
        next = null;
        resumeAfter(event.getResumeToken());
        return event;
      }
    };
  }

  /**
   * The token to resume after the last event returned, also in a later process, as the start of a request. With filters it may be
   * newer than the last event's own token, and so remains valid for longer.
   */
  public String resumeToken() {
    return request.getResumeToken();
  }

  /** Closes the subscription and ends a loop that waits for its next event. */
  @Override
  public void close() {
    closed = true;
    wake();
  }

  /** Ends the subscription and notifies the waiting thread. */
  void wake() {
    over.countDown();
    connection.remove(this);
    drop();
    use(null);
  }

  /** Waits for the next event. False: the subscription was closed. */
  private boolean awaitNext() {
    while (!closed && next == null) {
      try {
        next = receive(silence, Status.UNAVAILABLE);
      } catch (TicketingException failure) {
        if (closed) {
          return false;
        }
        failures++;
        if (!isResumable(failure) || !Retry.await(Retry.delay(failure, failures), null, over)) {
          if (closed) {
            return false;
          }
          wake();
          throw ended(failure);
        }
        reconnect();
      }
    }
    return !closed;
  }

  /** Receives the next message, and opens the stream if necessary. Null: a bookmark. */
  private TicketEvent receive(Duration timeout, Status late) {
    StreamTicketEventsResponse message;
    try {
      message = open().take(timeout, late);
    } catch (EventStream.Silent silent) {
      drop();
      if (late == Status.UNAVAILABLE) {
        // Another stream on the same connection would also receive nothing.
        use(connection.create());
      }
      throw TicketingException.of(silent.getCause(), METHOD, connection);
    } catch (EventStream.Ended ended) {
      drop();
      throw TicketingException.of(ended.getCause(), METHOD, connection);
    } catch (RuntimeException failed) {
      // Thrown by gRPC if the channel was closed concurrently.
      drop();
      throw TicketingException.of(failed, METHOD, connection);
    }
    failures = 0;
    if (message.hasEvent()) {
      return message.getEvent();
    }
    resumeAfter(message.getBookmark().getResumeToken());
    return null;
  }

  /** The error for the caller: that of a closed client or an interrupted thread, otherwise the failure. */
  private TicketingException ended(TicketingException failure) {
    boolean cancelled = connection.isClosed() || Thread.currentThread().isInterrupted();
    return cancelled ? TicketingException.of(failure.getCause(), METHOD, connection) : failure;
  }

  private void resumeAfter(String token) {
    if (!token.isEmpty()) {
      request = request.toBuilder().setResumeToken(token).build();
    }
  }

  private synchronized EventStream open() {
    if (stream == null) {
      stream = new EventStream(connection.authorized(channel()), request);
    }
    if (over.getCount() == 0) {
      stream.cancel();
    }
    return stream;
  }

  synchronized void drop() {
    if (stream != null) {
      stream.cancel();
      stream = null;
    }
  }

  private synchronized void use(ManagedChannel another) {
    if (own != null) {
      own.shutdownNow();
    }
    own = another;
    if (own != null && over.getCount() == 0) {
      own.shutdownNow();
    }
  }

  /** Reconnects immediately, since the delay is over. */
  private synchronized void reconnect() {
    channel().resetConnectBackoff();
  }

  private ManagedChannel channel() {
    return own == null ? connection.shared() : own;
  }

  /**
   * Whether to reopen the stream: unless the server would refuse that as well. The code of a broken connection varies.
   */
  private boolean isResumable(TicketingException failure) {
    if (connection.isClosed() || Thread.currentThread().isInterrupted()) {
      return false;
    }
    return switch (failure.code()) {
      case INVALID_ARGUMENT,
          UNAUTHENTICATED,
          PERMISSION_DENIED,
          NOT_FOUND,
          FAILED_PRECONDITION,
          OUT_OF_RANGE,
          UNIMPLEMENTED,
          DATA_LOSS -> false;
      default -> true;
    };
  }
}
