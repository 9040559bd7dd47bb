package com.rhythmx.ticketing;

import static com.rhythmx.ticketing.Refusal.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Any;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import com.rhythmx.ticketing.v1.Bookmark;
import com.rhythmx.ticketing.v1.ErrorReason;
import com.rhythmx.ticketing.v1.RetryDeliveryRequest;
import com.rhythmx.ticketing.v1.RetryDeliveryResponse;
import com.rhythmx.ticketing.v1.StreamTicketEventsRequest;
import com.rhythmx.ticketing.v1.StreamTicketEventsResponse;
import com.rhythmx.ticketing.v1.TicketEvent;
import com.rhythmx.ticketing.v1.TicketingServiceGrpc;
import io.grpc.Grpc;
import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.Status;
import io.grpc.Status.Code;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What a real server answers on bad days only. */
class PlayedTest {
  @Test
  void aSubscriptionOutlivesWhatPasses() throws Exception {
    Played service = new Played();
    service.ends.add(told(Code.RESOURCE_EXHAUSTED, "SUBSCRIBER_TOO_SLOW", Map.of("resume_token", "elsewhere"), null));
    service.ends.add(told(Code.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS", Map.of(), Duration.ofMillis(300)));
    service.ends.add(told(Code.UNAVAILABLE, "CONNECTION_ENDING", Map.of(), null));
    service.ends.add(Status.INTERNAL.withDescription("the stream was reset").asRuntimeException());
    service.ends.add(told(Code.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED", Map.of("oldest_token", "5"), null));
    Instant began = Instant.now();
    List<Long> seen = new ArrayList<>();
    try (Played.Running running = service.start();
        Events events = running.client().subscribe()) {
      TicketingException end =
          refused(
              Code.OUT_OF_RANGE,
              ErrorReason.ERROR_REASON_RESUME_TOKEN_EXPIRED,
              () -> events.forEach(event -> seen.add(event.getSequence())));
      assertEquals("5", end.metadata().get("oldest_token"));
    }
    assertEquals(List.of(1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, 9L, 10L), seen);
    assertEquals(List.of("", "2", "4", "6", "8"), service.starts);
    assertTrue(Duration.between(began, Instant.now()).toMillis() >= 300, "it waits as long as it is told to");
  }

  @Test
  void aStreamThatFallsSilentIsOpenedAgain() throws Exception {
    Played service = new Played();
    service.ends.add(null);
    service.ends.add(null);
    try (Played.Running running = service.start();
        Events events =
            running.client().subscribe(StreamTicketEventsRequest.getDefaultInstance(), Duration.ofSeconds(1))) {
      var each = events.iterator();
      for (long sequence = 1; sequence <= 4; sequence++) {
        assertEquals(sequence, each.next().getSequence());
      }
    }
    assertEquals(List.of("", "2"), service.starts);
  }

  @Test
  void aCredentialThatRunsOutEndsTheSubscription() throws Exception {
    for (Code code : List.of(Code.UNAUTHENTICATED, Code.PERMISSION_DENIED)) {
      Played service = new Played();
      service.ends.add(told(code, "CREDENTIAL_INVALID", Map.of(), null));
      try (Played.Running running = service.start();
          Events events = running.client().subscribe()) {
        refused(code, ErrorReason.ERROR_REASON_CREDENTIAL_INVALID, () -> events.forEach(event -> {}));
      }
      assertEquals(1, service.starts.size());
    }
  }

  @Test
  void aCallIsRepeatedWhenThatMayHelpAndIsSafe() throws Exception {
    RuntimeException away = told(Code.UNAVAILABLE, "STORE_UNAVAILABLE", Map.of(), Duration.ofMillis(10));
    RuntimeException busy = told(Code.RESOURCE_EXHAUSTED, "BUSY", Map.of(), Duration.ofMillis(10));
    RuntimeException whenever = told(Code.RESOURCE_EXHAUSTED, "BUSY", Map.of(), null);
    RuntimeException tomorrow = told(Code.UNAVAILABLE, "BUSY", Map.of(), Duration.ofDays(1));
    RuntimeException invalid = told(Code.INVALID_ARGUMENT, "REQUEST_INVALID", Map.of(), null);
    assertEquals(4, sends(List.of(away, busy, away), false, Code.OK));
    assertEquals(6, sends(Collections.nCopies(9, away), false, Code.UNAVAILABLE));
    assertEquals(1, sends(List.of(whenever), false, Code.RESOURCE_EXHAUSTED));
    assertEquals(1, sends(List.of(tomorrow), false, Code.UNAVAILABLE));
    assertEquals(1, sends(List.of(invalid), false, Code.INVALID_ARGUMENT));
    // It might make a second ticket.
    assertEquals(1, sends(List.of(away), true, Code.UNAVAILABLE));
  }

  @Test
  void aReasonOfTomorrowIsKept() throws Exception {
    Played service = new Played();
    service.failures.add(told(Code.FAILED_PRECONDITION, "OF_TOMORROW", Map.of(), Duration.ofMinutes(1)));
    try (Played.Running running = service.start()) {
      TicketingException failure =
          refused(
              Code.FAILED_PRECONDITION,
              ErrorReason.ERROR_REASON_UNSPECIFIED,
              () -> running.client().retryDelivery(RetryDeliveryRequest.getDefaultInstance()));
      assertEquals("OF_TOMORROW", failure.reasonName());
      assertEquals(Duration.ofMinutes(1), failure.retryAfter().orElseThrow());
    }
  }

  /** How often a call is sent that fails so. */
  private static int sends(List<RuntimeException> failures, boolean createAnyway, Code expected) throws Exception {
    Played service = new Played();
    service.failures.addAll(failures);
    var request = RetryDeliveryRequest.newBuilder().setDeliveryId("0197").setCreateAnyway(createAnyway).build();
    try (Played.Running running = service.start()) {
      if (expected == Code.OK) {
        running.client().retryDelivery(request);
      } else {
        var failure = assertThrows(TicketingException.class, () -> running.client().retryDelivery(request));
        assertEquals(expected, failure.code());
      }
    }
    return service.calls;
  }

  /** An error as the service tells it. */
  private static RuntimeException told(Code code, String reason, Map<String, String> metadata, Duration retryAfter) {
    var info = ErrorInfo.newBuilder().setDomain("ticketing.rhythmx").setReason(reason).putAllMetadata(metadata);
    var status = com.google.rpc.Status.newBuilder().setCode(code.value()).setMessage("so it is");
    status.addDetails(Any.pack(info.build()));
    if (retryAfter != null) {
      var delay = com.google.protobuf.Duration.newBuilder().setSeconds(retryAfter.getSeconds()).setNanos(retryAfter.getNano());
      status.addDetails(Any.pack(RetryInfo.newBuilder().setRetryDelay(delay).build()));
    }
    return StatusProto.toStatusRuntimeException(status.build());
  }

  private static final class Played extends TicketingServiceGrpc.TicketingServiceImplBase {
    /** How each stream ends, one after the other, after two events; null: it falls silent. */
    private final List<RuntimeException> ends = Collections.synchronizedList(new ArrayList<>());

    /** The start of each stream. */
    private final List<String> starts = Collections.synchronizedList(new ArrayList<>());

    /** How each unary call fails, until they are used up. */
    private final List<RuntimeException> failures = Collections.synchronizedList(new ArrayList<>());

    private volatile int calls;

    record Running(Server server, TicketingClient client) implements AutoCloseable {
      @Override
      public void close() {
        client.close();
        server.shutdownNow();
      }
    }

    Running start() throws Exception {
      Server server =
          Grpc.newServerBuilderForPort(0, InsecureServerCredentials.create()).addService(this).build().start();
      return new Running(server, TicketingClient.connect("127.0.0.1:" + server.getPort()));
    }

    @Override
    public void streamTicketEvents(
        StreamTicketEventsRequest request, StreamObserver<StreamTicketEventsResponse> answers) {
      int nth = starts.size();
      starts.add(request.getResumeToken());
      Bookmark bookmark = Bookmark.newBuilder().setResumeToken(request.getResumeToken()).build();
      answers.onNext(StreamTicketEventsResponse.newBuilder().setBookmark(bookmark).build());
      for (int sequence = 2 * nth + 1; sequence <= 2 * nth + 2; sequence++) {
        TicketEvent event = TicketEvent.newBuilder().setSequence(sequence).setResumeToken("" + sequence).build();
        answers.onNext(StreamTicketEventsResponse.newBuilder().setEvent(event).build());
      }
      if (ends.get(nth) != null) {
        answers.onError(ends.get(nth));
      }
    }

    @Override
    public void retryDelivery(RetryDeliveryRequest request, StreamObserver<RetryDeliveryResponse> answer) {
      int nth = calls++;
      if (nth < failures.size()) {
        answer.onError(failures.get(nth));
        return;
      }
      answer.onNext(RetryDeliveryResponse.getDefaultInstance());
      answer.onCompleted();
    }
  }
}
