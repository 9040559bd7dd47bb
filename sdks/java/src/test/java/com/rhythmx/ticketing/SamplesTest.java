package com.rhythmx.ticketing;

import static com.rhythmx.ticketing.Incidents.push;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.rhythmx.ticketing.v1.DeliveryState;
import com.rhythmx.ticketing.v1.GetDeliveryRequest;
import com.rhythmx.ticketing.v1.TicketEvent;
import com.rhythmx.ticketing.v1.TicketEventKind;
import java.io.BufferedReader;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.MethodOrderer;
import org.junit.jupiter.api.Order;
import org.junit.jupiter.api.TestMethodOrder;
import org.junit.jupiter.api.Timeout;

/** Runs each sample as a program. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class SamplesTest {
  @Order(1)
  @Behaviour("sample configure")
  void configure() throws Exception {
    checkOutput("Configure", "Tickets go to project SEC of http", "CHECK_OUTCOME_PASSED authentication");
  }

  @Order(2)
  @Behaviour("sample preview")
  void preview() throws Exception {
    checkOutput("Preview", "j.doe", "Priority: Highest");
  }

  @Order(3)
  @Behaviour("sample create")
  void create() throws Exception {
    checkOutput("Create", "/browse/SEC-");
  }

  @Order(4)
  @Behaviour("sample submit")
  void submit() throws Exception {
    checkOutput("Submit", "jira true", "servicenow false");
  }

  @Order(5)
  @Behaviour("sample watch")
  void watch() throws Exception {
    Process watching = run("Watch");
    try (BufferedReader lines = watching.inputReader(StandardCharsets.UTF_8);
        TicketingClient client = Fixture.shared().client()) {
      assertEquals("watching", lines.readLine());
      client.createTicket(push("INC-watched"));
      for (String kind : List.of("ACCEPTED", "ATTEMPT_STARTED", "DELIVERED")) {
        String line = lines.readLine();
        // Events of other tests' incidents arrive too.
        while (line != null && !line.contains("INC-watched")) {
          line = lines.readLine();
        }
        assertTrue(line != null && line.contains("TICKET_EVENT_KIND_" + kind + " INC-watched"), line);
      }
    } finally {
      watching.destroy();
    }
    assertTrue(watching.waitFor(30, TimeUnit.SECONDS));
  }

  @Order(6)
  @Behaviour("sample retry_failed")
  void retryFailed() throws Exception {
    Fixture server = Fixture.shared();
    server.command("jira reject");
    try (TicketingClient client = server.client();
        Events events = client.subscribe()) {
      String id = client.createTicket(push("INC-refused")).getDelivery().getId();
      for (TicketEvent event : events) {
        if (event.getKind() == TicketEventKind.TICKET_EVENT_KIND_FAILED && event.getDelivery().getId().equals(id)) {
          break;
        }
      }
      server.command("jira ok");
      checkOutput("RetryFailed", "INC-refused DELIVERY_STATE_DELIVERED", "/browse/SEC-");
      var now = client.getDelivery(GetDeliveryRequest.newBuilder().setDeliveryId(id).build());
      assertEquals(DeliveryState.DELIVERY_STATE_DELIVERED, now.getDelivery().getState());
    }
  }

  private static void checkOutput(String sample, String... expected) throws Exception {
    Process process = run(sample);
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    for (String words : expected) {
      assertTrue(output.contains(words), words + " is not in:\n" + output);
    }
  }

  private static Process run(String sample) throws Exception {
    Fixture server = Fixture.shared();
    String java = System.getProperty("java.home") + File.separator + "bin" + File.separator + "java";
    String classes = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    ProcessBuilder process = new ProcessBuilder(java, "-cp", classes, sample).redirectErrorStream(true);
    Map<String, String> environment = process.environment();
    environment.put("TICKETING_ADDRESS", server.address());
    environment.put("TICKETING_TOKEN", server.token("admin"));
    for (String setting : List.of("url", "email", "api_token", "project_key")) {
      environment.put("JIRA_" + setting.toUpperCase(), server.jira(setting));
    }
    return process.start();
  }
}
