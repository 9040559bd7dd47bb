package com.rhythmx.ticketing;

import static com.rhythmx.ticketing.Incidents.incident;
import static com.rhythmx.ticketing.Incidents.push;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.rhythmx.ticketing.v1.DeliveryFilter;
import com.rhythmx.ticketing.v1.FiringRule;
import com.rhythmx.ticketing.v1.Incident;
import com.rhythmx.ticketing.v1.ListAuditEntriesRequest;
import com.rhythmx.ticketing.v1.ListDeliveriesRequest;
import com.rhythmx.ticketing.v1.PreviewTicketRequest;
import com.rhythmx.ticketing.v1.Technique;
import com.rhythmx.ticketing.v1.TestConnectionRequest;
import com.rhythmx.ticketing.v1.TicketSystem;
import java.util.List;

class CallsTest {
  @Behaviour("good calls")
  void callsSucceed() throws Exception {
    try (TicketingClient client = Fixture.shared().client()) {
      assertEquals(2, client.getStatus().getConnectionsCount());
      TestConnectionRequest test = TestConnectionRequest.newBuilder().setSystem(TicketSystem.TICKET_SYSTEM_JIRA).build();
      assertTrue(client.testConnection(test).getTest().getPassed());
      var first = client.createTicket(push("INC-good")).getDelivery();
      var again = client.createTicket(push("INC-good"));
      assertTrue(again.getAlreadyExisted());
      assertEquals(first.getTicket(), again.getDelivery().getTicket());
      var listed = client.listDeliveries(ListDeliveriesRequest.newBuilder().setFilter(DeliveryFilter.newBuilder().setIncidentId("INC-good")).build());
      assertEquals(1, listed.getDeliveriesCount());
      assertEquals(first.getId(), listed.getDeliveries(0).getId());
      assertTrue(client.listAuditEntries(ListAuditEntriesRequest.getDefaultInstance()).getEntriesCount() > 0);
    }
  }

  @Behaviour("unicode")
  void preservesUnicodeText() throws Exception {
    String name = "Zoë 王小明 😀 \u202eابن e\u0301";
    Incident asked = incident("INC-unicode").toBuilder().setInvestigationNotes("λόγος\n" + name).build();
    try (TicketingClient client = Fixture.shared().client()) {
      PreviewTicketRequest request =
          PreviewTicketRequest.newBuilder().setIncident(asked).setSystem(TicketSystem.TICKET_SYSTEM_JIRA).build();
      String text = client.previewTicket(request).getTicket().getPlainText();
      for (String part : List.of("λόγος", "Zoë 王小明 😀", "e\u0301")) {
        assertTrue(text.contains(part), part);
      }
      assertFalse(client.createTicket(push(asked)).getDelivery().getTicket().getKey().isEmpty());
    }
  }

  @Behaviour("large incident")
  void pushesIncidentNearTheLimits() throws Exception {
    Incident.Builder large = incident("INC-large").toBuilder().setInvestigationNotes("王".repeat(65_536));
    for (int i = 0; i < 1_000; i++) {
      large.addFiringRules(FiringRule.newBuilder().setName("r".repeat(252) + String.format("%04d", i)).setCount(i + 1));
    }
    for (int i = 0; i < 200; i++) {
      large.addTechniques(Technique.newBuilder().setId(String.format("T%04d", i)).setName("t".repeat(256)));
    }
    try (TicketingClient client = Fixture.shared().client()) {
      assertFalse(client.createTicket(push(large.build())).getDelivery().getTicket().getKey().isEmpty());
    }
  }
}
