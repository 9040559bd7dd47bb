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

/** Errors that the real server does not produce on demand. */
class ScriptedServerTest {
  @Test
  void subscriptionResumesAfterTransientErrors() throws Exception {
    ScriptedServer service = new ScriptedServer();
    service.ends.add(scriptedError(Code.RESOURCE_EXHAUSTED, "SUBSCRIBER_TOO_SLOW", Map.of("resume_token", "elsewhere"), null));
    service.ends.add(scriptedError(Code.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS", Map.of(), Duration.ofMillis(300)));
    service.ends.add(scriptedError(Code.UNAVAILABLE, "CONNECTION_ENDING", Map.of(), null));
    service.ends.add(Status.INTERNAL.withDescription("the stream was reset").asRuntimeException());
    service.ends.add(scriptedError(Code.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED", Map.of("oldest_token", "5"), null));
    Instant began = Instant.now();
    List<Long> seen = new ArrayList<>();
    try (ScriptedServer.Running running = service.start();
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
    assertTrue(Duration.between(began, Instant.now()).toMillis() >= 300, "it waits for the retry delay");
  }

  @Test
  void reopensSilentStream() throws Exception {
    ScriptedServer service = new ScriptedServer();
    service.ends.add(null);
    service.ends.add(null);
    try (ScriptedServer.Running running = service.start();
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
  void expiredCredentialEndsTheSubscription() throws Exception {
    for (Code code : List.of(Code.UNAUTHENTICATED, Code.PERMISSION_DENIED)) {
      ScriptedServer service = new ScriptedServer();
      service.ends.add(scriptedError(code, "CREDENTIAL_INVALID", Map.of(), null));
      try (ScriptedServer.Running running = service.start();
          Events events = running.client().subscribe()) {
        refused(code, ErrorReason.ERROR_REASON_CREDENTIAL_INVALID, () -> events.forEach(event -> {}));
      }
      assertEquals(1, service.starts.size());
    }
  }

  @Test
  void retriesOnlyTransientErrorsOfIdempotentCalls() throws Exception {
    RuntimeException unavailable = scriptedError(Code.UNAVAILABLE, "STORE_UNAVAILABLE", Map.of(), Duration.ofMillis(10));
    RuntimeException busy = scriptedError(Code.RESOURCE_EXHAUSTED, "BUSY", Map.of(), Duration.ofMillis(10));
    RuntimeException withoutDelay = scriptedError(Code.RESOURCE_EXHAUSTED, "BUSY", Map.of(), null);
    RuntimeException longDelay = scriptedError(Code.UNAVAILABLE, "BUSY", Map.of(), Duration.ofDays(1));
    RuntimeException invalid = scriptedError(Code.INVALID_ARGUMENT, "REQUEST_INVALID", Map.of(), null);
    assertEquals(4, attempts(List.of(unavailable, busy, unavailable), false, Code.OK));
    assertEquals(6, attempts(Collections.nCopies(9, unavailable), false, Code.UNAVAILABLE));
    assertEquals(1, attempts(List.of(withoutDelay), false, Code.RESOURCE_EXHAUSTED));
    assertEquals(1, attempts(List.of(longDelay), false, Code.UNAVAILABLE));
    assertEquals(1, attempts(List.of(invalid), false, Code.INVALID_ARGUMENT));
    // It may create a second ticket.
    assertEquals(1, attempts(List.of(unavailable), true, Code.UNAVAILABLE));
  }

  @Test
  void keepsUnknownErrorReason() throws Exception {
    ScriptedServer service = new ScriptedServer();
    service.failures.add(scriptedError(Code.FAILED_PRECONDITION, "FUTURE_REASON", Map.of(), Duration.ofMinutes(1)));
    try (ScriptedServer.Running running = service.start()) {
      TicketingException failure =
          refused(
              Code.FAILED_PRECONDITION,
              ErrorReason.ERROR_REASON_UNSPECIFIED,
              () -> running.client().retryDelivery(RetryDeliveryRequest.getDefaultInstance()));
      assertEquals("FUTURE_REASON", failure.reasonName());
      assertEquals(Duration.ofMinutes(1), failure.retryAfter().orElseThrow());
    }
  }

  /** The number of attempts of a call with these failures. */
  private static int attempts(List<RuntimeException> failures, boolean createAnyway, Code expected) throws Exception {
    ScriptedServer service = new ScriptedServer();
    service.failures.addAll(failures);
    var request = RetryDeliveryRequest.newBuilder().setDeliveryId("0197").setCreateAnyway(createAnyway).build();
    try (ScriptedServer.Running running = service.start()) {
      if (expected == Code.OK) {
        running.client().retryDelivery(request);
      } else {
        var failure = assertThrows(TicketingException.class, () -> running.client().retryDelivery(request));
        assertEquals(expected, failure.code());
      }
    }
    return service.calls;
  }

  /** An error with details, as the service returns it. */
  private static RuntimeException scriptedError(Code code, String reason, Map<String, String> metadata, Duration retryAfter) {
    var info = ErrorInfo.newBuilder().setDomain("ticketing.rhythmx").setReason(reason).putAllMetadata(metadata);
    var status = com.google.rpc.Status.newBuilder().setCode(code.value()).setMessage("scripted");
    status.addDetails(Any.pack(info.build()));
    if (retryAfter != null) {
      var delay = com.google.protobuf.Duration.newBuilder().setSeconds(retryAfter.getSeconds()).setNanos(retryAfter.getNano());
      status.addDetails(Any.pack(RetryInfo.newBuilder().setRetryDelay(delay).build()));
    }
    return StatusProto.toStatusRuntimeException(status.build());
  }

  private static final class ScriptedServer extends TicketingServiceGrpc.TicketingServiceImplBase {
    /** How the streams end, each after two events; null: the stream sends nothing more. */
    private final List<RuntimeException> ends = Collections.synchronizedList(new ArrayList<>());

    /** The start of each stream. */
    private final List<String> starts = Collections.synchronizedList(new ArrayList<>());

    /** The failures of the first unary calls; later ones succeed. */
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
