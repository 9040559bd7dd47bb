package com.rhythmx.ticketing;

import static com.rhythmx.ticketing.Incidents.push;
import static com.rhythmx.ticketing.Refusal.failed;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Context;
import io.grpc.Status.Code;
import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/**
 * These tests run last: a stopping server would wait for the delayed attempts.
 */
class SlowCallsTest {
  @BeforeAll
  static void delayJira() throws Exception {
    Fixture.shared().command("jira delay");
  }

  @AfterAll
  static void resetJira() throws Exception {
    Fixture.shared().command("jira ok");
  }

  @Behaviour("DEADLINE_EXCEEDED")
  void lateResponseIsDeadlineExceeded() throws Exception {
    try (TicketingClient client = Fixture.shared().client()) {
      failed(Code.DEADLINE_EXCEEDED, () -> client.withDeadline(Duration.ofMillis(1)).createTicket(push("INC-late")));
    }
  }

  @Behaviour("cancellation")
  void contextAndInterruptCancelCalls() throws Exception {
    try (TicketingClient client = Fixture.shared().client()) {
      Instant began = Instant.now();
      try (Context.CancellableContext context = Context.current().withCancellation()) {
        CompletableFuture.delayedExecutor(200, TimeUnit.MILLISECONDS).execute(() -> context.cancel(null));
        context.run(() -> failed(Code.CANCELLED, () -> client.createTicket(push("INC-cancelled"))));
      }
      Thread caller = Thread.currentThread();
      CompletableFuture.delayedExecutor(200, TimeUnit.MILLISECONDS).execute(caller::interrupt);
      failed(Code.CANCELLED, () -> client.createTicket(push("INC-interrupted")));
      assertTrue(Thread.interrupted(), "it stays interrupted");
      assertTrue(Duration.between(began, Instant.now()).toSeconds() < 6);
    }
  }
}
