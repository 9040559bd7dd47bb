import com.google.protobuf.Timestamp;
import com.rhythmx.ticketing.TicketingClient;
import com.rhythmx.ticketing.v1.Actor;
import com.rhythmx.ticketing.v1.ActorType;
import com.rhythmx.ticketing.v1.CreateTicketRequest;
import com.rhythmx.ticketing.v1.Incident;
import com.rhythmx.ticketing.v1.Risk;
import com.rhythmx.ticketing.v1.Timeline;
import java.time.Instant;

/** Pushes an incident to Jira, and waits for the first attempt. */
public class Create {
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
      var request = CreateTicketRequest.newBuilder().setIncident(incident).setConnection("jira").build();
      var answer = client.createTicket(request);
      // Empty while the delivery waits for a retry; the message has the time and the reason.
      System.out.println(answer.getMessage() + " " + answer.getDelivery().getTicket().getUrl());
    }
  }
}
