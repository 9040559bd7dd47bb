package com.rhythmx.ticketing;

import com.rhythmx.ticketing.v1.StreamTicketEventsRequest;
import com.rhythmx.ticketing.v1.StreamTicketEventsResponse;
import com.rhythmx.ticketing.v1.TicketingServiceGrpc;
import io.grpc.Channel;
import io.grpc.Status;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientResponseObserver;
import java.time.Duration;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** One stream of the server, taken message by message: the next is asked for when one was taken, so that none pile up here. */
final class EventStream {
  private final Taker taker = new Taker();

  /** The stream is over. The cause says why. */
  static class Ended extends Exception {
    private static final long serialVersionUID = 1L;

    Ended(Throwable cause) {
      super(cause);
    }
  }

  /** Nothing came in time. */
  static final class Silent extends Ended {
    private static final long serialVersionUID = 1L;

    Silent(Throwable cause) {
      super(cause);
    }
  }

  EventStream(Channel channel, StreamTicketEventsRequest request) {
    TicketingServiceGrpc.newStub(channel).streamTicketEvents(request, taker);
  }

  /**
   * Waits for the next message, for so long at most.
   *
   * @param late what it is when nothing comes in time
   */
  StreamTicketEventsResponse take(Duration patience, Status late) throws Ended {
    Object arrived;
    try {
      arrived = taker.arrived.poll(patience.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new Ended(Status.CANCELLED.withDescription("the thread was interrupted").asRuntimeException());
    }
    if (arrived == null) {
      throw new Silent(late.withDescription("nothing came in time").asRuntimeException());
    }
    if (arrived instanceof Throwable failed) {
      throw new Ended(failed);
    }
    taker.call.request(1);
    return (StreamTicketEventsResponse) arrived;
  }

  /** Notifies the waiting thread. */
  void cancel() {
    taker.call.cancel("no longer wanted", null);
  }

  private static RuntimeException lost(String words) {
    return Status.UNAVAILABLE.withDescription(words).asRuntimeException();
  }

  private static final class Taker
      implements ClientResponseObserver<StreamTicketEventsRequest, StreamTicketEventsResponse> {
    /** Messages, and at last why there are no more. */
    private final BlockingQueue<Object> arrived = new LinkedBlockingQueue<>();

    private ClientCallStreamObserver<StreamTicketEventsRequest> call;

    @Override
    public void beforeStart(ClientCallStreamObserver<StreamTicketEventsRequest> call) {
      this.call = call;
      call.disableAutoRequestWithInitial(1);
    }

    @Override
    public void onNext(StreamTicketEventsResponse message) {
      arrived.add(message);
    }

    @Override
    public void onError(Throwable failed) {
      arrived.add(failed);
    }

    @Override
    public void onCompleted() {
      arrived.add(lost("the server ended the stream"));
    }
  }
}
