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
 * Attempts that hang are under way for seconds yet, and a server that stops waits for them: so nothing restarts it after this.
 */
class SlowTest {
  @BeforeAll
  static void jiraHangs() throws Exception {
    Fixture.shared().order("jira hangs");
  }

  @AfterAll
  static void jiraIsFair() throws Exception {
    Fixture.shared().order("jira fair");
  }

  @Behaviour("DEADLINE_EXCEEDED")
  void aCallEndsWithItsDeadline() throws Exception {
    try (TicketingClient client = Fixture.shared().client()) {
      failed(Code.DEADLINE_EXCEEDED, () -> client.withDeadline(Duration.ofMillis(1)).createTicket(push("INC-late")));
    }
  }

  @Behaviour("cancellation")
  void aCallEndsWithItsContextAndItsThread() throws Exception {
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
