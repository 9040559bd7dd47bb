import com.google.protobuf.Timestamp;
import com.rhythmx.ticketing.TicketingClient;
import com.rhythmx.ticketing.v1.Actor;
import com.rhythmx.ticketing.v1.ActorType;
import com.rhythmx.ticketing.v1.Incident;
import com.rhythmx.ticketing.v1.PreviewTicketRequest;
import com.rhythmx.ticketing.v1.Risk;
import com.rhythmx.ticketing.v1.Timeline;
import java.time.Instant;

/** Shows the ticket of an incident without creating it. */
public class Preview {
  public static void main(String[] arguments) {
    long now = Instant.now().getEpochSecond();
    var incident = Incident.newBuilder()
        .setId("INC-2031")
        .setActor(Actor.newBuilder().setName("j.doe").setType(ActorType.ACTOR_TYPE_USER))
        .setRisk(Risk.newBuilder().setScore(91))
        .setTimeline(Timeline.newBuilder()
            .setFirstAlert(Timestamp.newBuilder().setSeconds(now - 3_600))
            .setLastAlert(Timestamp.newBuilder().setSeconds(now)))
        .build();
    try (var client = TicketingClient.connectFromEnvironment()) {
      var request = PreviewTicketRequest.newBuilder().setIncident(incident).setConnection("jira").build();
      var ticket = client.previewTicket(request).getTicket();
      System.out.println(ticket.getSummary());
      System.out.println("Priority: " + ticket.getPriority());
      System.out.println(ticket.getPlainText());
    }
  }
}
