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

/** A stream of the server. It requests one message at a time, so that none accumulate here. */
final class EventStream {
  private final Receiver receiver = new Receiver();

  /** The stream has ended. The cause is the reason. */
  static class Ended extends Exception {
    private static final long serialVersionUID = 1L;

    Ended(Throwable cause) {
      super(cause);
    }
  }

  /** No message arrived in time. */
  static final class Silent extends Ended {
    private static final long serialVersionUID = 1L;

    Silent(Throwable cause) {
      super(cause);
    }
  }

  EventStream(Channel channel, StreamTicketEventsRequest request) {
    TicketingServiceGrpc.newStub(channel).streamTicketEvents(request, receiver);
  }

  /**
   * Waits for the next message.
   *
   * @param timeout the maximum time to wait
   * @param late the status of a timeout
   */
  StreamTicketEventsResponse take(Duration timeout, Status late) throws Ended {
    Object arrived;
    try {
      arrived = receiver.arrived.poll(timeout.toNanos(), TimeUnit.NANOSECONDS);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
      throw new Ended(Status.CANCELLED.withDescription("the thread was interrupted").asRuntimeException());
    }
    if (arrived == null) {
      throw new Silent(late.withDescription("no message arrived in time").asRuntimeException());
    }
    if (arrived instanceof Throwable failed) {
      throw new Ended(failed);
    }
    receiver.call.request(1);
    return (StreamTicketEventsResponse) arrived;
  }

  /** Notifies the waiting thread. */
  void cancel() {
    receiver.call.cancel("no longer wanted", null);
  }

  private static RuntimeException lost(String description) {
    return Status.UNAVAILABLE.withDescription(description).asRuntimeException();
  }

  private static final class Receiver
      implements ClientResponseObserver<StreamTicketEventsRequest, StreamTicketEventsResponse> {
    /** Messages, and finally the reason for the end. */
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
