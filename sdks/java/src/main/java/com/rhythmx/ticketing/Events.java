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
 * <p>It goes on after a lost connection, a restart of the server or a stream that was ended for slowness: it opens the stream
 * again after the last event that it handed over, so that the loop sees each event once and in order. The loop ends after {@link
 * #close}, which any thread may call, and by a {@link TicketingException} that no repetition mends: a credential that is refused,
 * a request that is invalid, or a resume token whose events are no longer kept. Of that last, RESUME_TOKEN_EXPIRED, {@code
 * metadata().get("oldest_token")} is where to begin again, after reading with ListDeliveries what was missed. An interrupted
 * thread gets CANCELLED.
 *
 * <p>Used by one thread at a time, but for {@link #close} and {@link #resumeToken}. A loop that was left can be taken up by
 * another one.
 */
public final class Events implements Iterable<TicketEvent>, AutoCloseable {
  private static final String METHOD = "StreamTicketEvents";

  /** A stream that bears nothing for so long is dead: bookmarks come every 10 s, and never less often than every 30 s. */
  static final Duration SILENCE = Duration.ofSeconds(35);

  private final Connection connection;
  private final Duration silence;
  private volatile StreamTicketEventsRequest request;
  private volatile boolean closed;

  /** Counted down when the subscription ends. */
  private final CountDownLatch over = new CountDownLatch(1);

  /** What is open; guarded by this. */
  private EventStream stream;

  /** A channel of its own, since a stream fell silent on the shared one; guarded by this. */
  private ManagedChannel own;

  /** Failures since the last message. */
  private int failures;

  /** Arrived and not handed over. */
  private TicketEvent next;

  Events(Connection connection, StreamTicketEventsRequest request, Duration deadline, Duration silence) {
    this.silence = silence;
    this.connection = connection;
    this.request = request;
    connection.add(this);
    Deadline end = Repeat.after(deadline);
    while (true) {
      try {
        Duration left = Duration.ofNanos(Math.max(0, end.timeRemaining(TimeUnit.NANOSECONDS)));
        next = receive(left, Status.DEADLINE_EXCEEDED);
        return;
      } catch (TicketingException failure) {
        failures++;
        if (!Repeat.worthwhile(failure, failures) || !Repeat.rest(Repeat.pause(failure, failures), end, over)) {
          wake();
          throw ended(failure);
        }
        reconnect();
      }
    }
  }

  /** Hands over each event, as it comes. */
  @Override
  public Iterator<TicketEvent> iterator() {
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return arrives();
      }

      @Override
      public TicketEvent next() {
        if (!arrives()) {
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
   * Resumes after the last event that was handed over, in a later process too: put it into the request's start. Where filters let
   * few events through it is newer than that of the last event, and so is kept for longer.
   */
  public String resumeToken() {
    return request.getResumeToken();
  }

  /** Ends the subscription, and a loop that waits for its next event. */
  @Override
  public void close() {
    closed = true;
    wake();
  }

  /** Ends it, and notifies the waiting thread. */
  void wake() {
    over.countDown();
    connection.remove(this);
    drop();
    use(null);
  }

  /** Waits for the next event. False: there is none, the subscription was closed. */
  private boolean arrives() {
    while (!closed && next == null) {
      try {
        next = receive(silence, Status.UNAVAILABLE);
      } catch (TicketingException failure) {
        if (closed) {
          return false;
        }
        failures++;
        if (!resumes(failure) || !Repeat.rest(Repeat.pause(failure, failures), null, over)) {
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

  /** Takes the next message, of a stream that is opened if none is. Null: a bookmark. */
  private TicketEvent receive(Duration patience, Status late) {
    StreamTicketEventsResponse message;
    try {
      message = open().take(patience, late);
    } catch (EventStream.Silent silent) {
      drop();
      if (late == Status.UNAVAILABLE) {
        // What swallows a stream swallows the next one on the same connection, too.
        use(connection.another());
      }
      throw TicketingException.of(silent.getCause(), METHOD, connection);
    } catch (EventStream.Ended ended) {
      drop();
      throw TicketingException.of(ended.getCause(), METHOD, connection);
    } catch (RuntimeException unready) {
      // As gRPC has it when the channel was closed meanwhile.
      drop();
      throw TicketingException.of(unready, METHOD, connection);
    }
    failures = 0;
    if (message.hasEvent()) {
      return message.getEvent();
    }
    resumeAfter(message.getBookmark().getResumeToken());
    return null;
  }

  /** What ended it while it waited, if something did. */
  private TicketingException ended(TicketingException failure) {
    boolean meanwhile = connection.isClosed() || Thread.currentThread().isInterrupted();
    return meanwhile ? TicketingException.of(failure.getCause(), METHOD, connection) : failure;
  }

  private void resumeAfter(String token) {
    if (!token.isEmpty()) {
      request = request.toBuilder().setResumeToken(token).build();
    }
  }

  private synchronized EventStream open() {
    if (stream == null) {
      stream = new EventStream(connection.over(channel()), request);
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

  /** At once: the pause before was enough. */
  private synchronized void reconnect() {
    channel().resetConnectBackoff();
  }

  private ManagedChannel channel() {
    return own == null ? connection.shared() : own;
  }

  /**
   * Whether the stream is to be opened again: unless the server says that this would be refused as well. What a broken connection
   * is called differs.
   */
  private boolean resumes(TicketingException failure) {
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
