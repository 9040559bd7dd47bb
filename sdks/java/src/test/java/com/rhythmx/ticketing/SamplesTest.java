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

/** Each sample runs as a program of its own. */
@Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
@TestMethodOrder(MethodOrderer.OrderAnnotation.class)
class SamplesTest {
  @Order(1)
  @Behaviour("sample configure")
  void configure() throws Exception {
    says("Configure", "Tickets go to project SEC of http", "CHECK_OUTCOME_PASSED authentication");
  }

  @Order(2)
  @Behaviour("sample preview")
  void preview() throws Exception {
    says("Preview", "j.doe", "Priority: Highest");
  }

  @Order(3)
  @Behaviour("sample create")
  void create() throws Exception {
    says("Create", "/browse/SEC-");
  }

  @Order(4)
  @Behaviour("sample submit")
  void submit() throws Exception {
    says("Submit", "jira true", "servicenow false");
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
        // Events of the incidents of other tests arrive as well.
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
    server.order("jira refuses");
    try (TicketingClient client = server.client();
        Events events = client.subscribe()) {
      String id = client.createTicket(push("INC-refused")).getDelivery().getId();
      for (TicketEvent event : events) {
        if (event.getKind() == TicketEventKind.TICKET_EVENT_KIND_FAILED && event.getDelivery().getId().equals(id)) {
          break;
        }
      }
      server.order("jira fair");
      says("RetryFailed", "INC-refused DELIVERY_STATE_DELIVERED", "/browse/SEC-");
      var now = client.getDelivery(GetDeliveryRequest.newBuilder().setDeliveryId(id).build());
      assertEquals(DeliveryState.DELIVERY_STATE_DELIVERED, now.getDelivery().getState());
    }
  }

  private static void says(String sample, String... expected) throws Exception {
    Process process = run(sample);
    String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), said);
    for (String words : expected) {
      assertTrue(said.contains(words), words + " is not in:\n" + said);
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
