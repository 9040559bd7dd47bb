package com.rhythmx.ticketing;

import static com.rhythmx.ticketing.Incidents.incident;
import static com.rhythmx.ticketing.Incidents.push;
import static com.rhythmx.ticketing.Refusal.failed;
import static com.rhythmx.ticketing.Refusal.refused;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.rhythmx.ticketing.v1.CancelDeliveryRequest;
import com.rhythmx.ticketing.v1.ErrorReason;
import com.rhythmx.ticketing.v1.FiringRule;
import com.rhythmx.ticketing.v1.GetDeliveryRequest;
import com.rhythmx.ticketing.v1.Incident;
import io.grpc.Status.Code;
import java.io.File;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.time.Instant;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class ErrorsTest {
  @Behaviour("INVALID_ARGUMENT with field violations")
  void returnsEveryViolation() throws Exception {
    Incident.Builder bad = incident("INC-bad").toBuilder().addFiringRules(FiringRule.newBuilder().setCount(1));
    bad.getRiskBuilder().setScore(120);
    try (TicketingClient client = Fixture.shared().client()) {
      TicketingException failure =
          refused(
              Code.INVALID_ARGUMENT,
              ErrorReason.ERROR_REASON_INCIDENT_INVALID,
              () -> client.createTicket(push(bad.build())));
      Set<String> fields =
          failure.violations().stream().map(TicketingException.Violation::field).collect(Collectors.toSet());
      assertEquals(Set.of("incident.risk.score", "incident.firing_rules[0].name"), fields);
    }
  }

  @Behaviour("NOT_FOUND")
  void missingDeliveryIsNotFound() throws Exception {
    try (TicketingClient client = Fixture.shared().client()) {
      var request = GetDeliveryRequest.newBuilder().setDeliveryId("0197").build();
      TicketingException failure =
          refused(Code.NOT_FOUND, ErrorReason.ERROR_REASON_DELIVERY_NOT_FOUND, () -> client.getDelivery(request));
      assertEquals("0197", failure.metadata().get("delivery_id"));
    }
  }

  @Behaviour("FAILED_PRECONDITION")
  void refusesToCancelDeliveryWithTicket() throws Exception {
    try (TicketingClient client = Fixture.shared().client()) {
      String id = client.createTicket(push("INC-done")).getDelivery().getId();
      var request = CancelDeliveryRequest.newBuilder().setDeliveryId(id).build();
      refused(Code.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_DELIVERY_STATE, () -> client.cancelDelivery(request));
    }
  }

  @Behaviour("UNAUTHENTICATED")
  void distinguishesInvalidAndMissingToken() throws Exception {
    Fixture server = Fixture.shared();
    try (TicketingClient wrong = TicketingClient.connect(server.address(), "rxt_wrong");
        TicketingClient none = TicketingClient.connect(server.address())) {
      refused(Code.UNAUTHENTICATED, ErrorReason.ERROR_REASON_CREDENTIAL_INVALID, wrong::getStatus);
      refused(Code.UNAUTHENTICATED, ErrorReason.ERROR_REASON_CREDENTIAL_INVALID, wrong::subscribe);
      refused(Code.UNAUTHENTICATED, ErrorReason.ERROR_REASON_CREDENTIAL_MISSING, none::getStatus);
    }
  }

  @Behaviour("PERMISSION_DENIED")
  void viewerCannotPush() throws Exception {
    Fixture server = Fixture.shared();
    try (TicketingClient viewer = TicketingClient.connect(server.address(), server.token("viewer"))) {
      refused(
          Code.PERMISSION_DENIED,
          ErrorReason.ERROR_REASON_ROLE_INSUFFICIENT,
          () -> viewer.createTicket(push("INC-viewer")));
    }
  }

  @Behaviour("UNAVAILABLE within the deadline, naming the address")
  void namesUnreachableServerWithinDeadline() throws Exception {
    Fixture server = Fixture.shared();
    server.command("stop");
    try (TicketingClient connected = server.client()) {
      TicketingClient client = connected.withDeadline(Duration.ofSeconds(2));
      Instant began = Instant.now();
      assertEquals(server.address(), failed(Code.UNAVAILABLE, client::getStatus).address());
      assertTrue(Duration.between(began, Instant.now()).toMillis() < 2_200);
      failed(Code.UNAVAILABLE, client::subscribe);
    } finally {
      server.command("start");
    }
  }

  @Behaviour("UNAVAILABLE retried until the server is back")
  void retriesUntilServerIsBack() throws Exception {
    Fixture server = Fixture.shared();
    try (TicketingClient client = server.client()) {
      client.getStatus();
      server.command("stop");
      var answer = CompletableFuture.supplyAsync(client::getStatus);
      server.command("start");
      assertEquals(2, answer.get(30, TimeUnit.SECONDS).getConnectionsCount());
    }
  }

  @Test
  void refusesInvalidOptions() {
    var remote = TicketingClient.builder("ticketing.example:443").token("rxt_1");
    assertTrue(assertThrows(IllegalArgumentException.class, remote::build).getMessage().contains("without TLS"));
    var noToken = TicketingClient.builder("127.0.0.1:1").token("rxt 1\n");
    assertTrue(assertThrows(IllegalArgumentException.class, noToken::build).getMessage().contains("invalid characters"));
    var noFile = TicketingClient.builder("127.0.0.1:1").tls(new File("/nowhere"));
    assertTrue(assertThrows(UncheckedIOException.class, noFile::build).getMessage().contains("nowhere"));
  }
}
