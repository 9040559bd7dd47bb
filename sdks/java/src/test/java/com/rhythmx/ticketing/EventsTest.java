package com.rhythmx.ticketing;

import static com.rhythmx.ticketing.Incidents.push;
import static com.rhythmx.ticketing.Refusal.failed;
import static com.rhythmx.ticketing.Refusal.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.rhythmx.ticketing.v1.ErrorReason;
import com.rhythmx.ticketing.v1.StreamTicketEventsRequest;
import com.rhythmx.ticketing.v1.TicketEvent;
import com.rhythmx.ticketing.v1.TicketEventKind;
import io.grpc.Status.Code;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class EventsTest {
  private static final int PUSHES = 30;

  @Behaviour("events resumed across a restart")
  void resumesAcrossRestart() throws Exception {
    resumes("restart");
  }

  @Behaviour("events resumed across a kill")
  void resumesAcrossKill() throws Exception {
    resumes("kill");
  }

  @Behaviour("events end with a typed error when the token is refused")
  void refusedTokenEndsTheSubscription() throws Exception {
    try (TicketingClient client = Fixture.shared().client()) {
      var request = StreamTicketEventsRequest.newBuilder().setResumeToken("yesterday").build();
      refused(
          Code.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_RESUME_TOKEN_INVALID, () -> client.subscribe(request));
    }
  }

  @Test
  void closeAndInterruptEndTheLoop() throws Exception {
    try (TicketingClient client = Fixture.shared().client()) {
      Events closed = client.subscribe();
      var ended = CompletableFuture.supplyAsync(() -> closed.iterator().hasNext());
      closed.close();
      assertFalse(ended.get(30, TimeUnit.SECONDS));

      Events interrupted = client.subscribe();
      Thread.currentThread().interrupt();
      failed(Code.CANCELLED, () -> interrupted.iterator().hasNext());
      assertTrue(Thread.interrupted(), "it stays interrupted");
    }
  }

  /**
   * Pushes incidents while the server restarts twice. Without filters the sequence has no gaps, so a missed or duplicate event
   * fails the test.
   */
  private static void resumes(String command) throws Exception {
    Fixture server = Fixture.shared();
    try (TicketingClient client = server.client();
        Events events = client.subscribe()) {
      var pushed = CompletableFuture.runAsync(() -> pushAll(client, command));
      // A failed push ends the loop instead of waiting for its timeout.
      pushed.exceptionally(
          failed -> {
            events.close();
            return null;
          });
      Set<String> delivered = new HashSet<>();
      long last = 0;
      for (TicketEvent event : events) {
        assertTrue(last == 0 || event.getSequence() == last + 1, event.getSequence() + " came after " + last);
        last = event.getSequence();
        assertEquals(event.getResumeToken(), events.resumeToken());
        if (event.getKind() != TicketEventKind.TICKET_EVENT_KIND_DELIVERED) {
          continue;
        }
        assertTrue(delivered.add(event.getIncidentId()), event.getIncidentId() + " was delivered twice");
        if (delivered.size() == PUSHES / 3 || delivered.size() == PUSHES * 2 / 3) {
          server.command(command);
        }
        if (delivered.size() == PUSHES) {
          break;
        }
      }
      pushed.get(30, TimeUnit.SECONDS);
    }
  }

  private static void pushAll(TicketingClient client, String command) {
    for (int n = 0; n < PUSHES; n++) {
      client.createTicket(push("INC-" + command + "-" + n));
    }
  }
}
